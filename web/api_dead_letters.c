#include <string.h>

#include "common/json_out.h"
#include "storage/dead_letter.h"
#include "web/handlers.h"

struct letters {
    struct buf *out;
    const char *reason; /* NULL: any */
    int64_t limit, n;
    int64_t last_id; /* of the rows seen */
    int64_t n_seen;
};

static int write_letter(void *context, const struct dead_letter *letter, struct err *err)
{
    (void)err;
    struct letters *letters = context;
    const struct dead_letter_row *row = &letter->row;
    letters->n_seen++;
    letters->last_id = letter->id;
    if (letters->reason && strcmp(letters->reason, row->reason) != 0)
        return 0;
    out_open(letters->out, '{');
    out_key_int(letters->out, "id", letter->id);
    out_key_string(letters->out, "reason", row->reason);
    out_key_string(letters->out, "detail", row->detail);
    out_key_string(letters->out, "topic", row->topic);
    out_key_int(letters->out, "partition", row->partition);
    out_key_int(letters->out, "offset", row->offset);
    out_key_time(letters->out, "at", row->at_ms);
    out_key(letters->out, "payload");
    out_bytes(letters->out, row->payload.data ? row->payload.data : "", row->payload.size);
    out_key_bool(letters->out, "sent", letter->sent);
    out_close(letters->out, '}');
    letters->n++;
    return letters->n == letters->limit; /* > 0 ends the walk */
}

int api_dead_letters(struct api_context *context, const struct api_input *input,
                     struct api_answer *answer, struct err *err)
{
    enum {
        CHUNK = 1000,
    };
    struct letters letters = {
        .out = &answer->body,
        .reason = input_param(input, "reason"),
        .limit = input_integer(input, "limit", 100),
        .last_id = input_integer(input, "after", INT64_MAX),
    };
    struct store *store;
    int rc = context_store(context, &store, err);
    if (rc)
        return rc;
    out_open(&answer->body, '{');
    out_key(&answer->body, "items");
    out_open(&answer->body, '[');
    bool more = true;
    while (rc == 0 && more && letters.n < letters.limit) {
        letters.n_seen = 0;
        rc = dead_letters_read(store, letters.last_id, CHUNK, write_letter, &letters, err);
        more = letters.n_seen == CHUNK || rc > 0;
    }
    out_close(&answer->body, ']');
    out_key(&answer->body, "next");
    if (more && letters.n == letters.limit)
        out_int(&answer->body, letters.last_id);
    else
        out_null(&answer->body);
    out_close(&answer->body, '}');
    return rc < 0 ? rc : 0;
}
