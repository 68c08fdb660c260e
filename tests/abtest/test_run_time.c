/* Experiments at work against time and the world: labels that must ripen, clocks that jump, data
   that is late, lost or missing, people who must agree. */
#include <stdlib.h>
#include <string.h>

#include "abtest/recompute.h"
#include "abtest/run.h"
#include "storage/audit.h"
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
};

static void open_run(struct site *site)
{
    struct err err = {0};
    struct run_options options = {.store = site->store};
    must(run_new(&site->run, &options, &err), &err);
}

static struct site *site_new(const char *steps, const char *metrics, const char *more)
{
    static const struct run_actor person = {"ann", 5, INT64_MIN, 0, 0};
    char text[2048], name[EXPERIMENT_MAX_NAME_BYTES + 1];
    struct err err = {0};
    struct site *site = calloc(1, sizeof(*site));
    assert_non_null(site);
    site->temp = temp_new();
    site->store = temp_store(site->temp, STORE_WRITE);
    temp_series(site->store, "credit", "v1", "");
    open_run(site);
    snprintf(text, sizeof(text),
             "{\"name\":\"e\",\"model\":\"credit\",\"control\":\"v1\",\"treatment\":\"v2\","
             "\"start\":true,\"steps\":[%s],\"metrics\":[%s]%s}",
             steps, metrics, more);
    must(run_create(site->run, text, strlen(text), &person, name, &err), &err);
    return site;
}

static void site_free(struct site *site)
{
    run_free(site->run);
    store_free(site->store);
    temp_free(site->temp);
    free(site);
}

/* Commits what was observed, and opens the engine again: a restart. */
static void restart(struct site *site)
{
    struct err err = {0};
    must(commit_begin(site->store, &err), &err);
    must(run_in_commit(site->run, site->store, T0, &err), &err);
    must(commit_end(site->store, &err), &err);
    run_free(site->run);
    open_run(site);
}

static void observe(struct site *site, struct run_event *event)
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
static void feed(struct site *site, int64_t ts_ms, int n, int label)
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

static void look_behind(struct site *site, int64_t at_ms, int64_t behind_ms)
{
    struct err err = {0};
    struct run_now now = {at_ms, at_ms + behind_ms, at_ms + behind_ms, 0, behind_ms};
    must(run_look(site->run, &now, &err), &err);
}

static void look(struct site *site, int64_t at_ms, int64_t lost)
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

static int take_transition(void *context, const struct transition_row *row, struct err *err)
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
static struct last last_of(struct site *site)
{
    struct err err = {0};
    struct last last = {0};
    must(transitions_read(site->store, "e", take_transition, &last, &err), &err);
    return last;
}

static int take_verdict(void *context, const struct experiment_row *row, struct err *err)
{
    (void)err;
    *(json_t **)context = json_loads(row->verdict, 0, NULL);
    return 0;
}

static json_int_t labelled(struct site *site)
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

static void labels_count_once_their_prediction_is_ripe_even_after_a_restart(void **state)
{
    (void)state;
    struct site *site = site_new(HALF, ACCURACY, ",\"maturity\":\"30s\"");
    feed(site, T0, 1, 1); /* event time begins */
    look(site, T0 + SECOND, 0);
    feed(site, T0 + 10 * SECOND, 400, 0);

    look(site, T0 + 12 * SECOND, 0);
    assert_int_equal(labelled(site), 0);
    restart(site);
    look(site, T0 + 39 * SECOND, 0);
    assert_int_equal(labelled(site), 1); /* the first is ripe, the others are not */
    look(site, T0 + 41 * SECOND, 0);

    assert_int_equal(labelled(site), 401);
    site_free(site);
}

