#include "web/problem.h"

#include <errno.h>
#include <string.h>

#include "common/json_out.h"

static const struct {
    int status;
    const char *title;
} titles[] = {
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {409, "Conflict"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {503, "Service Unavailable"},
    {507, "Insufficient Storage"},
};

const char *problem_title(int status)
{
    for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++)
        if (titles[i].status == status)
            return titles[i].title;
    return "Error";
}

int problem_status(int code)
{
    switch (code) {
    case ERR_USAGE:
    case -EINVAL:
        return 400;
    case ERR_NOT_FOUND:
        return 404;
    case ERR_DATA:
        return 422;
    case ERR_FULL:
        return 507;
    case -ETIME:
    case -EAGAIN:
        return 503;
    default:
        return 500;
    }
}

void problem_write(struct api_answer *answer, const char *detail)
{
    struct buf *body = &answer->body;
    buf_clear(body);
    answer->content_type = "application/problem+json";
    out_open(body, '{');
    out_key_string(body, "type", "about:blank");
    out_key_string(body, "title", problem_title(answer->status));
    out_key_int(body, "status", answer->status);
    out_key_string(body, "detail", detail);
    if (answer->field[0])
        out_key_string(body, "field", answer->field);
    if (answer->allowed[0]) {
        out_key(body, "allowed");
        out_open(body, '[');
        for (const char *at = answer->allowed; *at;) {
            size_t n = strcspn(at, "\n");
            out_bytes(body, at, n);
            at += n + (at[n] == '\n');
        }
        out_close(body, ']');
    }
    out_close(body, '}');
    buf_u8(body, '\n');
}
