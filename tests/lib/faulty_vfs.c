#include "tests/lib/faulty_vfs.h"

#include <errno.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/test.h"

struct faulty {
    sqlite3_vfs vfs;
    sqlite3_vfs *below;
    unsigned calls;
    int64_t left; /* calls until the failing one; 0: none */
    int64_t counted;
    int no;
    bool stays;
    bool failed;
    int sync_ms;
    char database[PATH_MAX];
    struct recording *recording;
};

struct faulty_file {
    sqlite3_file base;
    struct faulty *faulty;
    int file; /* as in struct disk_event; -1: none of ours */
    bool directory_synced;
    sqlite3_file below[]; /* the true file, of below->szOsFile bytes */
};

static sqlite3_file *below(sqlite3_file *file)
{
    return ((struct faulty_file *)file)->below;
}

static bool fails(struct faulty *faulty, unsigned call)
{
    if (!(faulty->calls & call))
        return false;
    faulty->counted++;
    bool now = faulty->left > 0 && (faulty->counted == faulty->left ||
                                    (faulty->stays && faulty->counted > faulty->left));
    faulty->failed |= now;
    return now;
}

static void record(struct faulty *faulty, enum disk_event_kind kind, int file, int64_t offset,
                   const void *bytes, size_t n)
{
    struct recording *recording = faulty->recording;
    if (!recording || file < 0)
        return;
    if (recording->n == recording->capacity) {
        recording->capacity = recording->capacity ? 2 * recording->capacity : 256;
        recording->events =
            realloc(recording->events, recording->capacity * sizeof(*recording->events));
        assert_non_null(recording->events);
    }
    struct disk_event event = {kind, file, offset, n, NULL};
    if (bytes) {
        event.bytes = malloc(n);
        assert_non_null(event.bytes);
        memcpy(event.bytes, bytes, n);
    }
    recording->events[recording->n++] = event;
}

static struct faulty *faulty_of(sqlite3_file *file)
{
    return ((struct faulty_file *)file)->faulty;
}

static int file_close(sqlite3_file *file)
{
    return below(file)->pMethods ? below(file)->pMethods->xClose(below(file)) : SQLITE_OK;
}

static int file_read(sqlite3_file *file, void *bytes, int n, sqlite3_int64 offset)
{
    if (fails(faulty_of(file), FAULTY_READ))
        return SQLITE_IOERR_READ;
    return below(file)->pMethods->xRead(below(file), bytes, n, offset);
}

static int file_write(sqlite3_file *file, const void *bytes, int n, sqlite3_int64 offset)
{
    struct faulty *faulty = faulty_of(file);
    if (fails(faulty, FAULTY_WRITE))
        return faulty->no == ENOSPC ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    record(faulty, DISK_WRITE, ((struct faulty_file *)file)->file, offset, bytes, (size_t)n);
    return below(file)->pMethods->xWrite(below(file), bytes, n, offset);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    if (fails(faulty_of(file), FAULTY_TRUNCATE))
        return SQLITE_IOERR_TRUNCATE;
    record(faulty_of(file), DISK_TRUNCATE, ((struct faulty_file *)file)->file, size, NULL, 0);
    return below(file)->pMethods->xTruncate(below(file), size);
}

static int file_sync(sqlite3_file *file, int flags)
{
    if (fails(faulty_of(file), FAULTY_SYNC))
        return SQLITE_IOERR_FSYNC;
    if (faulty_of(file)->sync_ms)
        usleep((useconds_t)faulty_of(file)->sync_ms * 1000);
    /* SQLite's unix VFS also syncs the directory when it first syncs a WAL or journal. */
    struct faulty_file *own = (struct faulty_file *)file;
    bool directory = own->file > 0 && !own->directory_synced;
    record(own->faulty, directory ? DISK_SYNC_DIRECTORY : DISK_SYNC, own->file, 0, NULL, 0);
    own->directory_synced = true;
    return below(file)->pMethods->xSync(below(file), flags);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return below(file)->pMethods->xFileSize(below(file), size);
}

static int file_lock(sqlite3_file *file, int level)
{
    return below(file)->pMethods->xLock(below(file), level);
}

static int file_unlock(sqlite3_file *file, int level)
{
    return below(file)->pMethods->xUnlock(below(file), level);
}

static int file_check_lock(sqlite3_file *file, int *held)
{
    return below(file)->pMethods->xCheckReservedLock(below(file), held);
}

static int file_control(sqlite3_file *file, int what, void *value)
{
    if (what == SQLITE_FCNTL_LAST_ERRNO && faulty_of(file)->failed) {
        *(int *)value = faulty_of(file)->no;
        return SQLITE_OK;
    }
    return below(file)->pMethods->xFileControl(below(file), what, value);
}

static int file_sector_size(sqlite3_file *file)
{
    return below(file)->pMethods->xSectorSize(below(file));
}

static int file_characteristics(sqlite3_file *file)
{
    return below(file)->pMethods->xDeviceCharacteristics(below(file));
}

static int file_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out)
{
    if (extend && fails(faulty_of(file), FAULTY_SHM))
        return SQLITE_IOERR_SHMSIZE;
    return below(file)->pMethods->xShmMap(below(file), page, size, extend, out);
}

