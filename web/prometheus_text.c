#include "web/prometheus_text.h"

#include <errno.h>
#include <string.h>

enum {
    PAGE_BYTES = 256 * 1024 * 1024
};

static const struct form {
    const char *type, *suffix, *text_type;
} forms[] = {
    {"counter", "_total", "counter"},
    {"info", "_info", "gauge"},
    {"stateset", "", "gauge"},
    {"unknown", "", "untyped"},
};

bool prometheus_text_wanted(const char *accept)
{
    return accept && !strstr(accept, "application/openmetrics-text") &&
           strstr(accept, "text/plain");
}

static bool begins(const char *line, size_t n, const char *with)
{
    return n >= strlen(with) && memcmp(line, with, strlen(with)) == 0;
}

/* The form of a TYPE line, or NULL: it is the same in both formats. */
static const struct form *form_of(const char *line, size_t n)
{
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        size_t size = strlen(forms[i].type);
        if (n > size && line[n - size - 1] == ' ' &&
            memcmp(line + n - size, forms[i].type, size) == 0)
            return &forms[i];
    }
    return NULL;
}

/* "# TYPE name type" and "# HELP name text": the name is the second word. */
static void put_metadata(struct buf *out, const char *line, size_t n, const struct form *form)
{
    const char *name = line + strlen("# TYPE ");
    const char *blank = memchr(name, ' ', n - strlen("# TYPE "));
    size_t head = blank ? (size_t)(blank - line) : n;
    buf_bytes(out, line, head);
    buf_printf(out, "%s", form->suffix);
    if (begins(line, n, "# TYPE "))
        buf_printf(out, " %s", form->text_type);
    else
        buf_bytes(out, line + head, n - head);
}

static void put_line(struct buf *out, const char *line, size_t n, const struct form **form)
{
    if (begins(line, n, "# UNIT ") || begins(line, n, "# EOF"))
        return;
    bool type = begins(line, n, "# TYPE ");
    if (type)
        *form = form_of(line, n);
    if (*form && (type || begins(line, n, "# HELP ")))
        put_metadata(out, line, n, *form);
    else
        buf_bytes(out, line, n);
    buf_u8(out, '\n');
}

int prometheus_text(struct buf *page, struct err *err)
{
    struct buf out;
    const struct form *form = NULL;
    buf_init(&out, PAGE_BYTES);
    const char *at = (const char *)page->data;
    const char *end = at + page->size;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t n = newline ? (size_t)(newline - at) : (size_t)(end - at);
        put_line(&out, at, n, &form);
        at += n + 1;
    }
    if (buf_failed(&out)) {
        buf_finish(&out);
        return err_set(err, -ENOMEM, "no memory for /metrics");
    }
    buf_finish(page);
    *page = out;
    return 0;
}
