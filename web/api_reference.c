/* PUT /models/M/reference, the references of a model, and how an answer names one. */
#include <string.h>

#include "common/json_out.h"
#include "storage/catalog.h"
#include "storage/change_points.h"
#include "storage/profiles.h"
#include "storage/references.h"
#include "web/handlers.h"
#include "web/pairs.h"

int api_put_reference(struct api_context *context, const struct api_input *input,
                      struct api_answer *answer, struct err *err)
{
    if (!context->commands.put_reference)
        return err_set(err, ERR_NOT_FOUND, "a reference is only set by a running daemon");
    int rc = context->commands.put_reference(
        context->commands.context, input_capture(input, "model"), input_param(input, "version"),
        input->request->body, input->request->body_size, input->request->who, &answer->body, err);
    if (rc > 0) {
        answer->status = rc == WEB_UNKNOWN ? 404 : rc == WEB_CONFLICT ? 409 : 422;
        rc = rc == WEB_UNKNOWN ? ERR_NOT_FOUND : ERR_DATA;
    }
    return rc;
}

static int write_listed(void *context, const struct reference_listed *row, struct err *err)
{
    struct buf *out = context;
    (void)err;
    out_open(out, '{');
    out_key_string(out, "id", row->id);
    out_key_string(out, "version", row->version[0] ? row->version : NULL);
    out_key_int(out, "n", row->n);
    out_key_string(out, "source", row->source);
    out_key_time(out, "from", row->from_ms);
    out_key_time(out, "to", row->to_ms);
    out_key_time(out, "created", row->created_ms);
    out_key_time(out, "forgotten", row->withdrawn_ms);
    out_key_bool(out, "counts", row->counts);
    out_close(out, '}');
    return 0;
}

int api_references(struct api_context *context, const struct api_input *input,
                   struct api_answer *answer, struct err *err)
{
    struct buf *out = &answer->body;
    struct store *store;
    struct model_known known;
    int rc = context_store(context, &store, err);
    if (!rc)
        rc = model_read(store, input_capture(input, "model"), &known, err);
    if (rc)
        return rc;
    out_open(out, '{');
    out_key(out, "items");
    out_open(out, '[');
    rc = references_each(store, known.row.name, input_param(input, "version"), write_listed, out,
                         err);
    out_close(out, ']');
    out_key(out, "next");
    out_null(out);
    out_close(out, '}');
    model_finish(&known);
    return rc;
}

int api_forget_reference(struct api_context *context, const struct api_input *input,
                         struct api_answer *answer, struct err *err)
{
    if (!context->commands.forget_reference)
        return err_set(err, ERR_NOT_FOUND,
                       "a reference is only taken away by a running daemon, or by `assay reference "
                       "forget`");
    int rc = context->commands.forget_reference(
        context->commands.context, input_capture(input, "model"), input_param(input, "version"),
        input_capture(input, "reference"), input->request->who, &answer->body, err);
    if (rc == WEB_CONFLICT) {
        answer->status = 409;
        rc = ERR_DATA;
    }
    return rc;
}

/* The hours that a reference with a rhythm was made of. */
static void write_rhythm(struct buf *out, const struct profile_model *model)
{
    out_key_string(out, "rhythm", model->rhythm);
    out_key(out, "spans");
    out_open(out, '[');
    for (size_t i = 0; i < model->n_spans; i++) {
        out_open(out, '{');
        out_key_int(out, "from", model->spans[i].from_ms);
        out_key_int(out, "to", model->spans[i].to_ms);
        out_close(out, '}');
    }
    out_close(out, ']');
}

/* Of which segment alone; NULL or "": of all. */
static void write_part(struct buf *out, const char *slice)
{
    char segment[SEGMENT_BYTES] = "";
    if (slice && slice[0])
        slice_segment(slice, segment);
    out_key_string(out, "segment", segment[0] ? segment : NULL);
}

void write_reference(struct buf *out, const struct profile_model *model)
{
    const struct reference_row *row = &model->reference;
    out_key(out, "reference");
    if (!row->reference) {
        out_null(out);
        if (model->no_reference[0])
            out_key_string(out, "reference_why", model->no_reference);
        return;
    }
    out_open(out, '{');
    out_key_string(out, "id", row->id);
    out_key_int(out, "n", (int64_t)row->reference->events);
    write_part(out, model->slice);
    out_key_string(out, "source", row->source);
    out_key_time(out, "created", row->created_ms);
    if (model->rhythm)
        write_rhythm(out, model);
    out_close(out, '}');
}

void write_change_reference(struct buf *out, const struct change_reference *reference,
                            const char *slice)
{
    const bool learned = strcmp(reference->source, REFERENCE_LEARNED) == 0;
    out_key(out, "reference");
    if (!reference->source[0]) {
        out_null(out);
        return;
    }
    out_open(out, '{');
    out_key_string(out, "id", reference->id[0] ? reference->id : NULL);
    out_key_int(out, "n", reference->n);
    write_part(out, learned ? slice : NULL);
    out_key_string(out, "source", reference->source);
    if (learned) {
        out_key_time(out, "from", reference->from_ms);
        out_key_time(out, "to", reference->to_ms);
    } else {
        out_key_time(out, "created", reference->created_ms);
    }
    out_close(out, '}');
}
