/*
 * What the files of this room share: the connection itself and its cached statements. No other
 * room includes it.
 *
 * Shape    statement_get gives a prepared statement, the same one for the same `sql` pointer; so
 *          `sql` must be a static text, one for each statement, and never made at run time
 * Owner    the store keeps the statements; AUTO_RESET gives one back at the end of the scope, with
 *          its bindings cleared, so that no read transaction stays open behind it
 * Threads  that of the store
 */
#pragma once

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include "common/view.h"
#include "storage/changes.h"
#include "storage/lend.h"
#include "storage/store.h"
#include "storage/written_log.h"

enum {
    MAX_STATEMENTS = 256
};

struct cached_statement {
    const char *sql;
    sqlite3_stmt *statement;
    enum written writes;
};

/* Where retention goes on: which of its stages, at which pane. Begins anew with the process. */
enum {
    RETENTION_OVER = 6
};
struct retention_place {
    int stage;
    int64_t key;
};

enum share { /* commits that end together: commit_share */
    UNSHARED,
    SHARED,
    SHARE_LOST
};

struct lending { /* lend.c */
    bool lent;
    atomic_bool at_work;
    pthread_t lender, borrower;
    pthread_mutex_t lock;   /* of a turn: … */
    pthread_cond_t changed; /* … one of the next four, or at_work */
    atomic_bool wanted;     /* the lender waits for its turn, or has it */
    bool paused;            /* the borrower lets it */
    bool turn;              /* the lender has it */
    bool in_commit;         /* a part of the borrower's is open behind it */
    writer_fn *task;
    void *context;
    int rc; /* what the last task came to … */
    struct err why;
};

struct store {
    sqlite3 *db;
    char *path;
    enum store_mode mode;
    int lock_fd;
    int dead; /* ERR_IO or ERR_CORRUPT once a write has failed so: no more writing */
    bool in_commit;
    _Atomic(enum share) share; /* a borrower may lose it while the lender asks */
    struct lending lending;
    bool quiet;           /* this commit does not count as a change */
    int read_depth;       /* store_read_begin nests */
    bool own_read;        /* the outermost one began a transaction */
    atomic_int wal_pages; /* frames in the WAL after the last commit */
    int page_bytes;
    int64_t changes_at_begin;  /* sqlite3_total_changes64 */
    struct changes *changes;   /* borrowed; may be NULL */
    struct drift_cache *drift; /* NULL: not asked for yet */
    bool own_drift;
    uint64_t generation;
    struct written_log written;
    struct config *settings; /* of models, as last read (model_settings.c); NULL: not yet */
    uint64_t settings_hash;
    struct memo *memo;          /* lent; NULL: series are merged anew each time */
    int64_t rolled_up_to_ms[3]; /* minutes, hours, days: panes that start before it are gone */
    struct retention_place retention;
    int64_t refresh_key;       /* where the refreshing of values goes on */
    const struct clock *clock; /* of the read deadline; NULL: none */
    int64_t read_limit_ms;
    int64_t read_deadline_ms;
    size_t n_statements;
    struct cached_statement statements[MAX_STATEMENTS];
};

int statement_get(struct store *store, const char *sql, sqlite3_stmt **out, struct err *err);

/* Steps a statement that gives no rows, and resets it. */
int statement_run(struct store *store, sqlite3_stmt *statement, struct err *err, const char *what);

/* Runs static SQL that is not worth caching (pragmas, BEGIN). */
int store_exec(struct store *store, const char *sql, struct err *err, const char *what);

/* One integer from the first row; `otherwise` when there is none. */
int store_integer(struct store *store, const char *sql, int64_t otherwise, int64_t *out,
                  struct err *err);

/* Fails unless a commit is open on a connection that may write. */
int store_writing(struct store *store, struct err *err, const char *what);

/* What was shared is rolled back: why. */
int store_lost(const struct store *store, struct err *err);

/* ERR_CORRUPT for bytes that SQLite takes and we do not; the connection writes no more. */
int store_damaged(struct store *store, struct err *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* -ETIME past the read limit: for work between SQLite's steps, which look at the clock too. */
int read_in_time(struct store *store, struct err *err);

/* Loads what the connection keeps in memory of the database; after opening and rolling back. */
int store_remember(struct store *store, struct err *err);

/* Puts a state in its place, whatever the level (commit_pane checks first); its revision grows. */
int pane_write(struct store *store, int64_t key, int64_t revisions, const void *state, size_t n,
               struct err *err);

static inline void statement_reset(sqlite3_stmt *const *statement)
{
    if (*statement) {
        sqlite3_reset(*statement);
        sqlite3_clear_bindings(*statement);
    }
}
#define AUTO_RESET __attribute__((cleanup(statement_reset)))

static inline int bind_text(sqlite3_stmt *statement, int column, const char *text)
{
    return sqlite3_bind_text(statement, column, text, -1, SQLITE_STATIC);
}
