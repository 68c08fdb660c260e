/*
 * The log: one line an event on standard error, key=value, for people and for `grep`.
 *
 * Shape    `2023-11-14T22:13:20.123Z level=warning room=collector msg="broker is away"
 *          topic=labels` Values are quoted where they hold blanks, quotes or `=`; control
 *          characters and bytes that are not UTF-8 are escaped, so that no input can forge a line
 *          or a colour
 * Owner    whoever made the struct log (cli); the rooms borrow it. NULL is silent (tests)
 * Errors   none: a log that cannot be written is not a reason to stop
 * Threads  any: a line is one write(2)
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"

enum log_level {
    LEVEL_ERROR,
    LEVEL_WARNING,
    LEVEL_INFO,
    LEVEL_DEBUG,
    N_LEVELS
};
const char *level_name(enum log_level level);
int level_parse(const char *name); /* -1: unknown */

struct log {
    int fd;                    /* standard error is 2 */
    enum log_level level;      /* lines above it are dropped */
    const struct clock *clock; /* for the line's time; NULL: a line without time */
};

/* One key=value; a text of NULL is left out, so that an absent thing costs no if. */
struct log_field {
    const char *key; /* NULL ends the list */
    const char *text;
    int64_t number; /* where `is_number` */
    bool is_number;
};
#define LOG_TEXT(KEY, TEXT) ((struct log_field){.key = (KEY), .text = (TEXT)})
#define LOG_NUMBER(KEY, NUMBER) \
    ((struct log_field){.key = (KEY), .number = (NUMBER), .is_number = true})
#define LOG_FIELDS(...) ((const struct log_field[]){__VA_ARGS__, {0}})

/* `room` says who speaks: "collector". The message is printf's. */
void log_write(const struct log *log, enum log_level level, const char *room, const char *format,
               ...) __attribute__((format(printf, 4, 5)));
/* `fields`: LOG_FIELDS(LOG_TEXT("topic", name), LOG_NUMBER("partition", 3)) or NULL. */
void log_write_fields(const struct log *log, enum log_level level, const char *room,
                      const struct log_field *fields, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/*
 * At most one line of a kind in `every_ms`: keep one of these for each kind of message, zeroed but
 * for every_ms. Time is handed in, on any clock that goes forward.
 */
struct log_limit {
    int64_t every_ms;
    int64_t next_ms;     /* the first moment at which the next line may go out */
    uint64_t suppressed; /* since the last one that did */
};

/* May this line go out? `suppressed` (NULL: not wanted) says how many were held back before it. */
bool log_allowed(struct log_limit *limit, int64_t now_ms, uint64_t *suppressed);
