#include "stats/reference.h"

#include "stats/fitted.h"
#include "stats/reference_derive.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <xxhash.h>

enum {
    SAVED_VERSION = 1, /* where no feature has a mean vector */
    SAVED_VERSION_VECTORS = 2,
    SAVED_VERSION_PART = 3, /* of a slice: without grids */
    CELLS_AT_ONCE = 64      /* are read */
};

static void feature_finish(struct reference_feature *feature)
{
    free(feature->low);
    free(feature->high);
    free(feature->below);
    grid_free(feature->grid);
    free(feature->grid_counts);
    free(feature->grid_areas);
    free(feature->area);
    free(feature->grid_first);
    free(feature->categories);
    category_bins_free(feature->bins);
}

void reference_free(struct reference *reference)
{
    if (!reference || atomic_fetch_sub(&reference->sharers, 1) > 0)
        return;
    for (uint32_t i = 0; reference->features && i < reference->n_features; i++)
        feature_finish(&reference->features[i]);
    free(reference->features);
    fitted_free(reference->fitted);
    free(reference);
}

struct reference *reference_share(const struct reference *reference)
{
    struct reference *shared =
        (struct reference *)(uintptr_t)reference; /* only the count changes */
    atomic_fetch_add(&shared->sharers, 1);
    return shared;
}

size_t reference_bytes(const struct reference *reference)
{
    size_t sum = sizeof(*reference);
    for (uint32_t i = 0; i < reference->n_features; i++) {
        const struct reference_feature *f = &reference->features[i];
        sum += sizeof(*f) + f->n_cells * (sizeof(*f->low) + sizeof(*f->below)) +
               (f->high ? f->n_cells * sizeof(*f->high) : 0) +
               f->n_categories * sizeof(*f->categories);
        sum += f->grid ? sizeof(*f->grid) + 20 * (f->grid->n_cuts + 1) : 0;
        sum += f->area ? sizeof(*f->area) : 0;
        sum += f->bins ? 4096 : 0;
    }
    return sum;
}

static int make_grid(struct reference_feature *feature, const struct cell *cells,
                     const struct reference_feature *whole, struct err *err)
{
    const uint32_t most = feature->kind == PROFILE_EMBEDDING ? GRID_NORM_CELLS : GRID_MAX_CELLS;
    feature->part = whole != NULL;
    return whole ? grid_build_part(&feature->grid, whole->grid, cells, feature->n_cells, err)
                 : grid_build(&feature->grid, cells, feature->n_cells, most, err);
}

/* A slice's many values as what they are on the whole's grid: its panes tell no more. */
static void condense(struct reference_feature *feature, struct cell *cells, const struct grid *grid)
{
    uint32_t n = 0;
    if (feature->n_cells <= REFERENCE_PART_VALUES)
        return;
    for (uint32_t i = 0; i < feature->n_cells; i++) {
        const struct cell *cell = &cells[i];
        struct cell *last = n ? &cells[n - 1] : NULL;
        if (last && grid_cell(grid, last->low) == grid_cell(grid, cell->high)) {
            last->high = cell->high;
            last->count += cell->count;
        } else {
            cells[n++] = *cell;
        }
    }
    feature->n_cells = n;
}

static int build_numbers(struct reference_feature *feature, const struct numbers *numbers,
                         const struct grid *grid, const struct reference_feature *whole,
                         struct err *err)
{
    AUTO_FREE struct cell *cells = malloc((numbers_room(numbers) + 1) * sizeof(*cells));
    if (!cells)
        return err_set(err, -ENOMEM, "reference: no memory");
    feature->n_cells = (uint32_t)numbers_read(numbers, grid, cells);
    if (whole)
        condense(feature, cells, whole->grid);
    int rc = make_grid(feature, cells, whole, err);
    if (rc)
        return rc;
    if (reference_derive_numbers(feature, cells))
        return err_set(err, -ENOMEM, "reference: no memory");
    return 0;
}

