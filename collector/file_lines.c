#include "collector/file_lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"

enum {
    ARRAY_BYTES_OF_TEXT = 11, /* `"a":1,` is six bytes, a named value 64 */
};

struct file_lines {
    struct file_bytes *bytes;
    int64_t line; /* offset of the next one */
    int64_t from;
    const char *rest; /* of the last block's text: behind its lines */
    size_t rest_size;
    bool begun;    /* its first line was taken */
    bool ended;    /* there is no more to read */
    bool skipping; /* what is read next belongs to a line that was cut */
    int rc;        /* reading failed, behind the rest */
    struct err err;
};

int line_block_init(struct line_block *block, struct block_size size, struct err *err)
{
    *block = (struct line_block){.size = size};
    block->text = calloc(1, LINE_BYTES + EVENT_PADDING);
    block->messages = calloc(size.lines, sizeof(*block->messages));
    block->events = calloc(size.lines, sizeof(*block->events));
    if (!block->text || !block->messages || !block->events)
        return err_set(err, -ENOMEM, "no memory for %zu lines", size.lines);
    return event_room_new(&block->room, size.bytes * ARRAY_BYTES_OF_TEXT, err);
}

void line_block_finish(struct line_block *block)
{
    free(block->text);
    free(block->messages);
    free(block->events);
    event_room_free(block->room);
}

int file_lines_open(struct file_lines **out, const char *path, int stop_fd, struct err *err)
{
    struct file_lines *lines = calloc(1, sizeof(*lines));
    int rc = lines ? file_bytes_open(&lines->bytes, path, stop_fd, err)
                   : err_set(err, -ENOMEM, "%s: no memory", path);
    if (rc) {
        free(lines);
        return rc;
    }
    *out = lines; /* the caller owns it now */
    return 0;
}

void file_lines_close(struct file_lines *lines)
{
    if (lines)
        file_bytes_close(lines->bytes);
    free(lines);
}

int file_lines_begin(struct file_lines *lines, int64_t from, struct err *err)
{
    struct file_bytes *bytes = lines->bytes;
    *lines = (struct file_lines){.bytes = bytes, .from = from};
    return file_bytes_rewind(bytes, err);
}

const struct file_bytes *file_lines_bytes(const struct file_lines *lines)
{
    return lines->bytes;
}

/* What is not handed out yet of a block's text. */
struct window {
    size_t start, end;
};

/* Takes over what the last block had too much of; that may be this very block. */
static struct window take_rest(struct file_lines *lines, struct line_block *block)
{
    struct window window = {0, lines->rest_size};
    if (lines->rest_size)
        memmove(block->text, lines->rest, lines->rest_size);
    lines->rest_size = 0;
    return window;
}

/* Reads on until the text has so many bytes, or some where the file is slow to give any. */
static void read_on(struct file_lines *lines, struct line_block *block, struct window *window,
                    size_t wanted)
{
    if (window->start > 0)
        memmove(block->text, block->text + window->start, window->end - window->start);
    window->end -= window->start;
    window->start = 0;
    if (window->end >= wanted || lines->ended)
        return;
    size_t got;
    lines->rc = file_bytes_read(lines->bytes, block->text + window->end, wanted - window->end, &got,
                                &lines->err);
    lines->ended = lines->rc || got == 0;
    window->end += lines->rc ? 0 : got;
}

/* The next line of the text, or NULL when it holds no whole one. */
static char *take_line(const struct file_lines *lines, const struct line_block *block,
                       struct window *window, size_t *n)
{
    char *line = block->text + window->start;
    size_t left = window->end - window->start;
    const char *newline = left ? memchr(line, '\n', left) : NULL;
    if (newline)
        *n = (size_t)(newline - line);
    else if (left && ((lines->ended && !lines->rc) || left == LINE_BYTES))
        *n = left; /* the last one, or one that no event can be */
    else
        return NULL;
    window->start += *n + (newline != NULL);
    return line;
}

static struct event *event_of(struct decoder *decoder, struct line_block *block, char *line,
                              size_t n)
{
    struct event *event = &block->events[block->n];
    if (!event_room_has(block->room, n))
        return NULL;
    return event_decode_here(decoder, block->room, line, n, event, NULL) ? NULL : event;
}

static void take_lines(struct file_lines *lines, struct decoder *decoder, struct line_block *block,
                       struct window *window)
{
    size_t n = 0;
    char *line;
    while (block->n < block->size.lines && (line = take_line(lines, block, window, &n)) != NULL) {
        size_t mark = lines->begun ? 0 : text_order_mark(line, n);
        lines->begun = true;
        line += mark;
        n -= mark;
        bool rest = lines->skipping;
        lines->skipping = n == LINE_BYTES;
        if (n && line[n - 1] == '\r')
            n--;
        if (rest || n == 0)
            continue;
        int64_t offset = lines->line++;
        if (offset < lines->from)
            continue;
        block->messages[block->n] = (struct message){
            .payload = line,
            .size = n,
            .offset = offset,
            .timestamp_ms = SOURCE_NO_TIMESTAMP,
            .event = event_of(decoder, block, line, n),
        };
        block->n++;
    }
}

void file_lines_fill(struct file_lines *lines, struct decoder *decoder, struct line_block *block)
{
    struct window window = take_rest(lines, block);
    block->n = 0;
    block->rc = 0;
    block->last = false;
    event_room_clear(block->room);
    read_on(lines, block, &window, block->size.bytes);
    take_lines(lines, decoder, block, &window);
    while (block->n == 0 && !lines->ended) {
        bool usual = window.end < block->size.bytes; /* else: a long line */
        read_on(lines, block, &window, usual ? block->size.bytes : LINE_BYTES);
        take_lines(lines, decoder, block, &window);
    }
    lines->rest = block->text + window.start;
    lines->rest_size = window.end - window.start;
    if (block->n)
        return;
    block->rc = lines->rc;
    block->err = lines->err;
    block->last = true;
}
