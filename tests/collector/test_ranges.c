/* When a reference of stored panes is kept: not before it is complete, not after its panes go. */
#include "collector/ranges.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "stats/metric.h"
#include "stats/profile.h"
#include "stats/sample.h"
#include "storage/references.h"
#include "tests/lib/stored_minute.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

#define DAY (24 * HOUR)
#define START (INT64_C(1700000000000) / DAY * DAY)

static struct config *config_of(const char *horizon, int64_t from_ms, int64_t to_ms)
{
    char yaml[600];
    struct config *config = NULL;
    struct err err = {0};
    const int n = snprintf(yaml, sizeof(yaml),
                           "storage: {path: assay.db, retention: {1m: 8h, 1h: 2d, 1d: 9d}}\n"
                           "models:\n  - {name: credit, task: binary, label_horizon: %s, "
                           "reference: {from: %lld, to: %lld}}\n",
                           horizon, (long long)from_ms, (long long)to_ms);
    must(config_parse(&config, "assay.yaml", yaml, (size_t)n, &err), &err);
    return config;
}

static void write_minute(struct store *store, int64_t start_ms)
{
    struct err err = {0};
    struct profile_feature feature = {
        .name_id = class_id("income", 6), .min = (double)NAN, .max = (double)NAN};
    const struct profile_layout layout = {0, 1, &feature};
    const struct metric_setup setup = {
        .task = TASK_BINARY, .positive = class_id("1", 1), .threshold = 0.5};
    AUTO(profile) struct profile *profile = NULL;
    AUTO(states) struct states *states = NULL;
    must(profile_new(&profile, &layout, PROFILE_MINUTE, &err), &err);
    must(states_new(&states, &setup, &err), &err);
    for (int i = 0; i < 50; i++) {
        profile_event(profile, 1);
        assert_int_equal(profile_number(profile, 0, (double)(start_ms % HOUR) + i, 1), 0);
    }
    stored_minute(store, "", start_ms, states, profile);
    must(commit_begin(store, &err), &err);
    must(commit_name(store, "credit", "feature", feature.name_id, view_of("income"), &err), &err);
    must(commit_end(store, &err), &err);
}

struct fixture {
    struct temp *temp;
    struct store *store;
    struct config *config;
    struct ranges *ranges;
};

static struct fixture *fixture_new(const char *horizon, int64_t from_ms, int64_t to_ms)
{
    struct err err = {0};
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    fixture->temp = temp_new();
    fixture->store = temp_store(fixture->temp, STORE_WRITE);
    temp_series(fixture->store, "credit", "v1", "");
    fixture->config = config_of(horizon, from_ms, to_ms);
    must(ranges_new(&fixture->ranges, fixture->store, fixture->config, NULL, &err), &err);
    return fixture;
}

static void fixture_free(struct fixture *fixture)
{
    ranges_free(fixture->ranges);
    config_free(fixture->config);
    store_free(fixture->store);
    temp_free(fixture->temp);
    free(fixture);
}
DEFINE_FREEP(fixture)

/* What is made is waited for and stored; was it another reference? */
static bool adopt(struct fixture *fixture)
{
    struct err err = {0};
    bool changed = false;
    assert_true(ranges_ready(fixture->ranges, true));
    must(ranges_adopt(fixture->ranges, &changed, &err), &err);
    assert_false(ranges_ready(fixture->ranges, true));
    return changed;
}

static int64_t rows(struct fixture *fixture)
{
    return temp_number(fixture->store, "SELECT count(*) FROM reference_states");
}

static void due_at(const char *horizon, int64_t from_ms, int64_t to_ms, int64_t at_ms)
{
    AUTO(fixture) struct fixture *fixture = fixture_new(horizon, from_ms, to_ms);
    write_minute(fixture->store, from_ms);
    assert_false(ranges_hold(fixture->ranges, at_ms - 1));
    assert_true(ranges_hold(fixture->ranges, at_ms));
    assert_true(ranges_hold(fixture->ranges, at_ms + HOUR)); /* panes wait for it */
    assert_int_equal(rows(fixture), 0);
    assert_true(adopt(fixture));
    assert_int_equal(rows(fixture), 1);
    assert_false(ranges_hold(fixture->ranges, at_ms + 2 * HOUR));
}

