#include "web/completeness.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/json_out.h"
#include "storage/restore.h"

enum {
    MAX_REASONS_BYTES = 256 * 1024
};

static int write_lost(void *context, const struct restored_offset *row, struct err *err)
{
    (void)err;
    struct buf *reasons = context;
    if (row->counts.lost <= 0)
        return 0;
    char text[400];
    snprintf(text, sizeof(text),
             "%" PRId64 " messages of %.200s/%d were deleted before they were read",
             row->counts.lost, row->topic, row->partition);
    out_string(reasons, text);
    return 0;
}

static void write_damaged(const struct completeness *lacks, struct buf *reasons)
{
    char text[200];
    if (lacks->n_damaged == 0)
        return;
    snprintf(text, sizeof(text), "%zu stored %s are damaged and left out; run `assay verify`",
             lacks->n_damaged, lacks->what);
    out_string(reasons, text);
}

static void write_partial(const struct completeness *lacks, struct buf *reasons)
{
    char text[200];
    if (lacks->n_partial == 0)
        return;
    snprintf(text, sizeof(text),
             "%zu windows cut through older data that is only kept in longer panes; ask for a "
             "longer window",
             lacks->n_partial);
    out_string(reasons, text);
}

static void write_reference_cut(const struct completeness *lacks, struct buf *reasons)
{
    if (lacks->reference)
        out_string(reasons, "the reference's span cuts through data that is only kept in longer "
                            "panes now, and lacks it; name whole hours (days) of UTC");
}

int completeness_write(const struct completeness *lacks, struct store *store, struct buf *out,
                       struct err *err)
{
    struct buf reasons;
    buf_init(&reasons, MAX_REASONS_BYTES);
    int rc = restore_offsets(store, write_lost, &reasons, err);
    write_damaged(lacks, &reasons);
    write_partial(lacks, &reasons);
    write_reference_cut(lacks, &reasons);
    out_key_bool(out, "complete", reasons.size == 0);
    out_key(out, "incomplete_reasons");
    out_open(out, '[');
    buf_bytes(out, reasons.data, reasons.size);
    out_close(out, ']');
    out->failed |= reasons.failed;
    buf_finish(&reasons);
    return rc;
}
