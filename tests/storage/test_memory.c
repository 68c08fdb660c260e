/*
 * F38: each allocation of each main call fails in turn. The call says -ENOMEM (or manages without),
 * SQLite keeps nothing of it, and the same call works afterwards. Beyond the 500th only one in 29
 * fails, unless ASSAY_EVERY_ALLOCATION is set.
 */
#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "storage/backup.h"
#include "storage/catalog.h"
#include "storage/changes.h"
#include "storage/commit.h"
#include "storage/dead_letter.h"
#include "storage/restore.h"
#include "storage/retention.h"
#include "storage/series.h"
#include "storage/values.h"
#include "tests/lib/fault_malloc.h"
#include "tests/lib/scored.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

enum {
    N_EVENTS = 24
};

struct place {
    struct temp *temp;
    struct store *store; /* STORE_WRITE */
    int64_t number;
};

static void place_open(struct place *place)
{
    static struct scored events[N_EVENTS];
    struct rng rng = rng_of(13);
    struct err err = {0};
    const struct partition_counts counts = {0};
    const struct dead_letter_row row = {"t", 0, 1, 1, "not_json", "x", {"{", 1}};
    *place = (struct place){.temp = temp_new()};
    place->store = temp_store(place->temp, STORE_WRITE);
    scored_draw(events, N_EVENTS, &rng, 0, 3 * HOUR, 2);
    scored_commit(place->store, events, N_EVENTS, 2, MINUTE);
    must(commit_begin(place->store, &err), &err);
    must(commit_offset(place->store, "t", 0, -1, 0, &counts, &err), &err);
    must(commit_pending_append(place->store, 1, "abc", 3, &err), &err);
    must(commit_dead_letter(place->store, &row, &err), &err);
    must(commit_name(place->store, "credit", "class", class_id("1", 1), view_of("1"), &err), &err);
    must(commit_version(place->store, "credit", "v0", "{}", &err), &err);
    must(commit_end(place->store, &err), &err);
}

static void place_close(struct place *place)
{
    store_free(place->store);
    temp_free(place->temp);
}

static int64_t integer(struct store *store, const char *sql)
{
    fault_malloc_pause(true);
    int64_t value = temp_number(store, sql);
    fault_malloc_pause(false);
    return value;
}

/* Runs the call with its first, second, … allocation failing, until none fails any more. `fresh`:
   each time on a fresh connection, so that preparing statements is part of it. */
static void every_allocation(struct place *place, int (*call)(struct place *place, struct err *err),
                             bool fresh)
{
    bool failed = true;
    int n_refused = 0;
    int64_t stride = getenv("ASSAY_EVERY_ALLOCATION") ? 1 : 29;
    for (int64_t n = 1; failed; n += n < 500 ? 1 : stride) {
        struct err err = {0};
        if (fresh) {
            store_free(place->store);
            place->store = NULL;
            assert_int_equal(sqlite3_memory_used(), 0);
            place->store = temp_store(place->temp, STORE_WRITE);
        }

        fault_malloc_at(n);
        int rc = call(place, &err);
        failed = fault_malloc_has_failed();
        fault_malloc_at(0);

        if (rc) {
            if (rc != -ENOMEM || !failed)
                fail_msg("allocation %" PRId64 ": %d: %s", n, rc, err.text);
            n_refused++;
            must(call(place, &err), &err);
        }
        assert_true(n < 100000);
    }
    assert_true(n_refused > 0);
    assert_int_equal(integer(place->store, "SELECT count(*) FROM pragma_integrity_check WHERE "
                                           "integrity_check = 'ok'"),
                     1);
}

static int open_and_close(struct place *place, struct err *err)
{
    store_free(place->store);
    place->store = NULL;
    int rc = store_open(&place->store, place->temp->path, STORE_WRITE, err);
    return rc;
}

static int open_to_read(struct place *place, struct err *err)
{
    AUTO(store) struct store *reader = NULL;
    return store_open(&reader, place->temp->path, STORE_READ, err);
}

static int commit_all(struct place *place, struct err *err)
{
    struct store *store = place->store;
    int64_t series;
    const struct model_row model = {"credit", "binary", "1", 0.5, 1};
    const struct partition_counts counts = {.consumed = 1, .folded = 1};
    const struct dead_letter_row row = {"t", 0, 1, 1, "not_json", NULL, {"{", 1}};
    int rc = commit_begin(store, err);
    if (!rc)
        rc = commit_model(store, &model, err);
    if (!rc)
        rc = commit_series(store, "credit", "v9", "", &series, err);
    if (!rc)
        rc = commit_pane(store, series, HOUR, 100 * HOUR, "bytes", 5, err);
    if (!rc)
        rc = commit_pending_replace(store, 2, "abc", 3, err);
    if (!rc)
        rc = commit_dead_letter(store, &row, err);
    if (!rc)
        rc = commit_model_counts(store, "credit", "{}", err);
    if (!rc)
        rc = commit_fact(store, "watermark_ms", 1, err);
    if (!rc)
        rc = commit_offset(store, "t", 0, place->number, place->number + 1, &counts, err);
    if (!rc)
        rc = commit_end(store, err);
    if (rc)
        commit_rollback(store);
    else
        place->number++;
    assert_int_equal(integer(store, "SELECT next FROM offsets"), place->number);
    return rc;
}

static int read_series(struct place *place, struct err *err)
{
    const struct series_query query = {
        .model = "credit", .to_ms = 3 * HOUR, .window_ms = HOUR, .step_ms = 20 * MINUTE};
    struct series_points points;
    int64_t complete;
    int64_t labels;
    int rc = series_read(place->store, &query, &points, err);
    if (rc)
        return rc;
    assert_int_equal(points.n, 7);
    assert_int_equal(points.n_damaged, 0);
    series_points_free(&points);
    return series_complete(place->store, "credit", &complete, &labels, err);
}

