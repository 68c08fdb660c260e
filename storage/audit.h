/*
 * The audit log: who changed what, when and why, in a chain of hashes, so that a row that was
 * changed, taken out or cut off is found.
 *
 * Shape    hash(n) = SHA-256(hash(n-1) ‖ seq ‖ at_ms ‖ each text with its length); hash(0) is zero
 * Units    at_ms: ms since the epoch on `clock` ("event" or "wall")
 * Owner    rows and texts of callbacks live until they return
 * Errors   ERR_CORRUPT names the first bad row
 * Threads  commit_audit: the writer's, inside a commit · the others: that of the store
 */
#pragma once

#include <stdint.h>

#include "common/err.h"
#include "storage/store.h"

enum {
    AUDIT_HASH_BYTES = 32
};

struct audit_row {
    int64_t seq;
    int64_t at_ms;
    const char *clock;
    const char *who;
    const char *action;  /* "experiment.rollback", "silence.create", … */
    const char *subject; /* the experiment's, model's … name */
    const char *detail;  /* JSON */
    const unsigned char *hash;
};

/* seq and hash of `row` are made here. */
int commit_audit(struct store *store, const struct audit_row *given, struct err *err);

/* seq > after, oldest first. */
int audit_read(struct store *store, int64_t after, int limit,
               int (*row)(void *context, const struct audit_row *row, struct err *err),
               void *context, struct err *err);

/* All rows about a subject, oldest first, without their detail. */
int audit_of(struct store *store, const char *subject,
             int (*row)(void *context, const struct audit_row *row, struct err *err), void *context,
             struct err *err);

/* The last row's seq (0: none) and hash: to be told to others, who can then prove a cut tail. */
int audit_head(struct store *store, int64_t *seq, unsigned char hash[AUDIT_HASH_BYTES],
               struct err *err);
/* The same with the hash as text. */
int audit_head_text(struct store *store, int64_t *seq, char hash[2 * AUDIT_HASH_BYTES + 1],
                    struct err *err);

/* Walks the whole chain; ERR_CORRUPT with the first bad row in the message. */
int audit_verify(struct store *store, struct err *err);
