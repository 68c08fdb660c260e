#include "stats/drift_law.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "common/cleanup.h"
#include "stats/drift_cumulants.h"
#include "stats/drift_part.h"
#include "stats/drift_path.h"
#include "stats/drift_saddle.h"
#include "stats/four.h"
#include "stats/law_rows.h"
#include "stats/sort.h"

enum {
    MOST_WIDENINGS = 4,
    FEW_EVENTS = 8
};
#define NO_BIN SIZE_MAX
#define MANY_EVENTS 16.0   /* of a bin that needs no convolution */
#define TAIL_NORMAL 5.7    /* the points reach to p = 1e-8 of a smooth law */
#define TAIL_MASS 1e-7     /* that may lie beyond the last point */
#define LEAST 1e-13        /* probabilities that are followed up, */
#define LEAST_ALONE 1e-10  /* … of one bin beside others that go by their cumulants */
#define LEAST_JOINT 1e-15  /* … of what ends at n, of a state on the way */
#define SHORTEST_LOG -80.0 /* for a probability of 0 */
#define LEAST_WEIGHT 0.25  /* of a bin from which `prior_ends` takes */
#define LEAST_LEFT 0.5     /* of the smooth part's variance, or nothing is taken from it */
#define MANY_FILLED 15.0   /* bins that a window fills on average: no lumps are seen in their js */

/* --- bins --- */

static double bin_weight(const struct law_question *q, size_t bin)
{
    if (bin >= q->n_bins)
        return q->unseen;
    if (!q->prior_shares)
        return q->weights[bin];
    bool end = bin == 0 || bin + 1 == q->n_bins;
    double more = end ? q->prior_ends : q->prior * (1 - q->sparse_part * q->sparse[bin]);
    more *= q->prior_shares[bin];
    return fmax(q->weights[bin] + more, fmin(q->weights[bin], LEAST_WEIGHT));
}

static double bin_count(const struct law_question *q, size_t bin)
{
    return bin < q->n_bins ? q->counts[bin] : 0;
}

static size_t bins_with_unseen(const struct law_question *q)
{
    return q->n_bins + (q->unseen > 0);
}

static double total_weight(const struct law_question *q)
{
    double total = 0;
    for (size_t i = 0; i < bins_with_unseen(q); i++)
        total += bin_weight(q, i);
    return total;
}

/* `rest`: what the other bins weigh when the sum of all counts is known, 0 while it is not. */
static void part_of_bin(struct drift_part *part, const struct law_question *q, size_t bin,
                        double total, double rest)
{
    struct count_law law = {bin_weight(q, bin), total, rest, q->n};
    drift_part_of_bin(part, q, bin_count(q, bin), &law);
}

static void part_of_pair(struct drift_part *part, const struct law_question *q, double rest)
{
    double weight = bin_weight(q, 0);
    struct count_law law = {weight, weight + rest, rest, q->n};
    drift_part_of_pair(part, q, &law);
}

/* The question's bins, each with its part. Two bins are one part: one count tells both. */
struct sum {
    const struct law_question *q;
    double total;
    struct drift_part *parts;
    size_t n_parts;
    bool pair;
    size_t dominant; /* the bin of more than half the weight, NO_BIN: none */
};

/*
 * Of many events: one bin that gets more than half of them. The others' counts all but tell its own,
 * which varies so little that cumulants of independent bins would leave next to nothing but errors
 * once the known sum is taken from them.
 */
static size_t dominant_bin(const struct law_question *q, double total)
{
    size_t bin = 0;
    while (bin < q->n_bins && !(bin_weight(q, bin) > total / 2))
        bin++;
    return q->n > LAW_EXACT_EVENTS && bin < q->n_bins ? bin : NO_BIN;
}

static void make_parts(struct sum *sum)
{
    const struct law_question *q = sum->q;
    size_t n_bins = bins_with_unseen(q), first = 0;
    sum->pair = q->n_bins <= 2;
    sum->n_parts = 0;
    if (sum->pair) {
        part_of_pair(&sum->parts[sum->n_parts++], q, bin_weight(q, 1));
        first = 2;
    }
    sum->dominant = dominant_bin(q, sum->total);
    for (size_t bin = first; bin < n_bins; bin++) {
        double rest = bin == sum->dominant ? sum->total - bin_weight(q, bin) : 0;
        part_of_bin(&sum->parts[sum->n_parts++], q, bin, sum->total, rest);
    }
}