static int unknown_model(struct place *place, struct err *err)
{
    struct model_known model;
    int rc = model_read(place->store, "credti", &model, err);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int any_pending(void *context, uint32_t segment, const void *bytes, size_t n,
                       struct err *err)
{
    (void)segment;
    (void)bytes;
    (void)err;
    *(size_t *)context += n;
    return 0;
}

static int any_offset(void *context, const struct restored_offset *row, struct err *err)
{
    (void)err;
    *(size_t *)context += strlen(row->topic);
    return 0;
}

static int any_model(void *context, const struct model_row *row, struct err *err)
{
    (void)err;
    *(size_t *)context += strlen(row->name);
    return 0;
}

static int any_letter(void *context, const struct dead_letter *letter, struct err *err)
{
    (void)err;
    *(size_t *)context += strlen(letter->row.reason);
    return 0;
}

static int any_series(void *context, const struct series_known *series, struct err *err)
{
    (void)err;
    *(size_t *)context += strlen(series->version);
    return 0;
}

static int any_version(void *context, const char *version, const char *facts, struct err *err)
{
    (void)facts;
    (void)err;
    *(size_t *)context += strlen(version);
    return 0;
}

static int any_name(void *context, uint64_t id, const char *text, struct err *err)
{
    (void)id;
    (void)err;
    *(size_t *)context += strlen(text);
    return 0;
}

static int read_all(struct place *place, struct err *err)
{
    struct store *store = place->store;
    size_t bytes = 0;
    void *pane = NULL;
    size_t n;
    char *text = NULL;
    int rc = restore_offsets(store, any_offset, &bytes, err);
    if (!rc)
        rc = restore_models(store, any_model, &bytes, err);
    if (!rc)
        rc = models_each(store, any_model, &bytes, err);
    if (!rc)
        rc = restore_pending(store, any_pending, &bytes, err);
    if (!rc)
        rc = dead_letters_read(store, INT64_MAX, 9, any_letter, &bytes, err);
    if (!rc)
        rc = series_list(store, "credit", NULL, NULL, any_series, &bytes, err);
    if (!rc)
        rc = versions_each(store, "credit", any_version, &bytes, err);
    if (!rc)
        rc = names_each(store, "credit", "class", any_name, &bytes, err);
    if (!rc)
        rc = name_read(store, "credit", "class", class_id("1", 1), &text, err);
    free(text);
    if (!rc)
        rc = series_pane(store, 1, MINUTE, 0, &pane, &n, err);
    free(pane);
    return rc == SERIES_NONE ? 0 : rc;
}

static int roll_up(struct place *place, struct err *err)
{
    static const int64_t keep_ms[3] = {HOUR, 10 * HOUR, 100 * HOUR};
    struct retention_done done;
    int64_t before = integer(place->store, "SELECT sum(revision) FROM panes");
    int rc = retention_step(place->store, keep_ms, 5 * HOUR, 60, &done, err);
    assert_int_equal(integer(place->store, "SELECT sum(revision) FROM panes"), before);
    return rc;
}

static int refresh(struct place *place, struct err *err)
{
    return values_refresh(place->store, 5, NULL, err);
}

static int copy(struct place *place, struct err *err)
{
    char to[256];
    snprintf(to, sizeof(to), "%s/copy.db", place->temp->directory);
    return store_backup(place->temp->path, to, err);
}

static int verify(struct place *place, struct err *err)
{
    return store_verify(place->temp->path, err);
}

static void make_changes(struct place *place)
{
    struct err err = {0};
    AUTO(changes) struct changes *changes = NULL;
    fault_malloc_at(1);
    assert_int_equal(changes_new(&changes, &err), -ENOMEM);
    fault_malloc_at(0);
    assert_string_equal(err.text, "changes: no memory");
    (void)place;
}

#define F38_TEST(name, call, fresh)                    \
    static void F38_no_memory_for_##name(void **state) \
    {                                                  \
        (void)state;                                   \
        struct place place;                            \
        place_open(&place);                            \
        every_allocation(&place, call, fresh);         \
        place_close(&place);                           \
    }

F38_TEST(opening, open_and_close, false)
F38_TEST(opening_to_read, open_to_read, false)
F38_TEST(a_commit, commit_all, true)
F38_TEST(a_series, read_series, true)
F38_TEST(a_near_match, unknown_model, true)
F38_TEST(the_reading_of_everything, read_all, true)
F38_TEST(retention, roll_up, true)
F38_TEST(values, refresh, true)
F38_TEST(a_copy, copy, false)
F38_TEST(verify, verify, false)

static void F38_no_memory_for_the_change_counter(void **state)
{
    (void)state;
    make_changes(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(F38_no_memory_for_opening),
        cmocka_unit_test(F38_no_memory_for_opening_to_read),
        cmocka_unit_test(F38_no_memory_for_a_commit),
        cmocka_unit_test(F38_no_memory_for_a_series),
        cmocka_unit_test(F38_no_memory_for_a_near_match),
        cmocka_unit_test(F38_no_memory_for_the_reading_of_everything),
        cmocka_unit_test(F38_no_memory_for_retention),
        cmocka_unit_test(F38_no_memory_for_values),
        cmocka_unit_test(F38_no_memory_for_a_copy),
        cmocka_unit_test(F38_no_memory_for_verify),
        cmocka_unit_test(F38_no_memory_for_the_change_counter),
    };
    fault_malloc_sqlite();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
