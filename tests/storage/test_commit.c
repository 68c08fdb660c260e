#include "storage/commit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "storage/dead_letter.h"
#include "storage/restore.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

static const struct partition_counts seen = {.consumed = 10,
                                             .folded = 7,
                                             .duplicate = 2,
                                             .dead_lettered = 1,
                                             .first = 3,
                                             .newest_ts_ms = 1700000000000,
                                             .last_offset = 12,
                                             .last_timestamp_ms = 1700000000001,
                                             .last_hash = UINT64_MAX - 5,
                                             .rejects = {[1] = 1, [31] = -9}};

struct offsets {
    int n;
    struct restored_offset rows[8];
    char topics[8][32];
};

static int keep_offset(void *context, const struct restored_offset *row, struct err *err)
{
    (void)err;
    struct offsets *offsets = context;
    snprintf(offsets->topics[offsets->n], sizeof(offsets->topics[0]), "%s", row->topic);
    offsets->rows[offsets->n++] = *row;
    return 0;
}

static void offsets_move_by_compare_and_set_and_come_back(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    struct offsets offsets = {0};

    must(commit_begin(store, &err), &err);
    must(commit_offset(store, "labels", 0, -1, 5, &seen, &err), &err);
    must(commit_offset(store, "predictions", 2, -1, 4, &seen, &err), &err);
    must(commit_offset(store, "predictions", 2, 4, 13, &seen, &err), &err);
    must(commit_end(store, &err), &err);

    must(restore_offsets(store, keep_offset, &offsets, &err), &err);
    assert_int_equal(offsets.n, 2);
    assert_string_equal(offsets.topics[1], "predictions");
    assert_int_equal(offsets.rows[1].partition, 2);
    assert_int_equal(offsets.rows[1].next, 13);
    assert_memory_equal(&offsets.rows[1].counts, &seen, sizeof(seen));
}

static void F07_a_zombies_commit_is_refused_whole(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    int64_t series = temp_series(store, "credit", "v1", "");
    must(commit_begin(store, &err), &err);
    must(commit_offset(store, "predictions", 0, -1, 100, &seen, &err), &err);
    must(commit_end(store, &err), &err);

    must(commit_begin(store, &err), &err);
    must(commit_pane(store, series, MINUTE, 0, "state", 5, &err), &err);
    assert_int_equal(commit_offset(store, "predictions", 0, 50, 60, &seen, &err), ERR_FENCED);
    assert_string_equal(err.text, "predictions[0]: its offset in the database is not 50: "
                                  "somebody else moved it");
    commit_rollback(store);
    assert_int_equal(temp_number(store, "SELECT count(*) FROM panes"), 0);

    must(commit_begin(store, &err), &err);
    assert_int_equal(commit_offset(store, "predictions", 0, -1, 60, &seen, &err), ERR_FENCED);
    commit_rollback(store);
    assert_int_equal(temp_number(store, "SELECT next FROM offsets"), 100);
}

static void a_series_keeps_its_number(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);

    int64_t overall = temp_series(store, "credit", "v1", "");
    int64_t german = temp_series(store, "credit", "v1", "country=de");

    assert_int_equal(temp_series(store, "credit", "v1", ""), overall);
    assert_int_equal(temp_series(store, "credit", "v1", "country=de"), german);
    assert_int_not_equal(overall, german);
}

static void a_pane_is_replaced_and_its_revision_grows(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    int64_t series = temp_series(store, "credit", "v1", "");

    must(commit_begin(store, &err), &err);
    must(commit_pane(store, series, HOUR, 3 * HOUR, "first", 5, &err), &err);
    must(commit_pane(store, series, HOUR, 3 * HOUR, "second", 6, &err), &err);
    must(commit_end(store, &err), &err);

    assert_int_equal(temp_number(store, "SELECT count(*) FROM panes WHERE revision = 2 AND "
                                        "state = CAST('second' AS BLOB) AND level_ms = 3600000 "
                                        "AND start_ms = 10800000"),
                     1);
    assert_int_equal(
        temp_number(store, "SELECT key = (series_id << 35) + (1 << 33) + 3 FROM panes"), 1);
}

