/*
 * Opening, closing, the settings that keep the promises, and what SQLite's results mean to us.
 *
 * synchronous=FULL: a commit is on disk when it is acknowledged. Only the writing connection
 * checkpoints (SQLite before 3.51.3 can damage a WAL database when two connections do so at the
 * same instant), so automatic checkpoints are off everywhere and store_checkpoint does it between
 * commits. Memory mapping stays off: an I/O error would be a signal instead of a result.
 */
#include "storage/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/config.h"
#include "storage/connection.h"
#include "storage/drift_cache.h"
#include "storage/lock.h"
#include "storage/migrate.h"

enum {
    BUSY_MS = 1000,                 /* WAL recovery by another connection takes so long at most */
    WAL_CHECKPOINT_BYTES = 4 << 20, /* below it a checkpoint costs more syncs than it saves */
    WAL_TRUNCATE_BYTES = 64 << 20,  /* above it the file is cut when no reader is in it */
    READ_CHECK_STEPS = 10000        /* virtual machine steps between looks at the clock */
};

struct sqlite3 *store_db(struct store *store)
{
    store_await(store);
    return store->db;
}

const char *store_path(const struct store *store)
{
    return store->path;
}

/* The newest copy that we know of: written by store_backup beside the database. */
static void last_backup(const struct store *store, char *out, size_t size)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s.last-backup", store->path);
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, out, size - 1);
    out[n > 0 ? n : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
}

int store_damaged(struct store *store, struct err *err, const char *format, ...)
{
    char what[256];
    char copy[256];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    last_backup(store, copy, sizeof(copy));
    store->dead = ERR_CORRUPT;
    return err_set(err, ERR_CORRUPT, "%s: %s; %srun `assay verify %s`, then restore %s",
                   store->path, what,
                   store->mode == STORE_WRITE ? "nothing is written any more: " : "", store->path,
                   copy[0] ? copy : "a backup");
}

/* errno of what failed last; SQLite forgets to ask for it when a COMMIT fails. */
static int last_errno(struct store *store)
{
    static const int files[] = {SQLITE_FCNTL_JOURNAL_POINTER, SQLITE_FCNTL_FILE_POINTER};
    int no = sqlite3_system_errno(store->db);
    for (int i = 0; no == 0 && i < 2; i++) {
        sqlite3_file *file = NULL;
        if (sqlite3_file_control(store->db, "main", files[i], &file) == SQLITE_OK && file &&
            file->pMethods)
            file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &no);
    }
    return no;
}

/* A write that found no room has changed nothing; any other failed write or sync leaves open what
   is on the disk. */
static int failed_io(struct store *store, int sqlite_rc, struct err *err, const char *what)
{
    int no = last_errno(store);
    bool room = no == ENOSPC || no == EDQUOT;
    bool unsure = sqlite_rc == SQLITE_IOERR_FSYNC || sqlite_rc == SQLITE_IOERR_DIR_FSYNC;
    if (room && !unsure)
        return err_set(err, ERR_FULL, "%s: %s: no room on the disk", store->path, what);
    store->dead = ERR_IO;
    return err_set(err, ERR_IO, "%s: %s: %s (%s, errno %d); nobody knows what is on the disk now",
                   store->path, what, sqlite3_errstr(sqlite_rc & 0xff),
                   no ? err_words(no) : "no detail", no);
}

static int cannot_open(struct store *store, struct err *err, const char *what)
{
    int no = sqlite3_system_errno(store->db);
    if (no == ENOSPC || no == EDQUOT)
        return err_set(err, ERR_FULL, "%s: %s: no room on the disk", store->path, what);
    return err_set(err, no ? -no : -EIO, "%s: %s: cannot open: %s", store->path, what,
                   err_words(no ? no : EIO));
}

