#include "stats/drift_multivariate.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats/drift_crossed.h"
#include "stats/eigen.h"

/* A block of components at once; they need not lie on a boundary. */
typedef double block
    __attribute__((vector_size(MULTIVARIATE_BLOCK * sizeof(double)), aligned(8), may_alias));

#define EXPLAINED 0.65 /* NannyML's n_components */
#define WELL_KNOWN 10  /* rows a category, on average: none is missing among them */

static int by_id(const void *a, const void *b)
{
    const struct category *x = (const struct category *)a, *y = (const struct category *)b;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Without a branch: which category an event has cannot be foretold. */
static double count_of(const struct multivariate_feature *feature, uint64_t id)
{
    const struct category *at = feature->counts;
    for (uint32_t n = feature->n_counts, half; n > 1; n -= half) {
        half = n / 2;
        at += at[half].id <= id ? half : 0;
    }
    return feature->n_counts && at->id == id ? (double)at->count : 0;
}

static inline double encode(const struct multivariate_feature *feature,
                            const struct row_value *value)
{
    double x = feature->fill;
    if (feature->categorical && value->category)
        x = count_of(feature, value->category);
    else if (!feature->categorical && isfinite(value->number))
        x = value->number;
    return (x - feature->mean) * feature->per_std;
}

static void standardise_by(struct multivariate_feature *feature, double std)
{
    const double per_std = 1 / std;
    feature->std = std;
    feature->per_std = std > 0 && isfinite(per_std) ? per_std : 0;
}

void multivariate_free(struct multivariate *model)
{
    if (!model)
        return;
    for (uint32_t f = 0; model->features && f < model->n_features; f++)
        free(model->features[f].counts);
    free(model->features);
    free(model->components);
    free(model->blocks);
    free(model->unknown);
    free(model->directions);
    domain_free(model->domain);
    free(model);
}

/* What an event's error is computed from; everything else of the model is there. */
static int prepare(struct multivariate *model)
{
    const uint32_t n = model->n_features, m = model->n_components;
    model->n_blocks = (m + MULTIVARIATE_BLOCK - 1) / MULTIVARIATE_BLOCK;
    const size_t row = (size_t)model->n_blocks * MULTIVARIATE_BLOCK;
    model->blocks = calloc(n * row + 1, sizeof(double));
    model->unknown = calloc(n, sizeof(double));
    if (!model->blocks || !model->unknown)
        return -ENOMEM;
    for (uint32_t f = 0; f < n; f++) {
        memcpy(model->blocks + f * row, model->components + (size_t)f * m, m * sizeof(double));
        multivariate_put(model, f, (struct row_value){.number = (double)NAN}, model->unknown);
    }
    return 0;
}

/* --- fit --- */

static void leave_out(const struct multivariate *model, const struct row_value *row, double *room);

/* Counts of a column's categories; the most frequent (ties: the smaller id) fills. */
static int count_column(struct multivariate_feature *feature, uint32_t n_features,
                        const struct row_value *column, size_t n)
{
    struct category *all = malloc((n + 1) * sizeof(*all));
    if (!all)
        return -ENOMEM;
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        if (column[i * n_features].category)
            all[used++] = (struct category){column[i * n_features].category, 1};
    }
    qsort(all, used, sizeof(*all), by_id);
    uint32_t kept = 0;
    for (size_t i = 0; i < used; i++) {
        if (kept && all[kept - 1].id == all[i].id)
            all[kept - 1].count++;
        else
            all[kept++] = all[i];
    }
    uint64_t most = 0;
    for (uint32_t i = 0; i < kept; i++)
        most = all[i].count > most ? all[i].count : most;
    /* missing ones become the most frequent before they are counted */
    for (uint32_t i = 0; i < kept; i++) {
        if (all[i].count == most) {
            all[i].count += n - used;
            feature->fill = (double)all[i].count;
            break;
        }
    }
    feature->counts = all;
    feature->n_counts = kept;
    return 0;
}

/* A row's category has itself among its rows, so it is by one more than another event's would be: less where the
   categories are so alike that their counts differ by chance alone, and what is common is all there is. */
