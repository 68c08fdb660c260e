/*
 * Experiments at work on a database of their own: units that come, looks that are taken, and what
 * the history says of it. For the tests of abtest/run.
 *
 * Owner    site_new gives, site_free takes
 */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "abtest/run.h"
#include "storage/commit.h"
#include "storage/transition.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

#define T0 INT64_C(1700000000000)
#define SECOND INT64_C(1000)

struct site {
    struct temp *temp;
    struct store *store;
    struct run *run;
    int next_unit;
    int told; /* news that people would have heard */
};

static const struct run_actor person = {"ann", 5, INT64_MIN, 0, 0};

static inline int tell(void *context, const struct run_news *news, struct err *err)
{
    (void)news;
    (void)err;
    ((struct site *)context)->told++;
    return 0;
}

static inline void open_run(struct site *site)
{
    struct err err = {0};
    struct run_options options = {.store = site->store, .context = site, .tell = tell};
    must(run_new(&site->run, &options, &err), &err);
}

/* Without an experiment yet. */
static inline struct site *site_bare(void)
{
    struct site *site = calloc(1, sizeof(*site));
    assert_non_null(site);
    site->temp = temp_new();
    site->store = temp_store(site->temp, STORE_WRITE);
    temp_series(site->store, "credit", "v1", "");
    open_run(site);
    return site;
}

static inline int create(struct site *site, const char *object, struct err *err)
{
    char name[EXPERIMENT_MAX_NAME_BYTES + 1];
    return run_create(site->run, object, strlen(object), &person, name, err);
}

/* With "e", started. */
static inline struct site *site_new(const char *steps, const char *metrics, const char *more)
{
    char text[2048];
    struct err err = {0};
    struct site *site = site_bare();
    snprintf(text, sizeof(text),
             "{\"name\":\"e\",\"model\":\"credit\",\"control\":\"v1\",\"treatment\":\"v2\","
             "\"start\":true,\"steps\":[%s],\"metrics\":[%s]%s}",
             steps, metrics, more);
    must(create(site, text, &err), &err);
    return site;
}

static inline void site_free(struct site *site)
{
    run_free(site->run);
    store_free(site->store);
    temp_free(site->temp);
    free(site);
}

/* Commits what was observed, and opens the engine again: a restart. */
static inline void restart(struct site *site)
{
    struct err err = {0};
    must(commit_begin(site->store, &err), &err);
    must(run_in_commit(site->run, site->store, T0, &err), &err);
    must(commit_end(site->store, &err), &err);
    run_free(site->run);
    open_run(site);
}

static inline void observe(struct site *site, struct run_event *event)
{
    struct err err = {0};
    event->model = "credit";
    event->version = "v1";
    event->sign = 1;
    event->outside = false;
    int rc = run_observe(site->run, event, &err);
    if (rc == RUN_OUTSIDE) { /* its bucket is the treatment's */
        event->version = "v2";
        rc = run_observe(site->run, event, &err);
    }
    assert_int_equal(rc, 0);
}

/* n new units with a prediction each; label: 1 and 0 are right and wrong in turn, -1: none. */
static inline void feed(struct site *site, int64_t ts_ms, int n, int label)
{
    for (int i = 0; i < n; i++) {
        char unit[32];
        int size = snprintf(unit, sizeof(unit), "u%d", site->next_unit++);
        struct run_event event = {
            .unit = {unit, (size_t)size},
            .unit_hash = (uint64_t)site->next_unit << 1,
            .ts_ms = ts_ms,
            .observation = {.stage = STAGE_PREDICTION, .latency_ms = 1},
        };
        observe(site, &event);
        if (label < 0)
            continue;
        struct err err = {0};
        event.observation.stage = STAGE_LABEL;
        event.observation.has_predicted = true;
        event.observation.correct = label == 1 || i % 5 != 0;
        assert_int_equal(run_observe(site->run, &event, &err), 0);
    }
}

static inline void look_behind(struct site *site, int64_t at_ms, int64_t behind_ms)
{
    struct err err = {0};
    struct run_now now = {at_ms, at_ms + behind_ms, at_ms + behind_ms, 0, behind_ms};
    must(run_look(site->run, &now, &err), &err);
}

static inline void look(struct site *site, int64_t at_ms, int64_t lost)
{
    struct err err = {0};
    struct run_now now = {at_ms, at_ms, at_ms, lost, 0};
    must(run_look(site->run, &now, &err), &err);
}

struct last {
    char verdict[16], reason[256], clock[16], state[16];
    json_t *json;
    int rows;
};

static inline int take_transition(void *context, const struct transition_row *row, struct err *err)
{
    (void)err;
    struct last *last = context;
    last->rows++;
    snprintf(last->verdict, sizeof(last->verdict), "%s", row->verdict);
    snprintf(last->reason, sizeof(last->reason), "%s", row->reason);
    snprintf(last->clock, sizeof(last->clock), "%s", row->clock);
    snprintf(last->state, sizeof(last->state), "%s", row->to_state);
    return 0;
}

/* The newest row of its history. */
static inline struct last last_of(struct site *site)
{
    struct err err = {0};
    struct last last = {0};
    must(transitions_read(site->store, "e", take_transition, &last, &err), &err);
    return last;
}

static inline int take_verdict(void *context, const struct experiment_row *row, struct err *err)
{
    (void)err;
    *(json_t **)context = json_loads(row->verdict, 0, NULL);
    return 0;
}

static inline json_int_t labelled(struct site *site)
{
    struct err err = {0};
    json_t *json = NULL;
    must(experiments_read(site->store, "e", take_verdict, &json, &err), &err);
    json_t *metric = json_array_get(json_object_get(json, "metrics"), 0);
    json_int_t n = json_integer_value(json_object_get(json_object_get(metric, "control"), "n")) +
                   json_integer_value(json_object_get(json_object_get(metric, "treatment"), "n"));
    json_decref(json);
    return n;
}

#define HALF "{\"weight\":50,\"min_duration\":\"1m\"}"
#define ERRORS "{\"metric\":\"error_rate\",\"margin_relative\":0.5}"
#define ACCURACY "{\"metric\":\"accuracy\",\"margin\":0.05}"
