/*
 * Bins lie side by side, four to a group, so that a group's sums are those of four lanes and need
 * no adding across: the k-th count of each is in one vector. Bins come in the order of their
 * weights, and those of a group have about as many counts.
 */
#include "stats/drift_saddle.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "stats/distribution.h"
#include "stats/four.h"

enum {
    MOST_POINTS = 64,
    MOST_TRIES = 20,
    CURVE = 4 /* points that an interpolation goes through */
};
#define APART 0.5        /* of the points, in standard deviations of the sum */
#define LOWEST -2.5      /* normal deviates that the points go from */
#define HIGHEST 5.7      /* … and to: p = 6e-9 */
#define LONGEST_STEP 0.7 /* of v at once */
#define NEAR 1e-3        /* of a total that one more step of Newton's makes right */
#define LARGEST 300.0    /* exponent */
#define FEW_PAIRS 15.0   /* of events in one bin: the sum comes in lumps, */
#define MOST_MEAN 2.0    /* … but for bins that have more values than these */

struct group {
    size_t begin; /* of its vectors */
    int n;        /* counts of the longest of its bins */
    int first[LANES];
};

struct tilted {
    double n; /* the total */
    struct group *groups;
    size_t n_groups;
    four *p;      /* of each count, */
    four *values; /* … what it adds, */
    four *half;   /* … e^(value × half a step of u), */
    four *onward; /* … e^(value × step), down or up, */
    four *here;   /* … p e^(value × u) */
    size_t n_vectors;
    double *powers; /* of e^v */
    int n_powers;
};

/* K and its derivatives: u goes with the sum, v with the total. */
struct cumulant {
    double k, u, v, uu, uv, vv;
};

static void tilted_finish(struct tilted *t)
{
    free(t->groups);
    free(t->p); /* and the others behind it */
    free(t->powers);
}

/* --- laying out --- */

static void count_vectors(struct tilted *t, const struct saddle_bin *bins, size_t n_bins)
{
    for (size_t i = 0; i < n_bins; i++) {
        struct group *group = &t->groups[i / LANES];
        const int first = bins[i].first;
        group->n = bins[i].n > group->n ? bins[i].n : group->n;
        group->first[i % LANES] = first;
        t->n_powers = first >= t->n_powers ? first + 1 : t->n_powers;
    }
    for (size_t g = 0; g < t->n_groups; g++) {
        t->groups[g].begin = t->n_vectors;
        t->n_vectors += (size_t)t->groups[g].n;
    }
}

/* A lane without a bin is certain to add nothing. */
static void fill(struct tilted *t, const struct saddle_bin *bins, size_t n_bins)
{
    for (size_t i = 0; i < t->n_groups * LANES; i++) {
        const size_t begin = t->groups[i / LANES].begin, lane = i % LANES;
        if (i >= n_bins) {
            t->p[begin][lane] = 1;
            continue;
        }
        for (int k = 0; k < bins[i].n; k++) {
            t->p[begin + (size_t)k][lane] = bins[i].p[k];
            t->values[begin + (size_t)k][lane] = bins[i].values[k];
        }
    }
}

static int tilted_init(struct tilted *t, const struct saddle_bin *bins, size_t n_bins, double n)
{
    *t = (struct tilted){.n = n, .n_groups = (n_bins + LANES - 1) / LANES, .n_powers = 1};
    t->groups = calloc(t->n_groups, sizeof(*t->groups));
    if (!t->groups)
        return -ENOMEM;
    count_vectors(t, bins, n_bins);
    const size_t n_here = t->n_vectors;
    t->p = aligned_alloc(sizeof(four), 5 * n_here * sizeof(four));
    t->powers = malloc((size_t)t->n_powers * sizeof(*t->powers));
    if (!t->p || !t->powers)
        return -ENOMEM;
    t->values = t->p + n_here;
    t->half = t->values + n_here;
    t->onward = t->half + n_here;
    t->here = t->onward + n_here;
    memset(t->p, 0,
           2 * n_here * sizeof(four)); /* of the other bins of a group, where one is longer */
    fill(t, bins, n_bins);
    memcpy(t->here, t->p, t->n_vectors * sizeof(*t->p));
    return 0;
}

/* --- K --- */

FOUR_INLINE void prepare_steps(struct tilted *t, double step)
{
    const four most = four_of(LARGEST), least = -most;
    for (size_t i = 0; i < t->n_vectors; i++) {
        const four x = t->values[i] * (step / 2), up = four_choose(x < most, x, most);
        t->half[i] = four_exp(four_choose(up > least, up, least));
    }
}

/* Half a step from u = 0. */
FOUR_INLINE void begin(struct tilted *t, bool up)
{
    const four one = {1, 1, 1, 1};
    for (size_t i = 0; i < t->n_vectors; i++) {
        const four by = up ? t->half[i] : one / t->half[i];
        t->here[i] = t->p[i] * by;
        t->onward[i] = by * by;
    }
}

