/*
 * The bytes of a file, unzipped where it is gzipped (its first two bytes tell): from a disk, a pipe
 * or standard input, "-".
 *
 * Shape    gzipped members may follow each other; what follows the last one is not looked at
 * Owner    file_bytes_open gives, file_bytes_close takes; stop_fd stays the caller's
 * Errors   -ENOENT … and ERR_DATA for a damaged .gz, with the path. -ECANCELED once stop_fd can be
 *          read: a pipe may say nothing for ever
 * Threads  one at a time
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/err.h"

struct file_bytes;

/* stop_fd: an eventfd, or -1. */
int file_bytes_open(struct file_bytes **out, const char *path, int stop_fd, struct err *err);
void file_bytes_close(struct file_bytes *file);

/* Some bytes, as soon as there are any, n at most; *got = 0: the file has ended. */
int file_bytes_read(struct file_bytes *file, char *to, size_t n, size_t *got, struct err *err);
/* From its beginning again; -ESPIPE: it cannot. */
int file_bytes_rewind(struct file_bytes *file, struct err *err);

/* As it lies on the disk; -1: not known. */
int64_t file_bytes_size(const struct file_bytes *file);
/* How many bytes of that were read. */
int64_t file_bytes_taken(const struct file_bytes *file);
const char *file_bytes_path(const struct file_bytes *file);