static int build_categories(struct reference_feature *feature, const struct categories *categories,
                            struct err *err)
{
    size_t n = categories_known(categories);
    feature->categories = malloc((n + 1) * sizeof(*feature->categories));
    if (!feature->categories)
        return err_set(err, -ENOMEM, "reference: no memory");
    n = categories_read(categories, feature->categories);
    for (size_t i = 0; i < n; i++) { /* without what was taken out again */
        if (feature->categories[i].count)
            feature->categories[feature->n_categories++] = feature->categories[i];
    }
    return reference_derive_categories(feature, err);
}

static void build_embedding(struct reference_feature *feature, const struct embedding_state *state)
{
    double n = (double)state->norm.n;
    feature->mean = n > 0 ? (double)state->mean / n / 1048576.0 : 0;
    feature->dimensions = state->dimensions;
    const struct mean_vector nothing = {0};
    const struct mean_vector *vector = state->vector ? state->vector : &nothing;
    feature->vector.n = vector->n;
    feature->vector.shortest = vector->shortest;
    feature->vector.longest = vector->longest;
    mean_vector_mean(vector, feature->vector.mean);
    feature->vector.n_variances = mean_vector_variances(vector, feature->vector.variances);
}

static int build_feature(struct reference_feature *feature, const struct profile *profile,
                         uint32_t i, bool only_present, const struct reference_feature *whole,
                         struct err *err)
{
    const struct feature_state *state = &profile->features[i];
    const struct profile_feature *spec = &profile->layout->features[i];
    struct profile_quality quality = profile_quality(profile, i, only_present);
    feature->name_id = spec->name_id;
    feature->kind = quality.kind;
    feature->n = quality.n;
    feature->valid = quality.valid;
    feature->missing = quality.missing;
    feature->n_invalid = quality.n_invalid;
    if (feature->kind == PROFILE_CATEGORICAL)
        return build_categories(feature, state->categories, err);
    if (feature->kind == PROFILE_EMBEDDING) {
        build_embedding(feature, state->embedding);
        return build_numbers(feature, &state->embedding->norm, spec->grid, whole, err);
    }
    return build_numbers(feature, state->numeric, spec->grid, whole, err);
}

static int by_name(const void *a, const void *b)
{
    const struct reference_feature *x = (const struct reference_feature *)a;
    const struct reference_feature *y = (const struct reference_feature *)b;
    return x->name_id < y->name_id ? -1 : x->name_id > y->name_id;
}

static void feature_save(const struct reference_feature *feature, struct buf *out);

static bool is_part(const struct reference *reference)
{
    return reference->grids != reference->id;
}

static uint8_t saved_version(const struct reference *reference)
{
    if (is_part(reference))
        return SAVED_VERSION_PART;
    for (uint32_t i = 0; i < reference->n_features; i++) {
        if (reference->features[i].vector.n)
            return SAVED_VERSION_VECTORS;
    }
    return SAVED_VERSION;
}

static void body_save(const struct reference *reference, struct buf *out)
{
    buf_u8(out, saved_version(reference));
    buf_varint(out, reference->events);
    if (is_part(reference))
        buf_u64(out, reference->grids);
    buf_varint(out, reference->n_features);
    for (uint32_t i = 0; i < reference->n_features; i++)
        feature_save(&reference->features[i], out);
}

