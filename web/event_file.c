#include "web/event_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MAX_EVENT_BYTES = 16 * 1024 * 1024,
    WIRE_VARINT = 0,
    WIRE_FIXED64 = 1,
    WIRE_BYTES = 2,
    DT_FLOAT = 1, /* tensorflow/core/framework/types.proto */
    DT_DOUBLE = 2,
    CLASS_SCALAR = 1, /* SummaryMetadata.data_class */
    CLASS_TENSOR = 2,
};

struct event_file {
    int fd;
    int failed; /* the -errno that a write ended with */
    char path[PATH_MAX];
    int64_t step;
    double wall_time;
    struct buf summary; /* values of the event that is being made */
    struct buf value, metadata, tensor, record;
};

/* --- CRC-32C, a byte at a time: a few hundred kilobytes an hour are checked --- */

uint32_t crc32c(const void *bytes, size_t n)
{
    const uint32_t polynomial = 0x82f63b78; /* reflected */
    const unsigned char *at = bytes;
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < n; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (polynomial & (0 - (crc & 1)));
    }
    return ~crc;
}

/* A CRC over bytes that hold a CRC would be weak, so TFRecord turns and shifts it. */
static uint32_t masked_crc(const void *bytes, size_t n)
{
    uint32_t crc = crc32c(bytes, n);
    return (crc >> 15 | crc << 17) + 0xa282ead8;
}

/* --- protobuf: the few fields that go out --- */

static void put_key(struct buf *out, unsigned field, unsigned wire)
{
    buf_varint(out, field << 3 | wire);
}

static void put_int(struct buf *out, unsigned field, uint64_t value)
{
    put_key(out, field, WIRE_VARINT);
    buf_varint(out, value);
}

static void put_double(struct buf *out, unsigned field, double value)
{
    put_key(out, field, WIRE_FIXED64);
    buf_double(out, value);
}

static void put_bytes(struct buf *out, unsigned field, const void *bytes, size_t n)
{
    put_key(out, field, WIRE_BYTES);
    buf_string(out, bytes, n);
}

static void put_text(struct buf *out, unsigned field, const char *text)
{
    put_bytes(out, field, text, strlen(text));
}

/* --- the file --- */

static int make_directories(const char *directory, struct err *err)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof(path), "%s", directory) >= (int)sizeof(path))
        return err_set(err, -ENAMETOOLONG, "%.200s…: too long a path", directory);
    for (char *at = path + 1;; at++) {
        if (*at != '/' && *at != '\0')
            continue;
        char kept = *at;
        *at = '\0';
        if (mkdir(path, 0777) != 0 && errno != EEXIST)
            return err_set(err, -errno, "%s: %s", path, err_words(errno));
        *at = kept;
        if (kept == '\0')
            return 0;
    }
}

static int write_record(struct event_file *file, const struct buf *event, struct err *err)
{
    struct buf *record = &file->record;
    if (file->failed)
        return err_set(err, file->failed, "%s: %s", file->path, err_words(-file->failed));
    buf_clear(record);
    buf_u64(record, event->size);
    if (!buf_failed(record))
        buf_u32(record, masked_crc(record->data, 8));
    buf_bytes(record, event->data, event->size);
    buf_u32(record, masked_crc(event->data, event->size));
    if (buf_failed(record) || buf_failed(event))
        return err_set(err, -ENOMEM, "%s: no memory for an event", file->path);
    for (size_t done = 0; done < record->size;) {
        ssize_t n = write(file->fd, record->data + done, record->size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            file->failed = -errno;
            return err_set(err, -errno, "%s: %s", file->path, err_words(errno));
        }
        done += (size_t)n;
    }
    return 0;
}

static int write_version(struct event_file *file, int64_t now_ms, struct err *err)
{
    struct buf event;
    buf_init(&event, MAX_EVENT_BYTES);
    put_double(&event, 1, (double)now_ms / 1e3);
    put_text(&event, 3, "brain.Event:2");
    int rc = write_record(file, &event, err);
    buf_finish(&event);
    return rc;
}

