#include "tests/lib/crash_disk.h"

#include <stdio.h>
#include <string.h>

#include "tests/test.h"

static const struct disk_event deletion = {.kind = DISK_DELETE};
static const char *const suffixes[DISK_FILES] = {"", "-wal", "-journal"};

static void name_file(char *out, size_t size, const char *database, int file)
{
    snprintf(out, size, "%s%s", database, suffixes[file]);
}

static void grow(struct disk_file *file, size_t size)
{
    if (size <= file->size)
        return;
    if (size > file->capacity) {
        file->capacity = size + size / 2 + 4096;
        file->bytes = realloc(file->bytes, file->capacity);
        assert_non_null(file->bytes);
    }
    memset(file->bytes + file->size, 0, size - file->size);
    file->size = size;
}

static void apply(struct disk_file *file, const struct disk_event *event)
{
    if (event->kind == DISK_WRITE) {
        grow(file, (size_t)event->offset + event->n);
        memcpy(file->bytes + event->offset, event->bytes, event->n);
    } else if (event->kind == DISK_TRUNCATE) {
        grow(file, (size_t)event->offset);
        file->size = (size_t)event->offset;
    } else {
        file->size = 0;
    }
}

void disk_init(struct disk *disk, const char *database)
{
    *disk = (struct disk){0};
    for (int i = 0; i < DISK_FILES; i++) {
        char name[512];
        name_file(name, sizeof(name), database, i);
        FILE *in = fopen(name, "rb");
        if (!in)
            continue;
        struct disk_file *file = &disk->files[i];
        file->exists = true;
        fseek(in, 0, SEEK_END);
        size_t size = (size_t)ftell(in);
        rewind(in);
        grow(file, size);
        assert_int_equal(fread(file->bytes, 1, size, in), size);
        fclose(in);
    }
}

void disk_finish(struct disk *disk)
{
    for (int i = 0; i < DISK_FILES; i++) {
        free(disk->files[i].bytes);
        free(disk->files[i].pending);
    }
    *disk = (struct disk){0};
}

static void pend(struct disk_file *file, const struct disk_event *event)
{
    if (file->n_pending == file->capacity_pending) {
        file->capacity_pending = file->capacity_pending ? 2 * file->capacity_pending : 64;
        file->pending = realloc(file->pending, file->capacity_pending * sizeof(*file->pending));
        assert_non_null(file->pending);
    }
    file->pending[file->n_pending++] = event;
}

static void sync_file(struct disk_file *file)
{
    for (size_t i = 0; i < file->n_pending; i++)
        apply(file, file->pending[i]);
    file->n_pending = 0;
    file->exists = true;
}

/* Files that were made are there now, those that were deleted are gone; no bytes move. */
static void sync_directory(struct disk *disk)
{
    for (int f = 0; f < DISK_FILES; f++) {
        struct disk_file *file = &disk->files[f];
        size_t kept = file->n_pending;
        while (kept > 0 && file->pending[kept - 1]->kind != DISK_DELETE)
            kept--;
        if (kept > 0) { /* what was before the deletion is past */
            file->n_pending -= kept;
            memmove(file->pending, file->pending + kept, file->n_pending * sizeof(*file->pending));
            file->size = 0;
            file->exists = false;
            file->made = file->n_pending > 0;
        }
        file->exists |= file->made;
    }
}

void disk_play(struct disk *disk, const struct disk_event *event)
{
    struct disk_file *file = &disk->files[event->file];
    switch (event->kind) {
    case DISK_WRITE:
    case DISK_TRUNCATE:
        file->made = true;
        pend(file, event);
        break;
    case DISK_DELETE:
        pend(file, event);
        break;
    case DISK_DELETE_SYNC:
        pend(file, &deletion);
        sync_directory(disk);
        break;
    case DISK_SYNC:
        sync_file(file);
        break;
    case DISK_SYNC_DIRECTORY:
        sync_file(file);
        sync_directory(disk);
        break;
    case DISK_ACKNOWLEDGE:
        disk->acknowledged = event->offset;
        break;
    }
}

/* Some sectors of a write reach the disk, others do not. */
static void apply_torn(struct disk_file *image, const struct disk_event *event, struct rng *rng,
                       size_t sector)
{
    grow(image, (size_t)event->offset + event->n); /* the size may be there before the bytes */
    for (size_t done = 0; done < event->n;) {
        size_t at = (size_t)event->offset + done;
        size_t n = sector - at % sector;
        if (n > event->n - done)
            n = event->n - done;
        if (rng_below(rng, 2))
            memcpy(image->bytes + at, event->bytes + done, n);
        done += n;
    }
}

static void crash_file(const struct disk_file *file, struct rng *rng, const char *name)
{
    struct disk_file image = {0};
    size_t sector = rng_below(rng, 2) ? 512 : 4096;
    uint64_t kept_of_8 = rng_below(rng, 9); /* how many of the writes arrive */
    bool in_order = rng_below(rng, 4) == 0; /* only the first ones, as a plain queue */
    size_t first = rng_below(rng, file->n_pending + 1);
    bool gone = !file->exists && (!file->made || rng_below(rng, 2));
    grow(&image, file->size);
    if (file->size)
        memcpy(image.bytes, file->bytes, file->size);

    for (size_t i = 0; i < file->n_pending; i++) {
        const struct disk_event *event = file->pending[i];
        if (in_order ? i >= first : rng_below(rng, 8) >= kept_of_8)
            continue;
        if (event->kind == DISK_DELETE) {
            gone = true;
            image.size = 0;
        } else if (event->kind == DISK_WRITE && rng_below(rng, 3) == 0) {
            apply_torn(&image, event, rng, sector);
        } else {
            apply(&image, event);
        }
    }
    remove(name);
    if (!gone) {
        FILE *out = fopen(name, "wb");
        assert_non_null(out);
        if (image.size)
            assert_int_equal(fwrite(image.bytes, 1, image.size, out), image.size);
        fclose(out);
    }
    free(image.bytes);
}

void disk_crash(const struct disk *disk, struct rng *rng, const char *database)
{
    for (int i = 0; i < DISK_FILES; i++) {
        char name[512];
        name_file(name, sizeof(name), database, i);
        crash_file(&disk->files[i], rng, name);
    }
    char shm[512];
    snprintf(shm, sizeof(shm), "%s-shm", database);
    remove(shm);
}