static int build(struct reference **out, const struct profile *profile, uint64_t only_present,
                 const struct reference *whole, struct err *err)
{
    AUTO(reference) struct reference *reference = calloc(1, sizeof(*reference));
    if (!reference)
        return err_set(err, -ENOMEM, "reference: no memory");
    reference->features = calloc(profile->n_features + 1, sizeof(*reference->features));
    if (!reference->features)
        return err_set(err, -ENOMEM, "reference: no memory");
    reference->events = profile->events;
    for (uint32_t i = 0; i < profile->n_features; i++) {
        const uint64_t name_id = profile->layout->features[i].name_id;
        const bool label = name_id == only_present;
        const struct reference_feature *of = reference_find(whole, name_id);
        const struct profile_quality quality = profile_quality(profile, i, label);
        if (quality.valid == 0)
            continue; /* nothing to compare with: such a feature has no reference */
        if (whole && !of)
            return err_set(err, ERR_CORRUPT, "reference: a slice's feature that the whole lacks");
        if (whole && of->kind != quality.kind)
            continue; /* nor is a slice's text compared with the numbers of all others */
        int rc = build_feature(&reference->features[reference->n_features++], profile, i, label, of,
                               err);
        if (rc)
            return rc;
    }
    qsort(reference->features, reference->n_features, sizeof(*reference->features), by_name);
    struct buf bytes;
    buf_init(&bytes, SIZE_MAX / 2);
    reference->grids = whole ? whole->id : 0;
    body_save(reference, &bytes);
    reference->id = XXH64(bytes.data, bytes.size, 0);
    if (!whole)
        reference->grids = reference->id;
    bool failed = buf_failed(&bytes);
    buf_finish(&bytes);
    if (failed)
        return err_set(err, -ENOMEM, "reference: no memory");
    *out = reference;
    reference = NULL; /* the caller owns it now */
    return 0;
}

int reference_build(struct reference **out, const struct profile *profile, uint64_t only_present,
                    struct err *err)
{
    return build(out, profile, only_present, NULL, err);
}

int reference_build_part(struct reference **out, const struct profile *profile,
                         uint64_t only_present, const struct reference *whole, struct err *err)
{
    return build(out, profile, only_present, whole, err);
}

const struct reference_feature *reference_find(const struct reference *reference, uint64_t name_id)
{
    struct reference_feature key = {.name_id = name_id};
    return reference
               ? bsearch(&key, reference->features, reference->n_features, sizeof(key), by_name)
               : NULL;
}

void reference_layout(const struct reference *reference, struct profile_layout *layout,
                      struct profile_feature *features)
{
    layout->reference = reference ? reference->id : 0;
    for (uint32_t i = 0; i < layout->n_features; i++) {
        const struct reference_feature *known = reference_find(reference, features[i].name_id);
        features[i].grid = known ? known->grid : NULL;
        features[i].bins = known ? known->bins : NULL;
        if (known && features[i].kind == PROFILE_AUTO)
            features[i].kind = known->kind;
    }
    layout->features = features;
}

/* --- bytes --- */

static void vector_save(const struct reference_vector *vector, struct buf *out)
{
    buf_varint(out, vector->n);
    for (int b = 0; b < PROJECTION_BUCKETS; b++)
        buf_double(out, vector->mean[b]);
    if (vector->n == 0)
        return; /* as version 1 has it */
    buf_varint(out, vector->shortest);
    buf_varint(out, vector->longest);
    buf_varint(out, vector->n_variances);
    for (uint32_t i = 0; i < vector->n_variances; i++)
        buf_double(out, vector->variances[i]);
}

static int vector_load(struct reference_vector *vector, struct reader *in, struct err *err)
{
    vector->n = reader_varint(in);
    for (int b = 0; b < PROJECTION_BUCKETS; b++)
        vector->mean[b] = reader_double(in);
    if (vector->n == 0)
        return 0;
    vector->shortest = (uint32_t)reader_varint(in);
    vector->longest = (uint32_t)reader_varint(in);
    uint64_t n = reader_varint(in);
    if (n > PROJECTION_BUCKETS)
        return err_set(err, ERR_CORRUPT, "reference: %llu variances do not fit",
                       (unsigned long long)n);
    vector->n_variances = (uint32_t)n;
    for (uint32_t i = 0; i < vector->n_variances; i++)
        vector->variances[i] = reader_double(in);
    return 0;
}

