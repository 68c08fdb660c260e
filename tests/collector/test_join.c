#include <stdio.h>

#include "collector/join.h"
#include "tests/lib/pending_rows.h"
#include "tests/test.h"

#define HORIZON (60 * MINUTE)

enum {
    CREDIT = 11, /* hashes of models */
    FRAUD = 12,
};

struct joined {
    int applied, superseded, orphaned;
    double label;
    double outcomes;
};

struct bench {
    struct rows rows;
    struct pending *pending;
    struct join *join;
};

static void start(struct bench *bench)
{
    assert_int_equal(rows_pending(&bench->rows, 0, &bench->pending, NULL), 0);
    if (bench->rows.n)
        assert_int_equal(rows_restore(&bench->rows, bench->pending, NULL), 0);
    assert_int_equal(join_new(&bench->join, bench->pending, NULL), 0);
    assert_int_equal(join_series(bench->join, 0, CREDIT, HORIZON, NULL), 0);
    assert_int_equal(join_series(bench->join, 1, FRAUD, HORIZON, NULL), 0);
}

static void stop(struct bench *bench)
{
    join_free(bench->join);
    pending_free(bench->pending);
    bench->join = NULL;
    bench->pending = NULL;
}

static void save_and_start_again(struct bench *bench)
{
    struct pending_writer writer = rows_writer(&bench->rows);
    assert_int_equal(pending_save(bench->pending, &writer, NULL), 0);
    pending_saved(bench->pending);
    stop(bench);
    start(bench);
}

static int take(void *context, struct record *prediction, const struct record *waiting,
                enum waiting_end end, struct err *err)
{
    struct bench *bench = ((void **)context)[0];
    struct joined *joined = ((void **)context)[1];
    joined->applied += end == WAITING_APPLIES;
    joined->superseded += end == WAITING_SUPERSEDED;
    joined->orphaned += end == WAITING_ORPHANED;
    if (end == WAITING_APPLIES && waiting->kind == RECORD_LABEL)
        return join_set_label(bench->join, prediction, true, waiting->number, 0, err);
    return 0;
}

static int predict(struct bench *bench, uint32_t series, const char *id, int64_t ts_ms,
                   int64_t newest_ts_ms, struct joined *joined)
{
    struct record_spec spec = {
        .id = pending_hash(bench->pending, view_of(id)),
        .ts_ms = ts_ms,
        .number = 0.5,
        .series = series,
    };
    struct record *record = NULL;
    bool waiting = false;
    int rc = join_prediction(bench->join, &spec, newest_ts_ms, &record, &waiting, NULL);
    if (rc == 0 && waiting)
        rc = join_take_waiting(bench->join, record, take, (void *[]){bench, joined}, NULL);
    return rc;
}

static struct join_event event_of(struct bench *bench, const char *id, int64_t ts_ms,
                                  int64_t newest_ts_ms, uint64_t model, double number,
                                  const char *text)
{
    return (struct join_event){
        .id = pending_hash(bench->pending, view_of(id)),
        .ts_ms = ts_ms,
        .newest_ts_ms = newest_ts_ms,
        .model_hash = model,
        .partition = 1,
        .number = number,
        .text = view_of(text),
    };
}

static int label(struct bench *bench, const char *id, int64_t ts_ms, int64_t newest_ts_ms,
                 uint64_t model, double value)
{
    struct join_event event = event_of(bench, id, ts_ms, newest_ts_ms, model, value, "x");
    struct record *record;
    int rc = join_label(bench->join, &event, &record, NULL);
    if (rc == JOIN_MATCHED)
        assert_int_equal(join_set_label(bench->join, record, true, value, 0, NULL), 0);
    return rc;
}

static int outcome(struct bench *bench, const char *id, int64_t ts_ms, const char *name,
                   double value)
{
    struct join_event event = event_of(bench, id, ts_ms, ts_ms, 0, value, name);
    struct record *record, *there;
    int rc = join_outcome(bench->join, &event, &record, &there, NULL);
    if (rc == JOIN_MATCHED)
        assert_int_equal(join_set_outcome(bench->join, record, there, &event, NULL), 0);
    return rc;
}

static struct record *prediction_of(struct bench *bench, const char *id, uint32_t series)
{
    uint32_t position = UINT32_MAX;
    struct record *record;
    struct id_hash hash = pending_hash(bench->pending, view_of(id));
    while (pending_next(bench->pending, hash, &position, &record, NULL) == 0)
        if (record->kind == RECORD_PREDICTION && record->series == series)
            return record;
    return NULL;
}

