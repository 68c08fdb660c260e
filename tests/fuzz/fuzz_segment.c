/*
 * Any bytes as a saved row of a pending segment: refused as damaged, or each record in it can be
 * walked and saved again to rows that load.
 */
#include <assert.h>
#include <string.h>

#include "tests/lib/pending_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static int count(void *context, const struct record *record, struct err *err)
{
    (void)err;
    int64_t *n = context;
    assert(record->kind <= 2);
    (*n)++;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct rows rows = {0};
    AUTO(pending) struct pending *pending = NULL;
    struct pending_size size;
    struct err err = {0};
    int64_t n_records = 0;
    assert(rows_pending(&rows, 0, &pending, &err) == 0);

    if (pending_read(pending, 0, bytes, n, &err) || pending_read_end(pending, &err)) {
        assert(err.text[0] != '\0');
        rows_finish(&rows);
        return 0;
    }
    assert(pending_each(pending, count, &n_records, &err) == 0);
    pending_size(pending, &size);
    assert(size.predictions + size.waiting <= n_records);
    struct pending_writer writer = rows_writer(&rows);
    assert(pending_save(pending, &writer, &err) == 0);
    rows_finish(&rows);
    return 0;
}
