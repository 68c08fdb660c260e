#include "stats/estimate_dle.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats/categories.h"

enum {
    LEAVES = 1 << DLE_DEPTH,
    MOST_FEATURES = 1024,
    MOST_ROWS = 50000 /* to fit on: more are thinned out evenly */
};

#define RATE 0.1       /* of each step */
#define SHRINKAGE 10.0 /* rows that a leaf must outweigh */

/* Cuts at or below x: five steps without a branch that depends on it. */
static uint32_t cuts_up_to(const double cuts[DLE_BINS - 1], double x)
{
    uint32_t low = 0;
    for (uint32_t step = DLE_BINS / 2; step; step /= 2)
        low += cuts[low + step - 1] <= x ? step : 0;
    return low;
}

static uint32_t bin_of(const struct dle_feature *feature, const struct row_value *value)
{
    uint32_t low = 0, high = feature->n_cuts;
    if (!feature->categorical)
        return isfinite(value->number) ? cuts_up_to(feature->cuts, value->number) : DLE_BINS;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (feature->ids[middle] < value->category)
            low = middle + 1;
        else
            high = middle;
    }
    return low < feature->n_cuts && feature->ids[low] == value->category ? feature->ranks[low]
                                                                         : DLE_BINS;
}

void dle_free(struct dle *dle)
{
    if (!dle)
        return;
    free(dle->features);
    free(dle->asked);
    free(dle->answers);
    free(dle);
}

/* Which place of `asked` a feature has, made when new. */
static uint32_t place_of(struct dle *dle, uint16_t feature)
{
    uint32_t at = 0;
    while (at < dle->n_asked && dle->asked[at] != feature)
        at++;
    if (at == dle->n_asked)
        dle->asked[dle->n_asked++] = feature;
    return at;
}

/* All questions at once: by feature and bin, the answers to those that are about the feature. */
static int tabulate(struct dle *dle)
{
    dle->asked = calloc(DLE_TREES * DLE_DEPTH, sizeof(*dle->asked));
    dle->answers = calloc(DLE_TREES * DLE_DEPTH, sizeof(*dle->answers));
    if (!dle->asked || !dle->answers)
        return -ENOMEM;
    for (uint32_t t = 0; t < DLE_TREES; t++) {
        for (uint32_t d = 0; d < DLE_DEPTH; d++) {
            const uint32_t at = place_of(dle, dle->trees[t].feature[d]);
            const uint32_t bit = t * DLE_DEPTH + d;
            for (uint32_t bin = dle->trees[t].above[d] + 1U; bin <= DLE_BINS; bin++)
                dle->answers[at][bin].words[bit / 64] |= UINT64_C(1) << bit % 64;
        }
    }
    for (uint32_t at = 0; at < dle->n_asked; at++) {
        const struct dle_feature *feature = &dle->features[dle->asked[at]];
        if (feature->complete)
            dle->answers[at][DLE_BINS] = dle->answers[at][feature->n_cuts / 2];
    }
    return 0;
}

/* --- fit --- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static int by_id(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static int by_count(const void *a, const void *b)
{
    const struct category *x = (const struct category *)a, *y = (const struct category *)b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int cut_numbers(struct dle_feature *feature, const struct row_value *column,
                       uint32_t n_features, size_t n)
{
    AUTO_FREE double *values = malloc((n + 1) * sizeof(*values));
    if (!values)
        return -ENOMEM;
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        if (isfinite(column[i * n_features].number))
            values[used++] = column[i * n_features].number;
    }
    qsort(values, used, sizeof(*values), by_value);
    for (uint32_t i = 0; i < DLE_BINS - 1; i++)
        feature->cuts[i] = (double)INFINITY;
    for (size_t b = 1; b < DLE_BINS && used; b++) {
        double cut = values[used * b / DLE_BINS];
        if (cut > values[0] && (!feature->n_cuts || cut > feature->cuts[feature->n_cuts - 1]))
            feature->cuts[feature->n_cuts++] = cut;
    }
    return 0;
}

static int cut_categories(struct dle_feature *feature, const struct row_value *column,
                          uint32_t n_features, size_t n)
{
    AUTO_FREE uint64_t *ids = malloc((n + 1) * sizeof(*ids));
    AUTO_FREE struct category *counts = malloc((n + 1) * sizeof(*counts));
    if (!ids || !counts)
        return -ENOMEM;
    size_t used = 0, kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (column[i * n_features].category)
            ids[used++] = column[i * n_features].category;
    }
    qsort(ids, used, sizeof(*ids), by_id);
    for (size_t i = 0; i < used; i++) {
        if (kept && counts[kept - 1].id == ids[i])
            counts[kept - 1].count++;
        else
            counts[kept++] = (struct category){ids[i], 1};
    }
    qsort(counts, kept, sizeof(*counts), by_count);
    feature->n_cuts = kept < DLE_BINS ? (uint32_t)kept : DLE_BINS;
    for (uint32_t i = 0; i < feature->n_cuts; i++)
        feature->ids[i] = counts[i].id;
    qsort(feature->ids, feature->n_cuts, sizeof(*feature->ids), by_id);
    return 0;
}

static double mean_of(const double *values, size_t n)
{
    long double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (long double)values[i];
    return (double)(sum / (long double)n);
}

/* Categories in the order of their mean loss, so that "bin > t" can part the bad from the good. */
static void rank_categories(struct dle_feature *feature, const struct row_value *column,
                            uint32_t n_features, const double *losses, size_t n)
{
    double sums[DLE_BINS + 1] = {0}, counts[DLE_BINS + 1] = {0};
    for (uint32_t i = 0; i < feature->n_cuts; i++)
        feature->ranks[i] = (uint8_t)i;
    for (size_t i = 0; i < n; i++) {
        uint32_t bin = bin_of(feature, &column[i * n_features]);
        sums[bin] += losses[i];
        counts[bin]++;
    }
    for (uint32_t i = 0; i < feature->n_cuts; i++) {
        uint8_t rank = 0;
        for (uint32_t j = 0; j < feature->n_cuts; j++) {
            double mine = sums[i] / counts[i], other = sums[j] / counts[j];
            rank += other < mine || (other == mine && j < i);
        }
        feature->ranks[i] = rank;
    }
}

