/*
 * One prediction as the metric states see it, with its label once that is known.
 *
 * Shape    binary: score = P(positive), predicted = class of the event's `prediction` (or of
 *          score >= threshold where that is absent) · multiclass: scores, predicted · regression:
 *          value · NaN and class 0 mean absent
 * Units    ts_ms: milliseconds since the epoch (event time) · latency_ms: milliseconds
 * Owner    borrowed for the call
 */
#pragma once

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum task {
    TASK_BINARY,
    TASK_MULTICLASS,
    TASK_REGRESSION,
    TASK_RANKING,
    TASK_SEGMENTATION,
    N_TASKS
};

/* "binary" …; NULL past the end. task_parse: -1 when the word is unknown. */
const char *task_name(enum task task);
int task_parse(const char *name);

/*
 * A class, category, segment value or outcome name as a number that does not depend on the order
 * of arrival: XXH3-64 of its text (1, 1.0 and "1" were made the same text by the decoder), never 0.
 * The names are kept beside, in storage (names). Two texts share an id with probability < 1e-12
 * for a million of them.
 */
uint64_t class_id(const char *text, size_t n);

struct class_score {
    uint64_t class_id;
    double score; /* probability */
};

struct item_relevance {
    uint64_t item; /* class_id of its text */
    double relevance;
};

struct class_pixels {
    uint64_t class_id;
    double tp, fp, fn;
};

struct sample {
    int64_t ts_ms;
    double latency_ms;                /* NaN: absent */
    double score;                     /* binary: P(positive); NaN: absent */
    double value;                     /* regression: the predicted value; NaN: absent */
    uint64_t predicted;               /* class id; 0: absent */
    const struct class_score *scores; /* multiclass, sorted by class_id */
    uint32_t n_scores;
    uint64_t unit; /* hash of the unit, spread over all 64 bits (class_id of its text will do); 0:
                      not counted. Needed where custom_needs_units says so */
    bool failed;   /* the request failed: counts in error_rate, not in quality metrics */

    /* what models fitted on the reference say of the event; of predictions alone */
    bool expected;                             /* regression: the two that follow are known */
    double expected_absolute, expected_square; /* |error| and error² */

    /* the label; only read by label() */
    uint64_t label_class; /* class id; 0: absent */
    double label_value;   /* regression; NaN: absent */

    /* ranking: items in shown order, and as label what they are worth, sorted by item */
    const uint64_t *items;
    uint32_t n_items;
    uint32_t n_relevances;
    const struct item_relevance *relevances;
    /* segmentation, a label alone: pixels by class */
    const struct class_pixels *pixels;
    uint32_t n_pixels;
};

struct outcome {
    uint64_t name_id; /* class_id of the outcome's name */
    double value;
};
