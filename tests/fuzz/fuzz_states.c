/*
 * Any bytes as the saved states of a pane, with the checksum that they should end with put right.
 * What is taken must be sound: it saves to bytes that load again to the same bytes, merges with
 * itself (then it may count more than is taken: reader_count), grows coarser, and every metric gives
 * a result.
 */
#include <assert.h>
#include <string.h>
#include <xxhash.h>

#include "stats/metric.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void saves_to_the_same_bytes(const struct states *states, const struct metric_setup *setup,
                                    bool merged)
{
    AUTO(states) struct states *again = NULL;
    struct buf first, second;
    buf_init(&first, 64 << 20);
    buf_init(&second, 64 << 20);

    states_save(states, &first);
    assert(!buf_failed(&first));
    const bool loads = states_load(&again, setup, first.data, first.size, NULL) == 0;
    assert(loads || merged);
    if (loads)
        states_save(again, &second);
    assert(!loads || first.size == second.size);
    assert(!loads || first.size == 0 || memcmp(first.data, second.data, first.size) == 0);

    buf_finish(&first);
    buf_finish(&second);
}

static void gives_results(const struct states *states, enum task task)
{
    size_t n_rows = 0;
    const struct metric_def *rows = metric_table(&n_rows);

    for (size_t i = 0; i < n_rows; i++) {
        struct metric_ref metric = {.def = &rows[i], .argument = 1};
        struct metric_value value;
        if (rows[i].tasks & 1U << task)
            metric_result(states, &metric, 60000, &value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n == 0)
        return 0;
    struct metric_setup setup = {
        .task = (enum task)(bytes[0] % N_TASKS),
        .positive = class_id("1", 1),
        .threshold = 0.5,
    };
    AUTO(states) struct states *states = NULL;
    AUTO(states) struct states *more = NULL;
    struct buf saved;
    buf_init(&saved, 1 << 20);
    buf_bytes(&saved, bytes + 1, n - 1);
    buf_u64(&saved, XXH64(bytes + 1, n - 1, 0));

    if (!buf_failed(&saved) && states_load(&states, &setup, saved.data, saved.size, NULL) == 0) {
        saves_to_the_same_bytes(states, &setup, false);
        gives_results(states, setup.task);
        assert(states_load(&more, &setup, saved.data, saved.size, NULL) == 0);
        if (states_merge(states, more) == 0)
            saves_to_the_same_bytes(states, &setup, true);
        states_coarsen(states);
        gives_results(states, setup.task);
    }
    buf_finish(&saved);
    return 0;
}
