#include "stats/drift_path.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "common/cleanup.h"
#include "stats/distribution.h"
#include "stats/drift_counts.h"
#include "stats/law_rows.h"

enum {
    BRIDGE_STEPS = 64, /* variance of the walk that stands for the bridge, before it is tied */
    BRIDGE_ROWS = 50,  /* 12 standard deviations of its middle */
    MOST_ROWS = LAW_EXACT_EVENTS + 1,
    MOST_WIDENINGS = 2,
    FINER = 4, /* rows of a level to one of the level above it */
    FINEST = 2,
    MOST_GROUPS = 160,
    MOST_STEP_VARIANCE = 120 /* in rows: five deviations to both sides have their counts */
};
#define REACH 6.0            /* in sqrt(1/n + 1/m) standard deviations */
#define REACH_OF_BRIDGE 12.0 /* on half as many points: it has no lumps */
#define TAIL_MASS 1e-6
#define STEP_REACH 5      /* deviations: a large area is that of many steps a little larger */
#define LEAST 1e-14       /* of the ways that are followed */
#define LEAST_ROW 1e-15   /* … of a row */
#define LEAST_JOINT 1e-12 /* … of what ends where it must, of a state on the way */
/* A reference that happens to lack what is far out in a heavy tail is less skewed than its law. */
#define MORE_SKEWED 0.1
#define MUCH_SKEWED 6.0   /* squared: above an exponential law's */
#define OWN_VALUES 22     /* as many count as that skewness */
#define MOST_NARROWED 0.5 /* of ln p; more is where a lump ends */
#define PEAKED_FROM 6.5   /* square of a deviate */
#define PEAKED_PART 6.0
#define FARTHEST 6.0      /* deviates: p is 1e-9 */
#define DEVIATION 6.0     /* rows */
#define LEAST_COVERED 0.5 /* variance of a step in rows, so that its sum over rows is even */

static double square(double x)
{
    return x * x;
}

/*
 * A walk over the groups: states are rows; it starts and ends in given ones. The bridge's rows are
 * the distances from 0, as up and down are equally probable: a row stands for one side of the two.
 */
struct walk {
    const struct law_question *q;
    double total, root; /* of the weights; sqrt(1/n + 1/m) */
    bool bridge;
    int n_rows, end;
    double so_far;               /* share of the groups that were passed */
    uint8_t levels[MOST_GROUPS]; /* of the bridge behind each group: see steps_of */
};

/* Rows squared to a variance of 1. */
static double steps_of(int level)
{
    static const double steps[FINEST + 1] = {1, FINER * FINER, FINER * FINER * FINER * FINER};
    return BRIDGE_STEPS * steps[level];
}

/* The finest at which a bridge's deviation there is at most DEVIATION rows. */
static int level_at(double share)
{
    int level = 0;
    while (level < FINEST && share * steps_of(level + 1) < square(DEVIATION))
        level++;
    return level;
}

/*
 * Near its ends a bridge is nearly 0, and steps of an eighth would stand for jumps: a tail of many
 * groups that hold little would be that of a window of 64 events. Where it holds much of the
 * variance (`fine_ends`) rows are narrower there. A level is left for another one where a group's
 * variance covers the rows of that one.
 */
static void choose_levels(struct walk *walk)
{
    const struct law_question *q = walk->q;
    double so_far = 0;
    int level = 0;
    memset(walk->levels, 0, sizeof(walk->levels));
    if (!walk->bridge || !q->fine_ends || q->n_bins > MOST_GROUPS)
        return;
    for (size_t group = 0; group + 1 < q->n_bins; group++) {
        const double share = q->weights[group] / walk->total;
        so_far += share;
        const int asked = level_at(fmin(so_far, fmax(1 - so_far, 0)));
        if (group == 0)
            level = asked;
        while (level != asked) {
            const int next = level < asked ? level + 1 : level - 1;
            if (share * steps_of(next) < LEAST_COVERED)
                break;
            level = next;
        }
        walk->levels[group] = (uint8_t)level;
    }
}

static struct walk walk_of(const struct law_question *q, double total)
{
    bool bridge = q->n > LAW_EXACT_EVENTS;
    return (struct walk){
        .q = q,
        .total = total,
        .root = sqrt(1 / q->n + 1 / q->m),
        .bridge = bridge,
        .n_rows = bridge ? BRIDGE_ROWS + 1 : (int)q->n + 1,
        .end = bridge ? 0 : (int)q->n,
    };
}