static double own_part(const struct multivariate_feature *feature, size_t n)
{
    const double k = feature->n_counts, mean = (double)n / k;
    double square = 0;
    for (uint32_t i = 0; i < feature->n_counts; i++)
        square +=
            ((double)feature->counts[i].count - mean) * ((double)feature->counts[i].count - mean);
    return mean >= WELL_KNOWN ? fmin(square, (k - 1) * mean) / (double)n : 1;
}

static void mean_column(struct multivariate_feature *feature, uint32_t n_features,
                        const struct row_value *column, size_t n)
{
    long double sum = 0;
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        if (isfinite(column[i * n_features].number)) {
            sum += (long double)column[i * n_features].number;
            used++;
        }
    }
    feature->fill = used ? (double)(sum / (long double)used) : 0;
}

static int fit_column(struct multivariate_feature *feature, uint32_t n_features,
                      const struct row_value *column, size_t n)
{
    if (feature->categorical) {
        int rc = count_column(feature, n_features, column, n);
        if (rc)
            return rc;
        feature->own = own_part(feature, n);
    } else {
        mean_column(feature, n_features, column, n);
    }
    feature->mean = 0;
    standardise_by(feature, 1);
    long double sum = 0, square = 0;
    for (size_t i = 0; i < n; i++)
        sum += (long double)encode(feature, &column[i * n_features]);
    long double mean = sum / (long double)n;
    for (size_t i = 0; i < n; i++) {
        long double d = (long double)encode(feature, &column[i * n_features]) - mean;
        square += d * d;
    }
    feature->mean = (double)mean;
    const double std = (double)sqrtl(square / (long double)n);
    /* constant, or beyond the numbers: it says nothing */
    standardise_by(feature, !isfinite(std) || std < 1e-12 * fabs(feature->mean) ? 0 : std);
    return 0;
}

/* The largest components: so many, or (0) until they explain more than 65%. */
static int choose(struct multivariate *model, const double *a, const double *v, uint32_t n)
{
    uint32_t k = model->n_features;
    AUTO_FREE bool *taken = calloc(k, sizeof(*taken));
    model->components = calloc((size_t)k * k, sizeof(double));
    if (!taken || !model->components)
        return -ENOMEM;
    double total = 0, explained = 0;
    for (uint32_t i = 0; i < k; i++)
        total += a[i * k + i];
    while (model->n_components < k &&
           (n ? model->n_components < n : explained <= EXPLAINED * total)) {
        uint32_t best = k;
        for (uint32_t i = 0; i < k; i++) {
            if (!taken[i] && (best == k || a[i * k + i] > a[best * k + best]))
                best = i;
        }
        taken[best] = true;
        explained += a[best * k + best];
        for (uint32_t f = 0; f < k; f++)
            model->components[f * (size_t)k + model->n_components] = v[f * k + best];
        model->n_components++;
    }
    /* From rows of k to rows of n_components, in place: never written before it was read. */
    for (uint32_t f = 1; f < k; f++)
        memmove(&model->components[(size_t)f * model->n_components],
                &model->components[(size_t)f * k], model->n_components * sizeof(double));
    return 0;
}

static int fit_components(struct multivariate *model, uint32_t n_components,
                          const struct row_value *rows, size_t n)
{
    uint32_t k = model->n_features;
    AUTO_FREE double *a = calloc((size_t)k * k, sizeof(double));
    AUTO_FREE double *v = calloc((size_t)k * k, sizeof(double));
    AUTO_FREE double *x = calloc(2 * (size_t)k, sizeof(double));
    if (!a || !v || !x)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        for (uint32_t f = 0; f < k; f++)
            x[f] = encode(&model->features[f], &rows[i * k + f]);
        for (uint32_t f = 0; f < k; f++) {
            for (uint32_t g = f; g < k; g++)
                a[f * k + g] += x[f] * x[g] / (double)n;
        }
    }
    for (uint32_t f = 0; f < k; f++) {
        for (uint32_t g = 0; g < f; g++)
            a[f * k + g] = a[g * k + f];
    }
    eigen_symmetric(a, v, k);
    return choose(model, a, v, n_components);
}

