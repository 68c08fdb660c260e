#include "stats/drift_evidently.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "stats/distribution.h"

enum {
    TESTED_ROWS = 1000, /* of a reference: of more, distances decide */
    FEW_VALUES = 5      /* numbers of so few are taken as categories */
};

static void fixed(struct drift_verdict *out, const char *method, double statistic, double threshold,
                  double p)
{
    *out = (struct drift_verdict){.method = method,
                                  .statistic = statistic,
                                  .threshold = threshold,
                                  .p_value = p,
                                  .q_value = (double)NAN,
                                  .fixed = true};
    out->drifted = isnan(p) ? statistic >= threshold : p < threshold;
}

/* One bin for each value of the reference or the window; 0: they are more than FEW_VALUES. */
static size_t value_bins(const struct drift_subject *subject, struct drift_bin *bins)
{
    const struct reference_feature *ref = subject->reference;
    const struct numbers *numbers = subject->numbers;
    double values[FEW_VALUES];
    size_t n = 0;
    if (!numbers || numbers->overflowed || numbers->cells.shift || !ref->exact ||
        ref->n_cells > FEW_VALUES)
        return 0;
    for (; n < ref->n_cells; n++) {
        values[n] = ref->low[n];
        bins[n] = (struct drift_bin){(double)reference_cell(ref, (uint32_t)n).count, 0};
    }
    for (uint32_t s = 0; s < numbers->cells.n_slots; s++) {
        if (numbers->cells.keys[s] == 0 || numbers->cells.counts[s] == 0)
            continue;
        double value = cells_value(numbers->cells.keys[s] - 1);
        size_t i = 0;
        while (i < n && values[i] != value)
            i++;
        if (i == FEW_VALUES)
            return 0;
        if (i == n) {
            values[n++] = value;
            bins[i] = (struct drift_bin){0, 0};
        }
        bins[i].window += numbers->cells.counts[s];
    }
    return n;
}

static int by_id(const void *key, const void *member)
{
    const uint64_t id = *(const uint64_t *)key;
    const struct category *category = member;
    return id < category->id ? -1 : id > category->id;
}

/* One bin for each category of the reference or the window. */
static size_t category_bins(const struct drift_subject *subject, struct drift_bin *bins)
{
    const struct reference_feature *ref = subject->reference;
    const struct categories *window = subject->categories;
    size_t n = ref->n_categories;
    for (size_t i = 0; i < n; i++)
        bins[i] = (struct drift_bin){(double)ref->categories[i].count, 0};
    for (uint32_t i = 0; i < window->n_slots; i++) {
        if (window->ids[i] == 0 || window->counts[i] == 0)
            continue;
        const struct category *known =
            bsearch(&window->ids[i], ref->categories, ref->n_categories, sizeof(*known), by_id);
        if (known)
            bins[known - ref->categories].window += window->counts[i];
        else
            bins[n++] = (struct drift_bin){0, window->counts[i]};
    }
    return n;
}

/* scipy.stats.chisquare of the window against the reference's shares; unseen: p 0. */
static double goodness_p(const struct drift_bin *bins, size_t n_bins, double m, double n,
                         double *statistic)
{
    double sum = 0, used = 0;
    for (size_t i = 0; i < n_bins; i++) {
        double expected = bins[i].reference / m * n, d = bins[i].window - expected;
        if (bins[i].reference == 0 && bins[i].window == 0)
            continue;
        used++;
        sum += d * d / expected; /* expected 0: infinite, as Evidently's */
    }
    *statistic = isfinite(sum) ? sum : (double)NAN;
    return isfinite(sum) ? chi2_sf(sum, used - 1) : 0;
}

/* Of one value or two; of one alone p is 1. */
static double proportions_p(const struct drift_bin *bins, double m, double n, double *statistic)
{
    double p = bins[0].reference / m, q = bins[0].window / n;
    double both = (bins[0].reference + bins[0].window) / (m + n);
    double z = p == q ? 0 : (p - q) / sqrt(both * (1 - both) * (1 / m + 1 / n));
    *statistic = z;
    return 2 * normal_sf(fabs(z));
}

/* Bins as they are where there are any that are empty on both sides: those say nothing. */
static size_t without_empty(struct drift_bin *bins, size_t n_bins)
{
    size_t n = 0;
    for (size_t i = 0; i < n_bins; i++)
        if (bins[i].reference > 0 || bins[i].window > 0)
            bins[n++] = bins[i];
    return n;
}

static void judge_numbers(const struct drift_subject *subject, struct drift_verdict *out)
{
    const struct drift_numeric *d = subject->numeric;
    if (subject->reference->valid <= TESTED_ROWS)
        fixed(out, "ks", d->ks.value, 0.05, d->ks_p);
    else
        fixed(out, "wasserstein_norm",
              d->wasserstein.value / fmax(subject->reference->moments.std, 0.001), 0.1,
              (double)NAN);
}

static void judge_bins(const struct drift_subject *subject, const struct drift_bin *bins,
                       size_t n_bins, struct drift_verdict *out)
{
    double m = (double)subject->reference->valid, statistic = 0;
    double n = subject->numeric ? (double)subject->numeric->n : (double)subject->categorical->n;
    if (subject->reference->valid > TESTED_ROWS) {
        fixed(out, "js_distance", drift_js(bins, n_bins, m, n) * sqrt(log(2)), 0.1, (double)NAN);
        return;
    }
    double p = n_bins <= 2 ? proportions_p(bins, m, n, &statistic)
                           : goodness_p(bins, n_bins, m, n, &statistic);
    fixed(out, n_bins <= 2 ? "z" : "chi2", statistic, 0.05, p);
}

int drift_evidently_judge(const struct drift_subject *subject, struct drift_verdict *out)
{
    const struct reference_feature *ref = subject->reference;
    if (subject->numeric) {
        struct drift_bin few[FEW_VALUES];
        size_t n = value_bins(subject, few);
        if (n)
            judge_bins(subject, few, n, out);
        else
            judge_numbers(subject, out);
        return 0;
    }
    const bool single = !subject->categories->many && !ref->partial;
    const size_t room = single ? ref->n_categories + subject->categories->n_ids : DRIFT_MAX_ROWS;
    AUTO_FREE struct drift_bin *bins = calloc(room + 1, sizeof(*bins));
    if (!bins)
        return -ENOMEM;
    size_t n = single ? category_bins(subject, bins)
                      : drift_category_bins(ref, subject->reference_id, subject->categories, bins);
    judge_bins(subject, bins, without_empty(bins, n), out);
    return 0;
}