/* Past mean, dimensions and vector. */
static void skip_embedding(struct reader *in)
{
    (void)reader_double(in);
    reader_skip_varints(in, 1);
    const uint64_t n = reader_varint(in);
    (void)reader_bytes(in, PROJECTION_BUCKETS * sizeof(double));
    if (n == 0)
        return;
    reader_skip_varints(in, 2);
    const uint64_t n_variances = reader_varint(in);
    (void)reader_bytes(in, (n_variances < UINT32_MAX ? n_variances : UINT32_MAX) * sizeof(double));
}

static void feature_save(const struct reference_feature *feature, struct buf *out)
{
    buf_u64(out, feature->name_id);
    buf_u8(out, (uint8_t)feature->kind);
    buf_varint(out, feature->n);
    buf_varint(out, feature->missing);
    buf_varint(out, feature->n_invalid);
    if (feature->kind == PROFILE_CATEGORICAL) {
        buf_varint(out, feature->valid);
        buf_varint(out, feature->n_categories);
        for (uint32_t i = 0; i < feature->n_categories; i++) {
            buf_u64(out, feature->categories[i].id);
            buf_varint(out, feature->categories[i].count);
        }
        return;
    }
    buf_varint(out, feature->n_cells);
    uint64_t before = 0;
    for (uint32_t i = 0; i < feature->n_cells; i++) {
        const struct cell cell = reference_cell(feature, i);
        uint64_t low = cells_key(cell.low), high = cells_key(cell.high);
        buf_varint(out, low - before);
        buf_varint(out, high - low);
        buf_varint(out, cell.count);
        before = high;
    }
    if (!feature->part)
        grid_save(feature->grid, out);
    if (feature->kind != PROFILE_EMBEDDING)
        return;
    buf_double(out, feature->mean);
    buf_varint(out, feature->dimensions);
    vector_save(&feature->vector, out);
}

static int load_categories(struct reference_feature *feature, struct reader *in, struct err *err)
{
    feature->valid = reader_varint(in);
    uint64_t n = reader_varint(in);
    if (n > reader_left(in) / 9 || n > UINT32_MAX / 4)
        return err_set(err, ERR_CORRUPT, "reference: %llu categories do not fit",
                       (unsigned long long)n);
    feature->categories = calloc(n + 1, sizeof(*feature->categories));
    if (!feature->categories)
        return err_set(err, -ENOMEM, "reference: no memory");
    feature->n_categories = (uint32_t)n;
    for (uint64_t i = 0; i < n; i++) {
        feature->categories[i].id = reader_u64(in);
        feature->categories[i].count = reader_varint(in);
        if (feature->categories[i].id == 0 ||
            (i && feature->categories[i].id <= feature->categories[i - 1].id))
            return err_set(err, ERR_CORRUPT, "reference: category %llu is damaged",
                           (unsigned long long)i);
    }
    return 0;
}

static int load_numbers(struct reference_feature *feature, struct cell **cells, struct reader *in,
                        const struct reference_feature *whole, struct err *err)
{
    uint64_t n = reader_varint(in);
    if (n > reader_left(in) / 3 || n > UINT32_MAX / 4)
        return err_set(err, ERR_CORRUPT, "reference: %llu cells do not fit", (unsigned long long)n);
    *cells = malloc((n + 1) * sizeof(**cells));
    if (!*cells)
        return err_set(err, -ENOMEM, "reference: no memory");
    feature->n_cells = (uint32_t)n;
    uint64_t key = 0, saved[3 * CELLS_AT_ONCE];
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t *cell = saved + 3 * (i % CELLS_AT_ONCE);
        if (cell == saved)
            reader_varints(in, saved, 3 * (n - i < CELLS_AT_ONCE ? n - i : CELLS_AT_ONCE));
        const uint64_t low = key + cell[0], high = low + cell[1];
        const double from = cells_value(low), upto = high == low ? from : cells_value(high);
        (*cells)[i] = (struct cell){from, upto, cell[2]};
        if (low < key || high < low || (i && low == key) || cells_key(from) != low ||
            cells_key(upto) != high)
            return err_set(err, ERR_CORRUPT, "reference: cell %llu is damaged",
                           (unsigned long long)i);
        key = high;
    }
    int rc = whole ? make_grid(feature, *cells, whole, err) : grid_load(&feature->grid, in, err);
    if (rc || feature->kind != PROFILE_EMBEDDING)
        return rc;
    feature->mean = reader_double(in);
    feature->dimensions = (uint32_t)reader_varint(in);
    return vector_load(&feature->vector, in, err);
}