/* retention: minutes 8 h, hours 2 days, days 9 days */
static void it_is_due_after_its_labels_and_before_its_panes_are_merged(void **state)
{
    (void)state;
    const int64_t odd = START + 30 * MINUTE;
    due_at("1h", odd, odd + 2 * HOUR, odd + 3 * HOUR);
    due_at("3d", odd, odd + 2 * HOUR, odd + 8 * HOUR);
    due_at("3d", START, START + 2 * HOUR, START + 2 * DAY);
    due_at("3d", START, START + DAY, START + 4 * DAY);
    due_at("30d", START, START + DAY, START + 9 * DAY);
    due_at("30d", odd, odd + 20 * HOUR, odd + 20 * HOUR); /* never before it is over */
}

static void one_that_is_stored_is_not_made_again_by_the_next_process(void **state)
{
    (void)state;
    struct err err = {0};
    AUTO(fixture) struct fixture *fixture = fixture_new("1h", START, START + HOUR);
    write_minute(fixture->store, START);
    assert_true(ranges_hold(fixture->ranges, START + DAY));
    assert_true(adopt(fixture));
    ranges_free(fixture->ranges);
    must(ranges_new(&fixture->ranges, fixture->store, fixture->config, NULL, &err), &err);

    assert_false(ranges_hold(fixture->ranges, START + DAY));
}

static void a_span_without_events_is_looked_at_again_an_hour_later(void **state)
{
    (void)state;
    AUTO(fixture) struct fixture *fixture = fixture_new("1h", START, START + HOUR);
    write_minute(fixture->store, START + 3 * HOUR);
    assert_true(ranges_hold(fixture->ranges, START + 4 * HOUR));
    assert_false(adopt(fixture));
    assert_false(ranges_hold(fixture->ranges, START + 5 * HOUR - 1));
    write_minute(fixture->store, START);
    assert_true(ranges_hold(fixture->ranges, START + 5 * HOUR));
    assert_true(adopt(fixture));
}

static void what_is_made_of_an_erased_model_or_of_an_older_configuration_is_dropped(void **state)
{
    (void)state;
    AUTO(fixture) struct fixture *fixture = fixture_new("1h", START, START + HOUR);
    write_minute(fixture->store, START);
    assert_true(ranges_hold(fixture->ranges, START + DAY));
    ranges_forget(fixture->ranges, "other");
    assert_true(ranges_ready(fixture->ranges, true));
    ranges_forget(fixture->ranges, "credit");
    assert_false(ranges_ready(fixture->ranges, true));
    assert_true(ranges_hold(fixture->ranges, START + DAY)); /* it may be there anew */

    struct config *other = config_of("1h", START + HOUR, START + 2 * HOUR);
    ranges_configure(fixture->ranges, other);
    config_free(fixture->config);
    fixture->config = other;
    assert_false(adopt(fixture));
    assert_int_equal(rows(fixture), 0);
}

static void a_full_disk_neither_loses_it_nor_lets_its_panes_go(void **state)
{
    (void)state;
    struct err err = {0};
    bool changed = true;
    char sql[80];
    AUTO(fixture) struct fixture *fixture = fixture_new("1h", START, START + HOUR);
    struct sqlite3 *db = store_db(fixture->store);
    for (int i = 0; i < 30; i++) /* some pages of values */
        write_minute(fixture->store, START + i * MINUTE);
    const int64_t pages = temp_number(fixture->store, "PRAGMA page_count");
    snprintf(sql, sizeof(sql), "PRAGMA max_page_count = %lld", (long long)pages);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_true(ranges_hold(fixture->ranges, START + DAY));
    assert_int_equal(ranges_adopt(fixture->ranges, &changed, &err), ERR_FULL);
    assert_false(changed);
    assert_true(ranges_hold(fixture->ranges, START + 2 * DAY));
    assert_int_equal(rows(fixture), 0);

    assert_int_equal(sqlite3_exec(db, "PRAGMA max_page_count = 1000000", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_true(ranges_ready(fixture->ranges, false));
    assert_true(adopt(fixture));
    assert_int_equal(rows(fixture), 1);
    assert_false(ranges_hold(fixture->ranges, START + 2 * DAY));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_due_after_its_labels_and_before_its_panes_are_merged),
        cmocka_unit_test(one_that_is_stored_is_not_made_again_by_the_next_process),
        cmocka_unit_test(a_span_without_events_is_looked_at_again_an_hour_later),
        cmocka_unit_test(what_is_made_of_an_erased_model_or_of_an_older_configuration_is_dropped),
        cmocka_unit_test(a_full_disk_neither_loses_it_nor_lets_its_panes_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
