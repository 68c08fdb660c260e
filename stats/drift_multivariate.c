#include "stats/drift_multivariate.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats/distribution.h"
#include "stats/eigen.h"
#include "stats/gamma_law.h"

enum {
    FEW_ROWS = 20 /* below, halves of them are no samples */
};

/* A block of components at once; they need not lie on a boundary. */
typedef double block
    __attribute__((vector_size(MULTIVARIATE_BLOCK * sizeof(double)), aligned(8), may_alias));

/* The rest of the promise is kept back for what the approximation leaves open, as for features. */
#define KEPT 0.8
/* … and as much less of a skewness of 1: heavy tails are more than skewed, as windows of 50 see. */
#define KEPT_BACK_SKEWNESS 0.7
/* A reference's mean error varies more than that of as many independent rows, because components, scales and categories'
   counts were made of them (1.2 to 1.5 times, bench_estimates, four kinds of streams), and what is left of how much better
   they are rebuilt is 0.5% of a standard deviation. */
#define REFERENCE_PART 1.6

#define EXPLAINED 0.65 /* NannyML's n_components */
#define ROUNDED 1e-6   /* of an error that is rounding alone, on average */

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

/* The largest components until they explain more than 65%. */
static int choose(struct multivariate *model, const double *a, const double *v)
{
    uint32_t k = model->n_features;
    AUTO_FREE bool *taken = calloc(k, sizeof(*taken));
    model->components = calloc((size_t)k * k, sizeof(double));
    if (!taken || !model->components)
        return -ENOMEM;
    double total = 0, explained = 0;
    for (uint32_t i = 0; i < k; i++)
        total += a[i * k + i];
    while (model->n_components < k && explained <= EXPLAINED * total) {
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

static int fit_components(struct multivariate *model, const struct row_value *rows, size_t n)
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
    return choose(model, a, v);
}

/* Columns and components of the rows; the errors' law is left to the caller. */
static int fit_rows(struct multivariate **out, const struct multivariate_feature *features,
                    uint32_t n_features, const struct row_value *rows, size_t n, struct err *err)
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
    if (fit_components(model, rows, n) || prepare(model))
        return err_set(err, -ENOMEM, "multivariate drift: no memory");
    *out = model;
    model = NULL; /* the caller owns it now */
    return 0;
}

static struct multivariate_window errors_of(const struct multivariate *model,
                                            const struct row_value *rows, size_t n, double *room)
{
    struct multivariate_window window = {0};
    for (size_t i = 0; i < n; i++)
        multivariate_update(&window, multivariate_error(model, &rows[i * model->n_features], room),
                            1);
    return window;
}

static double mean_of(const struct multivariate_window *window)
{
    return fixed_result(&window->sum, MULTIVARIATE_SCALE) / (double)window->n;
}

/* Of the errors, whose mean and variance are known. */
static double skewness_of(const struct multivariate *model, const struct row_value *rows, size_t n,
                          double *room)
{
    const double sd = sqrt(model->reference_variance);
    double cubes = 0;
    for (size_t i = 0; sd > 0 && i < n; i++) {
        const double error = multivariate_error(model, &rows[i * model->n_features], room);
        cubes += pow((fmin(error, MULTIVARIATE_FARTHEST) - model->reference_mean) / sd, 3);
    }
    return cubes / (double)n;
}

/*
 * Rows that a model was fitted on are rebuilt better than others. How much better: by halves, each
 * fitted and rebuilt by the other's model; that one half is an easier one cancels. A model of all
 * rows has half of that left. Rows are dealt out like cards, `deal` at a time: neighbours may be
 * alike.
 */
static int optimism(const struct multivariate_feature *features, uint32_t n_features,
                    const struct row_value *rows, size_t n, size_t deal, double *out,
                    struct err *err)
{
    AUTO_FREE struct row_value *halves = malloc(n * n_features * sizeof(*halves));
    AUTO_FREE double *room = malloc((size_t)n_features * sizeof(*room));
    if (!halves || !room)
        return err_set(err, -ENOMEM, "multivariate drift: no memory");
    struct row_value *half[2] = {halves, halves + n / 2 * n_features};
    size_t held[2] = {0, 0};
    for (size_t i = 0; i < n / 2 * 2; i++) {
        size_t to = i / deal % 2;
        to = held[to] < n / 2 ? to : 1 - to;
        memcpy(half[to] + held[to]++ * n_features, rows + i * n_features,
               n_features * sizeof(*rows));
    }
    double gap = 0;
    for (int h = 0; h < 2; h++) {
        AUTO(multivariate) struct multivariate *model = NULL;
        int rc = fit_rows(&model, features, n_features, half[h], n / 2, err);
        if (rc)
            return rc;
        const struct multivariate_window own = errors_of(model, half[h], n / 2, room);
        const struct multivariate_window other = errors_of(model, half[1 - h], n / 2, room);
        gap += mean_of(&other) - mean_of(&own);
    }
    *out = gap / 4; /* two gaps, of models on half the rows */
    return 0;
}

