#include <stdio.h>

#include "collector/pending.h"
#include "tests/lib/pending_rows.h"
#include "tests/test.h"

static struct pending *empty(struct rows *rows, size_t limit)
{
    struct pending *pending = NULL;
    assert_int_equal(rows_pending(rows, limit, &pending, NULL), 0);
    return pending;
}

static struct pending *restored(struct rows *rows, size_t limit)
{
    struct pending *pending = empty(rows, limit);
    assert_int_equal(rows_restore(rows, pending, NULL), 0);
    return pending;
}

static struct id_hash hash_of(const struct pending *pending, uint64_t number)
{
    char id[32];
    int n = snprintf(id, sizeof(id), "id-%llu", (unsigned long long)number);
    return pending_hash(pending, (struct view){id, (uint32_t)n});
}

static struct record *add_prediction(struct pending *pending, uint64_t number, int64_t ts_ms)
{
    uint16_t slices[2] = {(uint16_t)(number % 7), 9};
    uint32_t handle = 0;
    struct record *record = NULL;
    assert_int_equal(pending_class_handle(pending, number % 2 ? 111 : 222, &handle, NULL), 0);
    struct record_spec spec = {
        .kind = RECORD_PREDICTION,
        .id = hash_of(pending, number),
        .ts_ms = ts_ms,
        .expires_ms = ts_ms + 10 * MINUTE,
        .life_ms = 10 * MINUTE,
        .number = (double)number / 1024.0,
        .series = (uint32_t)(number % 3),
        .class = handle,
        .slices = slices,
        .n_slices = 2,
    };
    assert_int_equal(pending_add(pending, &spec, NULL, &record, NULL), 0);
    return record;
}

static struct record *find(struct pending *pending, uint64_t number)
{
    uint32_t position = UINT32_MAX;
    struct record *record = NULL;
    int rc = pending_next(pending, hash_of(pending, number), &position, &record, NULL);
    return rc == 0 ? record : NULL;
}

static void save(struct pending *pending, struct rows *rows)
{
    struct pending_writer writer = rows_writer(rows);
    assert_int_equal(pending_save(pending, &writer, NULL), 0);
    pending_saved(pending);
}

static void a_record_is_found_by_its_id_with_all_it_had(void **state)
{
    (void)state;
    struct rows rows = {0};
    AUTO(pending) struct pending *pending = empty(&rows, 0);

    add_prediction(pending, 7, 5000);

    struct record *record = find(pending, 7);
    assert_non_null(record);
    assert_int_equal(record->ts_ms, 5000);
    assert_true(record->number == 7.0 / 1024.0);
    assert_int_equal(record->series, 1);
    assert_int_equal(pending_class(pending, record->class), 111);
    assert_int_equal(record->n_slices, 2);
    assert_int_equal(record_slices(record)[0], 0);
    assert_int_equal(record_slices(record)[1], 9);
    assert_null(find(pending, 8));
}

static void unit_and_scores_come_back_from_disk(void **state)
{
    (void)state;
    struct rows rows = {0};
    AUTO(pending) struct pending *pending = empty(&rows, 0);
    struct class_score scores[3] = {{111, 0.2}, {222, 0.5}, {333, 0.3}};
    for (int i = 0; i < 3; i++) {
        uint32_t handle;
        assert_int_equal(pending_class_handle(pending, scores[i].class_id, &handle, NULL), 0);
    }
    struct record_spec spec = {
        .kind = RECORD_PREDICTION,
        .id = hash_of(pending, 1),
        .ts_ms = 1,
        .expires_ms = 100,
        .life_ms = 100,
        .number = NAN,
        .unit = 0xfeed,
        .scores = scores,
        .n_scores = 3,
        .flags = RECORD_FAILED,
    };
    struct record *record = NULL;
    assert_int_equal(pending_add(pending, &spec, NULL, &record, NULL), 0);
    add_prediction(pending, 2, 2);
    save(pending, &rows);

    AUTO(pending) struct pending *again = restored(&rows, 0);

    record = find(again, 1);
    assert_non_null(record);
    assert_int_equal(record->flags & RECORD_FAILED, RECORD_FAILED);
    assert_true(isnan(record->number));
    assert_int_equal(record_unit(record), 0xfeed);
    const struct class_score *back;
    assert_int_equal(record_scores(record, &back), 3);
    assert_int_equal(back[2].class_id, 333);
    assert_true(back[1].score == 0.5);
    assert_non_null(find(again, 2));
    rows_finish(&rows);
}

