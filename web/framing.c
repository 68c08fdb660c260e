#include "web/framing.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "common/text.h"
#include "web/target.h"

/*
 * libmicrohttpd 0.9.75 takes a bare LF for the end of a line, which other programs may not. It
 * cuts lines in place, putting a NUL for each byte of the line's end: two after CRLF, one after
 * LF. In its buffer the target is followed by its NUL, the version and the end of that line.
 */
static bool ends_with_bare_newline(const char *text, size_t n)
{
#if MHD_VERSION < 0x00097600
    return text[n] == '\0' && text[n + 1] != '\0';
#else
    (void)text;
    (void)n;
    return false;
#endif
}

bool framing_line_is_bare(const char *target)
{
    size_t n = strlen(target);
    return memcmp(target + n + 1, "HTTP/1.", 7) == 0 && ends_with_bare_newline(target + n + 1, 8);
}

static enum MHD_Result scan_header(void *context, enum MHD_ValueKind kind, const char *name,
                                   size_t name_size, const char *value, size_t value_size)
{
    (void)kind;
    struct framing *scan = context;
    scan->bytes += name_size + value_size + 4;
    if (!value)
        value = "";
    if (!header_is_clean(name, name_size, value, value_size))
        scan->dirty = true;
    else if (value_size > 0 && ends_with_bare_newline(value, value_size))
        scan->bare_newline = true;
    if (strcasecmp(name, "Content-Length") == 0) {
        int64_t length;
        scan->n_length++;
        scan->dirty |=
            strspn(value, "0123456789") != value_size || int_parse(&length, value, value_size);
        scan->length = scan->dirty ? -1 : (long long)length;
    } else if (strcasecmp(name, "Transfer-Encoding") == 0) {
        scan->n_encoding++;
        scan->encoding = value;
    } else if (strcasecmp(name, "Host") == 0) {
        scan->n_host++;
        scan->host = value;
    }
    return MHD_YES;
}

void framing_read(struct framing *out, struct MHD_Connection *connection)
{
    *out = (struct framing){.length = -1};
    MHD_get_connection_values_n(connection, MHD_HEADER_KIND, scan_header, out);
}

int framing_check(const struct framing *framing, const char *target, const char *version,
                  const char **why)
{
    if (strlen(target) > TARGET_MAX_BYTES) {
        *why = "the request target is longer than 8 KiB";
        return 414;
    }
    if (framing->bytes > HEADER_MAX_BYTES) {
        *why = "the header is larger than 32 KiB";
        return 431;
    }
    if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)
        *why = "only HTTP/1.1 and HTTP/1.0 are spoken here";
    else if (framing->bare_newline)
        *why = "lines of the header must end with CR LF";
    else if (framing->dirty)
        *why = "a header has a name or value that HTTP does not allow";
    else if (framing->n_length > 1)
        *why = "Content-Length was given more than once";
    else if (framing->n_length && framing->n_encoding)
        *why = "both Content-Length and Transfer-Encoding were given";
    else if (framing->n_encoding > 1 ||
             (framing->n_encoding &&
              (strcasecmp(framing->encoding, "chunked") != 0 || strcmp(version, "HTTP/1.1") != 0)))
        *why = "Transfer-Encoding can only be chunked, once, in HTTP/1.1";
    else if (framing->n_host > 1 || (framing->n_host == 0 && strcmp(version, "HTTP/1.1") == 0))
        *why = "exactly one Host header is needed";
    return *why ? 400 : 0;
}
