/*
 * zlib reads plain and gzipped files alike. Lines are handed out as views into the buffer they were
 * read into; what is left of a line at its end moves to the front before the next read.
 */
#include "collector/source_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

enum {
    BUFFER_BYTES = 1024 * 1024, /* four times the largest event */
    GZIP_BYTES = 256 * 1024,
};

struct file {
    char *path;
    char *topic;
    gzFile gz;
    char *buffer;
    size_t start, end; /* bytes in the buffer that are not handed out yet */
    int64_t line;      /* offset of the next line */
    int64_t from;      /* lines before it are not handed out */
    int64_t bytes;     /* on disk; -1: unknown */
    bool eof, held, ended, skipping, started;
};

struct source_file {
    struct source source;
    const struct source_events *events;
    struct file *files;
    size_t n_files;
    size_t next; /* whose turn it is */
    struct message messages[SOURCE_MAX_BATCH];
    _Atomic int64_t read_bytes;
    int64_t total_bytes;
};

static struct source_file *file_source(struct source *source)
{
    return (struct source_file *)source;
}

static void file_close(struct source *source)
{
    struct source_file *self = file_source(source);
    for (size_t i = 0; self->files && i < self->n_files; i++) {
        struct file *file = &self->files[i];
        if (file->gz)
            gzclose(file->gz);
        free(file->buffer);
        free(file->path);
        free(file->topic);
    }
    free(self->files);
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

static int file_open(struct file *file, const char *path, struct err *err)
{
    bool standard_input = strcmp(path, "-") == 0;
    int fd = standard_input ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, -errno, "%s: %s", path, err_words(errno));
    struct stat about;
    bool known = fstat(fd, &about) == 0;
    if (known && S_ISDIR(about.st_mode)) {
        close(fd);
        return err_set(err, -EISDIR, "%s: is a directory, not a file of events", path);
    }
    file->bytes = known && S_ISREG(about.st_mode) ? (int64_t)about.st_size : -1;
    file->gz = gzdopen(fd, "rb");
    if (!file->gz) {
        close(fd);
        return err_set(err, -ENOMEM, "%s: no memory", path);
    }
    gzbuffer(file->gz, GZIP_BYTES);
    file->path = strdup(path);
    file->topic = topic_of(path);
    file->buffer = malloc(BUFFER_BYTES);
    if (!file->path || !file->topic || !file->buffer)
        return err_set(err, -ENOMEM, "%s: no memory", path);
    return 0;
}

static void begin(struct source_file *self, size_t index)
{
    struct file *file = &self->files[index];
    int64_t from = self->events->assigned(self->events->context, (int)index, file->topic, 0);
    file->from = from >= 0 ? from : 0;
    file->ended = from == SOURCE_STOP;
    file->held = false;
}

static int file_start(struct source *source, const struct source_events *events, struct err *err)
{
    struct source_file *self = file_source(source);
    (void)err;
    self->events = events;
    for (size_t i = 0; i < self->n_files; i++)
        begin(self, i);
    return 0;
}

static int file_restart(struct source *source, struct err *err)
{
    struct source_file *self = file_source(source);
    for (size_t i = 0; i < self->n_files; i++) {
        struct file *file = &self->files[i];
        if (file->started && gzrewind(file->gz) != 0)
            return err_set(err, -ESPIPE, "%s: cannot be read again from its beginning", file->path);
        file->start = file->end = 0;
        file->line = 0;
        file->eof = file->skipping = file->started = false;
        begin(self, i);
    }
    return 0;
}

