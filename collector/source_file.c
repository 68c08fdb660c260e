/*
 * Two threads, as decoding is a third of all work: one fills blocks of lines, the other takes them.
 *
 *     reader:  file 0  [full][full][    ]      consumer:  file 0, 1, 0, 1 …: the first full block,
 *              file 1  [full][    ][    ]                 given back at the file's next turn
 *
 * Each file has its own ring, so that one that is held does not stand in the way of another. Files
 * take turns whatever is ready, which makes the order of batches the same in each run. The lock is
 * taken once a block. Without the reader (it could not be started) next() fills the block itself, and
 * waits as long as the file does.
 */
#include "collector/source_file.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "collector/file_lines.h"
#include "common/deadline.h"

enum {
    BLOCK_LINES = 512, /* half a thousand decoded events stay in the second cache */
    BLOCK_BYTES = 128 * 1024,
    BLOCKS_AHEAD = 4,
    FEW_FILES = 8, /* of more, less is read ahead */
};

struct file {
    struct file_lines *lines;
    char *topic;
    struct line_block *blocks; /* a ring */
    size_t n_blocks;
    size_t first;  /* block that is given next, or is given now */
    size_t n_full; /* from there; shared */
    size_t next;   /* block that is filled next: who fills */
    bool filled;   /* to its end, or to what cannot be read: who fills */
    bool given;    /* the first block is in the consumer's hands */
    bool held, ended;
};

struct source_file {
    struct source source;
    const struct source_events *events;
    struct file *files;
    size_t n_files;
    size_t next;  /* whose turn it is to be taken */
    size_t fills; /* and to be filled */
    struct decoder *decoder;
    bool here;
    _Atomic int64_t read_bytes;
    int64_t total_bytes;

    int stop_fd;
    bool runs;
    pthread_t reader;
    pthread_mutex_t lock; /* of all n_full, stops and waits */
    pthread_cond_t full, room;
    bool stops;
    bool waits; /* the reader: all rings are full */
};

static struct source_file *file_source(struct source *source)
{
    return (struct source_file *)source;
}

/* ---- filling ---- */

static void fill(struct source_file *self, struct file *file)
{
    const struct file_bytes *bytes = file_lines_bytes(file->lines);
    struct line_block *block = &file->blocks[file->next];
    int64_t before = file_bytes_taken(bytes);
    file_lines_fill(file->lines, self->decoder, block);
    atomic_fetch_add(&self->read_bytes, file_bytes_taken(bytes) - before);
    file->next = (file->next + 1) % file->n_blocks;
    file->filled = block->last;
}

/* The next file in turn that has an empty block; NULL: none, now or for ever. Under the lock. */
static struct file *file_to_fill(struct source_file *self)
{
    for (size_t i = 0; i < self->n_files; i++) {
        struct file *file = &self->files[self->fills++ % self->n_files];
        if (!file->filled && file->n_full < file->n_blocks)
            return file;
    }
    return NULL;
}