static void a_hold_and_its_end_are_rows_of_the_history(void **state)
{
    (void)state;
    struct site *site = site_new(HALF, ERRORS, "");
    feed(site, T0, 100, -1);
    look(site, T0 + SECOND, 0);
    assert_string_equal(last_of(site).verdict, "start");

    look(site, T0 + 200 * SECOND, 0);
    struct last held = last_of(site);
    assert_string_equal(held.verdict, "hold");
    assert_string_equal(held.reason, "no telemetry from either arm for 2m");
    look(site, T0 + 201 * SECOND, 0);
    assert_int_equal(last_of(site).rows, held.rows); /* told once */

    feed(site, T0 + 202 * SECOND, 100, -1);
    look(site, T0 + 203 * SECOND, 0);

    struct last freed = last_of(site);
    assert_string_equal(freed.verdict, "continue");
    assert_string_equal(freed.clock, "event");
    assert_string_equal(freed.state, "running");
    site_free(site);
}

static void events_that_were_lost_hold_the_step(void **state)
{
    (void)state;
    struct site *site = site_new(HALF, ERRORS, "");
    feed(site, T0, 100, -1);
    look(site, T0 + SECOND, 0);

    feed(site, T0 + SECOND, 100, -1);
    look(site, T0 + 2 * SECOND, 7);

    assert_string_equal(last_of(site).verdict, "hold");
    assert_string_equal(last_of(site).reason, "events of this step were lost on their way in");
    site_free(site);
}

static void when_nothing_comes_the_wall_clock_holds(void **state)
{
    (void)state;
    struct site *site = site_new(HALF, ERRORS, "");
    struct err err = {0};
    feed(site, T0, 100, -1);
    look(site, T0 + SECOND, 0);
    struct run_now now = {T0 + SECOND, T0 + 500 * SECOND, T0 + 500 * SECOND, 0, 0};

    must(run_tick(site->run, &now, 60 * SECOND, &err), &err);
    assert_string_equal(last_of(site).verdict, "start"); /* stale_after is 2m */
    must(run_tick(site->run, &now, 121 * SECOND, &err), &err);

    struct last held = last_of(site);
    assert_string_equal(held.verdict, "hold");
    assert_string_equal(held.clock, "wall");
    assert_string_equal(held.reason, "own input is stale: the consumer lags behind");
    feed(site, T0 + 2 * SECOND, 100, -1);
    look(site, T0 + 3 * SECOND, 0);
    assert_string_equal(last_of(site).verdict, "continue");
    assert_string_equal(last_of(site).clock, "wall"); /* a replay knows of neither */
    site_free(site);
}

/* Event time leaps by a day: the step has lasted long enough, and nothing is known of it. */
static void a_clock_that_jumps_promotes_nothing(void **state)
{
    (void)state;
    struct site *site = site_new(HALF, ERRORS, ",\"noninferiority\":\"lenient\"");
    feed(site, T0, 400, -1);
    look(site, T0 + SECOND, 0);

    look(site, T0 + 86400 * SECOND, 0);
    assert_string_equal(last_of(site).verdict, "hold");
    assert_string_equal(last_of(site).state, "running");
    look(site, T0 + 5 * SECOND, 0); /* and back */

    assert_string_equal(last_of(site).state, "running");
    site_free(site);
}

static void units_of_one_bucket_hold_for_the_arm_that_is_silent(void **state)
{
    (void)state;
    struct site *site = site_new(HALF, ERRORS, "");
    for (int s = 0; s < 300; s++) {
        site->next_unit = 0; /* always the same */
        feed(site, T0 + s * SECOND, 1, -1);
        look(site, T0 + (s + 1) * SECOND, 0);
    }
    struct last last = last_of(site);

    assert_string_equal(last.verdict, "hold");
    assert_non_null(strstr(last.reason, "no telemetry from"));
    assert_string_equal(last.state, "running");
    site_free(site);
}

static void a_metric_without_variance_holds_and_says_so(void **state)
{
    (void)state;
    struct site *site = site_new(HALF, ACCURACY, "");
    for (int s = 0; s < 62; s++) {
        feed(site, T0 + s * SECOND, 40, 1); /* every label agrees */
        look(site, T0 + (s + 1) * SECOND, 0);
    }
    struct last last = last_of(site);

    assert_string_equal(last.verdict, "hold");
    assert_string_equal(last.reason, "accuracy: no variance: all observations are equal so far");
    site_free(site);
}

