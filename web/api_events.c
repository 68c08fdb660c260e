#include <errno.h>

#include "web/handlers.h"

int api_events(struct api_context *context, const struct api_input *input,
               struct api_answer *answer, struct err *err)
{
    if (!context->commands.ingest)
        return err_set(err, ERR_NOT_FOUND, "events are only taken by a running daemon");
    const struct api_request *request = input->request;
    if (request->body_size == 0)
        return api_refuse(answer, err, "body", "an event\nan array of events\nJSONL",
                          "is empty; send one event, an array, or one event a line");
    int rc = context->commands.ingest(context->commands.context, request->body, request->body_size,
                                      &answer->body, err);
    if (rc == WEB_BUSY || rc == ERR_FULL) {
        answer->status = 429;
        answer->retry_after_s = 1;
        return rc == ERR_FULL ? rc : err_set(err, -EAGAIN, "busy: send it again in a second");
    }
    if (rc == WEB_INVALID || rc == WEB_TOO_MANY) {
        answer->status = rc == WEB_INVALID ? 422 : 413;
        return err ? err->code < 0 ? err->code : ERR_DATA : ERR_DATA;
    }
    return rc;
}
