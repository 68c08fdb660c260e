/* Matchers compare one label with a text or an anchored regular expression. */
#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "alerts/route.h"

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

/* Splits `label op "value"`; the quotes are optional. */
static int split(struct matcher *matcher, const char *text, struct err *err)
{
    size_t n = strcspn(text, "=!");
    const char *op = text + n;
    size_t n_op = op[0] && (op[1] == '=' || op[1] == '~') ? 2 : 1;
    bool known = (op[0] == '=' && (n_op == 1 || op[1] == '~')) || (op[0] == '!' && n_op == 2);
    while (n && text[n - 1] == ' ')
        n--;
    if (!known || n == 0 || strlen(text) > MAX_MATCHER_BYTES)
        return err_set(err, ERR_USAGE, "matcher \"%.100s\" is not like severity=\"critical\"",
                       text);
    matcher->negative = op[0] == '!';
    matcher->is_regex = n_op == 2 && op[1] == '~';

    const char *value = op + n_op;
    value += strspn(value, " ");
    size_t n_value = strlen(value);
    if (n_value >= 2 && value[0] == '"' && value[n_value - 1] == '"') {
        value++;
        n_value -= 2;
    }
    matcher->label = strndup(text, n);
    matcher->value = strndup(value, n_value);
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
