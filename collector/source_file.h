/*
 * Files of events as a source: JSON lines, also gzipped; "-" is standard input.
 *
 * Shape    each file is a log of its own, named by its full path, partition 0; offset = number of
 *          the line among those that are not empty. A file that was read before goes on where it
 *          was left; messages have no timestamp, and come decoded.
 * Owner    source_file_new gives; its close() frees
 * Errors   -ENOENT … with the path, from source_file_new; ERR_DATA for a damaged .gz, from next(),
 *          behind all lines before the damage
 * Threads  one for who calls; its own reads and decodes ahead, and next() gives the same batches in
 *          the same order as without it. progress: any
 */
#pragma once

#include "collector/source.h"

struct file_reading {
    size_t lines, bytes; /* of a batch, whatever is reached first; 0: the usual ones */
    size_t ahead;        /* batches of each file; 0: the usual number */
    bool here;           /* no thread: next() reads, whatever its time-out */
};

/* `reading` may be NULL: all as usual. */
int source_file_new(struct source **out, const char *const *paths, size_t n_paths,
                    const struct file_reading *reading, struct err *err);

struct file_progress {
    int64_t read_bytes;  /* of the files as they lie on disk */
    int64_t total_bytes; /* -1: not known (standard input) */
};
void source_file_progress(const struct source *source, struct file_progress *out);
