#include "web/unpack.h"

#include <zlib.h>

enum {
    PART_BYTES = 64 * 1024,
    GZIP_ALONE = 15 + 16, /* windowBits: the largest window, and no zlib form */
};

/* One step; Z_OK: there is more. Members may follow each other. */
static int unpack_part(z_stream *stream, struct buf *plain)
{
    unsigned char part[PART_BYTES];
    stream->next_out = part;
    stream->avail_out = sizeof(part);
    int rc = inflate(stream, Z_NO_FLUSH);
    buf_bytes(plain, part, sizeof(part) - stream->avail_out);
    return rc == Z_STREAM_END && stream->avail_in ? inflateReset(stream) : rc;
}

int unpack_gzip(struct buf *body, size_t limit_bytes)
{
    struct buf plain;
    z_stream stream = {.next_in = body->data, .avail_in = (uInt)body->size};
    if (inflateInit2(&stream, GZIP_ALONE) != Z_OK)
        return 500;
    buf_init(&plain, limit_bytes + PART_BYTES);
    int rc = Z_OK;
    while (rc == Z_OK && plain.size <= limit_bytes)
        rc = unpack_part(&stream, &plain);
    inflateEnd(&stream);
    int status = plain.size > limit_bytes ? 413
                 : buf_failed(&plain)     ? 500
                 : rc == Z_STREAM_END     ? 0
                                          : 400;
    if (status) {
        buf_finish(&plain);
        return status;
    }
    buf_finish(body);
    *body = plain;
    return 0;
}