int multivariate_fit_rows(struct multivariate **out, const struct multivariate_feature *features,
                          uint32_t n_features, uint32_t n_components, const struct row_value *rows,
                          size_t n, struct err *err)
{
    AUTO(multivariate) struct multivariate *model = calloc(1, sizeof(*model));
    if (!model || !(model->features = calloc(n_features, sizeof(*model->features))))
        return err_set(err, -ENOMEM, "multivariate drift: no memory");
    model->n_features = n_features;
    bool varies = false;
    for (uint32_t f = 0; f < n_features; f++) {
        model->features[f].name_id = features[f].name_id;
        model->features[f].categorical = features[f].categorical;
        if (fit_column(&model->features[f], n_features, rows + f, n))
            return err_set(err, -ENOMEM, "multivariate drift: no memory");
        varies = varies || model->features[f].per_std > 0;
    }
    if (!varies)
        return err_set(err, ERR_DATA, "multivariate drift: no feature varies in %zu rows", n);
    if (fit_components(model, n_components, rows, n) || prepare(model))
        return err_set(err, -ENOMEM, "multivariate drift: no memory");
    *out = model;
    model = NULL; /* the caller owns it now */
    return 0;
}

/* The law of errors; rows that the components were made of are rebuilt better than others. errors: of each row, as if it
   had not been among them. */