static void without_traffic_it_waits_and_says_nothing_false(void **state)
{
    (void)state;
    struct site *site = site_new(HALF, ERRORS, "");
    struct err err = {0};
    struct run_now now = {T0, T0 + 9999 * SECOND, T0 + 9999 * SECOND, 0, 0};

    must(run_tick(site->run, &now, 9999 * SECOND, &err), &err);

    assert_string_equal(last_of(site).verdict, "start");
    assert_true(run_active(site->run));
    site_free(site);
}

static void an_approval_is_waited_for_and_each_decision_can_be_computed_again(void **state)
{
    (void)state;
    static const struct run_actor person = {"ann", 5, INT64_MIN, 0, 0};
    struct site *site = site_new(HALF ",{\"weight\":100,\"min_duration\":\"1m\",\"approval\":true}",
                                 ERRORS, ",\"noninferiority\":\"lenient\",\"holdback\":5");
    struct err err = {0};
    struct recompute_counts counts;
    int s = 0;
    for (; s < 70; s++) {
        feed(site, T0 + s * SECOND, 20, -1);
        look(site, T0 + (s + 1) * SECOND, 0);
    }
    assert_string_equal(last_of(site).reason, "step 1 (95%) waits for approval");

    struct run_order order = {"e", "approve", -1, "fine by me", ""};
    struct run_actor now = person;
    now.watermark_ms = T0 + s * SECOND;
    must(run_command(site->run, &order, &now, &err), &err);
    for (; s < 150; s++) {
        feed(site, T0 + s * SECOND, 20, -1);
        look(site, T0 + (s + 1) * SECOND, 0);
        if (!run_active(site->run))
            break;
    }

    assert_string_equal(last_of(site).state, "promoted");
    must(audit_verify(site->store, &err), &err);
    must(recompute_all(site->store, &counts, &err), &err);
    assert_int_equal(counts.same, 3); /* hold, advance, promote */
    assert_int_equal(counts.other, 0);
    site_free(site);
}

#define RAMP HALF ",{\"weight\":100,\"min_duration\":\"1m\"}"
#define LENIENT ",\"noninferiority\":\"lenient\",\"holdback\":5"

static json_int_t shown_units(struct site *site, int *step)
{
    struct err err = {0};
    json_t *json = NULL;
    must(experiments_read(site->store, "e", take_verdict, &json, &err), &err);
    json_t *units = json_object_get(json, "units");
    json_int_t n = json_integer_value(json_object_get(units, "control")) +
                   json_integer_value(json_object_get(units, "treatment"));
    *step = (int)json_integer_value(json_object_get(json, "step"));
    json_decref(json);
    return n;
}

/* After an outage the log holds events that were served by the weight of now. */
static void no_step_is_left_upwards_while_our_own_input_is_behind(void **state)
{
    (void)state;
    struct site *site = site_new(RAMP, ERRORS, LENIENT);
    int s = 0, step = 0;
    for (; s < 90; s++) {
        feed(site, T0 + s * SECOND, 20, -1);
        look_behind(site, T0 + (s + 1) * SECOND, 60 * SECOND);
    }
    assert_string_equal(last_of(site).verdict, "start");
    assert_int_equal(shown_units(site, &step), 90 * 20); /* they count, to their own step */

    feed(site, T0 + s * SECOND, 20, -1);
    look(site, T0 + (s + 1) * SECOND, 0);

    struct last last = last_of(site);
    assert_string_equal(last.verdict, "advance");
    assert_string_equal(last.clock, "wall"); /* a replay, which is never behind, goes on earlier */
    site_free(site);
}

static void harm_rolls_back_out_of_a_backlog(void **state)
{
    (void)state;
    struct site *site = site_new(RAMP, ACCURACY, "");
    struct err err = {0};
    feed(site, T0, 1, 1);
    look(site, T0 + SECOND, 0);
    for (int i = 0; i < 1500; i++) {
        struct run_event event = {
            .unit_hash = (uint64_t)(i + 10) << 1,
            .ts_ms = T0 + 5 * SECOND,
            .model = "credit",
            .version = i % 2 ? "v1" : "v2",
            .sign = 1,
            .observation = {.stage = STAGE_LABEL, .has_predicted = true},
        };
        event.observation.correct = i % 2 ? i % 10 != 1 : i % 4 == 0;
        assert_int_equal(run_observe(site->run, &event, &err), 0);
    }

    look_behind(site, T0 + 6 * SECOND, 60 * SECOND);

    assert_string_equal(last_of(site).reason, "guardrail accuracy: harm beyond harm_margin");
    site_free(site);
}