static void a_pane_that_has_no_place_is_refused(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};

    assert_int_equal(commit_pane(store, 1, MINUTE, 0, "x", 1, &err), -EINVAL);
    assert_non_null(strstr(err.text, "commit_pane outside a commit"));
    must(commit_begin(store, &err), &err);
    assert_int_equal(commit_pane(store, 1, MINUTE, 30000, "x", 1, &err), -EINVAL);
    assert_string_equal(err.text, "pane of series 1, level 60000 ms, start 30000 ms: there is no "
                                  "such place");
    assert_int_equal(commit_pane(store, 1, 2 * MINUTE, 0, "x", 1, &err), -EINVAL);
    assert_int_equal(commit_pane(store, 1, MINUTE, -MINUTE, "x", 1, &err), -EINVAL);
    assert_int_equal(commit_pane(store, 0, MINUTE, 0, "x", 1, &err), -EINVAL);
    commit_rollback(store);
}

static int join_rows(void *context, uint32_t segment, const void *bytes, size_t n, struct err *err)
{
    (void)err;
    char *out = context;
    sprintf(out + strlen(out), "%u:%.*s ", segment, (int)n, (const char *)bytes);
    return 0;
}

static void pending_rows_come_back_by_segment_in_the_order_written(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    char text[128] = "";
    must(commit_begin(store, &err), &err);
    must(commit_pending_append(store, UINT32_MAX, "z", 1, &err), &err);
    must(commit_pending_append(store, 7, "a", 1, &err), &err);
    must(commit_pending_append(store, 7, "b", 1, &err), &err);
    must(commit_pending_append(store, 8, "c", 1, &err), &err);
    must(commit_pending_append(store, 8, "d", 1, &err), &err);
    must(commit_pending_append(store, 9, "", 0, &err), &err);
    must(commit_pending_replace(store, 8, "cd", 2, &err), &err);
    must(commit_pending_append(store, 8, "e", 1, &err), &err);
    must(commit_end(store, &err), &err);

    must(restore_pending(store, join_rows, text, &err), &err);
    assert_string_equal(text, "7:a 7:b 8:cd 8:e 9: 4294967295:z ");

    must(commit_begin(store, &err), &err);
    must(commit_pending_drop(store, 7, &err), &err);
    must(commit_end(store, &err), &err);
    text[0] = '\0';
    must(restore_pending_segment(store, 7, join_rows, text, &err), &err);
    must(restore_pending_segment(store, 8, join_rows, text, &err), &err);
    assert_string_equal(text, "8:cd 8:e ");
}

static int join_letters(void *context, const struct dead_letter *letter, struct err *err)
{
    (void)err;
    char *out = context;
    sprintf(out + strlen(out), "%d@%d:%s/%s/%u%s ", (int)letter->id, (int)letter->row.offset,
            letter->row.reason, letter->row.detail ? letter->row.detail : "-",
            letter->row.payload.size, letter->sent ? "!" : "");
    return 0;
}

static void dead_letters_are_listed_and_marked_as_sent(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    char text[256] = "";
    static const char large[5000];
    must(commit_begin(store, &err), &err);
    for (int i = 0; i < 3; i++) {
        const struct dead_letter_row row = {"predictions",
                                            1,
                                            20 + i,
                                            1000 * i,
                                            "not_json",
                                            i == 1 ? "score" : NULL,
                                            {large, i == 2 ? 5000 : 3}};
        must(commit_dead_letter(store, &row, &err), &err);
    }
    must(commit_dead_letter_sent(store, 2, &err), &err);
    must(commit_end(store, &err), &err);

    must(dead_letters_read(store, INT64_MAX, 10, join_letters, text, &err), &err);
    assert_string_equal(text, "3@22:not_json/-/4096 2@21:not_json/score/3! 1@20:not_json/-/3 ");
    text[0] = '\0';
    must(dead_letters_read(store, 3, 1, join_letters, text, &err), &err);
    assert_string_equal(text, "2@21:not_json/score/3! ");
    text[0] = '\0';
    must(dead_letters_unsent(store, 10, join_letters, text, &err), &err);
    assert_string_equal(text, "1@20:not_json/-/3 3@22:not_json/-/4096 ");

    must(commit_begin(store, &err), &err);
    must(commit_dead_letter_expire(store, 2000, &err), &err);
    must(commit_end(store, &err), &err);
    assert_int_equal(temp_number(store, "SELECT group_concat(id) FROM dead_letter"), 3);
}

