/*
 * The disk fails under the writer: full (F31), broken (F32), with flipped bytes (F33), and readers
 * that do not end (F36). Every n-th call is made to fail in turn.
 */
#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "common/rng.h"
#include "storage/catalog.h"
#include "storage/commit.h"
#include "storage/dead_letter.h"
#include "storage/restore.h"
#include "storage/retention.h"
#include "storage/series.h"
#include "storage/values.h"
#include "tests/lib/faulty_vfs.h"
#include "tests/lib/scored.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

enum {
    PANE_BYTES = 1500,
    N_PANES = 40
};

/* Commit `number`: everything in it says so. */
static int commit_number(struct store *store, int64_t number, struct err *err)
{
    char bytes[PANE_BYTES];
    const struct partition_counts counts = {.consumed = number, .folded = number};
    const struct dead_letter_row row = {"t", 0, number, 1, "not_json", NULL, {"{", 1}};
    memset(bytes, (int)('a' + number % 26), sizeof(bytes));
    int rc = commit_begin(store, err);
    for (int i = 0; !rc && i < N_PANES; i++)
        rc = commit_pane(store, 1, MINUTE, i * MINUTE, bytes, sizeof(bytes), err);
    if (!rc)
        rc = commit_pending_append(store, 1, bytes, sizeof(bytes), err);
    if (!rc)
        rc = commit_dead_letter(store, &row, err);
    if (!rc)
        rc = commit_offset(store, "t", 0, number == 1 ? -1 : number - 1, number, &counts, err);
    if (!rc)
        rc = commit_end(store, err);
    return rc;
}

/* All of commit `number` and nothing of another. */
static void must_hold(struct store *store, int64_t number)
{
    char sql[128];
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM panes WHERE substr(state, 1, 1) = x'%02x'",
             (unsigned)('a' + number % 26));
    assert_int_equal(temp_number(store, sql), N_PANES);
    assert_int_equal(temp_number(store, "SELECT count(*) FROM panes"), N_PANES);
    assert_int_equal(temp_number(store, "SELECT next FROM offsets"), number);
    assert_int_equal(temp_number(store, "SELECT count(*) FROM pending"), number);
    assert_int_equal(temp_number(store, "SELECT count(*) FROM dead_letter"), number);
    assert_int_equal(temp_number(store, "SELECT count(*) FROM pragma_integrity_check "
                                        "WHERE integrity_check = 'ok'"),
                     1);
}

