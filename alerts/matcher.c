/* Matchers compare one label with a text or an anchored regular expression. */
#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "alerts/route.h"
#include "common/matcher_text.h"

enum {
    MAX_MATCHER_BYTES = 1024
};

struct matcher {
    char *label;
    char *value;
    bool negative; /* != and !~ */
    bool is_regex;
    regex_t regex;
};

static int split(struct matcher *matcher, const char *text, struct err *err)
{
    struct matcher_text parts;
    int rc = matcher_text_parse(&parts, text, err);
    if (rc)
        return rc;
    matcher->negative = parts.negative;
    matcher->is_regex = parts.is_regex;
    matcher->label = strndup(parts.label.data, parts.label.size);
    matcher->value = strndup(parts.value.data, parts.value.size);
    return matcher->label && matcher->value ? 0 : err_set(err, -ENOMEM, "matcher: no memory");
}

int matcher_parse(struct matcher **out, const char *text, struct err *err)
{
    AUTO(matcher) struct matcher *matcher = calloc(1, sizeof(*matcher));
    if (!matcher)
        return err_set(err, -ENOMEM, "matcher: no memory");
    int rc = split(matcher, text, err);
    if (rc)
        return rc;
    if (matcher->is_regex) {
        matcher->is_regex = false; /* nothing to free until it compiled */
        char anchored[MAX_MATCHER_BYTES + 8];
        snprintf(anchored, sizeof(anchored), "^(%s)$", matcher->value);
        int bad = regcomp(&matcher->regex, anchored, REG_EXTENDED | REG_NOSUB);
        if (bad) {
            char why[128];
            regerror(bad, &matcher->regex, why, sizeof(why));
            return err_set(err, ERR_USAGE, "matcher \"%.100s\": %s", text, why);
        }
        matcher->is_regex = true;
    }
    *out = matcher; /* the caller owns it now */
    matcher = NULL;
    return 0;
}

void matcher_free(struct matcher *matcher)
{
    if (!matcher)
        return;
    if (matcher->is_regex)
        regfree(&matcher->regex);
    free(matcher->label);
    free(matcher->value);
    free(matcher);
}

bool matcher_matches(const struct matcher *matcher, const struct label_set *labels)
{
    const char *value = ""; /* an absent label is an empty one, as in Alertmanager */
    for (size_t i = 0; i < labels->n; i++) {
        if (strcmp(labels->pairs[i].key, matcher->label) == 0)
            value = labels->pairs[i].value;
    }
    bool same = matcher->is_regex ? regexec(&matcher->regex, value, 0, NULL, 0) == 0
                                  : strcmp(matcher->value, value) == 0;
    return same != matcher->negative;
}
