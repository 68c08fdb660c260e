/*
 * Errors as values.
 *
 * Shape    0    it worked
 *          < 0  it failed: -errno or one of ERR_* below; `err` says which input and what to do;
 *               the caller passes it on unchanged
 *          > 0  one of the outcomes that the function's own header lists; the caller handles it
 *               and never forwards it
 * Owner    struct err is the caller's memory; NULL is fine everywhere (the message is dropped)
 * Threads  a struct err belongs to one thread
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

enum {
    ERR_TEXT_BYTES = 512
};

/* Failures that no errno names; below -4000 so that they never meet one. */
enum err_code {
    ERR_USAGE = -4001,    /* the caller's words are off: exit 64, HTTP 400 */
    ERR_DATA = -4002,     /* the input is not what it should be: exit 65, HTTP 422 */
    ERR_CORRUPT = -4003,  /* stored bytes are damaged: stop writing, exit 65 */
    ERR_FENCED = -4004,   /* somebody else moved the offsets: drop memory, load again */
    ERR_FULL = -4005,     /* the disk is full: keep memory, try again later */
    ERR_IO = -4006,       /* a write or fsync failed, nobody knows what is on disk: exit 74 */
    ERR_NEWER = -4007,    /* written by a newer version: refuse by name, exit 65 */
    ERR_NOT_FOUND = -4008 /* the named thing does not exist: HTTP 404 */
};

struct err {
    int code;
    char text[ERR_TEXT_BYTES]; /* one line, no newline at its end, never NULL-less */
};

/* What an errno means, in words; as strerror, but safe in any thread. */
const char *err_words(int code);

/* Writes the message and returns `code`, so that one line fails: `return err_set(err, …);` */
int err_set(struct err *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the message that is there; returns err's code (or `code` when err is
 * NULL). */
int err_prefix(struct err *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
