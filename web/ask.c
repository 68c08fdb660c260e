#include "web/ask.h"

#include <errno.h>

int ask(json_t **out, struct api_context *api, struct buf *target, struct err *err)
{
    *out = NULL;
    buf_u8(target, 0);
    if (buf_failed(target))
        return err_set(err, -ENOMEM, "no memory for a question");
    struct api_request request = {.method = "GET", .target = (const char *)target->data};
    struct api_answer answer;
    api_answer_init(&answer);
    int rc = api_call(api, &request, &answer, err);
    if (rc >= 0) {
        json_error_t why;
        *out = json_loadb((const char *)answer.body.data, answer.body.size, 0, &why);
        rc = *out ? 0 : err_set(err, ERR_DATA, "%s: %s", request.target, why.text);
    }
    api_answer_finish(&answer);
    return rc;
}
