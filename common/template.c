#include "common/template.h"

#include <stdbool.h>
#include <string.h>

#include "common/text.h"

enum {
    MAX_FIELD_BYTES = 128
};

/* Finds the next {{field}}: 1 and its place, 0 none, -1 braces that do not close. */
static int next_field(const char *text, const char **open, const char **field, size_t *n,
                      const char **after)
{
    *open = strstr(text, "{{");
    if (!*open)
        return 0;
    const char *close = strstr(*open, "}}");
    if (!close)
        return -1;
    const char *start = *open + 2;
    const char *end = close;
    start += strspn(start, " ");
    while (end > start && end[-1] == ' ')
        end--;
    *field = start;
    *n = start < end ? (size_t)(end - start) : 0;
    *after = close + 2;
    return 1;
}

static bool is_known(const char *field, size_t n, const char *const *fields, size_t n_fields)
{
    for (size_t i = 0; i < n_fields; i++) {
        size_t size = strlen(fields[i]);
        bool open_ended = fields[i][size - 1] == '.';
        if ((open_ended ? n > size : n == size) && memcmp(fields[i], field, size) == 0)
            return true;
    }
    return false;
}

int template_check(const char *text, const char *const *fields, size_t n_fields, struct err *err)
{
    const char *open, *field, *after;
    size_t n;
    int found;
    for (; (found = next_field(text, &open, &field, &n, &after)) > 0; text = after) {
        if (is_known(field, n, fields, n_fields))
            continue;
        char name[MAX_FIELD_BYTES] = "";
        memcpy(name, field, n < sizeof(name) ? n : sizeof(name) - 1);
        const char *near = text_near(name, fields, n_fields);
        return near
                   ? err_set(err, ERR_USAGE, "{{%s}} is no field; did you mean {{%s}}?", name, near)
                   : err_set(err, ERR_USAGE, "{{%s}} is no field", name);
    }
    return found < 0 ? err_set(err, ERR_USAGE, "{{ without }}") : 0;
}

void template_render(struct buf *out, const char *text, template_lookup *lookup, void *context)
{
    const char *open, *field, *after;
    size_t n;
    for (; next_field(text, &open, &field, &n, &after) > 0; text = after) {
        buf_bytes(out, text, (size_t)(open - text));
        size_t size = 0;
        const char *value = lookup(context, field, n, &size);
        if (value)
            buf_bytes(out, value, size);
    }
    buf_bytes(out, text, strlen(text));
}
