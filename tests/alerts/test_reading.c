/* A rule's reading is computed once for as long as nothing is written that it may depend on. */
#include "alerts/reading.h"

#include "storage/commit.h"
#include "storage/retention.h"
#include "tests/alerts/world.h"

struct place {
    struct world world;
    struct rule_set *rules;
    struct readings *readings;
};

static void place_begin(struct place *place)
{
    struct err err = {0};
    *place = (struct place){0};
    world_begin(&place->world);
    must(rule_set_parse(&place->rules, place->world.config, &err), &err);
    must(readings_new(&place->readings, place->world.config, place->world.store, &err), &err);
    fill(&place->world, start, 100, 40, 10);
}

static void place_end(struct place *place)
{
    readings_free(place->readings);
    rule_set_free(place->rules);
    world_end(&place->world);
}

static struct reading read_at(struct place *place, const char *rule, int64_t now_ms)
{
    struct err err = {0};
    struct reading reading;
    const struct outside outside = {.now_ms = now_ms};
    readings_start(place->readings, &outside);
    must(readings_read(place->readings, rule_set_find(place->rules, rule), &reading, &err), &err);
    return reading;
}

static void a_look_that_finds_nothing_new_says_what_the_last_one_said(void **state)
{
    (void)state;
    struct place place;
    place_begin(&place);
    struct reading first = read_at(&place, "errors", start + 30000);
    struct reading slow = read_at(&place, "slow", start + 30000);

    struct reading again = read_at(&place, "errors", start + 31000);
    struct reading slow_again = read_at(&place, "slow", start + 59000);

    assert_int_equal(readings_computed(place.readings), 2);
    assert_int_equal(first.sight, SIGHT_BAD);
    assert_float_equal(first.value, 0.4, 1e-12);
    assert_memory_equal(&again, &first, sizeof(first));
    assert_memory_equal(&slow_again, &slow, sizeof(slow));
    place_end(&place);
}

static void new_events_and_the_next_minute_are_read(void **state)
{
    (void)state;
    struct place place;
    place_begin(&place);
    read_at(&place, "errors", start + 30000);

    fill(&place.world, start, 100, 10, 10);
    struct reading fewer = read_at(&place, "errors", start + 31000);
    struct reading later = read_at(&place, "errors", start + 61000);
    struct reading gone = read_at(&place, "errors", start + 6 * MINUTE);

    assert_int_equal(readings_computed(place.readings), 4);
    assert_float_equal(fewer.value, 0.1, 1e-12);
    assert_int_equal(fewer.sight, SIGHT_CLEAR);
    assert_int_equal(later.end_ms, start + 2 * MINUTE);
    assert_int_equal(gone.sight, SIGHT_NO_DATA);
    place_end(&place);
}

static void what_looks_write_down_themselves_changes_no_reading(void **state)
{
    (void)state;
    struct place place;
    struct err err = {0};
    place_begin(&place);
    read_at(&place, "errors", start + 30000);

    must(commit_begin(place.world.store, &err), &err);
    must(commit_fact(place.world.store, COMMIT_LOOK, start + 30000, &err), &err);
    must(commit_model_counts(place.world.store, "credit", "{}", &err), &err);
    must(commit_end(place.world.store, &err), &err);
    read_at(&place, "errors", start + 31000);

    assert_int_equal(readings_computed(place.readings), 1);
    place_end(&place);
}

static void what_a_commit_did_not_keep_is_not_kept_here(void **state)
{
    (void)state;
    struct place place;
    struct err err = {0};
    place_begin(&place);
    struct failing_pane pane = {place.world.series_id, start, 100, 90, 10};

    must(commit_begin(place.world.store, &err), &err);
    failing_pane_write(place.world.store, &pane);
    struct reading meanwhile = read_at(&place, "errors", start + 30000);
    commit_rollback(place.world.store);
    struct reading after = read_at(&place, "errors", start + 30000);

    assert_float_equal(meanwhile.value, 0.9, 1e-12);
    assert_float_equal(after.value, 0.4, 1e-12);
    place_end(&place);
}

