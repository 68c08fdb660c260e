/*
 * What a disk may hold after the power went: everything that was synced, and of what was written
 * since any part of it, in any order, torn at sectors.
 *
 * Shape    the events of a recording are played one by one (disk_play); between any two
 *          disk_crash draws one of the possible images and writes it as files
 * Units    sectors of 512 or 4096 bytes, drawn for each image
 * Owner    disk_init's memory is taken by disk_finish; it borrows the recording's bytes
 */
#pragma once

#include "common/rng.h"
#include "tests/lib/faulty_vfs.h"

enum {
    DISK_FILES = 3
};

struct disk_file {
    unsigned char *bytes; /* as synced */
    size_t size;
    size_t capacity;
    bool exists; /* for sure */
    bool made;   /* perhaps: written, and neither file nor directory synced */
    const struct disk_event **pending;
    size_t n_pending;
    size_t capacity_pending;
};

struct disk {
    struct disk_file files[DISK_FILES];
    int64_t acknowledged; /* the last number that was promised */
};

/* Starts with the files that are at `database` now, as if synced. */
void disk_init(struct disk *disk, const char *database);
void disk_finish(struct disk *disk);
void disk_play(struct disk *disk, const struct disk_event *event);
void disk_crash(const struct disk *disk, struct rng *rng, const char *database);