/* *cells: the caller's, of numbers and norms. whole: the feature of all events that this is a part
   of; NULL: it is that. */
static int load_feature(struct reference_feature *feature, struct cell **cells, struct reader *in,
                        const struct reference_feature *whole, struct err *err)
{
    feature->name_id = reader_u64(in);
    unsigned kind = reader_u8(in);
    feature->n = reader_varint(in);
    feature->missing = reader_varint(in);
    feature->n_invalid = reader_varint(in);
    if (kind < PROFILE_NUMERIC || kind > PROFILE_EMBEDDING)
        return err_set(err, ERR_CORRUPT, "reference: no feature is of kind %u", kind);
    feature->kind = (enum profile_kind)kind;
    return feature->kind == PROFILE_CATEGORICAL ? load_categories(feature, in, err)
                                                : load_numbers(feature, cells, in, whole, err);
}

/* Past one saved feature, as load_feature will read it. */
static void skip_feature(struct reader *in, bool part)
{
    (void)reader_u64(in);
    const unsigned kind = reader_u8(in);
    reader_skip_varints(in, kind == PROFILE_CATEGORICAL ? 4 : 3);
    const uint64_t n = reader_varint(in);
    if (n > reader_left(in)) {
        in->failed = true;
        return;
    }
    if (kind == PROFILE_CATEGORICAL) {
        for (uint64_t i = 0; i < n && !reader_failed(in); i++) {
            (void)reader_u64(in);
            reader_skip_varints(in, 1);
        }
        return;
    }
    reader_skip_varints(in, 3 * n);
    if (!part)
        grid_skip(in);
    if (kind == PROFILE_EMBEDDING)
        skip_embedding(in);
}

struct loading {
    struct reference *reference;
    const struct reference *whole; /* of a slice's part; else NULL */
    pthread_mutex_t lock;          /* of what follows */
    struct reader rest;
    uint32_t n_found;
};

/*
 * The next feature's bytes: where they end is only known once they were passed. Whoever does that has
 * them at hand then, and the next one passes the following feature's meanwhile.
 */
static struct reader next_feature(struct loading *loading, uint32_t *feature)
{
    pthread_mutex_lock(&loading->lock);
    struct reader bytes = loading->rest;
    skip_feature(&loading->rest, loading->whole != NULL);
    bytes.end = loading->rest.next;
    bytes.failed = loading->rest.failed;
    *feature = loading->n_found++;
    pthread_mutex_unlock(&loading->lock);
    return bytes;
}

static int load_one(void *context, size_t i, struct err *err)
{
    struct loading *loading = context;
    uint32_t at;
    struct reader bytes = next_feature(loading, &at), *in = &bytes;
    struct reference_feature *feature = &loading->reference->features[at];
    const struct reference_feature *whole = NULL;
    AUTO_FREE struct cell *cells = NULL;
    (void)i; /* in the order in which they are found */
    if (reader_failed(in))
        return err_set(err, ERR_CORRUPT, "reference: the bytes end early");
    if (loading->whole) {
        struct reader name = *in;
        whole = reference_find(loading->whole, reader_u64(&name));
        if (!whole || whole->kind != (enum profile_kind)reader_u8(&name))
            return err_set(err, ERR_CORRUPT, "reference: a slice's feature that the whole lacks");
    }
    int rc = load_feature(feature, &cells, in, whole, err);
    if (!rc && reader_failed(in))
        rc = err_set(err, ERR_CORRUPT, "reference: the bytes end early");
    if (rc)
        return rc;
    if (feature->kind == PROFILE_CATEGORICAL)
        return reference_derive_categories(feature, err);
    return reference_derive_numbers(feature, cells) ? err_set(err, -ENOMEM, "reference: no memory")
                                                    : 0;
}

