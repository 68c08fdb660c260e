#include "storage/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/connection.h"

enum {
    PAGES_A_STEP = 256
};

static int target_fail(sqlite3 *target, int sqlite_rc, const char *to, struct err *err)
{
    int no = sqlite3_system_errno(target);
    if ((sqlite_rc & 0xff) == SQLITE_FULL || no == ENOSPC || no == EDQUOT)
        return err_set(err, ERR_FULL, "%s: no room for the backup", to);
    if ((sqlite_rc & 0xff) == SQLITE_NOMEM)
        return err_set(err, -ENOMEM, "%s: no memory for the backup", to);
    return err_set(err, ERR_IO, "%s: cannot write the backup: %s", to, sqlite3_errstr(sqlite_rc));
}

static int copy_pages(struct store *store, sqlite3 *target, const char *to, struct err *err)
{
    sqlite3_backup *backup = sqlite3_backup_init(target, "main", store->db, "main");
    if (!backup)
        return target_fail(target, sqlite3_extended_errcode(target), to, err);
    int rc;
    do
        rc = sqlite3_backup_step(backup, PAGES_A_STEP);
    while (rc == SQLITE_OK);
    int finished = sqlite3_backup_finish(backup);
    if (rc == SQLITE_DONE && finished == SQLITE_OK)
        return 0;
    rc = rc == SQLITE_DONE ? finished : rc;
    if ((rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB)
        return store_fail(store, rc, err, "backup");
    return target_fail(target, rc, to, err);
}

/* Pages into the new file `part`, with the snapshot held by an open read transaction. */
static int copy_to(struct store *store, const char *part, struct err *err)
{
    sqlite3 *target = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int rc = sqlite3_open_v2(part, &target, flags, NULL);
    if (rc != SQLITE_OK)
        rc = target_fail(target, rc, part, err);
    /* No journal: a copy that breaks off is removed, never rolled back. */
    else if (sqlite3_exec(target, "PRAGMA journal_mode=OFF; PRAGMA synchronous=FULL", NULL, NULL,
                          NULL) != SQLITE_OK)
        rc = target_fail(target, sqlite3_extended_errcode(target), part, err);
    else
        rc = store_exec(store, "BEGIN", err, "backup");
    if (!rc) {
        int64_t n;
        rc = store_integer(store, "SELECT count(*) FROM sqlite_schema", 0, &n, err);
        if (!rc)
            rc = copy_pages(store, target, part, err);
        sqlite3_exec(store->db, "COMMIT", NULL, NULL, NULL);
    }
    sqlite3_close(target);
    return rc;
}

static int sync_path(const char *path, int flags, struct err *err)
{
    AUTO_CLOSE int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        return err_set(err, ERR_IO, "%s: cannot sync: %s", path, err_words(errno));
    return 0;
}

static int make_private(const char *part, struct err *err)
{
    unlink(part);
    AUTO_CLOSE int fd = open(part, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 && (errno == ENOSPC || errno == EDQUOT))
        return err_set(err, ERR_FULL, "%s: no room for the backup", part);
    if (fd < 0)
        return err_set(err, -errno, "%s: cannot make it: %s", part, err_words(errno));
    return 0;
}

int backup_copy(struct store *store, const char *to, struct err *err)
{
    char part[PATH_MAX];
    char directory[PATH_MAX];
    int n = snprintf(part, sizeof(part), "%s%s.part", to[0] == '/' ? "" : "./", to);
    if (n < 0 || (size_t)n >= sizeof(part))
        return err_set(err, -ENAMETOOLONG, "%s: the path is too long", to);
    memcpy(directory, part, sizeof(directory));

    int rc = make_private(part, err);
    if (rc)
        return rc;
    rc = copy_to(store, part, err);
    if (!rc)
        rc = sync_path(part, O_RDWR, err);
    if (!rc && rename(part, to) != 0)
        rc = err_set(err, -errno, "%s: cannot rename the backup to it: %s", to, err_words(errno));
    if (!rc)
        rc = sync_path(dirname(directory), O_RDONLY | O_DIRECTORY, err);
    if (rc)
        unlink(part);
    return rc;
}

/* The name of the newest copy, for the message about a damaged database; a help, not a duty. */
static void remember_copy(const struct store *store, const char *to)
{
    char note[PATH_MAX];
    AUTO_FREE char *copy = realpath(to, NULL);
    int n = snprintf(note, sizeof(note), "%s.last-backup", store->path);
    if (!copy || n < 0 || (size_t)n >= sizeof(note))
        return;
    AUTO_CLOSE int fd = open(note, O_CREAT | O_TRUNC | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0)
        dprintf(fd, "%s\n", copy);
}

static int pour(int from, int to, struct err *err)
{
    char bytes[65536];
    ssize_t n;
    while ((n = read(from, bytes, sizeof(bytes))) > 0) {
        for (ssize_t done = 0; done < n;) {
            ssize_t written = write(to, bytes + done, (size_t)(n - done));
            if (written < 0 && errno != EINTR)
                return err_set(err, ERR_IO, "backup: cannot write to standard output: %s",
                               err_words(errno));
            done += written > 0 ? written : 0;
        }
    }
    return n < 0 ? err_set(err, ERR_IO, "backup: cannot read the copy: %s", err_words(errno)) : 0;
}

/* A pipe cannot be gone back in, as SQLite's copying wants: by way of a file beside the database
   that has lost its name before its first byte leaves. */
static int copy_to_output(struct store *store, struct err *err)
{
    char copy[PATH_MAX];
    int n = snprintf(copy, sizeof(copy), "%s.pipe-%ld", store->path, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof(copy))
        return err_set(err, -ENAMETOOLONG, "%s: the path is too long", store->path);
    int rc = backup_copy(store, copy, err);
    if (rc)
        return rc;
    AUTO_CLOSE int fd = open(copy, O_RDONLY | O_CLOEXEC);
    unlink(copy);
    if (fd < 0)
        return err_set(err, ERR_IO, "%s: cannot open: %s", copy, err_words(errno));
    return pour(fd, STDOUT_FILENO, err);
}

int store_backup(const char *path, const char *to, struct err *err)
{
    AUTO(store) struct store *store = NULL;
    int rc = store_open(&store, path, STORE_READ, err);
    if (rc)
        return rc;
    if (strcmp(to, "-") == 0)
        return copy_to_output(store, err);
    AUTO_FREE char *target = realpath(to, NULL);
    if (target && strcmp(target, store->path) == 0)
        return err_set(err, ERR_USAGE, "%s: the backup would replace the database itself", to);
    rc = backup_copy(store, to, err);
    if (!rc)
        remember_copy(store, to);
    return rc;
}