/* Reads on; 0 also at the end of the file. */
static int fill(struct source_file *self, struct file *file, struct err *err)
{
    if (file->start > 0) {
        memmove(file->buffer, file->buffer + file->start, file->end - file->start);
        file->end -= file->start;
        file->start = 0;
    }
    file->started = true;
    z_off_t before = gzoffset(file->gz);
    int n = gzread(file->gz, file->buffer + file->end, (unsigned)(BUFFER_BYTES - file->end));
    if (n < 0) {
        int code;
        const char *text = gzerror(file->gz, &code);
        return err_set(err, code == Z_ERRNO ? -errno : ERR_DATA, "%s: %s", file->path,
                       code == Z_ERRNO ? err_words(errno) : text);
    }
    z_off_t after = gzoffset(file->gz);
    if (after > before)
        atomic_fetch_add(&self->read_bytes, (int64_t)(after - before));
    if (n == 0) {
        int code = Z_OK;
        file->eof = true;
        gzerror(file->gz, &code);
        if (code == Z_BUF_ERROR)
            return err_set(err, ERR_DATA, "%s: the compressed file ends in the middle", file->path);
    }
    file->end += (size_t)n;
    return 0;
}

/* The next line of the buffer, or NULL when it holds no whole one. */
static const char *take_line(struct file *file, size_t *n)
{
    const char *line = file->buffer + file->start;
    size_t left = file->end - file->start;
    const char *newline = left ? memchr(line, '\n', left) : NULL;
    if (newline)
        *n = (size_t)(newline - line);
    else if (left && (file->eof || left == BUFFER_BYTES))
        *n = left; /* the last one, or one that no event can be */
    else
        return NULL;
    file->start += *n + (newline != NULL);
    return line;
}

static size_t take_lines(struct source_file *self, struct file *file)
{
    size_t n = 0;
    size_t size = 0;
    const char *line;
    while (n < SOURCE_MAX_BATCH && (line = take_line(file, &size)) != NULL) {
        bool rest = file->skipping; /* of a line that did not fit */
        file->skipping = size == BUFFER_BYTES;
        if (size && line[size - 1] == '\r')
            size--;
        if (rest || size == 0)
            continue;
        int64_t offset = file->line++;
        if (offset < file->from)
            continue;
        self->messages[n++] =
            (struct message){line, size, offset, SOURCE_NO_TIMESTAMP, NULL, NULL, 0};
    }
    return n;
}

static int read_batch(struct source_file *self, size_t index, struct batch *out, struct err *err)
{
    struct file *file = &self->files[index];
    for (;;) {
        size_t n = take_lines(self, file);
        if (n) {
            *out = (struct batch){(int)index, self->messages, n, -1, -1};
            return SOURCE_BATCH;
        }
        if (file->eof && file->start == file->end)
            return 0;
        if (file->end - file->start == 0 || !file->eof) {
            int rc = fill(self, file, err);
            if (rc)
                return rc;
        }
    }
}

static int file_next(struct source *source, int timeout_ms, struct batch *out, struct err *err)
{
    struct source_file *self = file_source(source);
    size_t n_ended = 0;
    (void)timeout_ms;
    for (size_t i = 0; i < self->n_files; i++) {
        size_t index = self->next++ % self->n_files;
        struct file *file = &self->files[index];
        if (file->ended || file->held) {
            n_ended += file->ended;
            continue;
        }
        int rc = read_batch(self, index, out, err);
        if (rc)
            return rc;
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

int source_file_new(struct source **out, const char *const *paths, size_t n_paths, struct err *err)
{
    AUTO(source) struct source *source = NULL;
    struct source_file *self = calloc(1, sizeof(*self));
    if (!self)
        return err_set(err, -ENOMEM, "no memory for the source of files");
    self->source = (struct source){
        .name = "file",
        .bounded = true,
        .checks_last = true,
        .start = file_start,
        .next = file_next,
        .hold = file_hold,
        .restart = file_restart,
        .state = file_state,
        .close = file_close,
    };
    source = &self->source;
    self->files = calloc(n_paths ? n_paths : 1, sizeof(*self->files));
    if (!self->files)
        return err_set(err, -ENOMEM, "no memory for the source of files");
    for (size_t i = 0; i < n_paths; i++) {
        struct file *file = &self->files[self->n_files++];
        int rc = file_open(file, paths[i], err);
        if (rc)
            return rc;
        if (file->bytes < 0 || self->total_bytes < 0)
            self->total_bytes = -1;
        else
            self->total_bytes += file->bytes;
    }
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