static int fit_law(struct multivariate *model, const struct row_value *rows, size_t n, double *room,
                   double *errors, struct err *err)
{
    AUTO_FREE double *own = malloc(n * sizeof(*own));
    struct crossed crossed = {.worse = 0, .wider = 1};
    double mean = 0, square = 0, cube = 0, mean_left = 0;
    if (!own)
        return err_set(err, -ENOMEM, "multivariate drift: no memory");
    for (size_t i = 0; i < n; i++)
        own[i] = multivariate_own_error(model, &rows[i * model->n_features], room);
    memcpy(errors, own, n * sizeof(*errors));
    const int rc = n < CROSSED_FEWEST ? 0 : crossed_errors(model, rows, n, errors, &crossed, err);
    if (rc && rc != ERR_DATA) /* a part in which nothing varies tells nothing */
        return rc;
    if (rc)
        memcpy(errors, own, n * sizeof(*errors));
    for (size_t i = 0; i < n; i++) {
        mean += own[i] / (double)n;
        mean_left += errors[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        const double off = own[i] - mean;
        square += off * off / (double)n;
        cube += off * off * off / (double)n;
    }
    model->n_reference = (double)n;
    model->reference_mean = mean + crossed.worse;
    model->reference_variance = square * crossed.wider;
    model->reference_skewness = square > 0 ? cube / pow(square, 1.5) : 0;
    for (size_t i = 0; i < n; i++)
        errors[i] = fmax(errors[i] - mean_left + model->reference_mean, 0);
    return 0;
}

/* The components of a part of the rows, which then have no part in the law; part: of each row. */
static int fit_directions(struct multivariate *model, const struct row_value *rows, size_t n,
                          const uint32_t *part, struct err *err)
{
    const uint32_t k = model->n_features;
    AUTO(multivariate) struct multivariate *looked = NULL;
    AUTO_FREE struct row_value *some = malloc((n / CROSSED_PARTS + 1) * k * sizeof(*some));
    size_t n_some = 0;
    for (size_t i = 0; some && i < n; i++)
        if (part[i] == 0)
            memcpy(some + n_some++ * k, rows + i * k, k * sizeof(*some));
    int rc = some ? multivariate_fit_rows(&looked, model->features, k, 0, some, n_some, err)
                  : err_set(err, -ENOMEM, "multivariate drift: no memory");
    if (rc)
        return rc;
    const uint32_t all = looked->n_components,
                   m = all < DOMAIN_COORDINATES ? all : DOMAIN_COORDINATES - 1;
    model->directions = malloc((size_t)k * m * sizeof(double));
    if (!model->directions)
        return err_set(err, -ENOMEM, "multivariate drift: no memory");
    model->n_directions = m;
    for (uint32_t f = 0; f < k; f++)
        memcpy(model->directions + (size_t)f * m, looked->components + (size_t)f * all,
               m * sizeof(double));
    return 0;
}

static int fit_domain(struct multivariate *model, const struct row_value *rows, size_t n,
                      const double *errors, double *room, struct err *err)
{
    double coordinates[DOMAIN_COORDINATES];
    const bool wide = model->n_features > DOMAIN_COORDINATES;
    AUTO_FREE uint32_t *part = malloc(n * sizeof(*part));
    AUTO_FREE double *all = calloc(n, sizeof(coordinates));
    if (!part || !all)
        return err_set(err, -ENOMEM, "multivariate drift: no memory");
    crossed_deal(n, CROSSED_PARTS, part);
    int rc = wide ? fit_directions(model, rows, n, part, err) : 0;
    const uint32_t k = rc ? 0 : multivariate_coordinates(model, room, 0, coordinates);
    size_t used = 0;
    for (size_t i = 0; !rc && i < n; i++) {
        if (wide && part[i] == 0)
            continue;
        leave_out(model, &rows[i * model->n_features], room);
        multivariate_coordinates(model, room, errors[i], all + used++ * k);
    }
    if (!rc)
        rc = domain_fit(&model->domain, all, used, k, err);
    return rc == ERR_DATA ? 0 : rc; /* the error of rebuilding stands without it */
}

int multivariate_fit(struct multivariate **out, const struct multivariate_feature *features,
                     uint32_t n_features, const struct row_value *rows, size_t n, struct err *err)
{
    if (n < 2 || n_features == 0 || n_features > MULTIVARIATE_MOST_FEATURES)
        return err_set(err, ERR_DATA,
                       "multivariate drift: %zu rows of %u features cannot be fitted", n,
                       n_features);
    AUTO(multivariate) struct multivariate *model = NULL;
    AUTO_FREE double *room = calloc(n_features, sizeof(*room));
    AUTO_FREE double *errors = malloc(n * sizeof(*errors));
    int rc = room && errors ? multivariate_fit_rows(&model, features, n_features, 0, rows, n, err)
                            : err_set(err, -ENOMEM, "multivariate drift: no memory");
    if (!rc)
        rc = fit_law(model, rows, n, room, errors, err);
    if (!rc)
        rc = fit_domain(model, rows, n, errors, room, err);
    if (rc)
        return rc;
    *out = model;
    model = NULL; /* the caller owns it now */
    return 0;
}

/* --- stream --- */

void multivariate_start(const struct multivariate *model, double *room)
{
    memcpy(room, model->unknown, model->n_features * sizeof(*room));
}

static void standardise_categories(const struct multivariate_feature *feature, double *column,
                                   size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct row_value value = {0};
        memcpy(&value.category, &column[i], sizeof(value.category));
        column[i] = encode(feature, &value);
    }
}

void multivariate_standardise(const struct multivariate *model, uint32_t feature, double *column,
                              size_t n)
{
    const struct multivariate_feature *const at = &model->features[feature];
    if (at->categorical) {
        standardise_categories(at, column, n);
        return;
    }
    const double fill = at->fill, mean = at->mean, per_std = at->per_std;
    for (size_t i = 0; i < n; i++) /* as encode does */
        column[i] = ((isfinite(column[i]) ? column[i] : fill) - mean) * per_std;
}

/* Components are orthonormal: what they explain is taken off the length. */
double multivariate_left(const struct multivariate *model, const double *room)
{
    const uint32_t n = model->n_features, n_blocks = model->n_blocks;
    const block *blocks = (const block *)model->blocks;
    double square = 0;
    for (uint32_t f = 0; f < n; f++)
        square += room[f] * room[f];
    const double whole = square;
    for (uint32_t b = 0; b < n_blocks; b++) {
        block dots = {0};
        for (uint32_t f = 0; f < n; f++)
            dots += room[f] * blocks[(size_t)f * n_blocks + b];
        for (int i = 0; i < MULTIVARIATE_BLOCK; i++)
            square -= dots[i] * dots[i];
    }
    return isfinite(square) ? sqrt(multivariate_rest(square, whole)) : MULTIVARIATE_FARTHEST;
}

