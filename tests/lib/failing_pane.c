#include "tests/lib/failing_pane.h"

#include <math.h>

#include "stats/metric.h"
#include "storage/commit.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

void failing_pane_write(struct store *store, const struct failing_pane *pane)
{
    struct err err = {0};
    struct metric_setup setup = {
        .task = TASK_BINARY, .positive = class_id("1", 1), .threshold = 0.5};
    AUTO(states) struct states *states = NULL;
    must(states_new(&states, &setup, &err), &err);
    for (int i = 0; i < pane->n; i++) {
        struct sample sample = {.ts_ms = pane->start_ms,
                                .latency_ms = pane->latency_ms,
                                .score = 0.5,
                                .value = (double)NAN,
                                .label_value = (double)NAN,
                                .predicted = class_id("1", 1),
                                .failed = i < pane->n_failed};
        assert_int_equal(states_predict(states, &sample), 0);
    }
    struct buf bytes;
    buf_init(&bytes, 1 << 20);
    states_save(states, &bytes);
    must(commit_pane(store, pane->series_id, MINUTE, pane->start_ms, bytes.data, bytes.size, &err),
         &err);
    buf_finish(&bytes);
}
