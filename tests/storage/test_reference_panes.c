/* References of stored panes: all that is kept of one, when there is none, and which row counts. */
#include "storage/reference_panes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stats/sample.h"
#include "storage/drift_model.h"
#include "storage/estimates.h"
#include "storage/reference_slices.h"
#include "storage/retention.h"
#include "tests/lib/stored_minute.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

#define DAY (24 * HOUR)
#define START (INT64_C(1700000000000) / DAY * DAY)

struct fixture {
    struct temp *temp;
    struct store *store;
    struct metric_setup setup;
    struct profile_feature features[2]; /* income, note */
    struct profile_layout layout;
};

static struct fixture *fixture_new(void)
{
    static const char *const names[] = {"income", "note"};
    struct err err = {0};
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    fixture->temp = temp_new();
    fixture->store = temp_store(fixture->temp, STORE_WRITE);
    fixture->setup =
        (struct metric_setup){.task = TASK_BINARY, .positive = class_id("1", 1), .threshold = 0.5};
    temp_series(fixture->store, "credit", "v1", "");
    must(commit_begin(fixture->store, &err), &err);
    for (int i = 0; i < 2; i++) {
        const uint64_t id = class_id(names[i], strlen(names[i]));
        fixture->features[i] =
            (struct profile_feature){.name_id = id, .min = (double)NAN, .max = (double)NAN};
        must(commit_name(fixture->store, "credit", "feature", id, view_of(names[i]), &err), &err);
    }
    must(commit_end(fixture->store, &err), &err);
    fixture->layout = (struct profile_layout){0, 2, fixture->features};
    return fixture;
}

static void fixture_free(struct fixture *fixture)
{
    store_free(fixture->store);
    temp_free(fixture->temp);
    free(fixture);
}
DEFINE_FREEP(fixture)

/* n labelled predictions: income from `first` on, note a number or (word) a text. */
static void write_minute(struct fixture *fixture, const char *slice, int64_t start_ms, double first,
                         int n, bool word)
{
    struct err err = {0};
    AUTO(profile) struct profile *profile = NULL;
    AUTO(states) struct states *states = NULL;
    must(profile_new(&profile, &fixture->layout, PROFILE_MINUTE, &err), &err);
    must(states_new(&states, &fixture->setup, &err), &err);
    for (int i = 0; i < n; i++) {
        const struct sample sample = {.score = (i % 10) / 10.0, .expected = false};
        profile_event(profile, 1);
        assert_int_equal(profile_number(profile, 0, first + i, 1), 0);
        assert_int_equal(word ? profile_category(profile, 1, class_id("a", 1), 1)
                              : profile_number(profile, 1, i, 1),
                         0);
        assert_int_equal(states_predict(states, &sample), 0);
    }
    stored_minute(fixture->store, slice, start_ms, states, profile);
}

static struct range_made make(struct fixture *fixture, int64_t from_ms, int64_t to_ms)
{
    static const char *const segments[] = {"country"};
    const struct range_wanted wanted = {.model = "credit",
                                        .from_ms = from_ms,
                                        .to_ms = to_ms,
                                        .segments = segments,
                                        .n_segments = 1};
    struct range_made made;
    struct err err = {0};
    must(reference_panes_make(fixture->store, &wanted, &made, &err), &err);
    return made;
}

static const struct slice_reference *part_of(const struct range_made *made, const char *slice)
{
    for (uint32_t i = 0; i < made->fitted->n_slices; i++)
        if (strcmp(made->fitted->slices[i].slice, slice) == 0)
            return &made->fitted->slices[i];
    return NULL;
}

static int64_t counted(const struct range_made *made, const char *slice)
{
    for (uint32_t i = 0; i < made->fitted->n_metrics; i++)
        if (strcmp(made->fitted->metrics[i].slice, slice) == 0)
            return states_count(made->fitted->metrics[i].states);
    return -1;
}