double multivariate_error(const struct multivariate *model, const struct row_value *values,
                          double *room)
{
    for (uint32_t f = 0; f < model->n_features; f++)
        room[f] = encode(&model->features[f], &values[f]);
    return multivariate_left(model, room);
}

/* A row as one that is not among the reference's: what stands for its category does not count it. */
static void leave_out(const struct multivariate *model, const struct row_value *row, double *room)
{
    for (uint32_t f = 0; f < model->n_features; f++) {
        const struct multivariate_feature *feature = &model->features[f];
        room[f] = encode(feature, &row[f]);
        if (feature->categorical && row[f].category)
            room[f] -= feature->own * feature->per_std;
    }
}

double multivariate_own_error(const struct multivariate *model, const struct row_value *values,
                              double *room)
{
    leave_out(model, values, room);
    return multivariate_left(model, room);
}

uint32_t multivariate_coordinates(const struct multivariate *model, const double *room,
                                  double error, double coordinates[DOMAIN_COORDINATES])
{
    const uint32_t k = model->n_features;
    if (k <= DOMAIN_COORDINATES) {
        memcpy(coordinates, room, k * sizeof(*coordinates));
        return k;
    }
    const struct multivariate_directions along = multivariate_directions(model);
    memset(coordinates, 0, along.n * sizeof(*coordinates));
    for (uint32_t f = 0; f < k; f++)
        for (uint32_t c = 0; c < along.n; c++)
            coordinates[c] += room[f] * along.of[(size_t)f * along.stride + c];
    coordinates[along.n] = error;
    return along.n + 1;
}

void multivariate_update(struct multivariate_window *window, double error, int sign)
{
    error = fmin(error, MULTIVARIATE_FARTHEST);
    window->n += sign;
    fixed_add(&window->sum, error, MULTIVARIATE_SCALE, sign);
    fixed_add(&window->square, error * error, MULTIVARIATE_SCALE, sign);
}

void multivariate_merge(struct multivariate_window *into, const struct multivariate_window *from)
{
    into->n += from->n;
    fixed_merge(&into->sum, &from->sum);
    fixed_merge(&into->square, &from->square);
}

void multivariate_window_save(const struct multivariate_window *window, struct buf *out)
{
    buf_zigzag(out, window->n);
    fixed_save(&window->sum, out);
    fixed_save(&window->square, out);
}

void multivariate_window_load(struct multivariate_window *window, struct reader *in)
{
    window->n = reader_count(in);
    fixed_load(&window->sum, in);
    fixed_load(&window->square, in);
}

/* --- bytes --- */

void multivariate_save(const struct multivariate *model, struct buf *out)
{
    buf_varint(out, model->n_features);
    buf_varint(out, model->n_components);
    for (uint32_t f = 0; f < model->n_features; f++) {
        const struct multivariate_feature *feature = &model->features[f];
        buf_u64(out, feature->name_id);
        buf_u8(out, feature->categorical);
        buf_double(out, feature->fill);
        buf_double(out, feature->mean);
        buf_double(out, feature->std);
        buf_varint(out, feature->n_counts);
        for (uint32_t i = 0; i < feature->n_counts; i++) {
            buf_u64(out, feature->counts[i].id);
            buf_varint(out, feature->counts[i].count);
        }
    }
    for (uint32_t i = 0; i < model->n_components * model->n_features; i++)
        buf_double(out, model->components[i]);
    buf_double(out, model->n_reference);
    buf_double(out, model->reference_mean);
    buf_double(out, model->reference_variance);
    buf_double(out, model->reference_skewness); /* what was saved before ends here */
    buf_u8(out, model->domain != NULL);
    if (model->domain)
        domain_save(model->domain, out);
    if (model->domain && model->directions) {
        buf_varint(out, model->n_directions);
        for (uint32_t i = 0; i < model->n_directions * model->n_features; i++)
            buf_double(out, model->directions[i]);
    }
}