/* Sums over a bin's counts, each with the weight p e^(v count). */
struct sums {
    four all, w, ww, s, ss, ws;
};

/* `onward`: after a step of u. */
FOUR_INLINE void add_counts(struct sums *sums, const struct tilted *t, const struct group *group,
                            double e_v, bool onward)
{
    four *p = t->here + group->begin;
    const four *values = t->values + group->begin, *step = t->onward + group->begin;
    four power = {0}, w = {0};
    for (int lane = 0; lane < LANES; lane++) {
        power[lane] = t->powers[group->first[lane]];
        w[lane] = group->first[lane];
    }
    for (int k = 0; k < group->n; k++) {
        if (onward)
            p[k] *= step[k];
        const four here = p[k] * power, by_w = here * w, by_s = here * values[k];
        sums->all += here;
        sums->w += by_w;
        sums->ww += by_w * w;
        sums->s += by_s;
        sums->ss += by_s * values[k];
        sums->ws += by_s * w;
        power *= e_v;
        w += 1;
    }
}

FOUR_INLINE struct cumulant cumulant_at(struct tilted *t, double v, bool onward)
{
    const double e_v = exp(v);
    const four one = {1, 1, 1, 1};
    four product = one, zero = {0}, u = zero, w = zero, uu = zero, uv = zero, ww = zero;
    t->powers[0] = 1;
    for (int k = 1; k < t->n_powers; k++)
        t->powers[k] = t->powers[k - 1] * e_v;
    for (size_t g = 0; g < t->n_groups; g++) {
        struct sums sums = {zero, zero, zero, zero, zero, zero};
        add_counts(&sums, t, &t->groups[g], e_v, onward);
        const four part = one / sums.all, mean_s = sums.s * part, mean_w = sums.w * part;
        product *= sums.all;
        u += mean_s;
        w += mean_w;
        uu += sums.ss * part - mean_s * mean_s;
        uv += sums.ws * part - mean_s * mean_w;
        ww += sums.ww * part - mean_w * mean_w;
    }
    const double k = log(product[0]) + log(product[1]) + log(product[2]) + log(product[3]);
    return (struct cumulant){k, four_sum(u), four_sum(w), four_sum(uu), four_sum(uv), four_sum(ww)};
}

/* K where the total is n on average. Newton's last step is taken along the derivatives.
   `onward`: u is a step farther than when K was asked last. */
FOUR_INLINE bool at_total(struct tilted *t, double *v, bool onward, struct cumulant *out)
{
    for (int i = 0; i < MOST_TRIES; i++) {
        *out = i == 0 && onward ? cumulant_at(t, *v, true) : cumulant_at(t, *v, false);
        if (!isfinite(out->k) || !(out->vv > 0))
            return false;
        const double by = (t->n - out->v) / out->vv;
        *v += fmin(fmax(by, -LONGEST_STEP), LONGEST_STEP);
        if (fabs(t->n - out->v) > NEAR * t->n)
            continue;
        out->k += by * (out->v + t->n) / 2;
        out->u += by * out->uv;
        return true;
    }
    return false;
}

/* --- the points --- */

struct curve {
    double sums[MOST_POINTS], deviates[MOST_POINTS];
    int n;
};

/* What K says at u = 0, and how far the sum varies, the total known. */
struct middle {
    struct cumulant at;
    double v, sd;
};

/* The normal deviate r* of P(sum >= K_u). */
static double deviate_of(const struct tilted *t, const struct middle *middle, double u, double v,
                         const struct cumulant *at)
{
    const double here = at->k - u * at->u - v * t->n, there = middle->at.k - middle->v * t->n;
    const double r = copysign(sqrt(fmax(2 * (there - here), 0)), u);
    const double q = u * sqrt((at->uu * at->vv - at->uv * at->uv) / middle->at.vv);
    return r + log(q / r) / r;
}

/* How v goes with u, the total kept. */
static double slope_of(const struct cumulant *at)
{
    return -at->uv / at->vv;
}

/* Away from u = 0: half a step, then whole ones, until the deviate is far enough. */
FOUR_INLINE bool follow(struct tilted *t, const struct middle *middle, double step, double farthest,
                        struct curve *out)
{
    double slope = slope_of(&middle->at), u = step / 2, v = middle->v + slope * u;
    struct cumulant at;
    out->n = 0;
    begin(t, step > 0);
    while (out->n < MOST_POINTS / 2) {
        if (!at_total(t, &v, out->n > 0, &at))
            return false;
        const double deviate = deviate_of(t, middle, u, v, &at);
        if (!isfinite(deviate))
            return false;
        out->sums[out->n] = at.u;
        out->deviates[out->n++] = deviate;
        if (fabs(deviate) > fabs(farthest))
            return true;
        /* on with the slope in the middle of the next step, the first one having been half as long */
        const double change = (slope_of(&at) - slope) / (out->n == 1 ? 1 : 2);
        slope = slope_of(&at);
        v += (slope + change) * step;
        u += step;
    }
    return false;
}