static void a_span_of_odd_minutes_holds_what_its_panes_of_every_length_do(void **state)
{
    (void)state;
    AUTO(fixture) struct fixture *fixture = fixture_new();
    static const int64_t keep_ms[3] = {2 * HOUR, 48 * HOUR, 96 * HOUR};
    struct err err = {0};
    struct retention_done done;
    for (int hour = 0; hour < 4; hour++) /* 40 events in the hour, a quarter of them of de */
        for (int i = 0; i < 4; i++) {
            const int64_t at_ms = START + hour * HOUR + i * 15 * MINUTE;
            write_minute(fixture, "", at_ms, i, 10, false);
            if (i == 1)
                write_minute(fixture, "country=de", at_ms, i, 10, false);
        }
    write_minute(fixture, "country=fr", START + 5 * HOUR, 0, 10, false); /* after it */
    /* The first two hours become panes of an hour; the end of the span is minutes. */
    must(retention_step(fixture->store, keep_ms, START + 4 * HOUR, 1000, &done, &err), &err);
    assert_true(done.n_merged > 0);

    struct range_made made = make(fixture, START, START + 3 * HOUR + 20 * MINUTE);

    assert_false(made.cut);
    assert_int_equal(made.reference->events, 140);
    assert_int_equal(counted(&made, ""), 140);
    assert_int_equal(made.fitted->n_slices, 1);
    assert_int_equal(part_of(&made, "country=de")->reference->events, 40);
    assert_int_equal(part_of(&made, "country=de")->reference->grids, made.reference->id);
    assert_int_equal(counted(&made, "country=de"), 40);
    assert_int_equal(made.fitted->estimator->reference, made.reference->id);
    range_made_finish(&made);

    made = make(fixture, START + 10 * MINUTE, START + 3 * HOUR);
    assert_true(made.cut);
    assert_null(made.reference);
    range_made_finish(&made);
    made = make(fixture, START + 20 * HOUR, START + 21 * HOUR);
    assert_false(made.cut);
    assert_null(made.reference);
    range_made_finish(&made);
}

static void a_slices_words_are_no_part_of_what_are_numbers_for_all(void **state)
{
    (void)state;
    AUTO(fixture) struct fixture *fixture = fixture_new();
    write_minute(fixture, "", START, 0, 100, false);
    write_minute(fixture, "country=de", START, 0, 40, true);

    struct range_made made = make(fixture, START, START + HOUR);

    assert_int_equal(made.reference->n_features, 2);
    const struct reference *part = part_of(&made, "country=de")->reference;
    assert_int_equal(part->n_features, 1);
    assert_non_null(reference_find(part, class_id("income", 6)));
    range_made_finish(&made);
}

/* --- rows --- */

static void keep(struct fixture *fixture, const struct range_made *made, int64_t from_ms,
                 int64_t to_ms)
{
    struct err err = {0};
    must(commit_begin(fixture->store, &err), &err);
    must(commit_range_reference(fixture->store, "credit", made->reference, made->fitted, from_ms,
                                to_ms, &err),
         &err);
    must(commit_end(fixture->store, &err), &err);
}

static void turn(struct fixture *fixture, int64_t from_ms, int64_t to_ms)
{
    struct err err = {0};
    must(commit_begin(fixture->store, &err), &err);
    must(commit_ranges_turned(fixture->store, "credit", from_ms, to_ms, 9, &err), &err);
    must(commit_end(fixture->store, &err), &err);
}

/* Of the reference that counts; 0: none. By both ways to find it. */
static uint64_t counting(struct fixture *fixture)
{
    struct err err = {0};
    struct reference_row row;
    struct reference_mark mark;
    must(reference_row_read(fixture->store, "credit", "v1", &row, &err), &err);
    must(reference_newest(fixture->store, "credit", "v1", &mark, &err), &err);
    const uint64_t id = row.reference ? row.reference->id : 0;
    assert_int_equal(id, strtoull(mark.id, NULL, 16));
    assert_int_equal(row.seq, mark.seq);
    reference_row_finish(&row);
    return id;
}