static int fit_domain(struct multivariate *model, const struct row_value *rows, size_t n,
                      double *room, struct err *err)
{
    double coordinates[DOMAIN_COORDINATES];
    uint32_t k = multivariate_coordinates(model, room, 0, coordinates);
    AUTO_FREE double *all = calloc(n, sizeof(coordinates));
    if (!all)
        return err_set(err, -ENOMEM, "multivariate drift: no memory");
    for (size_t i = 0; i < n; i++) {
        const double error = multivariate_error(model, &rows[i * model->n_features], room);
        multivariate_coordinates(model, room, fmin(error, MULTIVARIATE_FARTHEST), all + i * k);
    }
    const int rc = domain_fit(&model->domain, all, n, k, err);
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
    int rc = room ? fit_rows(&model, features, n_features, rows, n, err)
                  : err_set(err, -ENOMEM, "multivariate drift: no memory");
    if (rc)
        return rc;
    const struct multivariate_window all = errors_of(model, rows, n, room);
    const double mean = mean_of(&all);
    model->n_reference = (double)n;
    model->reference_variance =
        fmax(fixed_result(&all.square, MULTIVARIATE_SCALE) / (double)n - mean * mean, 0);
    model->reference_mean = mean;
    model->reference_skewness = skewness_of(model, rows, n, room);
    for (size_t deal = 1; n >= FEW_ROWS && deal <= 2; deal++) {
        double better = 0;
        rc = optimism(features, n_features, rows, n, deal, &better, err);
        if (rc && rc != ERR_DATA) /* a half in which nothing varies tells nothing */
            return rc;
        model->reference_mean += rc ? 0 : fmax(better, 0) / 2;
    }
    rc = fit_domain(model, rows, n, room, err);
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

uint32_t multivariate_coordinates(const struct multivariate *model, const double *room,
                                  double error, double coordinates[DOMAIN_COORDINATES])
{
    const uint32_t k = model->n_features, m = model->n_components;
    if (k <= DOMAIN_COORDINATES) {
        memcpy(coordinates, room, k * sizeof(*coordinates));
        return k;
    }
    const uint32_t n = m < DOMAIN_COORDINATES ? m : DOMAIN_COORDINATES - 1;
    memset(coordinates, 0, n * sizeof(*coordinates));
    for (uint32_t f = 0; f < k; f++)
        for (uint32_t c = 0; c < n; c++)
            coordinates[c] += room[f] * model->components[(size_t)f * m + c];
    coordinates[n] = error;
    return n + 1;
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
    window->n = reader_zigzag(in);
    fixed_load(&window->sum, in);
    fixed_load(&window->square, in);
}

/* Of the mean of n errors, the reference's own mean being one of as many as it has. */
static struct gamma_law law_of(const struct multivariate *model, double n)
{
    const double m = model->n_reference, both = 1 / n + REFERENCE_PART / m;
    return (struct gamma_law){.mean = model->reference_mean,
                              .sd = sqrt(model->reference_variance * both),
                              .skewness = model->reference_skewness * (1 / (n * n) - 1 / (m * m)) /
                                          pow(both, 1.5)};
}

/* Where all the reference's errors are one and the same: how probable is it that the events of a window that have others
   are all in the window, and none in the reference? As many as that makes its sums, at least (Cauchy–Schwarz). What
   earlier versions rounded is no other error. */
static double p_of_others(const struct multivariate *model,
                          const struct multivariate_window *window)
{
    const double n = (double)window->n, mean = model->reference_mean;
    const double sum = fixed_result(&window->sum, MULTIVARIATE_SCALE);
    const double off = sum - n * mean;
    const double square =
        fixed_result(&window->square, MULTIVARIATE_SCALE) - 2 * mean * sum + n * mean * mean;
    if (fabs(off) <= ROUNDED * n || square <= 0)
        return 1;
    return pow(n / (n + model->n_reference), fmin(fmax(off * off / square, 1), n));
}

struct multivariate_drift multivariate_result(const struct multivariate *model,
                                              const struct multivariate_window *window,
                                              double false_alarm_rate)
{
    double none = (double)NAN;
    if (window->n <= 0)
        return (struct multivariate_drift){none, none, none, none, false};
    const double n = (double)window->n;
    const double value = fixed_result(&window->sum, MULTIVARIATE_SCALE) / n;
    const struct gamma_law law = law_of(model, n);
    const double less = KEPT_BACK_SKEWNESS * fmin(fabs(law.skewness), 1);
    const double rate = false_alarm_rate * (KEPT - less);
    double p = 2 * fmin(gamma_law_cdf(&law, value), gamma_law_sf(&law, value));
    if (law.sd <= 0)
        p = p_of_others(model, window);
    return (struct multivariate_drift){value, gamma_law_quantile(&law, rate / 2),
                                       gamma_law_quantile(&law, 1 - rate / 2), fmin(p, 1),
                                       p <= rate};
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

/* What earlier versions did not save. */
static int load_later(struct multivariate *model, struct reader *in, struct err *err)
{
    model->reference_skewness = reader_double(in);
    const bool has_domain = reader_u8(in) != 0;
    if (reader_failed(in))
        return err_set(err, ERR_CORRUPT, "multivariate drift: the bytes end early");
    return has_domain ? domain_load(&model->domain, in, err) : 0;
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