static void dead_letters_are_bounded_the_oldest_go(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    const struct dead_letter_row row = {"predictions", 0, 1, 1, "not_json", NULL, {"{", 1}};

    must(commit_begin(store, &err), &err);
    for (int i = 0; i < 10050; i++)
        must(commit_dead_letter(store, &row, &err), &err);
    must(commit_end(store, &err), &err);

    assert_int_equal(temp_number(store, "SELECT count(*) FROM dead_letter"), 10000);
    assert_int_equal(temp_number(store, "SELECT min(id) FROM dead_letter"), 51);
}

static int join_models(void *context, const struct model_row *row, struct err *err)
{
    (void)err;
    char *out = context;
    sprintf(out + strlen(out), "%s/%s/%s/%g/%d ", row->name, row->task, row->positive,
            row->threshold, (int)row->label_horizon_ms);
    return 0;
}

static int join_series(void *context, const struct restored_series *row, struct err *err)
{
    (void)err;
    char *out = context;
    sprintf(out + strlen(out), "%d:%s/%s/%s ", (int)row->series_id, row->model, row->version,
            row->slice);
    return 0;
}

static void what_was_committed_is_restored_after_opening_again(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    const struct model_row wine = {"wine", "regression", NULL, 0.0, 5};
    const struct model_row credit = {"credit", "binary", "yes", 0.25, 9};
    int64_t series;
    must(commit_begin(store, &err), &err);
    must(commit_model(store, &wine, &err), &err);
    must(commit_model(store, &credit, &err), &err);
    must(commit_series(store, "wine", "v2", "", &series, &err), &err);
    must(commit_series(store, "credit", "v1", "city=a", &series, &err), &err);
    must(commit_model_counts(store, "wine", "{\"labels\":3}", &err), &err);
    must(commit_fact(store, "watermark_ms", 42, &err), &err);
    must(commit_end(store, &err), &err);
    store_free(store);

    AUTO(store) struct store *reader = temp_store(temp, STORE_READ);
    char text[256] = "";
    AUTO_FREE char *counts = NULL;
    int64_t watermark = 0;
    must(restore_models(reader, join_models, text, &err), &err);
    must(restore_series(reader, join_series, text, &err), &err);
    assert_string_equal(text, "wine/regression/1/0/5 credit/binary/yes/0.25/9 "
                              "1:wine/v2/ 2:credit/v1/city=a ");
    must(restore_model_counts(reader, "wine", &counts, &err), &err);
    assert_string_equal(counts, "{\"labels\":3}");
    must(restore_fact(reader, "watermark_ms", &watermark, &err), &err);
    assert_int_equal(watermark, 42);
    assert_int_equal(restore_fact(reader, "nothing", &watermark, &err), RESTORE_NONE);
}

static void a_callback_that_fails_ends_the_walk(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    struct offsets offsets = {0};
    must(commit_begin(store, &err), &err);
    assert_int_equal(commit_begin(store, &err), -EINVAL);
    assert_non_null(strstr(err.text, "a commit is already open"));
    commit_rollback(store);
    must(restore_offsets(store, keep_offset, &offsets, &err), &err);
    assert_int_equal(offsets.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_move_by_compare_and_set_and_come_back),
        cmocka_unit_test(F07_a_zombies_commit_is_refused_whole),
        cmocka_unit_test(a_series_keeps_its_number),
        cmocka_unit_test(a_pane_is_replaced_and_its_revision_grows),
        cmocka_unit_test(a_pane_that_has_no_place_is_refused),
        cmocka_unit_test(pending_rows_come_back_by_segment_in_the_order_written),
        cmocka_unit_test(dead_letters_are_listed_and_marked_as_sent),
        cmocka_unit_test(dead_letters_are_bounded_the_oldest_go),
        cmocka_unit_test(what_was_committed_is_restored_after_opening_again),
        cmocka_unit_test(a_callback_that_fails_ends_the_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
