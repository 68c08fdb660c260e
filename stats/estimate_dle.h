/*
 * How wrong a regression is, before its labels come: direct loss estimation.
 *
 * Shape    boosted trees for |error| and for error², fitted once on a labelled reference: values
 *          in at most 32 bins (quantiles; the largest categories in the order of their mean error;
 *          missing has its own; where the reference never missed it, it counts as the middle one,
 *          of which more is known than of the largest), the prediction being one of the features. Trees are oblivious
 *          (each level asks one question of all nodes) and serve both losses with two sets of
 *          leaves. A window keeps count and the sums of both estimates (stats/metric_estimated.h)
 * Why      NannyML boosts LightGBM's trees. Oblivious ones answer in 4 comparisons of bytes a
 *          tree, without a branch, and the fit has no random part. Tables by feature alone
 *          (additive) are cheaper still but miss interactions: on the car-price data they were
 *          off the realised MAE by 46.9 on average, these by 18.7, NannyML by 22.2
 * Limits   right as long as the relation of inputs to label holds; silent when it does not. An
 *          estimate may hold a rollout, never promote it
 * Owner    dle_fit and dle_load give, dle_free takes
 * Errors   ERR_DATA: fewer than 100 labelled rows
 * Threads  read-only once fitted
 * Source   NannyML 0.13 DLE (the method); gradient boosting: Friedman 2001, algorithm 1;
 *          oblivious trees: Kohavi, Li 1995
 */
#pragma once

#include <stdbool.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/err.h"
#include "stats/exact_sum.h"
#include "stats/row.h"

enum {
    DLE_BINS = 32, /* of values; bin DLE_BINS: missing, or a category beyond the largest */
    DLE_TREES = 120,
    DLE_DEPTH = 4,
    DLE_MIN_ROWS = 100
};

struct dle_feature {
    uint64_t name_id;
    bool categorical;
    bool complete;             /* no row of the reference was without it, or of another category */
    uint32_t n_cuts;           /* numbers: bin = cuts at or below x; categories: how many ids */
    double cuts[DLE_BINS - 1]; /* +Infinity behind the last */
    uint64_t ids[DLE_BINS];    /* sorted */
    uint8_t ranks[DLE_BINS];   /* of ids, by mean error */
};

struct dle_tree {
    uint16_t feature[DLE_DEPTH];
    uint8_t above[DLE_DEPTH]; /* bit set where bin > above */
    float absolute[1 << DLE_DEPTH], square[1 << DLE_DEPTH];
};

enum {
    DLE_WORDS = (DLE_TREES * DLE_DEPTH + 63) / 64
};

/* The answers that one value of one feature gives to the questions of all trees, DLE_DEPTH bits a
   tree; 0 where the question is about another feature. */
struct dle_answers {
    uint64_t words[DLE_WORDS];
};

struct dle {
    uint32_t n_features;
    struct dle_feature *features;
    struct dle_tree trees[DLE_TREES];
    uint16_t *asked; /* the features that any tree asks about */
    uint32_t n_asked;
    struct dle_answers (*answers)[DLE_BINS + 1]; /* of those, by bin */
    double unit;             /* losses are counted in it: the reference's mean |error|, or 1 */
    double absolute, square; /* intercepts, in units */
    double n_reference;      /* rows it was fitted on */
};

/* rows: n × n_features values; errors: prediction - label of each row. `features` gives name_id
   and categorical. */
int dle_fit(struct dle **out, const struct dle_feature *features, uint32_t n_features,
            const struct row_value *rows, const double *errors, size_t n, struct err *err);
void dle_free(struct dle *dle);
DEFINE_FREEP(dle)

/* What is to be expected of one event, in the label's units and their square. */
void dle_expect(const struct dle *dle, const struct row_value *values, double *absolute,
                double *square);

void dle_save(const struct dle *dle, struct buf *out);
int dle_load(struct dle **out, struct reader *in, struct err *err);