static int file_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return below(file)->pMethods->xShmLock(below(file), offset, n, flags);
}

static void file_shm_barrier(sqlite3_file *file)
{
    below(file)->pMethods->xShmBarrier(below(file));
}

static int file_shm_unmap(sqlite3_file *file, int delete)
{
    return below(file)->pMethods->xShmUnmap(below(file), delete);
}

static const sqlite3_io_methods file_methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

static int file_of(const struct faulty *faulty, const char *name)
{
    static const char *const suffixes[] = {"", "-wal", "-journal"};
    size_t n = strlen(faulty->database);
    if (!name || !n || strncmp(name, faulty->database, n) != 0)
        return -1;
    for (int i = 0; i < 3; i++) {
        if (strcmp(name + n, suffixes[i]) == 0)
            return i;
    }
    return -1;
}

static int vfs_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags,
                    int *out_flags)
{
    struct faulty *faulty = vfs->pAppData;
    struct faulty_file *own = (struct faulty_file *)file;
    *own = (struct faulty_file){.faulty = faulty, .file = file_of(faulty, name)};
    if (fails(faulty, FAULTY_OPEN))
        return SQLITE_CANTOPEN;
    int rc = faulty->below->xOpen(faulty->below, name, own->below, flags, out_flags);
    if (rc == SQLITE_OK)
        own->base.pMethods = &file_methods;
    return rc;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    struct faulty *faulty = vfs->pAppData;
    if (fails(faulty, FAULTY_DELETE))
        return SQLITE_IOERR_DELETE;
    record(faulty, sync ? DISK_DELETE_SYNC : DISK_DELETE, file_of(faulty, name), 0, NULL, 0);
    return faulty->below->xDelete(faulty->below, name, sync);
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *result)
{
    struct faulty *faulty = vfs->pAppData;
    return faulty->below->xAccess(faulty->below, name, flags, result);
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *name, int n, char *out)
{
    struct faulty *faulty = vfs->pAppData;
    return faulty->below->xFullPathname(faulty->below, name, n, out);
}

static int vfs_randomness(sqlite3_vfs *vfs, int n, char *out)
{
    struct faulty *faulty = vfs->pAppData;
    return faulty->below->xRandomness(faulty->below, n, out);
}

static int vfs_sleep(sqlite3_vfs *vfs, int microseconds)
{
    struct faulty *faulty = vfs->pAppData;
    return faulty->below->xSleep(faulty->below, microseconds);
}

static int vfs_time(sqlite3_vfs *vfs, double *now)
{
    struct faulty *faulty = vfs->pAppData;
    return faulty->below->xCurrentTime(faulty->below, now);
}

static int vfs_last_error(sqlite3_vfs *vfs, int n, char *out)
{
    struct faulty *faulty = vfs->pAppData;
    return faulty->failed ? faulty->no : faulty->below->xGetLastError(faulty->below, n, out);
}

struct faulty *faulty_install(void)
{
    struct faulty *faulty = calloc(1, sizeof(*faulty));
    assert_non_null(faulty);
    faulty->below = sqlite3_vfs_find(NULL);
    assert_non_null(faulty->below);
    faulty->vfs = (sqlite3_vfs){
        .iVersion = 1,
        .szOsFile = (int)sizeof(struct faulty_file) + faulty->below->szOsFile,
        .mxPathname = faulty->below->mxPathname,
        .zName = "faulty",
        .pAppData = faulty,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_path,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_time,
        .xGetLastError = vfs_last_error,
    };
    assert_int_equal(sqlite3_vfs_register(&faulty->vfs, 1), SQLITE_OK);
    return faulty;
}

void faulty_free(struct faulty *faulty)
{
    if (!faulty)
        return;
    sqlite3_vfs_unregister(&faulty->vfs);
    sqlite3_vfs_register(faulty->below, 1);
    free(faulty);
}

void faulty_fail(struct faulty *faulty, unsigned calls, int64_t n, int no, bool stays)
{
    faulty->calls = calls;
    faulty->left = n;
    faulty->counted = 0;
    faulty->no = no;
    faulty->stays = stays;
    faulty->failed = false;
}

void faulty_slow(struct faulty *faulty, int sync_ms)
{
    faulty->sync_ms = sync_ms;
}

int64_t faulty_count(const struct faulty *faulty)
{
    return faulty->counted;
}

bool faulty_has_failed(const struct faulty *faulty)
{
    return faulty->failed;
}

void faulty_record(struct faulty *faulty, const char *database, struct recording *recording)
{
    snprintf(faulty->database, sizeof(faulty->database), "%s", recording ? database : "");
    faulty->recording = recording;
}

void recording_acknowledge(struct recording *recording, int64_t number)
{
    struct faulty own = {.recording = recording};
    record(&own, DISK_ACKNOWLEDGE, 0, number, NULL, 0);
}

void recording_finish(struct recording *recording)
{
    for (size_t i = 0; i < recording->n; i++)
        free(recording->events[i].bytes);
    free(recording->events);
    *recording = (struct recording){0};
}