static int open_file(struct event_file *file, const char *directory, int64_t now_ms,
                     struct err *err)
{
    static atomic_uint opened; /* two files of one second and process */
    char host[HOST_NAME_MAX + 1] = "localhost";
    gethostname(host, sizeof(host) - 1);
    int rc = make_directories(directory, err);
    if (rc)
        return rc;
    int n =
        snprintf(file->path, sizeof(file->path), "%s/events.out.tfevents.%010" PRId64 ".%s.%ld.%u",
                 directory, now_ms / 1000, host, (long)getpid(), atomic_fetch_add(&opened, 1));
    if (n < 0 || (size_t)n >= sizeof(file->path))
        return err_set(err, -ENAMETOOLONG, "%.200s…: too long a path", directory);
    file->fd = open(file->path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
    if (file->fd < 0)
        return err_set(err, -errno, "%s: %s", file->path, err_words(errno));
    return write_version(file, now_ms, err);
}

int event_file_new(struct event_file **out, const char *directory, int64_t now_ms, struct err *err)
{
    AUTO(event_file) struct event_file *file = calloc(1, sizeof(*file));
    if (!file)
        return err_set(err, -ENOMEM, "%s: no memory", directory);
    file->fd = -1;
    struct buf *bufs[] = {&file->summary, &file->value, &file->metadata, &file->tensor,
                          &file->record};
    for (size_t i = 0; i < sizeof(bufs) / sizeof(bufs[0]); i++)
        buf_init(bufs[i], MAX_EVENT_BYTES);
    int rc = open_file(file, directory, now_ms, err);
    if (rc)
        return rc;
    *out = file; /* the caller owns it now */
    file = NULL;
    return 0;
}

void event_file_free(struct event_file *file)
{
    if (!file)
        return;
    if (file->fd >= 0)
        close(file->fd);
    buf_finish(&file->summary);
    buf_finish(&file->value);
    buf_finish(&file->metadata);
    buf_finish(&file->tensor);
    buf_finish(&file->record);
    free(file);
}

void event_begin(struct event_file *file, int64_t step, double wall_time)
{
    file->step = step;
    file->wall_time = wall_time;
    buf_clear(&file->summary);
}

/* Summary.Value {tag 1, tensor 8, metadata 9} from file->tensor. */
static void put_value(struct event_file *file, const char *tag, const char *plugin,
                      unsigned data_class)
{
    struct buf *value = &file->value, *metadata = &file->metadata;
    buf_clear(metadata);
    buf_clear(value);
    put_text(value, 1, plugin); /* PluginData.plugin_name */
    put_bytes(metadata, 1, value->data, value->size);
    put_int(metadata, 4, data_class);
    buf_clear(value);
    put_text(value, 1, tag);
    put_bytes(value, 9, metadata->data, metadata->size);
    put_bytes(value, 8, file->tensor.data, file->tensor.size);
    if (buf_failed(value) || buf_failed(metadata) || buf_failed(&file->tensor))
        file->summary.failed = true;
    else
        put_bytes(&file->summary, 1, value->data, value->size);
}

void event_scalar(struct event_file *file, const char *tag, double value)
{
    struct buf *tensor = &file->tensor;
    float number = (float)value;
    buf_clear(tensor);
    put_int(tensor, 1, DT_FLOAT);
    put_bytes(tensor, 2, "", 0); /* a shape without dimensions */
    put_bytes(tensor, 4, &number, sizeof(number));
    put_value(file, tag, "scalars", CLASS_SCALAR);
}

/* TensorShapeProto {dim 2 {size 1}} */
static void put_shape(struct buf *out, const uint64_t *sizes, int n)
{
    struct buf shape, dim;
    buf_init(&shape, 64);
    buf_init(&dim, 64);
    for (int i = 0; i < n; i++) {
        buf_clear(&dim);
        put_int(&dim, 1, sizes[i]);
        put_bytes(&shape, 2, dim.data, dim.size);
    }
    put_bytes(out, 2, shape.data, shape.size);
    out->failed |= buf_failed(&shape) || buf_failed(&dim);
    buf_finish(&shape);
    buf_finish(&dim);
}

void event_histogram(struct event_file *file, const char *tag, const double (*buckets)[3], size_t n)
{
    struct buf *tensor = &file->tensor;
    buf_clear(tensor);
    put_int(tensor, 1, DT_DOUBLE);
    put_shape(tensor, (const uint64_t[]){n, 3}, 2);
    put_bytes(tensor, 4, buckets, n * sizeof(*buckets));
    put_value(file, tag, "histograms", CLASS_TENSOR);
}

int event_end(struct event_file *file, struct err *err)
{
    if (!buf_failed(&file->summary) && file->summary.size == 0)
        return 0;
    struct buf event;
    buf_init(&event, MAX_EVENT_BYTES);
    put_double(&event, 1, file->wall_time);
    put_int(&event, 2, (uint64_t)file->step);
    put_bytes(&event, 5, file->summary.data, file->summary.size);
    event.failed |= buf_failed(&file->summary);
    int rc = write_record(file, &event, err);
    buf_finish(&event);
    return rc;
}
