/*
 * A VFS between SQLite and the disk, for tests: it makes the n-th call fail, and it records what
 * was written and synced, so that crash_disk.h can tell what a power loss would have left.
 *
 * Shape    faulty_install makes it the default VFS of the process, in front of SQLite's own
 * Units    calls are counted over all files, from faulty_fail on
 * Owner    faulty_install gives, faulty_free takes (and SQLite's own VFS is the default again);
 *          no store may be open then
 * Threads  one
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/cleanup.h"

struct faulty;

enum faulty_calls {
    FAULTY_WRITE = 1,
    FAULTY_SYNC = 2,
    FAULTY_READ = 4,
    FAULTY_OPEN = 8,
    FAULTY_TRUNCATE = 16,
    FAULTY_DELETE = 32,
    FAULTY_SHM = 64,
    FAULTY_ANY = 127,
};

struct faulty *faulty_install(void);
void faulty_free(struct faulty *faulty);
DEFINE_FREEP(faulty)

/*
 * The n-th call (1: the next) of the kinds in `calls` fails with errno `no`, as unix would report
 * it: a write without room (ENOSPC) is SQLITE_FULL, all else an SQLITE_IOERR_… of its kind.
 * `stays`: all later ones fail too. n 0: nothing fails any more.
 */
void faulty_fail(struct faulty *faulty, unsigned calls, int64_t n, int no, bool stays);

/* A slow disk: each sync takes that long. */
void faulty_slow(struct faulty *faulty, int sync_ms);

/* Calls of those kinds since the last faulty_fail, and whether one has failed. */
int64_t faulty_count(const struct faulty *faulty);
bool faulty_has_failed(const struct faulty *faulty);

enum disk_event_kind {
    DISK_WRITE,
    DISK_TRUNCATE,
    DISK_SYNC,
    DISK_SYNC_DIRECTORY, /* the file, and which files there are */
    DISK_DELETE,         /* may come back after a power loss … */
    DISK_DELETE_SYNC,    /* … this one not: the directory was synced */
    DISK_ACKNOWLEDGE,    /* the program was told that `offset` is durable */
};

struct disk_event {
    enum disk_event_kind kind;
    int file; /* 0 database, 1 its WAL, 2 its journal */
    int64_t offset;
    size_t n;
    unsigned char *bytes;
};

struct recording {
    struct disk_event *events;
    size_t n;
    size_t capacity;
};

/* Records what happens to `database`, its WAL and its journal, until the next call; NULL: stops.
   Call it before the database is opened: files that are open already are not recorded. */
void faulty_record(struct faulty *faulty, const char *database, struct recording *recording);
void recording_acknowledge(struct recording *recording, int64_t number);
void recording_finish(struct recording *recording);
