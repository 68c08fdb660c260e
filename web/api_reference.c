/* PUT /models/M/reference, and how an answer names the reference. */
#include <string.h>

#include "common/json_out.h"
#include "storage/change_points.h"
#include "storage/profiles.h"
#include "storage/references.h"
#include "web/handlers.h"

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

void write_reference(struct buf *out, const struct profile_model *model)
{
    const struct reference_row *row = &model->reference;
    out_key(out, "reference");
    if (!row->reference) {
        out_null(out);
        return;
    }
    out_open(out, '{');
    out_key_string(out, "id", row->id);
    out_key_int(out, "n", (int64_t)row->reference->events);
    out_key_string(out, "source", row->source);
    out_key_time(out, "created", row->created_ms);
    if (model->rhythm)
        write_rhythm(out, model);
    out_close(out, '}');
}

void write_change_reference(struct buf *out, const struct change_reference *reference)
{
    out_key(out, "reference");
    if (!reference->source[0]) {
        out_null(out);
        return;
    }
    out_open(out, '{');
    out_key_string(out, "id", reference->id[0] ? reference->id : NULL);
    out_key_int(out, "n", reference->n);
    out_key_string(out, "source", reference->source);
    if (strcmp(reference->source, REFERENCE_LEARNED) == 0) {
        out_key_time(out, "from", reference->from_ms);
        out_key_time(out, "to", reference->to_ms);
    } else {
        out_key_time(out, "created", reference->created_ms);
    }
    out_close(out, '}');
}