static void a_lag_beyond_stale_after_holds(void **state)
{
    (void)state;
    struct site *site = site_new(RAMP, ERRORS, LENIENT);
    feed(site, T0, 20, -1);

    look_behind(site, T0 + SECOND, 121 * SECOND);

    assert_string_equal(last_of(site).verdict, "hold");
    assert_string_equal(last_of(site).reason, "own input is stale: the consumer lags behind");
    assert_string_equal(last_of(site).clock, "wall");
    site_free(site);
}

/* A person jumps while a minute of events is not read yet: they are of the step before. */
static void a_jump_begins_behind_the_backlog(void **state)
{
    (void)state;
    struct site *site = site_new(RAMP, ERRORS, LENIENT);
    struct err err = {0};
    struct run_order order = {"e", "jump", 1, "now", ""};
    int step = 0;
    feed(site, T0, 20, -1);
    look(site, T0 + SECOND, 0);
    struct run_actor actor = {"ann", 5, T0 + SECOND, 0, 60 * SECOND};
    must(run_command(site->run, &order, &actor, &err), &err);

    feed(site, T0 + 30 * SECOND, 40, -1); /* of the backlog */
    look(site, T0 + 31 * SECOND, 0);
    feed(site, T0 + 70 * SECOND, 50, -1);
    look(site, T0 + 71 * SECOND, 0);

    assert_int_equal(shown_units(site, &step), 50);
    assert_int_equal(step, 1);
    assert_string_equal(last_of(site).clock, "wall");
    site_free(site);
}

static void register_bytes(struct site *site, const char *version, const char *facts)
{
    struct err err = {0};
    must(commit_begin(site->store, &err), &err);
    must(commit_version(site->store, "credit", version, facts, &err), &err);
    must(commit_end(site->store, &err), &err);
}

/* Bytes of an artifact have no chance in them: one look says it. */
static void an_artifact_beyond_its_limit_rolls_back_as_soon_as_it_is_known(void **state)
{
    (void)state;
    struct site *site =
        site_new(HALF, ERRORS ",{\"metric\":\"artifact_bytes\",\"margin_relative\":0.1}", "");
    struct recompute_counts counts;
    struct err err = {0};
    feed(site, T0, 20, -1);
    look(site, T0 + SECOND, 0);
    assert_string_equal(last_of(site).verdict, "start"); /* nothing is registered */

    register_bytes(site, "v1", "{\"artifact_bytes\":1000}");
    register_bytes(site, "v2", "{\"artifact_bytes\":1001}");
    feed(site, T0 + 30 * SECOND, 20, -1);
    look(site, T0 + 60 * SECOND, 0);

    assert_string_equal(last_of(site).reason, "guardrail artifact_bytes: harm beyond harm_margin");
    must(recompute_all(site->store, &counts, &err), &err);
    assert_int_equal(counts.same, 1);
    site_free(site);
}

static void what_is_not_registered_holds_and_a_smaller_artifact_goes_on(void **state)
{
    (void)state;
    struct site *site =
        site_new(HALF, ERRORS ",{\"metric\":\"artifact_bytes\",\"margin_relative\":0.1}",
                 ",\"noninferiority\":\"lenient\"");
    for (int s = 0; s < 62; s++) {
        feed(site, T0 + s * SECOND, 20, -1);
        look(site, T0 + (s + 1) * SECOND, 0);
    }
    assert_string_equal(last_of(site).verdict, "promote"); /* lenient: unknown is not harm */
    site_free(site);

    site = site_new(HALF, "{\"metric\":\"artifact_bytes\",\"margin_relative\":0.1}", "");
    register_bytes(site, "v2", "{\"artifact_bytes\":250}");
    int s = 0;
    for (; s < 62; s++) {
        feed(site, T0 + s * SECOND, 20, -1);
        look(site, T0 + (s + 1) * SECOND, 0);
    }
    assert_string_equal(last_of(site).reason, "artifact_bytes: artifact_bytes of v1 is not "
                                              "registered");
    register_bytes(site, "v1", "{\"artifact_bytes\":1000}");
    for (; s < 122; s++) {
        feed(site, T0 + s * SECOND, 20, -1);
        look(site, T0 + (s + 1) * SECOND, 0);
    }

    assert_string_equal(last_of(site).verdict, "promote");
    site_free(site);
}

