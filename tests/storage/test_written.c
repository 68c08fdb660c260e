/* What is written is told as spans of panes, or as all where it cannot be told apart. */
#include "storage/written.h"

#include <stdio.h>

#include "common/config.h"
#include "stats/reference.h"
#include "storage/alert_rows.h"
#include "storage/erase.h"
#include "storage/model_settings.h"
#include "storage/references.h"
#include "storage/retention.h"
#include "tests/lib/failing_pane.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

#define DAY (24 * HOUR)
static const int64_t start = INT64_C(19675) * DAY; /* a whole day of 2023 */

struct site {
    struct temp *temp;
    struct store *store;
    int64_t series;
    struct written_mark mark;
    struct written_span spans[WRITTEN_SPANS];
    size_t n;
};

static void keep(void *context, const struct written_span *span)
{
    struct site *site = context;
    site->spans[site->n++] = *span;
}

static int since(struct site *site)
{
    site->n = 0;
    return written_since(site->store, &site->mark, keep, site);
}

static struct site *site_new(void)
{
    struct site *site = calloc(1, sizeof(*site));
    assert_non_null(site);
    site->temp = temp_new();
    site->store = temp_store(site->temp, STORE_WRITE);
    site->series = temp_series(site->store, "credit", "v1", "");
    assert_int_equal(since(site), WRITTEN_ALL); /* whoever asks for the first time */
    return site;
}

static void site_free(struct site *site)
{
    store_free(site->store);
    temp_free(site->temp);
    free(site);
}
DEFINE_FREEP(site)

static void begin(struct site *site)
{
    struct err err = {0};
    must(commit_begin(site->store, &err), &err);
}

static void end(struct site *site)
{
    struct err err = {0};
    must(commit_end(site->store, &err), &err);
}

static void put(struct site *site, int64_t start_ms)
{
    const struct failing_pane pane = {site->series, start_ms, 10, 3, 1};
    begin(site);
    failing_pane_write(site->store, &pane);
    end(site);
}

static void is_span(const struct site *site, size_t i, int64_t from_ms, int64_t to_ms)
{
    assert_true(i < site->n);
    assert_int_equal(site->spans[i].series_id, site->series);
    assert_int_equal(site->spans[i].from_ms, from_ms);
    assert_int_equal(site->spans[i].to_ms, to_ms);
}

static void panes_are_told_once_by_series_and_time(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new();
    put(site, start);
    put(site, start + 7 * MINUTE);

    assert_int_equal(since(site), 0);
    assert_int_equal(site->n, 2);
    is_span(site, 0, start, start + MINUTE);
    is_span(site, 1, start + 7 * MINUTE, start + 8 * MINUTE);

    assert_int_equal(since(site), 0);
    assert_int_equal(site->n, 0);
}

static void panes_that_are_rolled_up_or_go_are_told(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new();
    static const int64_t keep_ms[] = {HOUR, DAY, 2 * DAY};
    struct retention_done done;
    struct err err = {0};
    put(site, start + MINUTE);
    assert_int_equal(since(site), 0);

    must(retention_step(site->store, keep_ms, start + 3 * HOUR, 100, &done, &err), &err);
    assert_int_equal(done.n_merged, 1);
    assert_int_equal(since(site), 0);
    assert_int_equal(site->n, 2);
    is_span(site, 0, start, start + HOUR); /* the hour that it is in now … */
    is_span(site, 1, start, start + HOUR); /* … and the minutes that went */

    must(retention_step(site->store, keep_ms, start + 2 * DAY, 100, &done, &err), &err);
    assert_int_equal(done.n_merged, 1);
    assert_int_equal(since(site), 0);
    assert_int_equal(site->n, 2);
    is_span(site, 0, start, start + DAY);
    is_span(site, 1, start, start + DAY);

    must(retention_step(site->store, keep_ms, start + 6 * DAY, 100, &done, &err), &err);
    assert_int_equal(done.n_deleted, 1);
    assert_int_equal(since(site), 0);
    assert_int_equal(site->n, 1);
    is_span(site, 0, start, start + 4 * DAY); /* as far as it looked for days */
}

static void a_model_that_stays_as_it_was_is_no_change(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new();
    struct model_row row = {"credit", "binary", "1", 0.5, 7 * 24 * HOUR};
    struct err err = {0};
    begin(site);
    must(commit_model(site->store, &row, &err), &err);
    end(site);
    assert_int_equal(since(site), 0);
    assert_int_equal(site->n, 0);

    row.threshold = 0.7;
    begin(site);
    must(commit_model(site->store, &row, &err), &err);
    end(site);
    assert_int_equal(since(site), WRITTEN_ALL);
    assert_int_equal(since(site), 0);

    row.positive = "yes";
    begin(site);
    must(commit_model(site->store, &row, &err), &err);
    end(site);
    assert_int_equal(since(site), WRITTEN_ALL);
}