static void *read_ahead(void *context)
{
    struct source_file *self = context;
    pthread_mutex_lock(&self->lock);
    while (!self->stops) {
        struct file *file = file_to_fill(self);
        self->waits = file == NULL;
        if (!file) {
            pthread_cond_wait(&self->room, &self->lock);
            continue;
        }
        pthread_mutex_unlock(&self->lock);
        fill(self, file);
        pthread_mutex_lock(&self->lock);
        file->n_full++;
        pthread_cond_signal(&self->full);
    }
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

/* Signals are for who called us. */
static void start_reader(struct source_file *self)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    self->runs = !self->here && pthread_create(&self->reader, NULL, read_ahead, self) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void stop_reader(struct source_file *self)
{
    uint64_t count = 1;
    if (!self->runs)
        return;
    pthread_mutex_lock(&self->lock);
    self->stops = true;
    pthread_cond_signal(&self->room);
    pthread_mutex_unlock(&self->lock);
    (void)!write(self->stop_fd, &count, sizeof(count));
    pthread_join(self->reader, NULL);
    (void)!read(self->stop_fd, &count, sizeof(count));
    self->runs = self->stops = self->waits = false;
}

/* ---- taking ---- */

/* The block that was given is done with. The reader is woken when half of the ring is empty: it
   then has something to do for a while. */
static void give_back(struct source_file *self, struct file *file)
{
    if (!file->given)
        return;
    file->given = false;
    file->first = (file->first + 1) % file->n_blocks;
    pthread_mutex_lock(&self->lock);
    file->n_full--;
    if (self->waits && file->n_full <= file->n_blocks / 2) {
        self->waits = false;
        pthread_cond_signal(&self->room);
    }
    pthread_mutex_unlock(&self->lock);
}

static bool wait_for_block(struct source_file *self, const struct file *file, int timeout_ms)
{
    pthread_mutex_lock(&self->lock);
    if (file->n_full == 0 && timeout_ms > 0) {
        const struct timespec until = deadline_after(timeout_ms);
        while (file->n_full == 0 &&
               pthread_cond_timedwait(&self->full, &self->lock, &until) != ETIMEDOUT)
            ;
    }
    const bool there = file->n_full > 0;
    pthread_mutex_unlock(&self->lock);
    return there;
}

/* The file's next block; NULL: not in time. */
static const struct line_block *take_block(struct source_file *self, struct file *file,
                                           int timeout_ms)
{
    give_back(self, file);
    if (!self->runs) {
        fill(self, file);
        file->n_full = 1;
    } else if (!wait_for_block(self, file, timeout_ms)) {
        return NULL;
    }
    file->given = true;
    return &file->blocks[file->first];
}

static int file_next(struct source *source, int timeout_ms, struct batch *out, struct err *err)
{
    struct source_file *self = file_source(source);
    size_t n_ended = 0;
    for (size_t i = 0; i < self->n_files; i++) {
        size_t index = self->next++ % self->n_files;
        struct file *file = &self->files[index];
        if (file->ended || file->held) {
            n_ended += file->ended;
            continue;
        }
        const struct line_block *block = take_block(self, file, timeout_ms);
        if (!block) {
            self->next--; /* it is still this file's turn: order does not depend on speed */
            return 0;
        }
        if (block->rc) {
            if (err)
                *err = block->err;
            return block->rc;
        }
        if (!block->last) {
            *out = (struct batch){(int)index, block->messages, block->n, -1, -1};
            return SOURCE_BATCH;
        }
        file->ended = true;
        n_ended++;
        self->events->ended(self->events->context, (int)index);
    }
    return n_ended == self->n_files ? SOURCE_END : 0;
}

static void file_hold(struct source *source, int partition, bool held)
{
    file_source(source)->files[partition].held = held;
}

static void file_state(struct source *source, struct source_state *out)
{
    *out = (struct source_state){.ready = true, .n_partitions = (int)file_source(source)->n_files};
}

/* ---- beginning and end ---- */

static const char *name_of(const char *path)
{
    return strcmp(path, "-") == 0 ? "standard input" : path;
}

static int begin(struct source_file *self, size_t index, struct err *err)
{
    struct file *file = &self->files[index];
    int64_t from = self->events->assigned(self->events->context, (int)index, file->topic, 0);
    file->first = file->next = file->n_full = 0;
    file->given = file->held = false;
    file->ended = file->filled = from == SOURCE_STOP;
    int rc = file_lines_begin(file->lines, from >= 0 ? from : 0, err);
    if (rc != -ESPIPE)
        return rc;
    int64_t stored = from > 0 ? from + 1 : 0; /* `from` is the last one that is, to be checked */
    return err_set(err, rc,
                   "%s cannot be read again; its first %" PRId64
                   " lines are stored: give the others, or all of it as a file",
                   name_of(file_bytes_path(file_lines_bytes(file->lines))), stored);
}

static int begin_all(struct source_file *self, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < self->n_files; i++)
        rc = begin(self, i, err);
    if (!rc)
        start_reader(self);
    return rc;
}

static int file_start(struct source *source, const struct source_events *events, struct err *err)
{
    struct source_file *self = file_source(source);
    self->events = events;
    return begin_all(self, err);
}

static int file_restart(struct source *source, struct err *err)
{
    struct source_file *self = file_source(source);
    stop_reader(self);
    return begin_all(self, err);
}

static void file_finish(struct file *file)
{
    file_lines_close(file->lines);
    for (size_t i = 0; file->blocks && i < file->n_blocks; i++)
        line_block_finish(&file->blocks[i]);
    free(file->blocks);
    free(file->topic);
}

