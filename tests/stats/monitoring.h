/*
 * The reference data for monitoring as tests read it: rows of the reference and of the stream,
 * joined as the contract says (the first prediction of an id counts, the last label to arrive).
 *
 * Owner    monitoring_read gives, monitoring_free takes; NULL when the shared data are absent
 */
#pragma once

#include <string.h>
#include <xxhash.h>
#include <zlib.h>

#include "stats/profile.h"
#include "stats/reference.h"
#include "tests/reference.h"

enum {
    MONITORING_FEATURES = 16
};

struct monitoring_row {
    char id[16];
    int64_t ts_ms;
    double value[MONITORING_FEATURES];      /* a number, or NaN: missing */
    uint64_t category[MONITORING_FEATURES]; /* id, or 0: missing */
    double score, prediction, label;
    bool labelled;
};

struct monitoring_rows {
    struct monitoring_row *rows;
    size_t n, room;
};

struct monitoring {
    json_t *expected;
    struct monitoring_rows reference, stream;
    uint32_t n_features;
    const char *names[MONITORING_FEATURES]; /* borrowed from expected */
    struct profile_feature features[MONITORING_FEATURES];
    struct profile_layout layout;
};

static inline uint64_t monitoring_id(const char *text)
{
    uint64_t id = XXH3_64bits(text, strlen(text));
    return id ? id : 1;
}

static inline gzFile monitoring_open(const char *name)
{
    const char *shared = getenv("ASSAY_SHARED"), *source = getenv("ASSAY_SOURCE");
    const char *places[] = {"", "/../shared", "/../../shared"};
    for (size_t i = shared ? 0 : 1; i < (shared ? 1 : 3); i++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s%s/reference/monitoring/%s",
                 shared   ? shared
                 : source ? source
                          : "..",
                 places[i], name);
        gzFile file = gzopen(path, "rb");
        if (file)
            return file;
    }
    return NULL;
}

/* Rows are few enough to look an id up through its number: "a000123", "r000123". */
static inline struct monitoring_row *monitoring_row_of(struct monitoring_rows *rows, const char *id)
{
    size_t at = (size_t)strtoul(id + 1, NULL, 10);
    while (rows->room <= at) {
        size_t room = rows->room ? rows->room * 2 : 1024;
        rows->rows = realloc(rows->rows, room * sizeof(*rows->rows));
        assert_non_null(rows->rows);
        memset(rows->rows + rows->room, 0, (room - rows->room) * sizeof(*rows->rows));
        rows->room = room;
    }
    rows->n = rows->n > at ? rows->n : at + 1;
    return &rows->rows[at];
}

static inline void monitoring_put(const struct monitoring *m, struct monitoring_row *row,
                                  json_t *event)
{
    snprintf(row->id, sizeof(row->id), "%s", json_string_value(json_object_get(event, "id")));
    row->ts_ms = json_integer_value(json_object_get(event, "ts"));
    json_t *score = json_object_get(event, "score");
    row->score = score ? json_number_value(score) : (double)NAN;
    row->prediction = json_number_value(json_object_get(event, "prediction"));
    for (uint32_t f = 0; f < m->n_features; f++) {
        json_t *value = reference_at(event, "features", m->names[f], NULL);
        row->value[f] = json_is_number(value) ? json_number_value(value) : (double)NAN;
        row->category[f] = json_is_string(value) ? monitoring_id(json_string_value(value)) : 0;
    }
}

static inline void monitoring_rows_read(const struct monitoring *m, struct monitoring_rows *rows,
                                        gzFile file)
{
    static char line[1 << 16];
    while (gzgets(file, line, sizeof(line))) {
        json_t *event = json_loads(line, 0, NULL);
        assert_non_null(event);
        const char *id = json_string_value(json_object_get(event, "id"));
        struct monitoring_row *row = monitoring_row_of(rows, id);
        if (strcmp(json_string_value(json_object_get(event, "type")), "label") == 0) {
            row->label = json_number_value(json_object_get(event, "label"));
            row->labelled = true;
        } else if (row->id[0] == 0) {
            monitoring_put(m, row, event);
        }
        json_decref(event);
    }
    gzclose(file);
}

static inline void monitoring_free(struct monitoring *m)
{
    if (!m)
        return;
    json_decref(m->expected);
    free(m->reference.rows);
    free(m->stream.rows);
    free(m);
}
DEFINE_FREEP(monitoring)

static inline struct monitoring *monitoring_read(const char *set)
{
    char name[64];
    snprintf(name, sizeof(name), "monitoring/%s/expected.json", set);
    json_t *expected = reference_read(name);
    if (!expected)
        return NULL;
    struct monitoring *m = calloc(1, sizeof(*m));
    assert_non_null(m);
    m->expected = expected;
    const char *key;
    json_t *info;
    json_object_foreach(json_object_get(expected, "reference"), key, info)
    {
        bool numeric = strcmp(json_string_value(json_object_get(info, "kind")), "numeric") == 0;
        m->names[m->n_features] = key;
        m->features[m->n_features++] = (struct profile_feature){
            .name_id = monitoring_id(key),
            .kind = numeric ? PROFILE_NUMERIC : PROFILE_CATEGORICAL,
            .min = (double)NAN,
            .max = (double)NAN,
        };
    }
    m->layout = (struct profile_layout){.n_features = m->n_features, .features = m->features};
    snprintf(name, sizeof(name), "%s/reference.jsonl.gz", set);
    monitoring_rows_read(m, &m->reference, monitoring_open(name));
    snprintf(name, sizeof(name), "%s/events.jsonl.gz", set);
    monitoring_rows_read(m, &m->stream, monitoring_open(name));
    return m;
}

/* One row into a profile, with @score, @prediction and @label as the collector will. */
static inline void monitoring_fold(const struct monitoring *m, struct profile *profile,
                                   const struct monitoring_row *row)
{
    profile_event(profile, 1);
    for (uint32_t f = 0; f < m->n_features; f++) {
        double value = row->value[f];
        uint64_t category = row->category[f];
        bool number = m->features[f].kind == PROFILE_NUMERIC;
        if (m->names[f][0] == '@') {
            bool label = strcmp(m->names[f], "@label") == 0;
            if (label && !row->labelled)
                continue;
            value = label                                ? row->label
                    : strcmp(m->names[f], "@score") == 0 ? row->score
                                                         : row->prediction;
            char text[32];
            snprintf(text, sizeof(text), "%g", value);
            category = monitoring_id(text);
        }
        if (number && !isnan(value))
            assert_int_equal(profile_number(profile, f, value, 1), 0);
        else if (!number && category)
            assert_int_equal(profile_category(profile, f, category, 1), 0);
    }
}

/* The reference of a set; its grids and bins are then in m's layout. */
static inline struct reference *monitoring_reference(struct monitoring *m)
{
    AUTO(profile) struct profile *profile = NULL;
    struct reference *reference = NULL;
    assert_int_equal(profile_new(&profile, &m->layout, PROFILE_REFERENCE, NULL), 0);
    for (size_t i = 0; i < m->reference.n; i++)
        monitoring_fold(m, profile, &m->reference.rows[i]);
    assert_int_equal(reference_build(&reference, profile, monitoring_id("@label"), NULL), 0);
    reference_layout(reference, &m->layout, m->features);
    return reference;
}