struct fitting {
    size_t n;
    uint32_t k;
    const uint8_t *bins; /* n × k */
    double *rest[2];     /* what is left of |error| and of error² */
    uint8_t *leaf;       /* of each row in the tree at hand */
};

/* How much a split of all leaves at each bin of one feature explains; the best one. */
static double best_split(const struct fitting *fit, uint32_t feature, int depth, uint8_t *above)
{
    double sums[LEAVES][DLE_BINS + 1] = {{0}}, counts[LEAVES][DLE_BINS + 1] = {{0}};
    int leaves = 1 << depth;
    for (size_t i = 0; i < fit->n; i++) {
        uint8_t bin = fit->bins[i * fit->k + feature];
        sums[fit->leaf[i]][bin] += fit->rest[0][i];
        counts[fit->leaf[i]][bin]++;
    }
    double gains[DLE_BINS] = {0}, best = -1;
    for (int l = 0; l < leaves; l++) {
        double all = 0, n = 0, low = 0, n_low = 0;
        for (int b = 0; b <= DLE_BINS; b++) {
            all += sums[l][b];
            n += counts[l][b];
        }
        for (int b = 0; b < DLE_BINS; b++) {
            low += sums[l][b];
            n_low += counts[l][b];
            double high = all - low;
            gains[b] += low * low / (n_low + SHRINKAGE) + high * high / (n - n_low + SHRINKAGE);
        }
    }
    for (int b = 0; b < DLE_BINS; b++) {
        if (gains[b] > best) {
            best = gains[b];
            *above = (uint8_t)b;
        }
    }
    return best;
}

static void grow(struct fitting *fit, struct dle_tree *tree)
{
    memset(fit->leaf, 0, fit->n);
    for (int depth = 0; depth < DLE_DEPTH; depth++) {
        double best = -1;
        for (uint32_t f = 0; f < fit->k; f++) {
            uint8_t above = 0;
            double gain = best_split(fit, f, depth, &above);
            if (gain > best) {
                best = gain;
                tree->feature[depth] = (uint16_t)f;
                tree->above[depth] = above;
            }
        }
        for (size_t i = 0; i < fit->n; i++) {
            uint8_t bin = fit->bins[i * fit->k + tree->feature[depth]];
            fit->leaf[i] |= (uint8_t)((bin > tree->above[depth]) << depth);
        }
    }
    for (int loss = 0; loss < 2; loss++) {
        double sums[LEAVES] = {0}, counts[LEAVES] = {0};
        float *leaves = loss ? tree->square : tree->absolute;
        for (size_t i = 0; i < fit->n; i++) {
            sums[fit->leaf[i]] += fit->rest[loss][i];
            counts[fit->leaf[i]]++;
        }
        for (int l = 0; l < LEAVES; l++)
            leaves[l] = (float)(RATE * sums[l] / (counts[l] + SHRINKAGE));
        for (size_t i = 0; i < fit->n; i++)
            fit->rest[loss][i] -= (double)leaves[fit->leaf[i]];
    }
}

