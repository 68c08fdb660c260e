#include "web/target.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes in place; the length of what is left, or -1 when it is not clean text. */
static long decode(char *text, size_t n, bool plus_is_space)
{
    size_t to = 0;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (c == '%') {
            if (i + 2 >= n || hex(text[i + 1]) < 0 || hex(text[i + 2]) < 0)
                return -1;
            c = (char)(hex(text[i + 1]) * 16 + hex(text[i + 2]));
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if ((unsigned char)c < 0x20 || c == 0x7f)
            return -1;
        text[to++] = c;
    }
    if (!text_is_utf8(text, to))
        return -1;
    text[to] = '\0';
    return (long)to;
}

static int parse_path(struct target *out, char *path, char *end, struct err *err)
{
    while (path < end) {
        char *start = path + 1; /* after the slash */
        char *slash = memchr(start, '/', (size_t)(end - start));
        char *stop = slash ? slash : end;
        path = stop;
        if (out->n_segments == TARGET_MAX_SEGMENTS)
            return err_set(err, ERR_USAGE, "the path has more than %d parts", TARGET_MAX_SEGMENTS);
        /* Stopped by the slash or the terminator, so that decoding may put a NUL at `stop`. */
        long n = decode(start, (size_t)(stop - start), false);
        if (n < 0)
            return err_set(err, ERR_USAGE, "the path holds bytes that are not text");
        if (strcmp(start, ".") == 0 || strcmp(start, "..") == 0)
            return err_set(err, ERR_USAGE, "the path holds a dot segment");
        if (strchr(start, '\\'))
            return err_set(err, ERR_USAGE, "the path holds a backslash");
        out->segments[out->n_segments++] = start;
    }
    return 0;
}

static int parse_query(struct target *out, char *query, char *end, struct err *err)
{
    while (query < end) {
        char *amp = memchr(query, '&', (size_t)(end - query));
        char *stop = amp ? amp : end;
        char *next = stop + 1;
        if (stop > query) {
            if (out->n_params == API_MAX_PARAMS)
                return err_set(err, ERR_USAGE, "more than %d parameters", API_MAX_PARAMS);
            char *equals = memchr(query, '=', (size_t)(stop - query));
            char *name_end = equals ? equals : stop;
            char *value = equals ? equals + 1 : stop;
            long n_value = decode(value, (size_t)(stop - value), true);
            long n_name = decode(query, (size_t)(name_end - query), true);
            if (n_name < 0 || n_value < 0)
                return err_set(err, ERR_USAGE, "the query holds bytes that are not text");
            /* Without '=' the name's terminator serves as the empty value. */
            out->params[out->n_params++] =
                (struct api_param){query, equals ? value : query + n_name};
        }
        query = next;
    }
    return 0;
}

int target_parse(struct target *out, const char *text, struct err *err)
{
    *out = (struct target){0};
    if (text[0] != '/')
        return err_set(err, ERR_USAGE, "the request target must begin with /");
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f)
            return err_set(err, ERR_USAGE, "the request target holds a byte that must be escaped");
    if (strchr(text, '#'))
        return err_set(err, ERR_USAGE, "the request target holds a fragment");
    size_t n = strlen(text);
    out->memory = malloc(n + 1);
    if (!out->memory)
        return err_set(err, -ENOMEM, "no memory for the request");
    memcpy(out->memory, text, n + 1);
    char *query = strchr(out->memory, '?');
    char *end = out->memory + n;
    if (query)
        *query++ = '\0';
    int rc = parse_path(out, out->memory, query ? query - 1 : end, err);
    return rc || !query ? rc : parse_query(out, query, end, err);
}

void target_finish(struct target *target)
{
    free(target->memory);
    *target = (struct target){0};
}

bool header_is_clean(const char *name, size_t name_size, const char *value, size_t value_size)
{
    if (name_size == 0)
        return false;
    for (size_t i = 0; i < name_size; i++)
        if (!isalnum((unsigned char)name[i]) && (!name[i] || !strchr("!#$%&'*+-.^_`|~", name[i])))
            return false;
    for (size_t i = 0; i < value_size; i++) {
        unsigned char c = (unsigned char)value[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

bool host_name(char *out, size_t n, const char *host)
{
    size_t size = 0;
    if (host[0] == '[') {
        const char *close = strchr(host, ']');
        if (!close)
            return false;
        size = (size_t)(close - host) + 1;
    } else {
        size = strcspn(host, ":");
    }
    if (size == 0 || size >= n)
        return false;
    const char *port = host + size;
    if (*port) {
        size_t digits = strspn(port + 1, "0123456789");
        if (*port != ':' || digits > 5 || port[1 + digits])
            return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (!isalnum((unsigned char)host[i]) && (!host[i] || !strchr("-._[]:", host[i])))
            return false;
        out[i] = (char)tolower((unsigned char)host[i]);
    }
    if (out[size - 1] == '.') /* the root's dot */
        size--;
    out[size] = '\0';
    return size > 0;
}

static bool parse_address(const char *name, unsigned char bytes[16], int *family)
{
    size_t n = strlen(name);
    char inner[64];
    if (n > 2 && n < sizeof(inner) && name[0] == '[' && name[n - 1] == ']') {
        memcpy(inner, name + 1, n - 2);
        inner[n - 2] = '\0';
        *family = AF_INET6;
        return inet_pton(AF_INET6, inner, bytes) == 1;
    }
    *family = AF_INET;
    if (inet_pton(AF_INET, name, bytes) == 1)
        return true;
    *family = AF_INET6;
    return inet_pton(AF_INET6, name, bytes) == 1;
}

bool host_is_address(const char *name)
{
    unsigned char bytes[16];
    int family;
    return parse_address(name, bytes, &family);
}

bool host_is_loopback(const char *name)
{
    unsigned char bytes[16];
    int family;
    static const unsigned char v6[16] = {[15] = 1};
    if (parse_address(name, bytes, &family))
        return family == AF_INET ? bytes[0] == 127 : memcmp(bytes, v6, 16) == 0;
    size_t n = strlen(name);
    return strcmp(name, "localhost") == 0 || (n > 10 && strcmp(name + n - 10, ".localhost") == 0);
}