static void labels_of_many_classes_ripen_like_all_others(void **state)
{
    (void)state;
    struct site *site = site_new(
        HALF, "{\"metric\":\"f1_macro\",\"margin\":0.05},{\"metric\":\"dice\",\"margin\":0.1}",
        ",\"maturity\":\"30s\"");
    struct err err = {0};
    const struct class_pixels pixels[] = {{7, 6, 1, 1}, {8, 1, 1, 2}};
    const struct sample scene = {.pixels = pixels, .n_pixels = 2};
    feed(site, T0, 1, -1);
    look(site, T0 + SECOND, 0);
    for (int i = 0; i < 300; i++) {
        struct run_event event = {
            .unit_hash = (uint64_t)(i + 10) << 1,
            .ts_ms = T0 + 5 * SECOND,
            .model = "credit",
            .version = i % 2 ? "v1" : "v2",
            .sign = 1,
            .observation = {.stage = STAGE_LABEL, .content = &scene},
        };
        event.observation.predicted_class = 1 + (uint64_t)i % 3;
        event.observation.label_class = 1 + (uint64_t)i % 3;
        assert_int_equal(run_observe(site->run, &event, &err), 0);
    }
    look(site, T0 + 6 * SECOND, 0);
    assert_int_equal(labelled(site), 0);
    restart(site);

    look(site, T0 + 36 * SECOND, 0);

    assert_int_equal(labelled(site), 300);
    json_t *json = NULL;
    must(experiments_read(site->store, "e", take_verdict, &json, &err), &err);
    json_t *dice = json_array_get(json_object_get(json, "metrics"), 1);
    assert_close(json_number_value(json_object_get(json_object_get(dice, "control"), "value")),
                 (12.0 / 14 + 2.0 / 5) / 2, 1e-12);
    json_decref(json);
    site_free(site);
}

static void commit(struct site *site, bool take_back)
{
    struct err err = {0};
    must(commit_begin(site->store, &err), &err);
    must(run_in_commit(site->run, site->store, T0, &err), &err);
    if (take_back)
        commit_rollback(site->store);
    else
        must(commit_end(site->store, &err), &err);
}

static int count_segment(void *context, int64_t n, const void *bytes, size_t size, struct err *err)
{
    (void)bytes;
    (void)err;
    int64_t *sums = context;
    sums[0] = n;
    sums[1] += (int64_t)size;
    return 0;
}

static void units_are_appended_and_a_commit_that_was_taken_back_loses_none(void **state)
{
    (void)state;
    struct site *site = site_new(HALF, ERRORS, "");
    struct err err = {0};
    feed(site, T0, 1, -1);
    look(site, T0 + SECOND, 0);
    feed(site, T0 + 10 * SECOND, 300, -1);
    commit(site, false);
    feed(site, T0 + 11 * SECOND, 100, -1);
    commit(site, true);
    feed(site, T0 + 12 * SECOND, 100, -1);
    commit(site, false);
    feed(site, T0 + 13 * SECOND, 10, -1);
    commit(site, false);

    int64_t sums[2] = {0, 0};
    must(experiment_units_read(site->store, "e", count_segment, sums, &err), &err);
    assert_in_range(sums[1], 511 * 10, 511 * 14); /* 501 whole and 10 more, some 12 bytes each */
    restart(site);
    look(site, T0 + 20 * SECOND, 0);
    json_t *json = NULL;
    must(experiments_read(site->store, "e", take_verdict, &json, &err), &err);
    json_t *units = json_object_get(json, "units");
    assert_int_equal(json_integer_value(json_object_get(units, "control")) +
                         json_integer_value(json_object_get(units, "treatment")),
                     511);
    json_decref(json);
    site_free(site);
}

