/*
 * What zlib says of a file that is no gzip file, or not a whole one, in our words: with the path
 * that was asked for, which a file opened by a descriptor does not know.
 *
 * Errors   ERR_IO: it cannot be read · ERR_DATA: it is damaged or ends too soon
 */
#pragma once

#include <zlib.h>

#include "common/err.h"

/* Asked once reading has ended; 0: the file is whole. */
int gzip_failed(gzFile file, const char *path, struct err *err);