/* A symmetric step of that variance on whole numbers. */
static void symmetric(struct counts *out, double variance)
{
    int reach = variance < 0.5 ? 1 : (int)ceil(STEP_REACH * sqrt(variance));
    double sum = 0;
    *out = (struct counts){.first = -reach, .stride = 1, .n_values = 2 * reach + 1};
    for (int k = -reach; k <= reach; k++) {
        double p = variance >= 0.5 ? exp(-k * k / (2 * variance)) : k ? variance / 2 : 1 - variance;
        out->p[k + reach] = p;
        sum += p;
    }
    for (int i = 0; i < out->n_values; i++)
        out->p[i] /= sum;
}

static void step_of(struct counts *out, const struct walk *walk, size_t group)
{
    double weight = walk->q->weights[group];
    if (walk->bridge) {
        const int level = walk->levels[group > 0 ? group - 1 : 0];
        const double variance = steps_of(level) * weight / walk->total;
        symmetric(out, fmin(variance, level > 0 ? MOST_STEP_VARIANCE : BRIDGE_STEPS / 2.0));
        return;
    }
    struct count_law law = {weight, walk->total, 0, walk->q->n};
    counts_of(out, &law);
}

/* The rows that a walk tied at both ends can be in, but for 1e-15 of them. */
static void band(const struct walk *walk, size_t group, int *low, int *high)
{
    double n = walk->bridge ? steps_of(walk->levels[group]) : walk->q->n;
    double share = fmin(walk->so_far, 1), middle = walk->bridge ? 0 : n * share;
    double more = walk->bridge ? 1 : 1 + n / walk->q->m;
    double reach = 8 * sqrt(n * share * (1 - share) * more) + (walk->bridge ? 8 : 16 * more);
    *low = (int)fmax(floor(middle - reach), 0);
    *high = (int)fmin(ceil(middle + reach), walk->n_rows - 1);
}

/*
 * How little a state of a row may be to be left out: LEAST_JOINT of what ends where it must, which
 * a bridge does from farther off the more rarely: e^(row² / (2 left)) as often, row by row.
 */
static void leasts_of(double *leasts, const struct walk *walk, size_t group, int high)
{
    const double left = steps_of(walk->levels[group]) * fmax(1 - walk->so_far, 1e-3);
    double here = walk->bridge ? LEAST_JOINT : LEAST_ROW;
    double onward = walk->bridge ? exp(1 / (2 * left)) : 1;
    const double faster = onward * onward;
    for (int row = 0; row <= high; row++) {
        leasts[row] = fmin(here, 1);
        here *= onward;
        onward *= faster;
    }
}

/* Every way into the row: how probable each is. */
static void ways_into(struct law_ways *ways, const struct walk *walk, const struct counts *step,
                      int row)
{
    const int first = (int)step->first, last = first + step->n_values - 1;
    const int low = row > last ? row - last : 0;
    const int high = row - first < walk->n_rows ? row - first : walk->n_rows - 1;
    ways->first = row - high;
    ways->n = high >= low ? high - low + 1 : 0;
    for (int before = low; before <= high; before++) {
        double p = step->p[row - before - first];
        if (walk->bridge && before > 0 && row + before <= last) /* from the other side of 0 */
            p += step->p[row + before - first];
        ways->p[high - before] = p > LEAST ? (float)p : 0;
    }
}

/* p += factor × e^(-(at - from × apart)² / (2 variance)) of each row it may come from. */
static void add_normal(double *p, int n_rows, double factor, double at, double apart,
                       double variance)
{
    const double by = 1 / (2 * variance), slower = exp(-2 * apart * apart * by);
    double here = factor * exp(-at * at * by), onward = exp((2 * at * apart - apart * apart) * by);
    for (int from = 0; from < n_rows; from++) {
        p[from] += here;
        here *= onward;
        onward *= slower;
    }
}

/* The same into a row of another level: every row of the one before leads to it. */
static void ways_across(struct law_ways *ways, const struct walk *walk, size_t group, int row)
{
    const double variance = walk->q->weights[group] / walk->total;
    const double width = 1 / sqrt(steps_of(walk->levels[group])), at = row * width;
    const double before = 1 / sqrt(steps_of(walk->levels[group - 1]));
    const double factor = width / sqrt(2 * M_PI * variance);
    const int last = walk->n_rows - 1;
    double p[BRIDGE_ROWS + 1] = {0};
    add_normal(p, last + 1, factor, at, before, variance);
    add_normal(p, last + 1, factor, -at, before, variance);
    p[0] /= 2; /* 0 has no other side */
    ways->first = row - last;
    ways->n = last + 1;
    for (int from = 0; from <= last; from++)
        ways->p[last - from] = p[from] > LEAST ? (float)p[from] : 0;
}