/* Both losses in units; the intercepts take what shrinkage left of the means. */
static void boost(struct dle *dle, struct fitting *fit)
{
    double *intercepts[2] = {&dle->absolute, &dle->square};
    for (int loss = 0; loss < 2; loss++) {
        *intercepts[loss] = mean_of(fit->rest[loss], fit->n);
        for (size_t i = 0; i < fit->n; i++)
            fit->rest[loss][i] -= *intercepts[loss];
    }
    for (int t = 0; t < DLE_TREES; t++)
        grow(fit, &dle->trees[t]);
    for (int loss = 0; loss < 2; loss++)
        *intercepts[loss] += mean_of(fit->rest[loss], fit->n);
}

/* Cuts and bins of all features; bins of every row into `bins`. */
static int bin_rows(struct dle *dle, const struct dle_feature *features,
                    const struct row_value *rows, const double *losses, size_t n, uint8_t *bins)
{
    uint32_t k = dle->n_features;
    for (uint32_t f = 0; f < k; f++) {
        struct dle_feature *feature = &dle->features[f];
        feature->name_id = features[f].name_id;
        feature->categorical = features[f].categorical;
        int rc = feature->categorical ? cut_categories(feature, rows + f, k, n)
                                      : cut_numbers(feature, rows + f, k, n);
        if (rc)
            return rc;
        if (feature->categorical)
            rank_categories(feature, rows + f, k, losses, n);
        feature->complete = true;
        for (size_t i = 0; i < n; i++) {
            bins[i * k + f] = (uint8_t)bin_of(feature, &rows[i * k + f]);
            feature->complete &= bins[i * k + f] != DLE_BINS;
        }
    }
    return 0;
}

int dle_fit(struct dle **out, const struct dle_feature *features, uint32_t n_features,
            const struct row_value *rows, const double *errors, size_t n, struct err *err)
{
    if (n < DLE_MIN_ROWS || n_features == 0 || n_features > MOST_FEATURES)
        return err_set(err, ERR_DATA, "dle: %zu labelled rows of %u features, %d rows at least", n,
                       n_features, DLE_MIN_ROWS);
    size_t every = (n + MOST_ROWS - 1) / MOST_ROWS, used = (n + every - 1) / every;
    AUTO(dle) struct dle *dle = calloc(1, sizeof(*dle));
    AUTO_FREE uint8_t *bins = malloc(used * (n_features + 1));
    AUTO_FREE double *losses = malloc(2 * used * sizeof(*losses));
    AUTO_FREE struct row_value *thinned = malloc(used * n_features * sizeof(*thinned));
    if (!dle || !bins || !losses || !thinned ||
        !(dle->features = calloc(n_features, sizeof(*features))))
        return err_set(err, -ENOMEM, "dle: no memory for %zu rows", n);
    dle->n_features = n_features;
    dle->n_reference = (double)used;
    for (size_t i = 0; i < used; i++) {
        memcpy(thinned + i * n_features, rows + i * every * n_features, n_features * sizeof(*rows));
        losses[i] = fabs(errors[i * every]);
    }
    double unit = mean_of(losses, used);
    dle->unit = unit > 0 && isfinite(unit) ? unit : 1;
    for (size_t i = 0; i < used; i++) {
        losses[i] /= dle->unit;
        losses[used + i] = losses[i] * losses[i];
    }
    if (bin_rows(dle, features, thinned, losses, used, bins))
        return err_set(err, -ENOMEM, "dle: no memory for %zu rows", n);
    struct fitting fit = {
        used, n_features, bins, {losses, losses + used}, bins + used * n_features};
    boost(dle, &fit);
    if (tabulate(dle))
        return err_set(err, -ENOMEM, "dle: no memory for %zu rows", n);
    *out = dle;
    dle = NULL; /* the caller owns it now */
    return 0;
}

/* --- stream --- */

void dle_expect(const struct dle *dle, const struct row_value *values, double *absolute,
                double *square)
{
    struct dle_answers answers = {{0}};
    double a[4] = {dle->absolute}, s[4] = {dle->square}; /* four sums that do not wait */
    for (uint32_t i = 0; i < dle->n_asked; i++) {
        const uint32_t f = dle->asked[i];
        const struct dle_answers *own = &dle->answers[i][bin_of(&dle->features[f], &values[f])];
        for (int w = 0; w < DLE_WORDS; w++)
            answers.words[w] |= own->words[w];
    }
    for (uint32_t t = 0; t < DLE_TREES; t++) {
        const uint32_t bit = t * DLE_DEPTH;
        const uint32_t leaf = answers.words[bit / 64] >> bit % 64 & (LEAVES - 1);
        a[t % 4] += (double)dle->trees[t].absolute[leaf];
        s[t % 4] += (double)dle->trees[t].square[leaf];
    }
    *absolute = fmax(a[0] + a[1] + (a[2] + a[3]), 0) * dle->unit;
    *square = fmax(s[0] + s[1] + (s[2] + s[3]), 0) * dle->unit * dle->unit;
}