/* --- exact: (events so far, sum so far) --- */

/* The rows that can still end at n, or can have been reached: mean ± 8 standard deviations. */
static void band(const struct law_question *q, double share, int *low, int *high)
{
    double mean = q->n * share, sd = sqrt(mean * (1 - share) * (1 + q->n / q->m));
    *low = (int)fmax(floor(mean - 8 * sd - 8), 0);
    *high = (int)fmin(ceil(mean + 8 * sd + 8), q->n);
}

/*
 * The points that a bin's counts add, to the nearest. `carry` is what rounding took from the bins
 * before, on average: put into this one, or every rare bin's part would move the same way.
 */
static void ways_of(struct law_ways *ways, const struct drift_part *part, double step,
                    double *carry)
{
    const struct counts *counts = &part->counts;
    double left = *carry;
    *ways = (struct law_ways){.first = (int)counts->first};
    for (int i = 0; i < counts->n_values; i++) {
        double shift = part->values[i] / step;
        if (!(counts->p[i] > LEAST))
            continue;
        double at = fmax(floor(shift + left + 0.5), 0);
        ways->shifts[i] = at < LAW_POINTS ? (int)at : LAW_POINTS;
        ways->p[i] = (float)counts->p[i];
        ways->n = i + 1;
        *carry += counts->p[i] * (shift - at);
    }
}

/* ln P(bins of that weight get k events), independent ones whose total weight is `total`. */
static double log_p_of_events(const struct law_question *q, double weight, double total, double k)
{
    int sign;
    if (weight <= 0) /* no bin is left */
        return k > 0 ? (double)-INFINITY : 0;
    return lgamma_r(weight + k, &sign) - lgamma_r(weight, &sign) - lgamma_r(k + 1, &sign) +
           weight * log(total / (q->n + total)) + k * log(q->n / (q->n + total));
}

/*
 * How little a state of each row may be to be left out: LEAST_JOINT of what ends at n, with the
 * events that bins of weight `rest` still have to get.
 */
static void leasts_of(const struct law_question *q, double total, double rest, int low, int high,
                      double *leasts)
{
    double all = log_p_of_events(q, total, total, q->n), left = q->n - high;
    double p = exp(log_p_of_events(q, rest, total, left) - all);
    for (int row = high; row >= low; row--, left++) {
        leasts[row - low] = LEAST_JOINT / fmax(p, LEAST_JOINT);
        p *= (rest + left) / (left + 1) * q->n / (q->n + total);
    }
}

struct rank {
    double weight;
    size_t bin;
};

DEFINE_SORT(sort_ranks, struct rank, weight)

/*
 * The bins by weight: many small ones, while few events are on the way, then few large ones. Behind
 * them is room for the sorting.
 */
static struct rank *ranked(const struct sum *sum)
{
    struct rank *ranks = malloc((2 * sum->n_parts + 1) * sizeof(*ranks));
    for (size_t i = 0; ranks && i < sum->n_parts; i++)
        ranks[i] = (struct rank){bin_weight(sum->q, i), i};
    if (ranks)
        sort_ranks(ranks, sum->n_parts, ranks + sum->n_parts);
    return ranks;
}

/*
 * How many points an outcome's sum may have been put below where it is. What is carried from bin to
 * bin balances on average; one outcome is off by up to a point for each bin but one that has events.
 * Of many outcomes no single one matters; of few the likely ones would be taken for impossible: of
 * two events in three categories alike one window in a hundred had p below 0.0002.
 */
static int off_by(const struct sum *sum)
{
    const int n = (int)sum->q->n, others = (int)sum->n_parts - 1;
    return n > FEW_EVENTS ? ROW_LUMPS : 1 + (n < others ? n : others);
}

static int exact(struct drift_law *out, const struct sum *sum)
{
    const struct law_question *q = sum->q;
    const int n = (int)q->n;
    AUTO(law_rows) struct law_rows *a = NULL, *b = NULL;
    AUTO_FREE struct rank *ranks = ranked(sum);
    if (!ranks || law_rows_new(&a, n + 1) || law_rows_new(&b, n + 1))
        return -ENOMEM;
    law_rows_start(a, 0);
    double so_far = 0, carry = 0, leasts[LAW_EXACT_EVENTS + 1];
    struct law_ways ways;
    for (size_t i = 0; i < sum->n_parts; i++) {
        int low = n, high = n;
        so_far += ranks[i].weight;
        if (i + 1 < sum->n_parts)
            band(q, fmin(so_far / sum->total, 1), &low, &high);
        leasts_of(q, sum->total, low < n ? sum->total - so_far : 0, low, high, leasts);
        ways_of(&ways, &sum->parts[ranks[i].bin], out->step, &carry);
        law_rows_clear(b);
        for (int row = low; row <= high; row++)
            law_rows_pass(b, a, &ways, row, leasts[row - low]);
        struct law_rows *swap = a;
        a = b;
        b = swap;
    }
    law_rows_survival(a, n, off_by(sum), out);
    return 0;
}

