/* PUT /models/M/reference */
#include "web/handlers.h"

int api_put_reference(struct api_context *context, const struct api_input *input,
                      struct api_answer *answer, struct err *err)
{
    if (!context->commands.put_reference)
        return err_set(err, ERR_NOT_FOUND, "a reference is only set by a running daemon");
    int rc = context->commands.put_reference(
        context->commands.context, input_capture(input, "model"), input_param(input, "version"),
        input->request->body, input->request->body_size, &answer->body, err);
    if (rc > 0) {
        answer->status = rc == WEB_UNKNOWN ? 404 : rc == WEB_CONFLICT ? 409 : 422;
        rc = rc == WEB_UNKNOWN ? ERR_NOT_FOUND : ERR_DATA;
    }
    return rc;
}