static void checkpoint_now(struct store *store)
{
    sqlite3_wal_checkpoint_v2(store_db(store), NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

static void F31_a_full_disk_takes_a_commit_back_whole_and_it_works_later(void **state)
{
    (void)state;
    AUTO(faulty) struct faulty *faulty = faulty_install();
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    int64_t number = 1;
    temp_series(store, "credit", "v1", "");
    must(commit_number(store, number, &err), &err);

    for (int64_t n = 1; n < 1000; n++) {
        faulty_fail(faulty, FAULTY_WRITE, n, ENOSPC, true);
        int rc = commit_number(store, number + 1, &err);
        bool failed = faulty_has_failed(faulty);
        if (failed) {
            assert_int_equal(rc, ERR_FULL);
            assert_non_null(strstr(err.text, "no room on the disk"));
            commit_rollback(store);
        }
        faulty_fail(faulty, 0, 0, 0, false); /* there is room again */
        if (failed) {
            must_hold(store, number);
            must(commit_number(store, number + 1, &err), &err); /* the same, without reopening */
        } else {
            must(rc, &err);
        }
        number++;
        must_hold(store, number);
        if (!failed) {
            assert_true(n > N_PANES); /* each of its writes has failed once */
            return;
        }
    }
    fail_msg("the commit never went through");
}

static void F31_a_full_disk_under_a_checkpoint_loses_nothing(void **state)
{
    (void)state;
    AUTO(faulty) struct faulty *faulty = faulty_install();
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    int64_t number = 0;
    temp_series(store, "credit", "v1", "");

    while (store_wal_bytes(store) < (4 << 20))
        must(commit_number(store, ++number, &err), &err);
    faulty_fail(faulty, FAULTY_WRITE, 2, ENOSPC, true);
    assert_int_equal(store_checkpoint(store, &err), ERR_FULL);
    faulty_fail(faulty, 0, 0, 0, false);
    must_hold(store, number);
    must(store_checkpoint(store, &err), &err);
    assert_int_equal(store_wal_bytes(store), 0);
    must(commit_number(store, ++number, &err), &err);
    must_hold(store, number);
}

static void F31_no_room_to_open_is_told_as_such(void **state)
{
    (void)state;
    AUTO(faulty) struct faulty *faulty = faulty_install();
    AUTO(temp) struct temp *temp = temp_new();
    struct err err = {0};
    bool failed = true;

    for (int64_t n = 1; failed; n++) {
        AUTO(store) struct store *store = NULL;
        faulty_fail(faulty, FAULTY_WRITE | FAULTY_SHM | FAULTY_OPEN, n, ENOSPC, true);
        int rc = store_open(&store, temp->path, STORE_WRITE, &err);
        failed = faulty_has_failed(faulty);
        if (failed && rc) {
            assert_int_equal(rc, ERR_FULL);
            assert_non_null(strstr(err.text, "no room on the disk"));
        } else {
            must(rc, &err);
        }
        faulty_fail(faulty, 0, 0, 0, false);
        assert_true(n < 1000);
    }
}

static void F32_a_failed_write_or_sync_ends_the_writing(void **state)
{
    (void)state;
    AUTO(faulty) struct faulty *faulty = faulty_install();
    bool failed = true;
    int n_failed = 0;

    for (int64_t n = 1; failed; n++) {
        AUTO(temp) struct temp *temp = temp_new();
        AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
        struct err err = {0};
        temp_series(store, "credit", "v1", "");
        must(commit_number(store, 1, &err), &err);

        faulty_fail(faulty, FAULTY_WRITE | FAULTY_SYNC | FAULTY_TRUNCATE, n, EIO, false);
        int rc = commit_number(store, 2, &err);
        failed = faulty_has_failed(faulty);
        faulty_fail(faulty, 0, 0, 0, false);
        if (failed) {
            n_failed++;
            assert_int_equal(rc, ERR_IO);
            assert_non_null(strstr(err.text, "nobody knows what is on the disk now"));
            commit_rollback(store);
            assert_int_equal(commit_begin(store, &err), ERR_IO);
            assert_non_null(strstr(err.text, "an earlier write failed; restart assay"));
        }
        store_free(store); /* the process ends; the next one recovers */
        store = temp_store(temp, STORE_WRITE);
        must_hold(store, temp_number(store, "SELECT next FROM offsets"));
        assert_true(n < 1000);
    }
    assert_true(n_failed > N_PANES);
}

static void F32_a_quota_is_a_full_disk_and_not_a_broken_one(void **state)
{
    (void)state;
    AUTO(faulty) struct faulty *faulty = faulty_install();
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    temp_series(store, "credit", "v1", "");
    must(commit_number(store, 1, &err), &err);

    faulty_fail(faulty, FAULTY_WRITE, 3, EDQUOT, true);
    assert_int_equal(commit_number(store, 2, &err), ERR_FULL);
    commit_rollback(store);
    faulty_fail(faulty, 0, 0, 0, false);

    must(commit_number(store, 2, &err), &err);
    must_hold(store, 2);
}

static void F36_a_long_reader_holds_nobody_up_and_the_log_shrinks_when_it_ends(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    temp_series(store, "credit", "v1", "");
    must(commit_number(store, 1, &err), &err);
    AUTO(store) struct store *reader = temp_store(temp, STORE_READ);
    temp_run(reader, "BEGIN");
    assert_int_equal(temp_number(reader, "SELECT next FROM offsets"), 1);

    int64_t number = 1;
    while (store_wal_bytes(store) < (80 << 20)) {
        must(commit_number(store, ++number, &err), &err);
        must(store_checkpoint(store, &err), &err);
    }
    assert_int_equal(temp_number(reader, "SELECT next FROM offsets"), 1); /* still its snapshot */
    temp_run(reader, "COMMIT");
    assert_int_equal(temp_number(reader, "SELECT next FROM offsets"), number);

    must(store_checkpoint(store, &err), &err);
    assert_int_equal(store_wal_bytes(store), 0);
    must(commit_number(store, ++number, &err), &err);
    must_hold(store, number);
}

static int take_anything(void *context, uint32_t segment, const void *bytes, size_t n,
                         struct err *err)
{
    (void)segment;
    (void)err;
    for (size_t i = 0; i < n; i++)
        *(int64_t *)context += ((const unsigned char *)bytes)[i];
    return 0;
}

static int take_offset(void *context, const struct restored_offset *row, struct err *err)
{
    (void)err;
    *(int64_t *)context = *(int64_t *)context * 31 + row->next;
    return 0;
}

static int take_letter(void *context, const struct dead_letter *letter, struct err *err)
{
    (void)err;
    *(int64_t *)context += letter->id;
    return 0;
}

static int take_series(void *context, const struct series_known *series, struct err *err)
{
    (void)err;
    *(int64_t *)context += series->id + series->first_ms;
    return 0;
}

static int take_point(void *context, const struct series_point *point, struct err *err)
{
    (void)err;
    if (point->states)
        *(int64_t *)context = *(int64_t *)context * 31 + states_count(point->states);
    return 0;
}

/* Reads and writes whatever there is; only crashes matter, and numbers that are wrong unnoticed. */
static bool same_numbers(struct store *store, int64_t expected)
{
    const struct series_query query = {
        .model = "credit", .to_ms = 10 * HOUR, .window_ms = HOUR, .step_ms = HOUR};
    struct series_points about = {0};
    int64_t sum = 0;
    bool same = restore_offsets(store, take_offset, &sum, NULL) == 0 &&
                series_each(store, &query, take_point, &sum, &about, NULL) == 0 &&
                about.n_damaged == 0 && restore_pending(store, take_anything, &sum, NULL) == 0 &&
                sum == expected;
    int64_t rest = 0;
    dead_letters_read(store, INT64_MAX, 100, take_letter, &rest, NULL);
    series_list(store, "credit", NULL, NULL, take_series, &rest, NULL);
    return same;
}

static int64_t numbers_of(struct store *store)
{
    const struct series_query query = {
        .model = "credit", .to_ms = 10 * HOUR, .window_ms = HOUR, .step_ms = HOUR};
    struct series_points about;
    struct err err = {0};
    int64_t sum = 0;
    must(restore_offsets(store, take_offset, &sum, &err), &err);
    must(series_each(store, &query, take_point, &sum, &about, &err), &err);
    must(restore_pending(store, take_anything, &sum, &err), &err);
    return sum;
}

static unsigned char *read_file(const char *path, size_t *n)
{
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    fseek(in, 0, SEEK_END);
    *n = (size_t)ftell(in);
    rewind(in);
    unsigned char *bytes = malloc(*n);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *n, in), *n);
    fclose(in);
    return bytes;
}

