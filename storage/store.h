/*
 * The database: one SQLite file in WAL mode, one writer in one process, any number of readers.
 *
 * Shape    a struct store is one connection. STORE_WRITE takes the lock that makes a second daemon
 *          on the same file refuse to start, migrates the schema, and alone checkpoints.
 *          STORE_READ never checkpoints and sees committed states only.
 * Owner    store_open gives, store_close takes
 * Errors   ERR_NEWER: a newer version wrote it · ERR_CORRUPT: names `assay verify` · ERR_USAGE: it
 *          is in use, names the pid · ERR_FULL: no room on disk · ERR_IO: the process should end ·
 *          ERR_NOT_FOUND: STORE_READ and there is no file · ERR_DATA: an SQLite file of another
 *          program, or (STORE_READ) of an older schema
 * Threads  a store belongs to one thread at a time
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/err.h"

struct changes;
struct store;
struct sqlite3;

enum store_mode {
    STORE_WRITE, /* makes the file when it is not there */
    STORE_READ,
};

int store_open(struct store **out, const char *path, enum store_mode mode, struct err *err);
void store_free(struct store *store); /* closes; NULL is fine */
DEFINE_FREEP(store)

struct sqlite3 *store_db(struct store *store);
const char *store_path(const struct store *store);

/* Bumped by every commit that changed something; also started at the number that the database
   remembers, so that it never goes back over a restart. Borrowed: must outlive the store. */
int store_set_changes(struct store *store, struct changes *changes, struct err *err);

/* What drift answers share: the cache that was lent, else one of the store's own, which is made
   when first asked for. Lent ones must outlive the store. */
struct drift_cache;
/*
 * Grows with all that a window's answer may depend on: panes, profiles, references, what models are
 * called and how they are set. Not with what is only written down at looks (alerts, facts, offsets).
 * Of a store that is only read, and that others write, it grows with each call.
 */
uint64_t store_generation(struct store *store);

void store_lend_drift_cache(struct store *store, struct drift_cache *cache);
int store_drift_cache(struct store *store, struct drift_cache **out, struct err *err);

/* From now on series are read through this cache, which must outlive the store. */
struct memo;
void store_lend_memo(struct store *store, struct memo *memo);

/* Turns an SQLite result into our codes with `what` in the message. */
int store_fail(struct store *store, int sqlite_rc, struct err *err, const char *what);

/* Checkpoints the WAL without waiting for readers; the writer calls it between commits. */
int store_checkpoint(struct store *store, struct err *err);

/* Bytes of the WAL after the last commit: an alarm is due at 256 MiB (a reader does not end). */
int64_t store_wal_bytes(const struct store *store);

/* One snapshot over several reads, within the read limit; they nest. store_read_end after each 0.
 */
int store_read_begin(struct store *store, struct err *err);
void store_read_end(struct store *store);

/* A read that takes longer than limit_ms on `clock` ends with -ETIME. The clock is borrowed. */
void store_limit_reads(struct store *store, const struct clock *clock, int64_t limit_ms);

/* Integrity of pages and of every saved state's hash; 0 fine, ERR_CORRUPT names the first fault. */
int store_verify(const char *path, struct err *err);

/* A consistent copy while the writer goes on; `to` "-" writes to standard output. */
int store_backup(const char *path, const char *to, struct err *err);
