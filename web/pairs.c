#include "web/pairs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "storage/catalog.h"

char *segment_slice(const char *segment)
{
    char *slice = strdup(segment);
    char *colon = slice ? strchr(slice, ':') : NULL;
    if (!colon || colon == slice) {
        free(slice);
        return NULL;
    }
    *colon = '=';
    return slice;
}

void slice_segment(const char *slice, char out[SEGMENT_BYTES])
{
    size_t n = strnlen(slice, SEGMENT_BYTES - 1);
    memcpy(out, slice, n);
    out[n] = '\0';
    char *equals = strchr(out, '=');
    if (equals)
        *equals = ':';
}

void pair_segment(const struct pair *pair, char out[SEGMENT_BYTES])
{
    slice_segment(pair->slice, out);
}

static int add(struct pairs *pairs, const char *version, const char *slice, struct err *err)
{
    if (pairs->n == PAIRS_MAX)
        return err_set(err, ERR_USAGE, "more than %d series; name a version and a segment",
                       PAIRS_MAX);
    struct pair *more = realloc(pairs->items, (pairs->n + 1) * sizeof(*more));
    if (!more)
        return err_set(err, -ENOMEM, "no memory for a series");
    pairs->items = more;
    struct pair *pair = &pairs->items[pairs->n++];
    *pair = (struct pair){version ? strdup(version) : NULL, strdup(slice)};
    if ((version && !pair->version) || !pair->slice)
        return err_set(err, -ENOMEM, "no memory for a series");
    return 0;
}

struct matcher {
    struct pairs *pairs;
    const char *key;     /* "country=", or NULL: the slice is given */
    const char *version; /* of all; NULL: merged, or each */
    bool each_version;
};

static int add_known(void *context, const struct series_known *series, struct err *err)
{
    struct matcher *matcher = context;
    if (matcher->key && strncmp(series->slice, matcher->key, strlen(matcher->key)) != 0)
        return 0;
    const char *version = matcher->each_version ? series->version : matcher->version;
    for (size_t i = 0; i < matcher->pairs->n; i++) {
        const struct pair *had = &matcher->pairs->items[i];
        bool same_version = !version || (had->version && strcmp(had->version, version) == 0);
        if (same_version && strcmp(had->slice, series->slice) == 0)
            return 0;
    }
    return add(matcher->pairs, version, series->slice, err);
}

int pairs_find(struct pairs *out, struct store *store, const struct api_input *input,
               struct api_answer *answer, struct err *err)
{
    *out = (struct pairs){0};
    const char *version = input_param(input, "version");
    const char *segment = input_param(input, "segment");
    AUTO_FREE char *slice = segment ? segment_slice(segment) : strdup("");
    if (!slice)
        return api_refuse(answer, err, "segment", "key:value\nkey:*",
                          "%.100s is not of the form key:value", segment ? segment : "");
    size_t n = strlen(slice);
    bool each_slice = n > 2 && strcmp(slice + n - 2, "=*") == 0;
    bool each_version = version && strcmp(version, "*") == 0;
    if (!each_slice && !each_version)
        return add(out, version, slice, err);
    if (each_slice)
        slice[n - 1] = '\0';
    struct matcher matcher = {out, each_slice ? slice : NULL, each_version ? NULL : version,
                              each_version};
    return series_list(store, input_capture(input, "model"), matcher.version,
                       each_slice ? NULL : slice, add_known, &matcher, err);
}

void pairs_finish(struct pairs *pairs)
{
    for (size_t i = 0; i < pairs->n; i++) {
        free(pairs->items[i].version);
        free(pairs->items[i].slice);
    }
    free(pairs->items);
    *pairs = (struct pairs){0};
}