static void shown_items_and_a_content_come_back_from_disk(void **state)
{
    (void)state;
    struct rows rows = {0};
    AUTO(pending) struct pending *pending = empty(&rows, 0);
    const uint64_t items[4] = {7, 0, UINT64_MAX, 9};
    struct record_spec spec = {
        .kind = RECORD_PREDICTION,
        .id = hash_of(pending, 1),
        .ts_ms = 1,
        .expires_ms = 100,
        .life_ms = 100,
        .number = NAN,
        .unit = 0xfeed,
        .items = items,
        .n_items = 4,
    };
    struct record_spec content = {
        .kind = RECORD_LABEL,
        .flags = RECORD_CONTENT,
        .id = spec.id,
        .ts_ms = 2,
        .expires_ms = 100,
        .life_ms = 100,
        .number = NAN,
        .text = {"\0\1\2 nine", 8},
    };
    struct record *record = NULL, *label = NULL;
    assert_int_equal(pending_add(pending, &spec, NULL, &record, NULL), 0);
    save(pending, &rows); /* the chain to the label is then a patch */
    assert_int_equal(pending_add(pending, &content, record, &label, NULL), 0);
    add_prediction(pending, 2, 2);
    save(pending, &rows);

    AUTO(pending) struct pending *again = restored(&rows, 0);

    record = find(again, 1);
    assert_non_null(record);
    assert_int_equal(record_unit(record), 0xfeed);
    const uint64_t *shown;
    assert_int_equal(record_items(record, &shown), 4);
    assert_memory_equal(shown, items, sizeof(items));
    const struct class_score *none;
    assert_int_equal(record_scores(record, &none), 0);
    assert_int_equal(pending_chain(again, record->id, record->chain, &label, NULL), 0);
    assert_int_equal(label->kind, RECORD_LABEL);
    assert_int_equal(record_text(label).size, 8);
    assert_memory_equal(record_text(label).data, content.text.data, 8);
    assert_non_null(find(again, 2));
    rows_finish(&rows);
}

static void a_label_on_a_saved_record_is_a_small_patch(void **state)
{
    (void)state;
    struct rows rows = {0};
    AUTO(pending) struct pending *pending = empty(&rows, 0);
    for (uint64_t i = 0; i < 1000; i++)
        add_prediction(pending, i, (int64_t)i);
    save(pending, &rows);
    size_t before = rows_bytes(&rows);

    struct record *record = find(pending, 500);
    assert_int_equal(pending_changed(pending, record, NULL), 0);
    record->flags |= RECORD_LABELLED;
    record->label.class = record->class;
    save(pending, &rows);

    assert_in_range(rows_bytes(&rows) - before, 1, 40);
    AUTO(pending) struct pending *again = restored(&rows, 0);
    record = find(again, 500);
    assert_int_equal(record->flags & RECORD_LABELLED, RECORD_LABELLED);
    assert_int_equal(pending_class(again, record->label.class), 222);
    assert_int_equal(find(again, 501)->flags & RECORD_LABELLED, 0);
    rows_finish(&rows);
}

static void a_pending_prediction_takes_100_bytes_in_memory_and_64_on_disk(void **state)
{
    (void)state;
    enum {
        N = 300000
    };
    struct rows rows = {0};
    AUTO(pending) struct pending *pending = empty(&rows, 0);

    for (uint64_t i = 0; i < N; i++)
        add_prediction(pending, i, (int64_t)i);
    save(pending, &rows);

    struct pending_size size;
    pending_size(pending, &size);
    assert_int_equal(size.predictions, N);
    assert_in_range(size.bytes / N, 1, 100);
    assert_in_range(rows_bytes(&rows) / N, 1, 64);
    rows_finish(&rows);
}