static void write_file(const char *path, const unsigned char *bytes, size_t n)
{
    char beside[256];
    snprintf(beside, sizeof(beside), "%s-wal", path);
    remove(beside);
    snprintf(beside, sizeof(beside), "%s-shm", path);
    remove(beside);
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, n, out), n);
    fclose(out);
}

/* What a daemon does with a database; whatever fails in it must fail cleanly. */
static void use_it(const struct temp *temp)
{
    AUTO(store) struct store *store = NULL;
    const int64_t keep_ms[3] = {2 * HOUR, 4 * HOUR, 48 * HOUR};
    struct retention_done done;
    if (store_open(&store, temp->path, STORE_WRITE, NULL) != 0)
        return;
    if (commit_number(store, 2, NULL) != 0)
        commit_rollback(store);
    values_refresh(store, 20, NULL, NULL);
    retention_step(store, keep_ms, 20 * HOUR, 100, &done, NULL);
    checkpoint_now(store);
}

static void make_small_database(const struct temp *temp)
{
    static struct scored events[300];
    struct rng rng = rng_of(12);
    struct err err = {0};
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    const struct partition_counts counts = {.consumed = 1, .folded = 1};
    const struct dead_letter_row row = {"t", 0, 1, 1, "not_json", NULL, {"{", 1}};
    scored_draw(events, 300, &rng, 0, 10 * HOUR, 2);
    scored_commit(store, events, 300, 2, HOUR);
    must(commit_begin(store, &err), &err);
    must(commit_pending_append(store, 1, "pending", 7, &err), &err);
    must(commit_dead_letter(store, &row, &err), &err);
    must(commit_offset(store, "t", 0, -1, 1, &counts, &err), &err);
    must(commit_name(store, "credit", "class", class_id("1", 1), view_of("1"), &err), &err);
    must(commit_end(store, &err), &err);
    must(values_refresh(store, 10, NULL, &err), &err);
}

