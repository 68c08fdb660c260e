#include "tests/lib/decoding.h"

#include <stdlib.h>
#include <string.h>

#include "tests/test.h"

static struct decoder *decoder; /* of the tests of one program */

int decoding_setup(void **state)
{
    (void)state;
    return decoder_new(&decoder, NULL);
}

int decoding_teardown(void **state)
{
    (void)state;
    decoder_free(decoder);
    return 0;
}

enum reject decode_bytes(const char *bytes, size_t n, struct event *out, const char **detail)
{
    /* From a block of its own size: a read past the end is seen by the address sanitizer. */
    char *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, n);
    enum reject reason = event_decode(decoder, copy, n, out, detail);
    memset(copy, 'x', n);
    free(copy);
    return reason;
}

struct event decode(const char *json)
{
    struct event event;
    const char *detail = "unset";
    enum reject reason = decode_bytes(json, strlen(json), &event, &detail);
    if (reason)
        fail_msg("%s refused: %s, %s", json, reject_name(reason), detail);
    assert_null(detail);
    return event;
}

void assert_view(struct view view, const char *text)
{
    if (!view_is(view, text))
        fail_msg("\"%.*s\" is not \"%s\"", (int)view.size, view.data ? view.data : "(none)", text);
}
