#include "alerts/silence_body.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* Alertmanager's default where the key is absent; -1: it is no boolean. */
static int flag_of(const json_t *matcher, const char *key, bool otherwise)
{
    const json_t *value = json_object_get(matcher, key);
    if (!value)
        return otherwise;
    return json_is_boolean(value) ? json_is_true(value) : -1;
}

static int translate_matcher(json_t *matchers, size_t i, struct err *err)
{
    static const char *const operators[2][2] = {{"!=", "="}, {"!~", "=~"}};
    const json_t *matcher = json_array_get(matchers, i);
    const char *name = json_string_value(json_object_get(matcher, "name"));
    const char *value = json_string_value(json_object_get(matcher, "value"));
    int regex = flag_of(matcher, "isRegex", false), equal = flag_of(matcher, "isEqual", true);
    if (!name || !*name || strpbrk(name, "=!") || !value)
        return err_set(err, ERR_DATA, "matchers[%zu]: needs `name` and `value`, two texts", i);
    if (regex < 0 || equal < 0)
        return err_set(err, ERR_DATA,
                       "matchers[%zu]: `isRegex` and `isEqual` must be true or false", i);
    json_t *text = json_sprintf("%s%s\"%s\"", name, operators[regex][equal], value);
    return text && json_array_set_new(matchers, i, text) == 0
               ? 0
               : err_set(err, -ENOMEM, "silence: no memory");
}

int silence_body_translate(json_t *body, struct err *err)
{
    static const char *const filled_in[] = {"id", "status", "updatedAt"};
    json_t *matchers = json_object_get(body, "matchers");
    json_t *ends = json_object_get(body, "endsAt");
    int rc = 0;
    for (size_t i = 0; !rc && i < json_array_size(matchers); i++)
        if (json_is_object(json_array_get(matchers, i)))
            rc = translate_matcher(matchers, i, err);
    for (size_t i = 0; i < sizeof(filled_in) / sizeof(filled_in[0]); i++)
        json_object_del(body, filled_in[i]);
    if (rc || !ends)
        return rc;
    if (json_object_get(body, "until"))
        return err_set(err, ERR_DATA, "give `endsAt` or `until`");
    if (json_object_set(body, "until", ends))
        return err_set(err, -ENOMEM, "silence: no memory");
    json_object_del(body, "endsAt");
    return 0;
}