/* The row is led to as the one below it is: neither 0 nor the outermost row is near. */
static bool as_below(const struct walk *walk, const struct counts *step, int row)
{
    const int first = (int)step->first, last = first + step->n_values - 1;
    return row - 1 > last && row - first < walk->n_rows;
}

/* The scaled gap at the group's end. */
static double gap_of(const struct walk *walk, size_t group, int row, double reference)
{
    if (walk->bridge)
        return row / sqrt(steps_of(walk->levels[group]));
    return (row / walk->q->n - reference) / walk->root;
}

/* The mean of |x| for x normal around the gap. */
static double mean_distance(double gap, double variance)
{
    double by = gap * gap / (2 * variance);
    if (by > 40) /* nothing is left of the rest */
        return fabs(gap);
    return fabs(gap) * erf(sqrt(by)) + sqrt(variance * M_2_PI) * exp(-by);
}

/* Through the group, and on to the next: a quarter of a share is the path's mean variance there. */
static void pass(const struct law_rows *from, struct law_rows *into, const struct walk *walk,
                 size_t group, double reference, double points)
{
    const struct law_question *q = walk->q;
    double share = (q->weights[group] + q->weights[group + 1]) / 2 / walk->total;
    struct law_ways ways = {0}; /* no way moves anything by itself */
    struct counts step;
    double leasts[MOST_ROWS];
    int low, high;
    const bool across = group > 0 && walk->levels[group] != walk->levels[group - 1];
    step_of(&step, walk, group);
    band(walk, group, &low, &high);
    leasts_of(leasts, walk, group, high);
    law_rows_clear(into);
    for (int row = low; row <= high; row++) {
        double gap = gap_of(walk, group, row, reference);
        double area = mean_distance(gap, share / 4) * q->steps[group];
        if (across)
            ways_across(&ways, walk, group, row);
        else if (row == low || !as_below(walk, &step, row))
            ways_into(&ways, walk, &step, row);
        law_rows_pass_moved(into, from, &ways, row, area / points, leasts[row]);
    }
}

/*
 * Splitting a share of a point between its neighbours leaves the mean, but adds part × (1 - part)
 * points² to the variance: 1/6 on average, or what groups close to each other have of a point. In all,
 * of a path that is large: twice its standard deviation from 0.
 */
static double added_by_splits(const struct walk *walk, double points)
{
    const struct law_question *q = walk->q;
    double share = 0, added = 0;
    for (size_t group = 0; group + 1 < q->n_bins; group++) {
        share += q->weights[group] / walk->total;
        const double part = 2 * sqrt(share * fmax(1 - share, 0)) * q->steps[group] / points;
        added += fmin(part * (part < 0.5 ? 1 - part : 0.5), 1.0 / 6);
    }
    return added;
}

/*
 * That variance is taken out again as a diffusion run backwards: S - added / 2 S''. Narrowing the law
 * around its mean would take a tenth from its far tail, where p goes down much faster than that of a
 * normal law of this variance.
 */
static void tighten(struct drift_law *law, double added)
{
    const struct drift_law wide = *law;
    for (int i = 1; i + 1 < LAW_POINTS; i++) {
        const double here = (double)wide.log_survival[i];
        const double up = (double)wide.log_survival[i + 1] - here,
                     down = here - (double)wide.log_survival[i - 1];
        const double bent = square((up + down) / 2) + up - down; /* S'' / S */
        const double narrower = here - fmin(fmax(added / 2 * bent, -MOST_NARROWED), MOST_NARROWED);
        law->log_survival[i] = (float)fmin(narrower, (double)law->log_survival[i - 1]);
    }
    law->log_survival[LAW_POINTS - 1] =
        fminf(law->log_survival[LAW_POINTS - 1], law->log_survival[LAW_POINTS - 2]);
}

static int walk_all(struct drift_law *out, struct walk *walk)
{
    const struct law_question *q = walk->q;
    AUTO(law_rows) struct law_rows *here = NULL, *next = NULL;
    if (law_rows_new(&here, walk->n_rows) || law_rows_new(&next, walk->n_rows))
        return -ENOMEM;
    double reference = 0;
    choose_levels(walk);
    walk->so_far = 0;
    law_rows_start(here, 0);
    for (size_t group = 0; group + 1 < q->n_bins; group++) {
        reference += q->counts[group] / q->m;
        walk->so_far += q->weights[group] / walk->total;
        pass(here, next, walk, group, reference, out->step);
        struct law_rows *swap = here;
        here = next;
        next = swap;
    }
    struct law_ways ways = {0};
    struct counts step;
    step_of(&step, walk, q->n_bins - 1);
    ways_into(&ways, walk, &step, walk->end);
    law_rows_pass(next, here, &ways, walk->end, LEAST_ROW);
    law_rows_survival(next, walk->end, ROW_SMOOTH, out);
    tighten(out, added_by_splits(walk, out->step));
    return 0;
}

