/*
 * The page's files: built into the binary, or read from a directory while one works on them.
 *
 * Shape    embedded files are gzipped at build time (web/embed.py); the plain form is made once.
 *          What a directory lacks (the chart library) comes from the embedded ones
 * Owner    assets_new gives, assets_free takes; an asset is valid as long as the assets
 * Errors   -ENOMEM
 * Threads  read-only after assets_new; from a directory each call reads the file anew, one thread
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"
#include "common/err.h"

struct asset {
    const char *path; /* "/page.css" */
    const char *content_type;
    const void *plain;
    size_t plain_size;
    const void *gzip; /* NULL: there is none */
    size_t gzip_size;
    char etag[20]; /* of the plain bytes, without quotes */
};

struct assets;

int assets_new(struct assets **out, const char *directory, struct err *err);
void assets_free(struct assets *assets);
DEFINE_FREEP(assets)

/* "/" is index.html. NULL when there is none of that path. Valid until the next call. */
const struct asset *assets_find(struct assets *assets, const char *path);

/* What web/embed.py writes. */
struct embedded_file {
    const char *path;
    const unsigned char *gzip;
    size_t gzip_size;
    size_t plain_size;
};
extern const struct embedded_file embedded_files[];
extern const size_t n_embedded_files;
/* schemas/api.json: the components of the description. */
extern const char embedded_schemas[];