/* How many bins a window fills, on average. */
static double filled(const struct sum *sum)
{
    double all = 0;
    for (size_t i = 0; i < sum->n_parts; i++) {
        const struct counts *counts = &sum->parts[i].counts;
        all += 1 - (counts->first > 0 ? 0 : counts->p[0]);
    }
    return all;
}

static struct saddle_bin saddle_bin_of(const struct drift_part *part)
{
    const struct counts *counts = &part->counts;
    int n = counts->n_values;
    while (n > 1 && !(counts->p[n - 1] > LEAST))
        n--;
    return (struct saddle_bin){(int)counts->first, n, counts->p, part->values};
}

/* js alone: chi2 and psi have tails that no e^(u sum) tames, hellinger lumps in rare bins. */
static int by_saddlepoint(struct drift_law *out, const struct sum *sum)
{
    if (sum->q->statistic != LAW_JS || filled(sum) < MANY_FILLED)
        return SADDLE_NONE;
    AUTO_FREE struct rank *ranks = ranked(sum);
    AUTO_FREE struct saddle_bin *bins = calloc(sum->n_parts + 1, sizeof(*bins));
    if (!ranks || !bins)
        return -ENOMEM;
    for (size_t i = 0; i < sum->n_parts; i++)
        bins[i] = saddle_bin_of(&sum->parts[ranks[i].bin]);
    return drift_saddle_law(out, bins, sum->n_parts, sum->q->n);
}

/*
 * One part more, whatever the number of its events. Shares of a point are split: rounding them
 * would move every rare bin's part the same way. Splitting leaves the mean and adds to the variance,
 * which is returned.
 */
static double convolve(struct law_rows **row, struct law_rows **spare,
                       const struct drift_part *part, double step)
{
    double added = 0;
    for (int i = 0; i < part->counts.n_values; i++) {
        const double p = part->counts.p[i], at = part->values[i] / step, share = at - floor(at);
        if (!(p > LEAST_ALONE))
            continue;
        law_rows_add_split(*spare, *row, 0, p, at);
        added += p * share * (1 - share);
    }
    law_rows_set(*spare, 0);
    struct law_rows *swap = *row;
    *row = *spare;
    *spare = swap;
    return added * step * step;
}

/* --- many events --- */

/* Bins from here on go by their cumulants: at least half of the events do. */
static double cut_between(const struct law_question *q, double total)
{
    static const double cuts[] = {MANY_EVENTS, MANY_EVENTS / 4};
    for (size_t c = 0; c < sizeof(cuts) / sizeof(cuts[0]); c++) {
        double mass = 0;
        for (size_t i = 0; i < q->n_bins; i++)
            mass += q->n * bin_weight(q, i) / total >= cuts[c] ? bin_weight(q, i) : 0;
        if (mass >= total / 2)
            return cuts[c];
    }
    return 0; /* all bins, however little beside what is unseen */
}

/* Of the smooth part and of both together; room behind them for a whole vector. */
struct survivals {
    double smooth[LAW_POINTS + LANES], all[LAW_POINTS + LANES];
};