static void a_new_series_or_the_erasure_of_its_model_is_all(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new();
    struct err err = {0};
    struct erased erased;

    temp_series(site->store, "credit", "v2", "");
    assert_int_equal(since(site), WRITTEN_ALL);
    temp_series(site->store, "credit", "v2", "");
    assert_int_equal(since(site), 0);

    begin(site);
    must(erase_model(site->store, "credit", &erased, &err), &err);
    end(site);
    assert_int_equal(since(site), WRITTEN_ALL);
}

static void settings_and_references_are_all(void **state)
{
    (void)state;
    static const char text[] = "models: [{name: credit, task: binary, threshold: 0.4}]\n";
    AUTO(site) struct site *site = site_new();
    AUTO(config) struct config *config = NULL;
    AUTO(profile) struct profile *profile = NULL;
    AUTO(reference) struct reference *reference = NULL;
    struct profile_feature feature = {.name_id = 1, .min = (double)NAN, .max = (double)NAN};
    struct profile_layout layout = {0, 1, &feature};
    struct err err = {0};
    must(config_parse(&config, "assay.yaml", text, strlen(text), &err), &err);
    begin(site);
    must(commit_model_settings(site->store, &config->models[0], &err), &err);
    end(site);
    assert_int_equal(since(site), WRITTEN_ALL);

    must(profile_new(&profile, &layout, PROFILE_REFERENCE, &err), &err);
    must(reference_build(&reference, profile, 0, &err), &err);
    begin(site);
    must(commit_reference(site->store, "credit", "", reference, "file", 1, &err), &err);
    end(site);
    assert_int_equal(since(site), WRITTEN_ALL);

    begin(site);
    must(commit_reference_withdrawn(site->store, "credit", "", 2, &err), &err);
    end(site);
    assert_int_equal(since(site), WRITTEN_ALL);
}

static void what_is_undone_is_all(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new();
    const struct failing_pane pane = {site->series, start, 10, 3, 1};
    begin(site);
    failing_pane_write(site->store, &pane);
    assert_int_equal(since(site), 0);
    assert_int_equal(site->n, 1);

    commit_rollback(site->store);

    assert_int_equal(since(site), WRITTEN_ALL);
}

static void more_than_is_remembered_is_all(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new();
    const struct failing_pane pane = {site->series, start, 1, 0, 1};
    begin(site);
    for (int i = 0; i < WRITTEN_SPANS; i++)
        failing_pane_write(site->store, &pane);
    assert_int_equal(since(site), 0);
    assert_int_equal(site->n, WRITTEN_SPANS);
    for (int i = 0; i < WRITTEN_SPANS + 1; i++)
        failing_pane_write(site->store, &pane);
    assert_int_equal(since(site), WRITTEN_ALL);
    end(site);
}

static void bookkeeping_is_nothing(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new();
    const struct alert_row alert = {.id = "a",
                                    .rule = "r",
                                    .model = "credit",
                                    .version = "",
                                    .slice = "",
                                    .severity = "error",
                                    .data = "{}"};
    struct err err = {0};
    begin(site);
    must(commit_fact(site->store, "watermark_ms", 5, &err), &err);
    must(commit_model_counts(site->store, "credit", "{}", &err), &err);
    must(commit_alert(site->store, &alert, &err), &err);
    end(site);

    assert_int_equal(since(site), 0);
    assert_int_equal(site->n, 0);
}

static void for_a_store_that_others_write_it_is_always_all(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new();
    AUTO(store) struct store *reader = temp_store(site->temp, STORE_READ);
    struct written_mark mark = {0};

    assert_int_equal(written_since(reader, &mark, keep, site), WRITTEN_ALL);
    assert_int_equal(written_since(reader, &mark, keep, site), WRITTEN_ALL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(panes_are_told_once_by_series_and_time),
        cmocka_unit_test(panes_that_are_rolled_up_or_go_are_told),
        cmocka_unit_test(a_model_that_stays_as_it_was_is_no_change),
        cmocka_unit_test(a_new_series_or_the_erasure_of_its_model_is_all),
        cmocka_unit_test(settings_and_references_are_all),
        cmocka_unit_test(what_is_undone_is_all),
        cmocka_unit_test(more_than_is_remembered_is_all),
        cmocka_unit_test(bookkeeping_is_nothing),
        cmocka_unit_test(for_a_store_that_others_write_it_is_always_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
