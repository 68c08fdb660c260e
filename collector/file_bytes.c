/*
 * zlib's inflate on what read() gives, not its gz functions: those wait until the whole of a
 * buffer is filled, and nothing can call them back from a pipe that is silent.
 */
#include "collector/file_bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum {
    INPUT_BYTES = 128 * 1024,
    MAGIC_BYTES = 2,
    GZIP_WINDOW = MAX_WBITS + 16, /* zlib.h: a gzip header and nothing else */
};

struct file_bytes {
    char *path;
    int fd, stop_fd;
    bool waits; /* a read may wait: it is no regular file */
    int64_t size;
    int64_t taken;
    bool begun, ended;
    bool gzipped, inside; /* inside a member */
    z_stream zip;
    bool has_zip;
    unsigned char *input; /* zip.next_in and avail_in say what is left of it */
};

static int file_init(struct file_bytes *file, const char *path, struct err *err)
{
    bool standard_input = strcmp(path, "-") == 0;
    file->fd = standard_input ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (file->fd < 0)
        return err_set(err, -errno, "%s: %s", path, err_words(errno));
    struct stat about;
    bool known = fstat(file->fd, &about) == 0;
    if (known && S_ISDIR(about.st_mode))
        return err_set(err, -EISDIR, "%s: is a directory, not a file of events", path);
    file->waits = !known || !S_ISREG(about.st_mode);
    file->size = file->waits ? -1 : (int64_t)about.st_size;
    file->path = strdup(path);
    file->input = malloc(INPUT_BYTES);
    if (!file->path || !file->input)
        return err_set(err, -ENOMEM, "%s: no memory", path);
    return 0;
}

int file_bytes_open(struct file_bytes **out, const char *path, int stop_fd, struct err *err)
{
    struct file_bytes *file = calloc(1, sizeof(*file));
    if (!file)
        return err_set(err, -ENOMEM, "%s: no memory", path);
    file->stop_fd = stop_fd;
    int rc = file_init(file, path, err);
    if (rc) {
        file_bytes_close(file);
        return rc;
    }
    *out = file; /* the caller owns it now */
    return 0;
}

void file_bytes_close(struct file_bytes *file)
{
    if (!file)
        return;
    if (file->has_zip)
        inflateEnd(&file->zip);
    if (file->fd >= 0)
        close(file->fd);
    free(file->input);
    free(file->path);
    free(file);
}

int file_bytes_rewind(struct file_bytes *file, struct err *err)
{
    if (file->begun && lseek(file->fd, 0, SEEK_SET) != 0)
        return err_set(err, -ESPIPE, "%s: cannot be read again from its beginning", file->path);
    file->begun = file->ended = false;
    file->zip.avail_in = 0;
    return 0;
}

int64_t file_bytes_size(const struct file_bytes *file)
{
    return file->size;
}

int64_t file_bytes_taken(const struct file_bytes *file)
{
    return file->taken;
}

const char *file_bytes_path(const struct file_bytes *file)
{
    return file->path;
}

/* Until there is something to read, or somebody wants us to stop. */
static int wait_for_bytes(const struct file_bytes *file, struct err *err)
{
    struct pollfd both[] = {{.fd = file->stop_fd, .events = POLLIN},
                            {.fd = file->fd, .events = POLLIN}};
    while (poll(both, 2, -1) < 0)
        if (errno != EINTR)
            return err_set(err, -errno, "%s: %s", file->path, err_words(errno));
    if (both[0].revents)
        return err_set(err, -ECANCELED, "%s: reading was stopped", file->path);
    return 0;
}

/* As read(): *got = 0 at the end. */
static int read_raw(struct file_bytes *file, void *to, size_t n, size_t *got, struct err *err)
{
    int rc = file->waits ? wait_for_bytes(file, err) : 0;
    if (rc)
        return rc;
    ssize_t size;
    do
        size = read(file->fd, to, n);
    while (size < 0 && errno == EINTR);
    if (size < 0)
        return err_set(err, -errno, "%s: %s", file->path, err_words(errno));
    *got = (size_t)size;
    file->taken += size;
    return 0;
}