int store_fail(struct store *store, int sqlite_rc, struct err *err, const char *what)
{
    int extended = sqlite3_extended_errcode(store->db);
    int full = (extended & 0xff) == (sqlite_rc & 0xff) ? extended : sqlite_rc;
    const char *text = sqlite3_errstr(full);
    switch (full & 0xff) {
    case SQLITE_NOMEM:
        return err_set(err, -ENOMEM, "%s: %s: no memory", store->path, what);
    case SQLITE_FULL:
        return err_set(err, ERR_FULL, "%s: %s: no room on the disk", store->path, what);
    case SQLITE_IOERR:
        if (full == SQLITE_IOERR_NOMEM)
            return err_set(err, -ENOMEM, "%s: %s: no memory", store->path, what);
        return failed_io(store, full, err, what);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return store_damaged(store, err, "%s: %s", what, text);
    case SQLITE_CANTOPEN:
        return cannot_open(store, err, what);
    case SQLITE_INTERRUPT:
        return err_set(err, -ETIME, "%s: %s took longer than %" PRId64 " ms; ask for less",
                       store->path, what, store->read_limit_ms);
    case SQLITE_BUSY:
        return err_set(err, -EBUSY, "%s: %s: another program holds the database", store->path,
                       what);
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return err_set(err, -EACCES, "%s: %s: not writable", store->path, what);
    default:
        return err_set(err, -EINVAL, "%s: %s: %s", store->path, what, sqlite3_errmsg(store->db));
    }
}

static void count_write(struct store *store, enum written writes)
{
    store->generation += writes != WRITTEN_NOTHING;
    if (writes == WRITTEN_UNTOLD)
        written_all(&store->written);
}

int statement_get(struct store *store, const char *sql, sqlite3_stmt **out, struct err *err)
{
    *out = NULL;
    store_await(store);
    for (size_t i = 0; i < store->n_statements; i++) {
        struct cached_statement hit = store->statements[i];
        if (hit.sql != sql)
            continue;
        if (i > 0) { /* what is used often drifts to the front */
            store->statements[i] = store->statements[i - 1];
            store->statements[i - 1] = hit;
        }
        count_write(store, hit.writes);
        *out = hit.statement;
        return 0;
    }
    if (store->n_statements == MAX_STATEMENTS)
        return err_set(err, -ENOSPC, "%s: more than %d statements", store->path, MAX_STATEMENTS);

    sqlite3_stmt *statement;
    int rc = sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL);
    if (rc != SQLITE_OK)
        return store_fail(store, rc, err, sql);
    const enum written writes =
        sqlite3_stmt_readonly(statement) ? WRITTEN_NOTHING : written_by(sql);
    store->statements[store->n_statements++] = (struct cached_statement){sql, statement, writes};
    count_write(store, writes);
    *out = statement;
    return 0;
}

uint64_t store_generation(struct store *store)
{
    return store->mode == STORE_READ ? ++store->generation : store->generation;
}

int statement_run(struct store *store, sqlite3_stmt *statement, struct err *err, const char *what)
{
    int rc = sqlite3_step(statement);
    int result = rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : store_fail(store, rc, err, what);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return result;
}

int store_exec(struct store *store, const char *sql, struct err *err, const char *what)
{
    store_await(store);
    int rc = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : store_fail(store, rc, err, what);
}

int store_integer(struct store *store, const char *sql, int64_t otherwise, int64_t *out,
                  struct err *err)
{
    sqlite3_stmt *statement;
    *out = otherwise;
    store_await(store);
    int rc = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL);
    if (rc != SQLITE_OK)
        return store_fail(store, rc, err, sql);
    rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW && sqlite3_column_type(statement, 0) != SQLITE_NULL)
        *out = sqlite3_column_int64(statement, 0);
    int result = rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : store_fail(store, rc, err, sql);
    sqlite3_finalize(statement);
    return result;
}

int store_writing(struct store *store, struct err *err, const char *what)
{
    store_await(store);
    if (!store->in_commit)
        return err_set(err, -EINVAL, "%s: %s outside a commit", store->path, what);
    return store->share == SHARE_LOST ? store_lost(store, err) : 0;
}

static int wal_pages(void *context, sqlite3 *db, const char *schema, int pages)
{
    (void)db;
    (void)schema;
    ((struct store *)context)->wal_pages = pages;
    return SQLITE_OK;
}

static int past_deadline(void *context)
{
    const struct store *store = (const struct store *)context;
    return clock_boot_ms(store->clock) > store->read_deadline_ms;
}