static void file_close(struct source *source)
{
    struct source_file *self = file_source(source);
    stop_reader(self);
    for (size_t i = 0; self->files && i < self->n_files; i++)
        file_finish(&self->files[i]);
    free(self->files);
    decoder_free(self->decoder);
    if (self->stop_fd >= 0)
        close(self->stop_fd);
    pthread_cond_destroy(&self->full);
    pthread_cond_destroy(&self->room);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

/* Lines of standard input are another log at each run: it cannot be read again. */
static char *topic_of(const char *path)
{
    char text[64];
    if (strcmp(path, "-") != 0)
        return realpath(path, NULL);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(text, sizeof(text), "stdin-%lld.%09ld-%d", (long long)now.tv_sec, now.tv_nsec,
             (int)getpid());
    return strdup(text);
}

static int file_open(struct source_file *self, struct file *file, const char *path,
                     const struct file_reading *reading, struct err *err)
{
    const struct block_size size = {reading->lines ? reading->lines : BLOCK_LINES,
                                    reading->bytes ? reading->bytes : BLOCK_BYTES};
    int rc = file_lines_open(&file->lines, path, self->stop_fd, err);
    if (rc)
        return rc;
    file->topic = topic_of(path);
    file->n_blocks = reading->ahead              ? reading->ahead
                     : self->n_files > FEW_FILES ? BLOCKS_AHEAD / 2
                                                 : BLOCKS_AHEAD;
    file->blocks = calloc(file->n_blocks, sizeof(*file->blocks));
    if (!file->topic || !file->blocks)
        return err_set(err, -ENOMEM, "%s: no memory", path);
    for (size_t i = 0; !rc && i < file->n_blocks; i++)
        rc = line_block_init(&file->blocks[i], size, err);
    return rc;
}

static int open_all(struct source_file *self, const char *const *paths,
                    const struct file_reading *reading, struct err *err)
{
    self->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->stop_fd < 0)
        return err_set(err, -errno, "no eventfd for the source of files: %s", err_words(errno));
    self->files = calloc(self->n_files + 1, sizeof(*self->files));
    if (!self->files)
        return err_set(err, -ENOMEM, "no memory for the source of files");
    int rc = decoder_new(&self->decoder, err);
    for (size_t i = 0; !rc && i < self->n_files; i++) {
        struct file *file = &self->files[i];
        rc = file_open(self, file, paths[i], reading, err);
        int64_t bytes = rc ? -1 : file_bytes_size(file_lines_bytes(file->lines));
        self->total_bytes = bytes < 0 || self->total_bytes < 0 ? -1 : self->total_bytes + bytes;
    }
    return rc;
}

/* Two readers of one log would each take some of its lines. */
static int refuse_repeats(const char *const *paths, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(paths[i], paths[j]) == 0)
                return err_set(err, ERR_USAGE, "%s is named twice", name_of(paths[i]));
    return 0;
}

int source_file_new(struct source **out, const char *const *paths, size_t n_paths,
                    const struct file_reading *reading, struct err *err)
{
    static const struct file_reading usual = {0};
    int rc = refuse_repeats(paths, n_paths, err);
    if (rc)
        return rc;
    struct source_file *self = calloc(1, sizeof(*self));
    if (!self)
        return err_set(err, -ENOMEM, "no memory for the source of files");
    reading = reading ? reading : &usual;
    self->source = (struct source){
        .name = "file",
        .bounded = true,
        .checks_last = true,
        .keeps_held = true,
        .start = file_start,
        .next = file_next,
        .hold = file_hold,
        .restart = file_restart,
        .state = file_state,
        .close = file_close,
    };
    self->n_files = n_paths;
    self->here = reading->here;
    pthread_mutex_init(&self->lock, NULL);
    deadline_cond_init(&self->full);
    pthread_cond_init(&self->room, NULL);
    AUTO(source) struct source *source = &self->source;
    rc = open_all(self, paths, reading, err);
    if (rc)
        return rc;
    *out = source;
    source = NULL; /* the caller owns it now */
    return 0;
}

void source_file_progress(const struct source *source, struct file_progress *out)
{
    const struct source_file *self = (const struct source_file *)(const void *)source;
    out->read_bytes = atomic_load(&self->read_bytes);
    out->total_bytes = self->total_bytes;
}