static void a_range_counts_while_it_is_named_and_after_what_was_loaded(void **state)
{
    (void)state;
    AUTO(fixture) struct fixture *fixture = fixture_new();
    struct err err = {0};
    bool known = false;
    write_minute(fixture, "", START, 0, 100, false);
    write_minute(fixture, "", START + HOUR, 50, 100, false);
    write_minute(fixture, "", START + 2 * HOUR, 90, 100, false);
    struct range_made loaded = make(fixture, START, START + HOUR);
    struct range_made first = make(fixture, START + HOUR, START + 2 * HOUR);
    struct range_made second = make(fixture, START + 2 * HOUR, START + 3 * HOUR);

    keep(fixture, &first, START + HOUR, START + 2 * HOUR);
    assert_int_equal(counting(fixture), first.reference->id);
    turn(fixture, START + 2 * HOUR, START + 3 * HOUR);
    assert_int_equal(counting(fixture), 0);
    keep(fixture, &second, START + 2 * HOUR, START + 3 * HOUR);
    assert_int_equal(counting(fixture), second.reference->id);
    turn(fixture, START + HOUR, START + 2 * HOUR);
    assert_int_equal(counting(fixture), first.reference->id);
    must(reference_range_known(fixture->store, "credit", START + 2 * HOUR, START + 3 * HOUR, &known,
                               &err),
         &err);
    assert_true(known);

    must(commit_begin(fixture->store, &err), &err);
    must(commit_reference(fixture->store, "credit", "", loaded.reference, "api", 7, &err), &err);
    must(commit_end(fixture->store, &err), &err);
    assert_int_equal(counting(fixture), loaded.reference->id);
    keep(fixture, &first, START + HOUR, START + 2 * HOUR); /* a newer row, all the same */
    assert_int_equal(counting(fixture), loaded.reference->id);
    turn(fixture, 0, 0);
    assert_int_equal(counting(fixture), loaded.reference->id);
    range_made_finish(&loaded);
    range_made_finish(&first);
    range_made_finish(&second);
}

static void a_named_reference_of_nothing_says_what_is_lacking(void **state)
{
    (void)state;
    static const struct {
        const char *reference, *slice, *why;
    } cases[] = {
        {"{version: nope}", NULL,
         "version nope, the reference, has nothing stored before the window"},
        {"{from: 2023-01-01T00:00:00Z, to: 2023-01-02T00:00:00Z}", NULL,
         "nothing is stored of the reference's time"},
        {"{trailing: 1h}", NULL, "nothing is stored of the time before the window"},
        {"{version: nope}", "note=x", "nothing is stored of the segment in the reference's time"},
        {"{file: reference.jsonl}", NULL, ""},
        {"{version: v1}", NULL, ""},
    };
    AUTO(fixture) struct fixture *fixture = fixture_new();
    write_minute(fixture, "", START, 0, 100, false);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        AUTO(config) struct config *config = NULL;
        const struct drift_slice of = {"credit", NULL, cases[i].slice};
        const struct profile_span window = {START + 2 * HOUR, START + 3 * HOUR};
        struct profile_model model;
        struct err err = {0};
        char yaml[200];
        snprintf(yaml, sizeof(yaml), "models:\n  - {name: credit, task: binary, reference: %s}\n",
                 cases[i].reference);
        must(config_parse(&config, "assay.yaml", yaml, strlen(yaml), &err), &err);

        must(drift_model_read(fixture->store, config, &of, &window, &model, &err), &err);

        assert_string_equal(model.no_reference, cases[i].why);
        assert_true((model.reference.reference != NULL) == (i == 5));
        profile_model_finish(&model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_span_of_odd_minutes_holds_what_its_panes_of_every_length_do),
        cmocka_unit_test(a_slices_words_are_no_part_of_what_are_numbers_for_all),
        cmocka_unit_test(a_range_counts_while_it_is_named_and_after_what_was_loaded),
        cmocka_unit_test(a_named_reference_of_nothing_says_what_is_lacking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
