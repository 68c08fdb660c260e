/*
 * A file of events in blocks of whole lines, each line decoded where it lies.
 *
 *     file  ──read──►  text of a block  ──decode──►  messages, with their events  ──►  collector
 *
 * Shape    a block has a message for each line that is not empty; offset = number of the line among
 *          those. A line that is no event, or finds no place, has none: who takes it decodes it
 *          again and learns the reason. A line of LINE_BYTES or more is cut to so many: no event
 *          is as long
 * Owner    a block is the caller's; what the last one had too much of is kept in that block, so
 *          blocks of a file are filled one after the other. path, and stop_fd, as in file_bytes.h
 * Errors   stand in the block that ends with them, behind all lines before
 * Threads  a file and the block that is filled: one. A block that is filled may be read on another
 */
#pragma once

#include <stdbool.h>

#include "collector/event_room.h"
#include "collector/file_bytes.h"
#include "collector/source.h"

enum {
    LINE_BYTES = 4 * EVENT_MAX_BYTES
};

/* Of a block as it usually is: whatever is reached first. */
struct block_size {
    size_t lines; /* at most SOURCE_MAX_BATCH */
    size_t bytes; /* of text; a longer line is waited for */
};

struct line_block {
    struct message *messages;
    size_t n;
    bool last; /* n = 0: the file ends here */
    int rc;    /* n = 0: or could not be read on */
    struct err err;

    /* what the messages consist of */
    struct block_size size;
    char *text; /* LINE_BYTES + EVENT_PADDING */
    struct event *events;
    struct event_room *room;
};

int line_block_init(struct line_block *block, struct block_size size, struct err *err);
void line_block_finish(struct line_block *block);

struct file_lines;

int file_lines_open(struct file_lines **out, const char *path, int stop_fd, struct err *err);
void file_lines_close(struct file_lines *lines);
/* From the beginning; lines before `from` are passed over. */
int file_lines_begin(struct file_lines *lines, int64_t from, struct err *err);
/* The next block of it. */
void file_lines_fill(struct file_lines *lines, struct decoder *decoder, struct line_block *block);
const struct file_bytes *file_lines_bytes(const struct file_lines *lines);
