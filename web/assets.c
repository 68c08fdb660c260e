#include "web/assets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#define ZLIB_CONST /* next_in may point at the embedded bytes */
#include <zlib.h>

enum {
    MAX_ASSET_BYTES = 4 * 1024 * 1024,
};

struct assets {
    const char *directory; /* NULL: embedded */
    struct asset from_disk;
    size_t n;
    struct asset items[];
};

static const char *content_type_of(const char *path)
{
    static const struct {
        const char *ending, *type;
    } types[] = {
        {".html", "text/html; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".mjs", "text/javascript; charset=utf-8"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".webmanifest", "application/manifest+json"},
    };
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(dot, types[i].ending) == 0)
            return types[i].type;
    return "application/octet-stream";
}

static void set_etag(struct asset *asset)
{
    snprintf(asset->etag, sizeof(asset->etag), "%016llx",
             (unsigned long long)XXH3_64bits(asset->plain, asset->plain_size));
}

static int inflate_file(struct asset *asset, const struct embedded_file *file, struct err *err)
{
    unsigned char *plain = malloc(file->plain_size + 1);
    if (!plain)
        return err_set(err, -ENOMEM, "web: no memory for the page");
    z_stream stream = {.next_in = file->gzip,
                       .avail_in = (uInt)file->gzip_size,
                       .next_out = plain,
                       .avail_out = (uInt)file->plain_size};
    int rc = inflateInit2(&stream, 15 + 16);
    if (rc == Z_OK) {
        rc = inflate(&stream, Z_FINISH);
        inflateEnd(&stream);
    }
    if (rc != Z_STREAM_END) {
        free(plain);
        return err_set(err, ERR_CORRUPT, "web: embedded %s is damaged", file->path);
    }
    *asset = (struct asset){
        .path = file->path,
        .content_type = content_type_of(file->path),
        .plain = plain,
        .plain_size = file->plain_size,
        .gzip = file->gzip,
        .gzip_size = file->gzip_size,
    };
    set_etag(asset);
    return 0;
}

int assets_new(struct assets **out, const char *directory, struct err *err)
{
    size_t n = n_embedded_files;
    AUTO(assets) struct assets *assets = calloc(1, sizeof(*assets) + n * sizeof(struct asset));
    if (!assets)
        return err_set(err, -ENOMEM, "web: no memory for the page");
    assets->directory = directory;
    for (size_t i = 0; i < n; i++) {
        int rc = inflate_file(&assets->items[i], &embedded_files[i], err);
        if (rc)
            return rc;
        assets->n++;
    }
    *out = assets;
    assets = NULL; /* the caller owns it now */
    return 0;
}

static void free_plain(const struct asset *asset)
{
    union {
        const void *borrowed;
        void *own;
    } plain = {asset->plain};
    free(plain.own);
}

void assets_free(struct assets *assets)
{
    if (!assets)
        return;
    for (size_t i = 0; i < assets->n; i++)
        free_plain(&assets->items[i]);
    free_plain(&assets->from_disk);
    free(assets);
}

/* The path was checked: no dot segments, no backslash (web/target.c). */
static const struct asset *read_from_disk(struct assets *assets, const char *path)
{
    char name[4096];
    struct asset *asset = &assets->from_disk;
    free_plain(asset);
    *asset = (struct asset){.path = path, .content_type = content_type_of(path)};
    if ((size_t)snprintf(name, sizeof(name), "%s%s", assets->directory, path) >= sizeof(name))
        return NULL;
    FILE *file = fopen(name, "re");
    if (!file)
        return NULL;
    char *plain = malloc(MAX_ASSET_BYTES);
    asset->plain = plain;
    asset->plain_size = plain ? fread(plain, 1, MAX_ASSET_BYTES, file) : 0;
    bool read = plain && !ferror(file);
    fclose(file);
    if (read)
        set_etag(asset);
    return read ? asset : NULL;
}

const struct asset *assets_find(struct assets *assets, const char *path)
{
    if (strcmp(path, "/") == 0)
        path = "/index.html";
    const struct asset *own = assets->directory ? read_from_disk(assets, path) : NULL;
    if (own)
        return own;
    for (size_t i = 0; i < assets->n; i++)
        if (strcmp(assets->items[i].path, path) == 0)
            return &assets->items[i];
    return NULL;
}