FOUR_INLINE void mix_by(struct drift_law *out, const float *few, const float *log_smooth,
                        struct survivals *survivals)
{
    double *smooth = survivals->smooth, *all = survivals->all, beyond = 0, above = 1;
    for (int i = 0; i < LAW_POINTS; i += LANES) {
        four log_p = {0};
        for (int lane = 0; lane < LANES; lane++)
            log_p[lane] = (double)log_smooth[i + lane];
        four_write(smooth + i, four_exp(log_p));
    }
    for (int i = LAW_POINTS - 1; i >= 0; i--) {
        all[i] = beyond; /* the few alone are there */
        beyond += (double)few[i];
    }
    for (int x = 0; x < LAW_POINTS; x++) {
        double here = (double)few[x];
        if (here < LEAST)
            continue;
        for (int i = x; i < LAW_POINTS; i += LANES)
            four_write(all + i, four_read(all + i) + here * four_read(smooth + i - x));
    }
    for (int i = 0; i < LAW_POINTS; i++)
        above = all[i] = all[i] < above ? all[i] : above;
    for (int i = 0; i < LAW_POINTS; i += LANES) {
        const four p = four_read(all + i), log_p = four_log(p);
        for (int lane = 0; lane < LANES; lane++)
            out->log_survival[i + lane] = (float)(p[lane] > 0 ? log_p[lane] : SHORTEST_LOG);
    }
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static void mix_avx2(struct drift_law *out, const float *few,
                                                     const float *log_smooth,
                                                     struct survivals *survivals)
{
    mix_by(out, few, log_smooth, survivals);
}
#endif

static void mix(struct drift_law *out, const float *few, const float *log_smooth)
{
    struct survivals survivals = {0};
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2")) {
        mix_avx2(out, few, log_smooth, &survivals);
        return;
    }
#endif
    mix_by(out, few, log_smooth, &survivals);
}

/*
 * The bins of many events, as the known sum leaves them: it takes from them what it takes from all,
 * where they have that. A dominant bin does not let the others know much of each other.
 */
static struct cumulants smooth_part(const struct sum *sum, const struct cumulants *alone,
                                    const struct known_sum *of_smooth,
                                    const struct known_sum *of_all)
{
    struct cumulants own = *alone, all = *alone;
    cumulants_take_known(&own, of_smooth);
    if (sum->dominant != NO_BIN) {
        cumulants_add_dominant(&own, of_smooth, &sum->parts[sum->dominant],
                               bin_weight(sum->q, sum->dominant) / sum->total);
        return own;
    }
    cumulants_take_known(&all, of_all);
    return all.second >= LEAST_LEFT * own.second ? all : own;
}

/*
 * Bins of few events are convolved as if they were independent of the others. What the known sum takes
 * from them, and what splitting points adds to their variance, is taken from the smooth part instead,
 * where that has as much: else p of 215 exponential values in Doane's bins is a tenth too large.
 */
static int by_cumulants(struct drift_law *out, const struct sum *sum)
{
    AUTO(law_rows) struct law_rows *row = NULL, *spare = NULL;
    if (law_rows_new(&row, 1) || law_rows_new(&spare, 1))
        return -ENOMEM;
    const double cut = cut_between(sum->q, sum->total);
    struct cumulants alone = {0};
    struct known_sum of_smooth = {0}, of_all = {0};
    double added = 0;
    law_rows_start(row, 0);
    for (size_t bin = 0; bin < sum->n_parts; bin++) {
        const struct drift_part *part = &sum->parts[bin];
        const double along = bin_weight(sum->q, bin) / sum->total;
        if (bin == sum->dominant)
            continue;
        known_sum_add(&of_all, part, along);
        if (bin < sum->q->n_bins && part->counts.mean >= cut) {
            cumulants_add(&alone, part);
            known_sum_add(&of_smooth, part, along);
        } else {
            added += convolve(&row, &spare, part, out->step);
        }
    }
    struct cumulants smooth = smooth_part(sum, &alone, &of_smooth, &of_all);
    if (added < (1 - LEAST_LEFT) * smooth.second)
        smooth.second -= added;
    float log_smooth[LAW_POINTS];
    cumulants_survival(&smooth, out->step, log_smooth);
    mix(out, law_rows_at(row, 0), log_smooth);
    return 0;
}

/* Two bins: one count tells all. What is unseen comes beside it. */
static int of_two(struct drift_law *out, const struct sum *sum)
{
    AUTO(law_rows) struct law_rows *row = NULL, *spare = NULL;
    if (law_rows_new(&row, 1) || law_rows_new(&spare, 1))
        return -ENOMEM;
    law_rows_start(row, 0);
    for (size_t part = 0; part < sum->n_parts; part++)
        convolve(&row, &spare, &sum->parts[part], out->step);
    law_rows_survival(row, 0, ROW_LUMPS, out);
    return 0;
}

/* --- the largest difference --- */