void reference_save(const struct reference *reference, struct buf *out)
{
    body_save(reference, out);
    buf_u64(out, reference->id);
}

uint64_t reference_saved_events(const void *bytes, size_t n)
{
    struct reader in = reader_of(bytes, n);
    reader_u8(&in);
    const uint64_t events = reader_varint(&in);
    return reader_failed(&in) ? 0 : events;
}

int reference_load(struct reference **out, const void *bytes, size_t n, struct err *err)
{
    if (n < 8)
        return err_set(err, ERR_CORRUPT, "reference: %zu bytes are too few", n);
    struct reader tail = reader_of((const unsigned char *)bytes + n - 8, 8);
    if (reader_u64(&tail) != XXH64(bytes, n - 8, 0))
        return err_set(err, ERR_CORRUPT, "reference: the checksum of %zu bytes does not fit", n);
    return reference_load_by(NULL, out, bytes, n, err);
}

static int load(struct crew *crew, struct reference **out, const struct reference *whole,
                const void *bytes, size_t n, struct err *err)
{
    if (n < 8 + 3)
        return err_set(err, ERR_CORRUPT, "reference: %zu bytes are too few", n);
    AUTO(reference) struct reference *reference = calloc(1, sizeof(*reference));
    if (!reference)
        return err_set(err, -ENOMEM, "reference: no memory");
    struct reader tail = reader_of((const unsigned char *)bytes + n - 8, 8);
    struct reader in = reader_of(bytes, n - 8);
    reference->id = reader_u64(&tail);
    unsigned version = reader_u8(&in);
    if (version < SAVED_VERSION || version > SAVED_VERSION_PART)
        return err_set(err, ERR_NEWER, "reference: layout %u is newer than this program", version);
    reference->events = reader_varint(&in);
    reference->grids = version == SAVED_VERSION_PART ? reader_u64(&in) : reference->id;
    if ((version == SAVED_VERSION_PART) != (whole != NULL) ||
        reference->grids != (whole ? whole->id : reference->id))
        return err_set(err, ERR_CORRUPT, "reference: a part of another one");
    uint64_t n_features = reader_varint(&in);
    if (n_features > reader_left(&in) / 10)
        return err_set(err, ERR_CORRUPT, "reference: %llu features do not fit",
                       (unsigned long long)n_features);
    reference->features = calloc(n_features + 1, sizeof(*reference->features));
    if (!reference->features)
        return err_set(err, -ENOMEM, "reference: no memory");
    reference->n_features = (uint32_t)n_features;
    struct loading loading = {
        .reference = reference, .whole = whole, .lock = PTHREAD_MUTEX_INITIALIZER, .rest = in};
    int rc = crew_each(crew, reference->n_features, load_one, &loading, err);
    pthread_mutex_destroy(&loading.lock);
    if (rc)
        return rc;
    *out = reference;
    reference = NULL; /* the caller owns it now */
    return 0;
}

int reference_load_by(struct crew *crew, struct reference **out, const void *bytes, size_t n,
                      struct err *err)
{
    return load(crew, out, NULL, bytes, n, err);
}

int reference_load_part(struct reference **out, const struct reference *whole, const void *bytes,
                        size_t n, struct err *err)
{
    return load(NULL, out, whole, bytes, n, err);
}
