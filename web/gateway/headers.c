#include "web/gateway/headers.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool same(const char *name, const char *word, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int c = name[i] == '_' ? '-' : tolower((unsigned char)name[i]);
        if (c != word[i])
            return false;
    }
    return true;
}

static bool among(const char *name, const char *const *words)
{
    size_t n = strlen(name);
    for (; *words; words++)
        if (n == strlen(*words) && same(name, *words, n))
            return true;
    return false;
}

/* Is `name` one of the comma-separated tokens? */
static bool is_nominated(const char *name, const char *tokens)
{
    size_t wanted = strlen(name);
    while (tokens && *tokens) {
        tokens += strspn(tokens, ", \t");
        size_t n = strcspn(tokens, ", \t");
        if (n == wanted && n > 0 && strncasecmp(tokens, name, n) == 0)
            return true;
        tokens += n;
    }
    return false;
}

static bool is_hop_by_hop(const char *name)
{
    static const char *const words[] = {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
        "http2-settings",
        NULL,
    };
    return among(name, words) || (strlen(name) > 8 && same(name, "x-assay-", 8));
}

bool request_header_passes(const char *name, const char *nominated)
{
    static const char *const ours[] = {
        "host", "expect", "via", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", NULL,
    };
    return !is_hop_by_hop(name) && !among(name, ours) && !is_nominated(name, nominated);
}

bool answer_header_passes(const char *name, const char *nominated)
{
    static const char *const ours[] = {"via", NULL};
    return !is_hop_by_hop(name) && !among(name, ours) && !is_nominated(name, nominated);
}

bool header_value_is_clean(const char *value)
{
    for (const unsigned char *c = (const unsigned char *)value; *c; c++)
        if ((*c < 0x20 && *c != '\t') || *c == 0x7f)
            return false;
    return true;
}

bool method_passes(const char *method)
{
    static const char *const words[] = {"GET",   "HEAD",   "POST",    "PUT",
                                        "PATCH", "DELETE", "OPTIONS", NULL};
    for (const char *const *word = words; *word; word++)
        if (strcmp(*word, method) == 0)
            return true;
    return false;
}