static int take_detail(void *context, const struct audit_row *row, struct err *err)
{
    (void)err;
    char **detail = context;
    if (strcmp(row->action, "experiment.hold") == 0 && !*detail)
        *detail = strdup(row->detail);
    return 0;
}

/* What recompute says of the row's detail after a change of it. */
static void changed(const char *detail, const char *path, const char *key, json_t *value, int rc,
                    const char *said)
{
    struct err err = {0};
    json_t *json = json_loads(detail, 0, NULL);
    json_object_set_new(*path ? json_object_get(json, path) : json, key, value);
    char *text = json_dumps(json, JSON_COMPACT);

    assert_int_equal(recompute_detail(text, &err), rc);
    if (rc < 0)
        assert_string_equal(err.text, said);
    free(text);
    json_decref(json);
}

static void a_decision_that_does_not_follow_from_its_evidence_is_found(void **state)
{
    (void)state;
    struct site *site = site_new(HALF, ERRORS, "");
    struct err err = {0};
    char *detail = NULL;
    feed(site, T0, 400, -1);
    look(site, T0 + SECOND, 0);
    look(site, T0 + 200 * SECOND, 0);
    must(audit_read(site->store, 0, 100, take_detail, &detail, &err), &err);
    assert_non_null(detail);
    assert_int_equal(recompute_detail(detail, &err), 0);

    changed(detail, "verdict", "reason", json_string("all is well"), ERR_CORRUPT,
            "its evidence gives another verdict than it says (reason differs)");
    changed(detail, "verdict", "crossovers", json_integer(1), ERR_CORRUPT,
            "its evidence gives another verdict than it says (crossovers differs)");
    changed(detail, "object", "stale_after", json_string("1h"), ERR_CORRUPT,
            "its evidence gives another verdict than it says (verdict differs)");
    changed(detail, "", "situation", json_string("Ag=="), ERR_CORRUPT,
            "audit row: the situation is damaged");
    changed(detail, "evidence", "data", json_string("AAAA"), ERR_CORRUPT,
            "its evidence cannot be inflated");
    changed(detail, "", "engine", json_integer(0), RECOMPUTE_OTHER, "");
    assert_int_equal(recompute_detail("{\"reason\":\"lunch\"}", &err), RECOMPUTE_NOTHING);
    free(detail);
    site_free(site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_count_once_their_prediction_is_ripe_even_after_a_restart),
        cmocka_unit_test(a_hold_and_its_end_are_rows_of_the_history),
        cmocka_unit_test(events_that_were_lost_hold_the_step),
        cmocka_unit_test(when_nothing_comes_the_wall_clock_holds),
        cmocka_unit_test(a_clock_that_jumps_promotes_nothing),
        cmocka_unit_test(units_of_one_bucket_hold_for_the_arm_that_is_silent),
        cmocka_unit_test(a_metric_without_variance_holds_and_says_so),
        cmocka_unit_test(without_traffic_it_waits_and_says_nothing_false),
        cmocka_unit_test(an_approval_is_waited_for_and_each_decision_can_be_computed_again),
        cmocka_unit_test(no_step_is_left_upwards_while_our_own_input_is_behind),
        cmocka_unit_test(harm_rolls_back_out_of_a_backlog),
        cmocka_unit_test(a_lag_beyond_stale_after_holds),
        cmocka_unit_test(a_jump_begins_behind_the_backlog),
        cmocka_unit_test(an_artifact_beyond_its_limit_rolls_back_as_soon_as_it_is_known),
        cmocka_unit_test(what_is_not_registered_holds_and_a_smaller_artifact_goes_on),
        cmocka_unit_test(labels_of_many_classes_ripen_like_all_others),
        cmocka_unit_test(units_are_appended_and_a_commit_that_was_taken_back_loses_none),
        cmocka_unit_test(a_decision_that_does_not_follow_from_its_evidence_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