static void a_store_that_others_write_is_read_each_time(void **state)
{
    (void)state;
    struct place place;
    struct err err = {0};
    place_begin(&place);
    AUTO(store) struct store *reading = temp_store(place.world.temp, STORE_READ);
    readings_free(place.readings);
    must(readings_new(&place.readings, place.world.config, reading, &err), &err);
    read_at(&place, "errors", start + 30000);

    fill(&place.world, start, 100, 10, 10);
    struct reading fewer = read_at(&place, "errors", start + 31000);

    assert_float_equal(fewer.value, 0.1, 1e-12);
    assert_int_equal(readings_computed(place.readings), 2);
    place_end(&place);
}

static const char against_yesterday[] =
    "models: [{name: credit, task: binary, label_horizon: 1h}]\n"
    "alerts:\n"
    "  - {name: more, model: credit, metric: count, window: 2h, relative_to: 24h, above: 0.2}\n"
    "  - {name: odd, model: credit, metric: count, window: 90m, relative_to: 24h, above: 0.2}\n"
    "  - {name: few, model: credit, metric: count, window: 6h, below: 3590}\n"
    "  - {name: soon, model: credit, metric: count, window: 10m, relative_to: 1h, above: 0.2}\n";

/* Ten predictions a minute, as yesterday, whose minutes are hours by now. */
static void what_is_kept_by_the_hour_is_compared_with_whole_hours(void **state)
{
    (void)state;
    const int64_t keep_ms[3] = {4 * HOUR, 100 * HOUR, 1000 * HOUR};
    const int64_t day = start - start % (24 * HOUR), now = day + 36 * HOUR + 30 * MINUTE;
    struct place place = {0};
    struct err err = {0};
    struct retention_done done = {.more = true};
    world_begin_with(&place.world, against_yesterday);
    must(rule_set_parse(&place.rules, place.world.config, &err), &err);
    must(readings_new(&place.readings, place.world.config, place.world.store, &err), &err);
    for (int64_t at = day + 8 * HOUR; at < now; at += MINUTE)
        if (at < day + 14 * HOUR || at > now - 7 * HOUR)
            fill(&place.world, at, 10, 0, 10);
    while (done.more)
        must(retention_step(place.world.store, keep_ms, now, 1000, &done, &err), &err);

    struct reading more = read_at(&place, "more", now - 1);
    struct reading odd = read_at(&place, "odd", now - 1);
    struct reading few = read_at(&place, "few", now - 1);
    struct reading soon = read_at(&place, "soon", now - 1);

    assert_int_equal(more.end_ms, day + 36 * HOUR); /* of half an hour ago, as yesterday's */
    assert_int_equal(more.start_ms, day + 34 * HOUR);
    assert_int_equal(more.compared_end_ms, day + 12 * HOUR);
    assert_float_equal(more.value, 1200, 1e-12);
    assert_float_equal(more.compared, 1200, 1e-12);
    assert_int_equal(more.sight, SIGHT_CLEAR);
    assert_int_equal(odd.sight, SIGHT_NO_DATA);
    assert_non_null(strstr(odd.why, "only kept in longer panes"));
    assert_float_equal(few.value, 3600, 1e-12); /* longer than minutes are kept: whole hours, too */
    assert_int_equal(few.end_ms, day + 36 * HOUR);
    assert_int_equal(few.sight, SIGHT_CLEAR);
    assert_int_equal(soon.end_ms, now); /* minutes are still there: nothing is rounded */
    assert_float_equal(soon.compared, 100, 1e-12);
    assert_int_equal(soon.sight, SIGHT_CLEAR);
    place_end(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_look_that_finds_nothing_new_says_what_the_last_one_said),
        cmocka_unit_test(new_events_and_the_next_minute_are_read),
        cmocka_unit_test(what_looks_write_down_themselves_changes_no_reading),
        cmocka_unit_test(what_a_commit_did_not_keep_is_not_kept_here),
        cmocka_unit_test(what_is_kept_by_the_hour_is_compared_with_whole_hours),
        cmocka_unit_test(a_store_that_others_write_is_read_each_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