int drift_path_law(struct drift_law *out, const struct law_question *q, double total)
{
    struct walk walk = walk_of(q, total);
    out->step = (walk.bridge ? REACH_OF_BRIDGE : REACH) / (LAW_POINTS - 2);
    for (int i = 0;; i++) {
        int rc = walk_all(out, &walk);
        if (rc || i == MOST_WIDENINGS || (double)out->log_survival[LAW_POINTS - 1] < log(TAIL_MASS))
            return rc;
        out->step *= 2;
    }
}

/* ln P(X > t) of a standardised Pearson III variable. */
static double skewed_log_sf(double t, double skew)
{
    if (fabs(skew) < 0.01)
        return normal_log_sf(t);
    double shape = 4 / (skew * skew), x = shape + t * sqrt(shape) * copysign(1, skew);
    if (skew > 0)
        return gamma_log_sf(x, shape, 1);
    return x > 0 ? log(fmax(gamma_cdf(x, shape, 1), 1e-300)) : -690;
}

/* How much of the difference's variance is the reference's. */
static double own_part(const struct drift_path_mean *mean)
{
    return mean->n / (mean->n + mean->m);
}

/*
 * The skewness as far as the reference's own part goes. What a few values of a small sample make of it
 * they make of its deviation, too, which is then no smaller than the law's.
 */
static double own_skew(const struct drift_path_mean *mean)
{
    const double beyond = fmax(square(mean->skew) - MUCH_SKEWED, 0);
    return mean->skew / (1 + OWN_VALUES * beyond / mean->m);
}

/* Student's t as a normal one (Wallace 1959). */
double drift_path_of_known_std(double t, const struct drift_path_mean *mean)
{
    if (!(mean->n > 0) || !isfinite(mean->skew))
        return t;
    const double skewed = square(own_skew(mean));
    const double more = mean->counted ? skewed : 1 + mean->heavy * skewed;
    const double dof = mean->m / (own_part(mean) * fmax(more, 1e-6));
    return (8 * dof + 1) / (8 * dof + 3) * sqrt(dof * log1p(t * t / dof));
}

/*
 * A mean's fourth cumulant in its tail (Edgeworth: κ (t³ - 3 t) t / 24). Of an area it counts later:
 * the tails' parts of it are not those of the middle, and have no sign.
 */
static double of_peaked(double t, const struct drift_path_mean *mean)
{
    const double n = mean->n, m = mean->m, both = 1 / n + 1 / m;
    const double fourth = mean->peaked / (n * n * n * both * both), beyond = t * t - PEAKED_FROM;
    return beyond > 0 ? log1p(fourth * t * t * beyond / PEAKED_PART) : 0;
}

/*
 * What is of the second order beside Student's t and what Pearson III has of it (third² / 16): with
 * the reference's part r of the variance and the window's w
 *
 *     (1/n + 1/m) t⁴ (r (κ - γ²) (1/8 - r / 4) - γ² r w / 4 - (3 γ² - κ) (r³ + w³) / 24)
 *
 * A series is good for small terms: of large ones it counts less, and no more beyond FARTHEST.
 */
static double of_second_order(double t, const struct drift_path_mean *mean, double third)
{
    const double r = own_part(mean), w = 1 - r, both = 1 / mean->n + 1 / mean->m;
    const double skewed = square(mean->skew), kurtosis = fmax(mean->kurtosis, skewed - 2);
    const double part = r * (kurtosis - skewed) * (1.0 / 8 - r / 4) - skewed * r * w / 4 -
                        (3 * skewed - kurtosis) * (r * r * r + w * w * w) / 24;
    const double square_t = square(fmin(t, FARTHEST));
    const double of_square = square_t * (both * part + third * third / 16);
    return square_t * of_square / (1 + fmax(8 * of_square, 0));
}

double drift_path_skewness(double t, const struct drift_path_mean *mean)
{
    const double r = own_part(mean), w = 1 - r, root = sqrt(1 / mean->n + 1 / mean->m);
    const double with_std = (1 + MORE_SKEWED * mean->heavy) * own_skew(mean) * r * root;
    const double third = mean->skew * (w * w - r * r) * root + 3 * with_std;
    const double moved = with_std / 2;
    double log_p = log_sum(skewed_log_sf(t - moved, third), skewed_log_sf(t + moved, -third));
    log_p += (1 - mean->heavy) * of_second_order(t, mean, third);
    return fmax(log_p - normal_log_sf(t) - M_LN2, 0) + of_peaked(t, mean);
}
