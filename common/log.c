/*
 * A line is put together on the stack and written at once: no lock, no memory, no half lines from
 * two threads. What does not fit is cut, and ends with "…".
 */
#include "common/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/text.h"

enum {
    LINE_BYTES = 3072, /* a pipe takes up to PIPE_BUF = 4096 bytes in one piece */
    MESSAGE_BYTES = 1024,
};

static const char *const names[N_LEVELS] = {"error", "warning", "info", "debug"};

const char *level_name(enum log_level level)
{
    return (unsigned)level < N_LEVELS ? names[level] : NULL;
}

int level_parse(const char *name)
{
    for (int i = 0; i < N_LEVELS; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

struct line {
    char text[LINE_BYTES];
    size_t size;
    bool cut;
};

/* Room for "…" and the newline is always kept. */
static void line_add(struct line *line, const char *text, size_t n)
{
    if (line->cut)
        return;
    if (n > sizeof(line->text) - line->size - 4) {
        line->cut = true;
        return;
    }
    memcpy(line->text + line->size, text, n);
    line->size += n;
}

static bool needs_quotes(const char *text)
{
    if (!*text)
        return true;
    for (; *text; text++)
        if ((unsigned char)*text <= ' ' || *text == '"' || *text == '=' || *text == '\\' ||
            (unsigned char)*text >= 0x7f)
            return true;
    return false;
}

/* Bytes beyond ASCII stay when the whole value is UTF-8 without C1 control characters. */
static bool is_plain_utf8(const char *text)
{
    if (!text_is_utf8(text, strlen(text)))
        return false;
    for (; *text; text++)
        if ((unsigned char)text[0] == 0xc2 && (unsigned char)text[1] < 0xa0)
            return false;
    return true;
}

static void line_add_quoted(struct line *line, const char *text)
{
    bool utf8 = is_plain_utf8(text);
    line_add(line, "\"", 1);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        char escaped[8];
        if (c == '"' || c == '\\')
            line_add(line, escaped, (size_t)snprintf(escaped, sizeof(escaped), "\\%c", c));
        else if (c == '\n')
            line_add(line, "\\n", 2);
        else if (c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8))
            line_add(line, escaped, (size_t)snprintf(escaped, sizeof(escaped), "\\x%02x", c));
        else
            line_add(line, text, 1);
    }
    line_add(line, "\"", 1);
}

static void line_add_value(struct line *line, const char *key, const char *value)
{
    if (line->size)
        line_add(line, " ", 1);
    line_add(line, key, strlen(key));
    line_add(line, "=", 1);
    if (needs_quotes(value))
        line_add_quoted(line, value);
    else
        line_add(line, value, strlen(value));
}

static void log_write_list(const struct log *log, enum log_level level, const char *room,
                           const struct log_field *fields, const char *format, va_list args)
{
    struct line line = {.size = 0};
    if (log->clock) {
        char time[TEXT_TIME_BYTES];
        time_print(time, clock_wall_ms(log->clock));
        line_add(&line, time, strlen(time));
    }
    line_add_value(&line, "level", level_name(level));
    line_add_value(&line, "room", room);

    char message[MESSAGE_BYTES];
    vsnprintf(message, sizeof(message), format, args);
    line_add_value(&line, "msg", message);
    for (; fields && fields->key; fields++) {
        char number[24];
        snprintf(number, sizeof(number), "%" PRId64, fields->number);
        if (fields->is_number || fields->text)
            line_add_value(&line, fields->key, fields->is_number ? number : fields->text);
    }

    if (line.cut) {
        memcpy(line.text + line.size, "\xe2\x80\xa6", 3);
        line.size += 3;
    }
    line.text[line.size++] = '\n';
    ssize_t written = write(log->fd, line.text, line.size);
    (void)written; /* nowhere left to say it */
}

void log_write(const struct log *log, enum log_level level, const char *room, const char *format,
               ...)
{
    if (!log || level > log->level)
        return;
    va_list args;
    va_start(args, format);
    log_write_list(log, level, room, NULL, format, args);
    va_end(args);
}

void log_write_fields(const struct log *log, enum log_level level, const char *room,
                      const struct log_field *fields, const char *format, ...)
{
    if (!log || level > log->level)
        return;
    va_list args;
    va_start(args, format);
    log_write_list(log, level, room, fields, format, args);
    va_end(args);
}

bool log_allowed(struct log_limit *limit, int64_t now_ms, uint64_t *suppressed)
{
    if (now_ms < limit->next_ms) {
        limit->suppressed++;
        return false;
    }
    if (suppressed)
        *suppressed = limit->suppressed;
    limit->suppressed = 0;
    limit->next_ms = now_ms + limit->every_ms;
    return true;
}