/* Reads on until at least n bytes of input are at hand, or the file has no more. */
static int want_input(struct file_bytes *file, size_t n, size_t most, struct err *err)
{
    z_stream *zip = &file->zip;
    if (zip->avail_in < n && zip->avail_in > 0)
        memmove(file->input, zip->next_in, zip->avail_in);
    while (zip->avail_in < n) {
        size_t got;
        int rc = read_raw(file, file->input + zip->avail_in, most - zip->avail_in, &got, err);
        if (rc)
            return rc;
        zip->next_in = file->input;
        if (got == 0)
            break;
        zip->avail_in += (uInt)got;
    }
    return 0;
}

static bool is_gzip(const z_stream *zip)
{
    return zip->avail_in >= MAGIC_BYTES && zip->next_in[0] == 0x1f && zip->next_in[1] == 0x8b;
}

static int begin_member(struct file_bytes *file, struct err *err)
{
    if (file->has_zip ? inflateReset(&file->zip) : inflateInit2(&file->zip, GZIP_WINDOW))
        return err_set(err, -ENOMEM, "%s: no memory to unzip it", file->path);
    file->has_zip = file->inside = true;
    return 0;
}

static int begin(struct file_bytes *file, struct err *err)
{
    file->begun = true;
    file->zip.next_in = file->input;
    int rc = want_input(file, MAGIC_BYTES, MAGIC_BYTES, err);
    file->gzipped = !rc && is_gzip(&file->zip);
    return rc || !file->gzipped ? rc : begin_member(file, err);
}

/* Between two members: another one, or the end of all that is looked at. */
static int next_member(struct file_bytes *file, struct err *err)
{
    int rc = want_input(file, MAGIC_BYTES, INPUT_BYTES, err);
    if (rc)
        return rc;
    file->ended = !is_gzip(&file->zip);
    return file->ended ? 0 : begin_member(file, err);
}

static int inflate_some(struct file_bytes *file, char *to, size_t n, size_t *got, struct err *err)
{
    z_stream *zip = &file->zip;
    int rc = want_input(file, 1, INPUT_BYTES, err);
    if (rc)
        return rc;
    if (zip->avail_in == 0)
        return err_set(err, ERR_DATA, "%s: the compressed file ends in the middle", file->path);
    zip->next_out = (unsigned char *)to;
    zip->avail_out = (uInt)n;
    int code = inflate(zip, Z_NO_FLUSH);
    *got = n - zip->avail_out;
    file->inside = code != Z_STREAM_END;
    if (code == Z_MEM_ERROR)
        return err_set(err, -ENOMEM, "%s: no memory to unzip it", file->path);
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
        return err_set(err, ERR_DATA, "%s: %s", file->path,
                       zip->msg ? zip->msg : "is not what gzip writes");
    return 0;
}

static int read_zipped(struct file_bytes *file, char *to, size_t n, size_t *got, struct err *err)
{
    int rc = 0;
    while (!rc && *got == 0 && !file->ended)
        rc = file->inside ? inflate_some(file, to, n, got, err) : next_member(file, err);
    return rc;
}

static int read_plain(struct file_bytes *file, char *to, size_t n, size_t *got, struct err *err)
{
    z_stream *left = &file->zip; /* what was looked at to see that it is not zipped */
    if (left->avail_in == 0)
        return read_raw(file, to, n, got, err);
    *got = left->avail_in < n ? left->avail_in : n;
    memcpy(to, left->next_in, *got);
    left->next_in += *got;
    left->avail_in -= (uInt)*got;
    return 0;
}

int file_bytes_read(struct file_bytes *file, char *to, size_t n, size_t *got, struct err *err)
{
    *got = 0;
    int rc = file->begun ? 0 : begin(file, err);
    if (rc)
        return rc;
    return file->gzipped ? read_zipped(file, to, n, got, err) : read_plain(file, to, n, got, err);
}