static void F33_flipped_bytes_on_every_page_are_detected_or_harmless(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    const char *rounds_text = getenv("ASSAY_FLIPS");
    int rounds = rounds_text ? atoi(rounds_text) : 6; /* flips on each page */
    size_t n;
    int detected = 0;
    int harmless = 0;
    make_small_database(temp);
    struct store *store = temp_store(temp, STORE_READ);
    int64_t expected = numbers_of(store);
    store_free(store);
    struct err err = {0};
    must(store_verify(temp->path, &err), &err);
    AUTO_FREE unsigned char *golden = read_file(temp->path, &n);

    for (size_t page = 0; page < n / 4096; page++) {
        for (int round = 0; round < rounds; round++) {
            struct rng rng = rng_of(page * 1000 + (uint64_t)round);
            size_t at = page * 4096 + rng_below(&rng, 4096);
            size_t run = 1 + rng_below(&rng, round % 2 ? 64 : 1);
            AUTO_FREE unsigned char *bytes = malloc(n);
            assert_non_null(bytes);
            memcpy(bytes, golden, n);
            for (size_t i = at; i < at + run && i < n; i++)
                bytes[i] ^= (unsigned char)(1 + rng_below(&rng, 255));
            write_file(temp->path, bytes, n);

            if (store_verify(temp->path, &err) != 0) {
                detected++;
            } else {
                AUTO(store) struct store *reader = NULL;
                must(store_open(&reader, temp->path, STORE_READ, &err), &err);
                if (!same_numbers(reader, expected))
                    fail_msg("byte %zu: other numbers, and nobody noticed", at);
                harmless++;
            }
            AUTO(store) struct store *any = NULL;
            if (store_open(&any, temp->path, STORE_READ, NULL) == 0)
                same_numbers(any, expected);
            use_it(temp);
        }
    }
    print_message("%d damaged files: %d detected, %d harmless\n", detected + harmless, detected,
                  harmless);
    assert_true(detected > 10); /* most pages of a small database are nearly empty */
}

static void F33_a_damaged_page_stops_the_writing_and_names_verify(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    size_t n;
    struct err err = {0};
    int corrupt = 0;
    make_small_database(temp);
    AUTO_FREE unsigned char *golden = read_file(temp->path, &n);
    memset(golden + 4096, 0xa5, n - 4096); /* all but the first page */
    write_file(temp->path, golden, n);

    AUTO(store) struct store *store = NULL;
    int rc = store_open(&store, temp->path, STORE_WRITE, &err);
    if (!rc) {
        rc = commit_number(store, 2, &err);
        commit_rollback(store);
        corrupt = commit_begin(store, NULL) == ERR_CORRUPT;
        assert_true(corrupt);
    }
    assert_int_equal(rc, ERR_CORRUPT);
    assert_non_null(strstr(err.text, "nothing is written any more: run `assay verify "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(F31_a_full_disk_takes_a_commit_back_whole_and_it_works_later),
        cmocka_unit_test(F31_a_full_disk_under_a_checkpoint_loses_nothing),
        cmocka_unit_test(F31_no_room_to_open_is_told_as_such),
        cmocka_unit_test(F32_a_failed_write_or_sync_ends_the_writing),
        cmocka_unit_test(F32_a_quota_is_a_full_disk_and_not_a_broken_one),
        cmocka_unit_test(F33_flipped_bytes_on_every_page_are_detected_or_harmless),
        cmocka_unit_test(F33_a_damaged_page_stops_the_writing_and_names_verify),
        cmocka_unit_test(F36_a_long_reader_holds_nobody_up_and_the_log_shrinks_when_it_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