void store_limit_reads(struct store *store, const struct clock *clock, int64_t limit_ms)
{
    store->clock = clock;
    store->read_limit_ms = limit_ms;
    store->read_deadline_ms = INT64_MAX;
    sqlite3_progress_handler(store->db, clock ? READ_CHECK_STEPS : 0, clock ? past_deadline : NULL,
                             store);
}

int store_read_begin(struct store *store, struct err *err)
{
    store_await(store);
    /* The writer reads what it will commit. */
    if (store->read_depth > 0 || store->in_commit || store->share == SHARED) {
        store->read_depth++;
        return 0;
    }
    if (store->clock)
        store->read_deadline_ms = clock_boot_ms(store->clock) + store->read_limit_ms;
    int rc = store_exec(store, "BEGIN", err, "reading");
    if (rc)
        return rc;
    store->own_read = true;
    store->read_depth = 1;
    return 0;
}

void store_read_end(struct store *store)
{
    if (--store->read_depth > 0)
        return;
    store->read_deadline_ms = INT64_MAX;
    if (store->own_read)
        sqlite3_exec(store->db, "COMMIT", NULL, NULL, NULL);
    store->own_read = false;
}

int read_in_time(struct store *store, struct err *err)
{
    if (!store->clock || !past_deadline(store))
        return 0;
    return err_set(err, -ETIME, "%s: reading took longer than %" PRId64 " ms; ask for less",
                   store->path, store->read_limit_ms);
}

int store_set_changes(struct store *store, struct changes *changes, struct err *err)
{
    int64_t remembered;
    int rc =
        store_integer(store, "SELECT value FROM facts WHERE key = 'changes'", 0, &remembered, err);
    if (rc)
        return rc;
    store->changes = changes;
    if (changes && remembered > 0)
        changes_raise(changes, (uint64_t)remembered);
    return 0;
}

int store_remember(struct store *store, struct err *err)
{
    static const char *const boundaries[] = {
        "SELECT value FROM facts WHERE key = 'rolled_up_to/60000'",
        "SELECT value FROM facts WHERE key = 'rolled_up_to/3600000'",
        "SELECT value FROM facts WHERE key = 'rolled_up_to/86400000'"};
    int rc = 0;
    for (int level = 0; !rc && level < 3; level++) {
        int64_t rolled_ms;
        rc = store_integer(store, boundaries[level], 0, &rolled_ms, err);
        if (rolled_ms != store->rolled_up_to_ms[level]) /* a lender may be reading the same */
            store->rolled_up_to_ms[level] = rolled_ms;
    }
    return rc;
}

static int set_up(struct store *store, struct err *err)
{
    sqlite3 *db = store->db;
    bool writes = store->mode == STORE_WRITE;
    sqlite3_extended_result_codes(db, 1);
    sqlite3_busy_timeout(db, BUSY_MS);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, writes ? 0 : 1, NULL);
    sqlite3_wal_hook(db, wal_pages, store); /* also replaces the automatic checkpoint */

    const char *pragmas = writes ? "PRAGMA page_size=4096;"
                                   "PRAGMA journal_mode=WAL;"
                                   "PRAGMA synchronous=FULL;"
                                   "PRAGMA cell_size_check=ON;"
                                   "PRAGMA mmap_size=0;"
                                   "PRAGMA temp_store=MEMORY;"
                                   "PRAGMA cache_size=-32768;"
                                   "PRAGMA foreign_keys=ON"
                                 : "PRAGMA query_only=ON;"
                                   "PRAGMA cell_size_check=ON;"
                                   "PRAGMA mmap_size=0;"
                                   "PRAGMA temp_store=MEMORY;"
                                   "PRAGMA cache_size=-2048";
    int rc = store_exec(store, pragmas, err, "opening");
    if (!rc)
        rc = writes ? migrate(store, err) : migrate_check(store, err);
    if (!rc)
        rc = store_remember(store, err);
    int64_t page_bytes = 4096;
    if (!rc)
        rc = store_integer(store, "PRAGMA page_size", page_bytes, &page_bytes, err);
    store->page_bytes = (int)page_bytes;
    return rc;
}

static int sync_directory(const char *path, struct err *err)
{
    char copy[PATH_MAX];
    snprintf(copy, sizeof(copy), "%s", path);
    AUTO_CLOSE int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        return err_set(err, ERR_IO, "%s: cannot sync its directory: %s", path, err_words(errno));
    return 0;
}