static int64_t n_expired;
static void count_expired(void *context, const struct record *record)
{
    (void)context;
    n_expired += record->kind == RECORD_PREDICTION;
}

static void expired_segments_go_whole_from_memory_and_disk(void **state)
{
    (void)state;
    struct rows rows = {0};
    AUTO(pending) struct pending *pending = empty(&rows, 0);
    for (uint64_t i = 0; i < 20000; i++)
        add_prediction(pending, i, (int64_t)i * 60); /* 20 minutes in all, each lives 10 */
    save(pending, &rows);

    n_expired = 0;
    assert_int_equal(pending_expire(pending, 15 * MINUTE, 1000, count_expired, NULL, NULL), 0);
    save(pending, &rows);

    assert_in_range(n_expired, 1, 5000); /* those of the first 5 minutes, by whole segments */
    assert_null(find(pending, 0));
    assert_non_null(find(pending, 5000));
    assert_non_null(find(pending, 19999));
    assert_in_range(rows.dropped, 1, 10);
    AUTO(pending) struct pending *again = restored(&rows, 0);
    struct pending_size size;
    pending_size(again, &size);
    assert_int_equal(size.predictions, 20000 - n_expired);
    rows_finish(&rows);
}

/* The list of free segments had room for those of one arena only, and then wrote beyond its end. */
static void all_segments_of_several_arenas_can_be_free_at_once(void **state)
{
    (void)state;
    struct rows rows = {0};
    AUTO(pending) struct pending *pending = empty(&rows, 0);
    const uint64_t n = 150000; /* over 64 bytes each: five arenas of 2 MiB */
    for (uint64_t i = 0; i < n; i++)
        add_prediction(pending, i, 0);
    save(pending, &rows);
    n_expired = 0;

    assert_int_equal(pending_expire(pending, 30 * MINUTE, 100000, count_expired, NULL, NULL), 0);
    assert_int_equal(n_expired, n);
    for (uint64_t i = 0; i < n; i++)
        add_prediction(pending, i, 40 * MINUTE);

    assert_non_null(find(pending, n - 1));
    rows_finish(&rows);
}

static void beyond_the_memory_limit_old_segments_are_read_when_asked_for(void **state)
{
    (void)state;
    struct rows rows = {0};
    const size_t limit = 1024 * 1024;
    AUTO(pending) struct pending *pending = empty(&rows, limit);
    for (uint64_t i = 0; i < 60000; i++) {
        add_prediction(pending, i, (int64_t)i);
        if (i % 1000 == 999)
            save(pending, &rows);
    }

    struct pending_size size;
    pending_size(pending, &size);
    assert_in_range(size.segments_in_memory * 262144, 1, limit);
    struct record *record = find(pending, 3);
    assert_non_null(record);
    assert_int_equal(pending_changed(pending, record, NULL), 0);
    record->flags |= RECORD_LABELLED | RECORD_LABEL_VALUE;
    record->label.value = 0.25;
    for (uint64_t i = 0; i < 60000; i += 777)
        assert_true(find(pending, i)->number == (double)i / 1024.0);
    save(pending, &rows);
    for (uint64_t i = 0; i < 60000; i += 777)
        assert_non_null(find(pending, i));

    pending_size(pending, &size);
    save(pending, &rows);
    assert_true(find(pending, 3)->label.value == 0.25);
    AUTO(pending) struct pending *again = restored(&rows, limit);
    assert_true(find(again, 3)->label.value == 0.25);
    assert_non_null(find(again, 59999));
    rows_finish(&rows);
}