static double label_of(struct bench *bench, const char *id)
{
    struct record *record = prediction_of(bench, id, 0);
    assert_non_null(record);
    return record->flags & RECORD_LABELLED ? record->label.value : -1;
}

static double outcome_of(struct bench *bench, const char *id, const char *name)
{
    const struct record *prediction = prediction_of(bench, id, 0);
    uint32_t chain = prediction->chain;
    struct record *record;
    double sum = -1;
    int n = 0;
    while (join_next_outcome(bench->join, prediction, &chain, &record, NULL) == 0) {
        if (record->label.hash == class_id(name, strlen(name))) {
            sum = record->number;
            n++;
        }
    }
    assert_in_range(n, 0, 1);
    return sum;
}

static void F20_the_first_prediction_of_an_id_wins(void **state)
{
    (void)state;
    struct bench bench = {0};
    struct joined joined = {0};
    start(&bench);

    assert_int_equal(predict(&bench, 0, "a", 1000, 1000, &joined), 0);
    assert_int_equal(predict(&bench, 0, "a", 1001, 1001, &joined), JOIN_DUPLICATE);
    save_and_start_again(&bench);
    assert_int_equal(predict(&bench, 0, "a", 1002, 1002, &joined), JOIN_DUPLICATE);

    assert_int_equal(prediction_of(&bench, "a", 0)->ts_ms, 1000);
    /* beyond horizon and slack it is another one */
    int64_t after = 1000 + HORIZON + join_slack_ms(HORIZON) + 1;
    assert_int_equal(predict(&bench, 0, "a", after, after, &joined), 0);
    stop(&bench);
    rows_finish(&bench.rows);
}

static void F21_a_label_before_its_prediction_waits(void **state)
{
    (void)state;
    struct bench bench = {0};
    struct joined joined = {0};
    start(&bench);

    assert_int_equal(label(&bench, "a", 2000, 2000, 0, 0.25), JOIN_WAITS);
    assert_int_equal(label(&bench, "a", 2001, 2001, 0, 0.75), JOIN_WAITS);
    assert_int_equal(outcome(&bench, "a", 2002, "click", 1), JOIN_WAITS);
    assert_int_equal(outcome(&bench, "a", 2002, "revenue", 9), JOIN_WAITS);
    assert_int_equal(outcome(&bench, "a", 2003, "click", 0), JOIN_WAITS);
    save_and_start_again(&bench);
    assert_int_equal(predict(&bench, 0, "a", 1000, 1000, &joined), 0);

    assert_true(label_of(&bench, "a") == 0.75); /* the last to arrive */
    assert_true(outcome_of(&bench, "a", "click") == 0);
    assert_true(outcome_of(&bench, "a", "revenue") == 9);
    assert_int_equal(joined.applied, 3);
    assert_int_equal(joined.superseded, 2);
    struct pending_size size;
    pending_size(bench.pending, &size);
    assert_int_equal(size.waiting, 0);
    save_and_start_again(&bench);
    assert_true(label_of(&bench, "a") == 0.75);
    assert_true(outcome_of(&bench, "a", "revenue") == 9);
    pending_size(bench.pending, &size);
    assert_int_equal(size.waiting, 0);
    stop(&bench);
    rows_finish(&bench.rows);
}

static void F22_a_label_after_the_horizon_is_an_orphan_in_either_order(void **state)
{
    (void)state;
    struct bench bench = {0};
    struct joined joined = {0};
    start(&bench);

    assert_int_equal(predict(&bench, 0, "a", 1000, 1000, &joined), 0);
    assert_int_equal(label(&bench, "a", 1000 + HORIZON, 1000 + HORIZON, 0, 1), JOIN_MATCHED);
    assert_int_equal(label(&bench, "a", 1001 + HORIZON, 1001 + HORIZON, 0, 2), JOIN_ORPHAN);
    assert_int_equal(label(&bench, "b", 1001 + HORIZON, 1001 + HORIZON, 0, 2), JOIN_WAITS);
    assert_int_equal(predict(&bench, 0, "b", 1000, 1000, &joined), 0);

    assert_true(label_of(&bench, "a") == 1);
    assert_true(label_of(&bench, "b") == -1);
    assert_int_equal(joined.orphaned, 1);
    stop(&bench);
}