/* --- bytes --- */

void dle_save(const struct dle *dle, struct buf *out)
{
    buf_varint(out, dle->n_features);
    const double numbers[] = {dle->unit, dle->absolute, dle->square, dle->n_reference};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        buf_double(out, numbers[i]);
    for (uint32_t f = 0; f < dle->n_features; f++) {
        const struct dle_feature *feature = &dle->features[f];
        buf_u64(out, feature->name_id);
        buf_u8(out, (uint8_t)(feature->categorical | feature->complete << 1));
        buf_varint(out, feature->n_cuts);
        for (uint32_t i = 0; i < feature->n_cuts; i++) {
            if (!feature->categorical) {
                buf_double(out, feature->cuts[i]);
                continue;
            }
            buf_u64(out, feature->ids[i]);
            buf_u8(out, feature->ranks[i]);
        }
    }
    for (int t = 0; t < DLE_TREES; t++) {
        for (int d = 0; d < DLE_DEPTH; d++) {
            buf_varint(out, dle->trees[t].feature[d]);
            buf_u8(out, dle->trees[t].above[d]);
        }
        for (int l = 0; l < LEAVES; l++) {
            buf_double(out, (double)dle->trees[t].absolute[l]);
            buf_double(out, (double)dle->trees[t].square[l]);
        }
    }
}

static int load_feature(struct dle_feature *feature, struct reader *in)
{
    feature->name_id = reader_u64(in);
    const uint8_t flags = reader_u8(in);
    feature->categorical = flags & 1;
    feature->complete = flags >> 1 & 1; /* 0: saved before it was known */
    uint64_t n = reader_varint(in);
    if (n > (feature->categorical ? DLE_BINS : DLE_BINS - 1))
        return ERR_CORRUPT;
    feature->n_cuts = (uint32_t)n;
    for (uint32_t i = 0; i < DLE_BINS - 1; i++)
        feature->cuts[i] = (double)INFINITY;
    for (uint32_t i = 0; i < feature->n_cuts; i++) {
        if (!feature->categorical) {
            feature->cuts[i] = reader_double(in);
            continue;
        }
        feature->ids[i] = reader_u64(in);
        feature->ranks[i] = reader_u8(in);
        if (feature->ranks[i] >= DLE_BINS)
            return ERR_CORRUPT;
    }
    return reader_failed(in) ? ERR_CORRUPT : 0;
}

static int load_tree(struct dle_tree *tree, uint32_t n_features, struct reader *in)
{
    for (int d = 0; d < DLE_DEPTH; d++) {
        uint64_t feature = reader_varint(in);
        if (feature >= n_features)
            return ERR_CORRUPT;
        tree->feature[d] = (uint16_t)feature;
        tree->above[d] = reader_u8(in);
    }
    for (int l = 0; l < LEAVES; l++) {
        tree->absolute[l] = (float)reader_double(in);
        tree->square[l] = (float)reader_double(in);
    }
    return reader_failed(in) ? ERR_CORRUPT : 0;
}

int dle_load(struct dle **out, struct reader *in, struct err *err)
{
    AUTO(dle) struct dle *dle = calloc(1, sizeof(*dle));
    uint64_t k = reader_varint(in);
    if (k == 0 || k > MOST_FEATURES)
        return err_set(err, ERR_CORRUPT, "dle: %llu features do not fit", (unsigned long long)k);
    if (!dle || !(dle->features = calloc(k, sizeof(*dle->features))))
        return err_set(err, -ENOMEM, "dle: no memory");
    dle->n_features = (uint32_t)k;
    double *numbers[] = {&dle->unit, &dle->absolute, &dle->square, &dle->n_reference};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        *numbers[i] = reader_double(in);
    for (uint64_t f = 0; f < k; f++) {
        if (load_feature(&dle->features[f], in))
            return err_set(err, ERR_CORRUPT, "dle: feature %llu is damaged", (unsigned long long)f);
    }
    for (int t = 0; t < DLE_TREES; t++) {
        if (load_tree(&dle->trees[t], dle->n_features, in))
            return err_set(err, ERR_CORRUPT, "dle: tree %d is damaged", t);
    }
    if (tabulate(dle))
        return err_set(err, -ENOMEM, "dle: no memory");
    *out = dle;
    dle = NULL; /* the caller owns it now */
    return 0;
}