static void a_segment_with_many_patches_is_rewritten(void **state)
{
    (void)state;
    struct rows rows = {0};
    AUTO(pending) struct pending *pending = empty(&rows, 0);
    for (uint64_t i = 0; i < 3000; i++)
        add_prediction(pending, i, (int64_t)i);
    for (uint64_t i = 0; i < 200; i++) {
        save(pending, &rows);
        struct record *record = find(pending, i * 10);
        assert_int_equal(pending_changed(pending, record, NULL), 0);
        record->flags |= RECORD_LABELLED;
        record->label.class = record->class;
    }
    save(pending, &rows);

    assert_in_range(rows.replaced, 2, 4);
    assert_in_range(rows.n, 1, 70);
    AUTO(pending) struct pending *again = restored(&rows, 0);
    for (uint64_t i = 0; i < 200; i++)
        assert_int_equal(find(again, i * 10)->flags & RECORD_LABELLED, RECORD_LABELLED);
    assert_int_equal(find(again, 2999)->flags & RECORD_LABELLED, 0);
    rows_finish(&rows);
}

static void damaged_rows_are_refused_by_name(void **state)
{
    (void)state;
    struct rows rows = {0};
    AUTO(pending) struct pending *pending = empty(&rows, 0);
    for (uint64_t i = 0; i < 20; i++)
        add_prediction(pending, i, (int64_t)i);
    save(pending, &rows);

    for (size_t cut = 0; cut < rows.rows[0].n; cut++) {
        AUTO(pending) struct pending *again = NULL;
        struct err err = {0};
        assert_int_equal(rows_pending(&rows, 0, &again, NULL), 0);
        int rc = pending_read(again, 1, rows.rows[0].bytes, cut, &err);
        if (rc == 0) /* cut between two records: the row is whole as far as it goes */
            continue;
        assert_int_equal(rc, ERR_CORRUPT);
        assert_string_equal(err.text,
                            "join: a row of pending segment 1 is damaged; run assay verify");
    }
    rows_finish(&rows);
}

/* xorshift: the same run each time */
static uint64_t draw(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void the_index_agrees_with_a_list_through_inserts_and_removals(void **state)
{
    (void)state;
    enum {
        N = 5000
    };
    struct index index;
    assert_int_equal(index_init(&index, NULL), 0);
    static uint8_t there[N + 1];
    memset(there, 0, sizeof(there));
    uint64_t random = 88172645463325252ULL;
    uint64_t n = 0;

    for (int step = 0; step < 200000; step++) {
        uint32_t address = (uint32_t)(draw(&random) % N) + 1;
        /* few distinct hashes, so that runs are long and ids equal */
        struct id_hash id = {(uint64_t)(address % 3) << 56, (uint64_t)(address % 600) << 55};
        if (there[address]) {
            index_remove(&index, id, address);
            n--;
        } else {
            assert_int_equal(index_insert(&index, id, address, NULL), 0);
            n++;
        }
        there[address] = !there[address];
    }

    assert_int_equal(index.n, n);
    for (uint32_t address = 1; address <= N; address++) {
        struct id_hash id = {(uint64_t)(address % 3) << 56, (uint64_t)(address % 600) << 55};
        uint32_t position = UINT32_MAX;
        uint32_t found;
        int seen = 0;
        while ((found = index_next(&index, id, &position)) != 0)
            seen += found == address;
        assert_int_equal(seen, there[address]);
    }
    index_finish(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_found_by_its_id_with_all_it_had),
        cmocka_unit_test(unit_and_scores_come_back_from_disk),
        cmocka_unit_test(shown_items_and_a_content_come_back_from_disk),
        cmocka_unit_test(a_label_on_a_saved_record_is_a_small_patch),
        cmocka_unit_test(a_pending_prediction_takes_100_bytes_in_memory_and_64_on_disk),
        cmocka_unit_test(expired_segments_go_whole_from_memory_and_disk),
        cmocka_unit_test(all_segments_of_several_arenas_can_be_free_at_once),
        cmocka_unit_test(beyond_the_memory_limit_old_segments_are_read_when_asked_for),
        cmocka_unit_test(a_segment_with_many_patches_is_rewritten),
        cmocka_unit_test(damaged_rows_are_refused_by_name),
        cmocka_unit_test(the_index_agrees_with_a_list_through_inserts_and_removals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