/* Makes the file ours alone (0600) before SQLite makes it readable for all. */
static int make_file(const char *path, struct err *err)
{
    AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0)
        return sync_directory(path, err);
    if (errno == EEXIST)
        return 0;
    if (errno == ENOSPC || errno == EDQUOT)
        return err_set(err, ERR_FULL, "%s: no room to make it: %s", path, err_words(errno));
    return err_set(err, -errno, "%s: cannot make the database: %s", path, err_words(errno));
}

static int open_file(struct store *store, const char *path, struct err *err)
{
    bool writes = store->mode == STORE_WRITE;
    int rc = writes ? make_file(path, err) : 0;
    if (rc)
        return rc;
    /* The true path: no "file:" URI is read into it, and a link leads to the same lock and WAL. */
    store->path = realpath(path, NULL);
    if (!store->path && errno == ENOENT)
        return err_set(err, -ENOENT,
                       "%s: no such database; `assay serve` and `assay replay` make it", path);
    if (!store->path)
        return err_set(err, -errno, "%s: cannot open: %s", path, err_words(errno));
    if (writes)
        rc = lock_take(store->path, &store->lock_fd, err);
    if (rc)
        return rc;
    int flags = SQLITE_OPEN_NOMUTEX | (writes ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY);
    rc = sqlite3_open_v2(store->path, &store->db, flags, NULL);
    return rc == SQLITE_OK ? 0 : store_fail(store, rc, err, "opening");
}

int store_open(struct store **out, const char *path, enum store_mode mode, struct err *err)
{
    AUTO(store) struct store *store = calloc(1, sizeof(*store));
    if (!store)
        return err_set(err, -ENOMEM, "%s: no memory to open it", path);
    store->mode = mode;
    store->lock_fd = -1;
    store->page_bytes = 4096;
    written_all(&store->written);
    int rc = open_file(store, path, err);
    if (!rc)
        rc = set_up(store, err);
    if (rc)
        return rc;
    *out = store; /* the caller owns it now */
    store = NULL;
    return 0;
}

void store_lend_drift_cache(struct store *store, struct drift_cache *cache)
{
    if (store->own_drift)
        drift_cache_free(store->drift);
    store->own_drift = false;
    store->drift = cache;
}

int store_drift_cache(struct store *store, struct drift_cache **out, struct err *err)
{
    if (!store->drift) {
        int rc = drift_cache_new(&store->drift, err);
        if (rc)
            return rc;
        store->own_drift = true;
    }
    *out = store->drift;
    return 0;
}

void store_lend_memo(struct store *store, struct memo *memo)
{
    store->memo = memo;
}

void store_free(struct store *store)
{
    if (!store)
        return;
    store_recall(store);
    for (size_t i = 0; i < store->n_statements; i++)
        sqlite3_finalize(store->statements[i].statement);
    sqlite3_close(store->db);
    if (store->lock_fd >= 0)
        close(store->lock_fd);
    if (store->own_drift)
        drift_cache_free(store->drift);
    config_free(store->settings);
    free(store->path);
    free(store);
}

int64_t store_wal_bytes(const struct store *store)
{
    return (int64_t)store->wal_pages * (store->page_bytes + 24); /* 24: a frame's header */
}

int store_checkpoint(struct store *store, struct err *err)
{
    store_recall(store);
    if (store->mode != STORE_WRITE || store_wal_bytes(store) < WAL_CHECKPOINT_BYTES)
        return 0;
    bool cut = store_wal_bytes(store) >= WAL_TRUNCATE_BYTES;
    int left = 0;
    int done = 0;
    sqlite3_busy_timeout(store->db, 0); /* a reader in the WAL is not waited for: next time */
    int rc = sqlite3_wal_checkpoint_v2(store->db, NULL,
                                       cut ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE,
                                       &left, &done);
    sqlite3_busy_timeout(store->db, BUSY_MS);
    if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY)
        return store_fail(store, rc, err, "checkpoint");
    if (rc == SQLITE_OK && left == done)
        store->wal_pages = 0; /* the next commit starts the WAL from its beginning */
    return 0;
}