static int load_feature(struct multivariate_feature *feature, struct reader *in)
{
    feature->name_id = reader_u64(in);
    feature->categorical = reader_u8(in) != 0;
    feature->fill = reader_double(in);
    feature->mean = reader_double(in);
    standardise_by(feature, reader_double(in));
    uint64_t n = reader_varint(in);
    if (n > reader_left(in) / 9 || n > UINT32_MAX / 4)
        return ERR_CORRUPT;
    feature->counts = calloc(n + 1, sizeof(*feature->counts));
    if (!feature->counts)
        return -ENOMEM;
    feature->n_counts = (uint32_t)n;
    for (uint64_t i = 0; i < n; i++)
        feature->counts[i] = (struct category){reader_u64(in), reader_varint(in)};
    return 0;
}

static int load_directions(struct multivariate *model, struct reader *in, struct err *err)
{
    const uint64_t n = reader_varint(in);
    if (n == 0 || n >= DOMAIN_COORDINATES || n + 1 != model->domain->n_coordinates ||
        reader_left(in) < n * model->n_features * sizeof(double))
        return err_set(err, ERR_CORRUPT, "multivariate drift: its directions are damaged");
    model->directions = malloc(n * model->n_features * sizeof(double));
    if (!model->directions)
        return err_set(err, -ENOMEM, "multivariate drift: no memory");
    model->n_directions = (uint32_t)n;
    for (uint64_t i = 0; i < n * model->n_features; i++)
        model->directions[i] = reader_double(in);
    return 0;
}

/* What earlier versions did not save. */
static int load_later(struct multivariate *model, struct reader *in, struct err *err)
{
    model->reference_skewness = reader_double(in);
    const bool has_domain = reader_u8(in) != 0;
    if (reader_failed(in))
        return err_set(err, ERR_CORRUPT, "multivariate drift: the bytes end early");
    int rc = has_domain ? domain_load(&model->domain, in, err) : 0;
    if (!rc && has_domain && model->n_features > DOMAIN_COORDINATES && reader_left(in))
        rc = load_directions(model, in, err);
    return rc;
}

int multivariate_load(struct multivariate **out, struct reader *in, struct err *err)
{
    AUTO(multivariate) struct multivariate *model = calloc(1, sizeof(*model));
    uint64_t k = reader_varint(in), c = reader_varint(in);
    if (k == 0 || k > MULTIVARIATE_MOST_FEATURES || c > k)
        return err_set(err, ERR_CORRUPT, "multivariate drift: %llu features do not fit",
                       (unsigned long long)k);
    if (!model || !(model->features = calloc(k, sizeof(*model->features))) ||
        !(model->components = calloc(k * (c + 1), sizeof(double))))
        return err_set(err, -ENOMEM, "multivariate drift: no memory");
    model->n_features = (uint32_t)k;
    model->n_components = (uint32_t)c;
    for (uint64_t f = 0; f < k; f++) {
        int rc = load_feature(&model->features[f], in);
        if (rc)
            return rc == -ENOMEM ? err_set(err, rc, "multivariate drift: no memory")
                                 : err_set(err, rc, "multivariate drift: feature %llu is damaged",
                                           (unsigned long long)f);
    }
    for (uint64_t i = 0; i < c * k; i++)
        model->components[i] = reader_double(in);
    model->n_reference = reader_double(in);
    model->reference_mean = reader_double(in);
    model->reference_variance = reader_double(in);
    if (reader_failed(in))
        return err_set(err, ERR_CORRUPT, "multivariate drift: the bytes end early");
    int rc = reader_left(in) ? load_later(model, in, err) : 0;
    if (rc)
        return rc;
    if (prepare(model))
        return err_set(err, -ENOMEM, "multivariate drift: no memory");
    *out = model;
    model = NULL; /* the caller owns it now */
    return 0;
}