static int of_largest(struct drift_law *out, const struct law_question *q, double total)
{
    double mass[LAW_POINTS + 1] = {0}, root = sqrt(drift_part_scale(q)), above = 0;
    for (size_t bin = 0; bin < bins_with_unseen(q); bin++) {
        double weight = bin_weight(q, bin), share = bin_count(q, bin) / q->m;
        struct count_law law = {weight, total, fmax(total - weight, 1e-9), q->n};
        struct counts counts;
        counts_of(&counts, &law);
        for (int i = 0; i < counts.n_values; i++) {
            double d = fabs((counts.first + i * counts.stride) / q->n - share) * root / out->step;
            mass[(int)fmin(ceil(d), LAW_POINTS)] += counts.p[i];
        }
    }
    for (int i = LAW_POINTS; i >= 0; i--) {
        above += mass[i];
        if (i < LAW_POINTS)
            out->log_survival[i] = (float)(above > 0 ? log(fmin(above, 1)) : SHORTEST_LOG);
    }
    return 0;
}

/* --- all of them --- */

/* How far the points must reach for p = 1e-8, were the law smooth (Wilson, Hilferty 1931). */
static double reach_of(const struct sum *sum)
{
    struct cumulants all = {0};
    for (size_t part = 0; part < sum->n_parts; part++)
        cumulants_add(&all, &sum->parts[part]);
    double skew = fmax(all.third / pow(fmax(all.second, 1e-300), 1.5), 0.01);
    double shape = 4 / (skew * skew), root = 1 - 1 / (9 * shape) + TAIL_NORMAL / (3 * sqrt(shape));
    return all.first + sqrt(all.second) * (shape * root * root * root - shape) / sqrt(shape);
}

/* One bin, which gets every event: 0 for certain. */
static void certain(struct drift_law *out)
{
    out->step = 1;
    for (int i = 0; i < LAW_POINTS; i++)
        out->log_survival[i] = i ? (float)SHORTEST_LOG : 0;
}

/* Wider points until hardly anything lies beyond them. */
static int of_sum(struct drift_law *out, const struct sum *sum)
{
    const bool few = sum->q->n <= LAW_EXACT_EVENTS;
    if (few && !sum->pair) {
        int rc = by_saddlepoint(out, sum);
        out->smooth = rc == 0;
        if (rc != SADDLE_NONE)
            return rc;
    }
    out->step = fmax(reach_of(sum), 1e-300) / (LAW_POINTS - 2);
    for (int i = 0;; i++) {
        int rc = sum->pair ? of_two(out, sum) : few ? exact(out, sum) : by_cumulants(out, sum);
        if (rc || i == MOST_WIDENINGS || (double)out->log_survival[LAW_POINTS - 1] < log(TAIL_MASS))
            return rc;
        out->step *= 2;
    }
}

int drift_law_make(struct drift_law *out, const struct law_question *q)
{
    double total = total_weight(q);
    out->smooth = q->n > LAW_EXACT_EVENTS && q->n_bins > 2;
    if (bins_with_unseen(q) < 2) {
        certain(out);
        return 0;
    }
    if (q->statistic == LAW_WASSERSTEIN)
        return drift_path_law(out, q, total);
    if (q->statistic == LAW_L_INFINITY) {
        out->step = 7.0 / LAW_POINTS; /* standard deviations of the largest bin: at most 1/2 each */
        return of_largest(out, q, total);
    }
    struct sum sum = {.q = q, .total = total};
    AUTO_FREE struct drift_part *parts = sum.parts = malloc(bins_with_unseen(q) * sizeof(*parts));
    if (!parts)
        return -ENOMEM;
    make_parts(&sum);
    return of_sum(out, &sum);
}

double drift_law_log_p(const struct drift_law *law, double t)
{
    double at = fmax(t, 0) / law->step;
    int i = at < LAW_POINTS - 2 ? (int)at : LAW_POINTS - 2;
    double low = (double)law->log_survival[i], high = (double)law->log_survival[i + 1];
    return fmax(low + (at - i) * (high - low), 10 * SHORTEST_LOG);
}

double drift_law_quantile(const struct drift_law *law, double log_p)
{
    int low = 0, high = LAW_POINTS - 1; /* the last point that is not below log_p */
    if ((double)law->log_survival[0] < log_p)
        return 0;
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if ((double)law->log_survival[middle] >= log_p)
            low = middle;
        else
            high = middle;
    }
    double here = (double)law->log_survival[low], next = (double)law->log_survival[low + 1];
    double part = here > next ? (here - log_p) / (here - next) : 1;
    return (low + part) * law->step;
}
