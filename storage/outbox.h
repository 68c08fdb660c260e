/*
 * The outbox: a notification is a row here, written in the transaction of what it tells, before it
 * is a request on a wire; so a crash loses none.
 *
 * Shape    rows of one group_key are sent in the order of their ids: only the oldest waiting one
 *          of a group is due
 * Units    wall-clock ms
 * Owner    texts handed to callbacks live until they return
 * Threads  writing: the writer's, inside a commit · reading: that of the store
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "storage/store.h"

enum outbox_state {
    OUTBOX_WAITING,
    OUTBOX_SENT,
    OUTBOX_FAILED
};
const char *outbox_state_name(enum outbox_state state);

struct outbox_row {
    int64_t id;
    const char *webhook_id; /* the same on every attempt */
    const char *receiver;
    const char *group_key;
    const char *type;
    const char *data; /* JSON */
    int64_t created_ms;
    int64_t next_ms;
    int64_t attempts;
    enum outbox_state state;
    int status;          /* last HTTP status; 0: no answer */
    const char *problem; /* last error in words; "" */
    int64_t done_ms;
};

/* In a commit. webhook_id is made here when NULL: "msg_" and 128 random bits. */
int commit_outbox(struct store *store, const struct outbox_row *row, struct err *err);

/* In a commit: what an attempt came to. */
struct outbox_attempt {
    int64_t id;
    enum outbox_state state;
    int64_t next_ms; /* when waiting */
    int status;
    const char *problem;
    int64_t at_ms;
};
int commit_outbox_attempt(struct store *store, const struct outbox_attempt *attempt,
                          struct err *err);

/* In a commit: makes a failed one wait again (sent by hand). 0, or ERR_NOT_FOUND. */
int commit_outbox_again(struct store *store, int64_t id, int64_t now_ms, struct err *err);

/*
 * Messages of alerts (not of experiments) of a group, behind its head, that wait since before
 * `before_ms`: in *n how many notifications they stand for (their own "missed" counted in), and
 * each alert that they name.
 */
struct outbox_old {
    const char *receiver, *group_key;
    int64_t before_ms;
};
int outbox_old_read(struct store *store, const struct outbox_old *old, int64_t *n,
                    int (*alert)(void *context, const char *key, struct err *err), void *context,
                    struct err *err);
/* In a commit: those rows are given up, with `problem`, as a summary takes their place. */
int commit_outbox_fold(struct store *store, const struct outbox_old *old, int64_t now_ms,
                       const char *problem, struct err *err);

/* In a commit: of the oldest `limit` rows that are sent or failed, those settled before before_ms
   (wall clock) go. What waits stays. */
int commit_outbox_expire(struct store *store, int64_t before_ms, int limit, struct err *err);

/* The head of each group that is due at now_ms, oldest first, at most `limit`: id, receiver,
   group_key, created_ms, next_ms and attempts alone; outbox_letter gives the rest. */
int outbox_due(struct store *store, int64_t now_ms, int limit,
               int (*row)(void *context, const struct outbox_row *row, struct err *err),
               void *context, struct err *err);

/* What is to be sent; both malloc'd, the caller's. ERR_NOT_FOUND: there is no such row. */
int outbox_letter(struct store *store, int64_t id, char **webhook_id, char **data, struct err *err);

/* Does a row of the group wait? */
int outbox_group_waits(struct store *store, const char *receiver, const char *group_key,
                       bool *waits, struct err *err);

/* When the next row is due; INT64_MAX: none waits. */
int outbox_next(struct store *store, int64_t *next_ms, struct err *err);

/* What waits for each receiver: how many, and since when (created_ms of the oldest). */
struct outbox_backlog {
    const char *receiver;
    int64_t n, oldest_ms;
};
int outbox_backlog(struct store *store,
                   int (*row)(void *context, const struct outbox_backlog *row, struct err *err),
                   void *context, struct err *err);

/* Newest first, ids below `before`. */
int outbox_read(struct store *store, int64_t before, int limit,
                int (*row)(void *context, const struct outbox_row *row, struct err *err),
                void *context, struct err *err);