static void a_label_that_names_its_model_joins_only_that_one(void **state)
{
    (void)state;
    struct bench bench = {0};
    struct joined joined = {0};
    start(&bench);

    assert_int_equal(label(&bench, "a", 2000, 2000, FRAUD, 0.5), JOIN_WAITS);
    assert_int_equal(predict(&bench, 0, "a", 1000, 1000, &joined), 0);
    assert_true(label_of(&bench, "a") == -1);
    assert_int_equal(predict(&bench, 1, "a", 1000, 1000, &joined), 0);

    assert_true(prediction_of(&bench, "a", 1)->label.value == 0.5);
    assert_int_equal(label(&bench, "a", 2000, 2000, CREDIT, 0.125), JOIN_MATCHED);
    assert_true(label_of(&bench, "a") == 0.125);
    assert_true(prediction_of(&bench, "a", 1)->label.value == 0.5);
    stop(&bench);
}

/* xorshift: the same run each time */
static uint64_t draw(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

enum {
    IDS = 40,
    LABELS = 90
};

/* One interleaving of two logs; the answer as text. */
static void run_interleaved(uint64_t seed, char *answer, size_t n)
{
    struct bench bench = {0};
    struct joined joined = {0};
    uint64_t log = 0x9e3779b97f4a7c15ULL; /* the logs are the same in each run */
    uint64_t random = seed;
    int next_prediction = 0;
    int next_label = 0;
    int64_t newest[2] = {0, 0};
    int matched = 0;
    start(&bench);
    while (next_prediction < IDS || next_label < LABELS) {
        char id[16];
        bool prediction =
            next_label == LABELS || (next_prediction < IDS && draw(&random) % (IDS + LABELS) < IDS);
        if (prediction) {
            snprintf(id, sizeof(id), "%d", next_prediction);
            int64_t ts_ms = next_prediction * MINUTE * 10;
            newest[0] = ts_ms;
            assert_int_equal(predict(&bench, 0, id, ts_ms, newest[0], &joined), 0);
            next_prediction++;
        } else {
            log = 0x9e3779b97f4a7c15ULL * (uint64_t)(next_label + 1);
            uint64_t around = (uint64_t)(next_label * IDS / LABELS);
            uint64_t number = around - draw(&log) % 6 % (around + 1);
            snprintf(id, sizeof(id), "%d", (int)number);
            int64_t ts_ms = (int64_t)(number * 10 + draw(&log) % 90) * MINUTE;
            if (ts_ms > newest[1])
                newest[1] = ts_ms;
            if (next_label % 3 == 0) {
                struct join_event event = event_of(&bench, id, ts_ms, newest[1], 0, next_label,
                                                   next_label % 2 ? "click" : "buy");
                struct record *record, *there;
                int rc = join_outcome(bench.join, &event, &record, &there, NULL);
                if (rc == JOIN_MATCHED) {
                    matched++;
                    assert_int_equal(join_set_outcome(bench.join, record, there, &event, NULL), 0);
                }
            } else {
                matched += label(&bench, id, ts_ms, newest[1], 0, next_label) == JOIN_MATCHED;
            }
            next_label++;
        }
        if (draw(&random) % 16 == 0)
            save_and_start_again(&bench);
    }
    int at = snprintf(answer, n, "matched %d\n", matched + joined.applied + joined.superseded);
    for (int i = 0; i < IDS; i++) {
        char id[16];
        snprintf(id, sizeof(id), "%d", i);
        at += snprintf(answer + at, n - (size_t)at, "%d: %g %g %g\n", i, label_of(&bench, id),
                       outcome_of(&bench, id, "click"), outcome_of(&bench, id, "buy"));
    }
    stop(&bench);
    rows_finish(&bench.rows);
}

static void F24_any_interleaving_of_two_logs_and_any_restart_ends_the_same(void **state)
{
    (void)state;
    char first[8192], other[8192];
    run_interleaved(1, first, sizeof(first));
    assert_non_null(strstr(first, "matched 60\n")); /* of 90; the rest came too late */

    for (uint64_t seed = 2; seed < 300; seed++) {
        run_interleaved(seed * 7919, other, sizeof(other));
        assert_string_equal(first, other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(F20_the_first_prediction_of_an_id_wins),
        cmocka_unit_test(F21_a_label_before_its_prediction_waits),
        cmocka_unit_test(F22_a_label_after_the_horizon_is_an_orphan_in_either_order),
        cmocka_unit_test(a_label_that_names_its_model_joins_only_that_one),
        cmocka_unit_test(F24_any_interleaving_of_two_logs_and_any_restart_ends_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