static bool rises(const struct curve *curve)
{
    for (int i = 1; i < curve->n; i++)
        if (!(curve->sums[i] > curve->sums[i - 1] && curve->deviates[i] > curve->deviates[i - 1]))
            return false;
    return curve->n >= CURVE;
}

FOUR_INLINE bool find_points_by(struct tilted *t, struct curve *out)
{
    struct middle middle = {0};
    struct curve down, up;
    if (!at_total(t, &middle.v, false, &middle.at))
        return false;
    const struct cumulant *at = &middle.at;
    middle.sd = sqrt(at->uu - at->uv * at->uv / at->vv);
    const double step = APART / middle.sd;
    if (!isfinite(step))
        return false;
    prepare_steps(t, step);
    if (!follow(t, &middle, -step, LOWEST, &down) || !follow(t, &middle, step, HIGHEST, &up))
        return false;
    out->n = 0;
    for (int i = down.n - 1; i >= 0; i--, out->n++) {
        out->sums[out->n] = down.sums[i];
        out->deviates[out->n] = down.deviates[i];
    }
    for (int i = 0; i < up.n; i++, out->n++) {
        out->sums[out->n] = up.sums[i];
        out->deviates[out->n] = up.deviates[i];
    }
    return rises(out);
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static bool find_points_avx2(struct tilted *t, struct curve *out)
{
    return find_points_by(t, out);
}
#endif

static bool find_points(struct tilted *t, struct curve *out)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2"))
        return find_points_avx2(t, out);
#endif
    return find_points_by(t, out);
}

/* Newton's cubic through the points from `near` on. */
struct cubic {
    int near;
    double c[CURVE]; /* divided differences */
};

static void cubic_of(struct cubic *out, const struct curve *curve, int near)
{
    const double *x = curve->sums + near;
    out->near = near;
    for (int i = 0; i < CURVE; i++)
        out->c[i] = curve->deviates[near + i];
    for (int order = 1; order < CURVE; order++)
        for (int i = CURVE - 1; i >= order; i--)
            out->c[i] = (out->c[i] - out->c[i - 1]) / (x[i] - x[i - order]);
}

/* Through the points around; the sums asked for rise. */
static double deviate_at(const struct curve *curve, double sum, struct cubic *cubic)
{
    int near = cubic->near;
    while (near + CURVE < curve->n && curve->sums[near + CURVE / 2] < sum)
        near++;
    if (near != cubic->near)
        cubic_of(cubic, curve, near);
    const double *x = curve->sums + near;
    double all = cubic->c[CURVE - 1];
    for (int i = CURVE - 2; i >= 0; i--)
        all = all * (sum - x[i]) + cubic->c[i];
    return all;
}

/*
 * Few events in many bins: what the sum says is little more than how often two of them share one. How
 * much such a pair adds, on average; 0: there are so many that none is seen. A count of mean x is 1
 * about x times as often as 0, and 2 x² / 2 times.
 */
static double lump_of(const struct saddle_bin *bins, size_t n_bins)
{
    double pairs = 0, added = 0;
    for (size_t i = 0; i < n_bins; i++) {
        const double *p = bins[i].p, *values = bins[i].values;
        if (bins[i].first > 0 || bins[i].n < 3 || p[1] > MOST_MEAN * p[0])
            continue;
        const double here = p[2] / p[0];
        pairs += here;
        added += here * (values[2] - 2 * values[1] + values[0]);
    }
    return pairs > 0 && pairs < FEW_PAIRS ? fmax(added / pairs, 0) : 0;
}

int drift_saddle_law(struct drift_law *out, const struct saddle_bin *bins, size_t n_bins, double n)
{
    struct tilted t;
    struct curve curve;
    struct cubic cubic;
    int rc = tilted_init(&t, bins, n_bins, n);
    if (rc == 0 && !find_points(&t, &curve))
        rc = SADDLE_NONE;
    tilted_finish(&t);
    if (rc)
        return rc;
    /* a curve through the middle of the steps is right half a lump before each */
    const double lump = lump_of(bins, n_bins);
    cubic_of(&cubic, &curve, 0);
    out->step = curve.sums[curve.n - 1] / (LAW_POINTS - 1);
    for (int i = 0; i < LAW_POINTS; i++) {
        const double sum = i * out->step - lump / 2;
        out->log_survival[i] =
            sum < curve.sums[0] ? 0 : (float)normal_log_sf(deviate_at(&curve, sum, &cubic));
    }
    return 0;
}
