#include "stats/drift_null.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/rng.h"
#include "stats/drift_path.h"

enum {
    SETS = 1 << 11,       /* of laws kept at once, … */
    WAYS = 8,             /* … this many each: 200 features × 5 statistics × 16 sizes */
    STEPS_A_DOUBLING = 4, /* of n */
    MOST_LOOKS = 60,
    FEW_EVENTS = 16,   /* up to there a law is of their number itself */
    MANY_EVENTS = 1024 /* from there on lumps lie close */
};
#define CLOSE 1e-5 /* of ln p */
/* Window to reference, n / m. */
#define SMALL 0.03
#define FIFTH 0.2
#define HALF 0.5
#define LARGE 2.0
#define FIVEFOLD 5.0

struct kept_law {
    uint64_t key, made; /* `n_made` then */
    struct drift_law law;
};

struct drift_nulls {
    pthread_mutex_t lock; /* of the laws; they are made outside */
    uint64_t n_made;
    struct kept_law *laws[SETS][WAYS];
};

int drift_nulls_new(struct drift_nulls **out, struct err *err)
{
    struct drift_nulls *nulls = calloc(1, sizeof(*nulls));
    if (!nulls)
        return err_set(err, -ENOMEM, "drift: no memory for thresholds");
    pthread_mutex_init(&nulls->lock, NULL);
    *out = nulls;
    return 0;
}

void drift_nulls_free(struct drift_nulls *nulls)
{
    if (!nulls)
        return;
    for (int i = 0; i < SETS * WAYS; i++)
        free(nulls->laws[i / WAYS][i % WAYS]);
    pthread_mutex_destroy(&nulls->lock);
    free(nulls);
}

uint64_t drift_nulls_made(struct drift_nulls *nulls)
{
    pthread_mutex_lock(&nulls->lock);
    uint64_t n = nulls->n_made;
    pthread_mutex_unlock(&nulls->lock);
    return n;
}

/* --- the scale on which sizes hardly matter --- */

static double scaled(enum drift_statistic statistic, double value, double m, double n)
{
    double both = 1 / n + 1 / m;
    switch (statistic) {
    case LAW_CHI2:
        return value;
    case LAW_PSI:
        return value / both;
    case LAW_JS:
    case LAW_HELLINGER:
        return value * value / both;
    default:
        return value / sqrt(both);
    }
}

static double unscaled(enum drift_statistic statistic, double value, double m, double n)
{
    double both = 1 / n + 1 / m;
    switch (statistic) {
    case LAW_CHI2:
        return value;
    case LAW_PSI:
        return value * both;
    case LAW_JS:
    case LAW_HELLINGER:
        return sqrt(value * both);
    default:
        return value * sqrt(both);
    }
}

static double total_of(const struct drift_null *null)
{
    double m = 0;
    for (size_t i = 0; i < null->n_bins; i++)
        m += null->counts[i];
    return m;
}

/* --- the cache --- */

static uint64_t mix(uint64_t x)
{
    struct rng rng = rng_of(x);
    return rng_u64(&rng);
}

static bool serves_all_sizes(const struct drift_null *null, double n)
{
    return null->statistic == LAW_WASSERSTEIN && n > LAW_EXACT_EVENTS;
}

/*
 * Where categories are alike their sums come in the same lumps, which for 9 events lie where neither 8
 * nor 10 have any. The largest difference has nothing but lumps: those of 50 events by the larger p
 * of 46 and 54 called 1.4 times as many windows as promised (20 categories alike, 0.01), of 30 events
 * and ten categories 1.5 times.
 */
static bool has_own_law(const struct drift_null *null, double n)
{
    return n <= (null->statistic == LAW_L_INFINITY ? LAW_EXACT_EVENTS : FEW_EVENTS);
}

/* The sizes that laws are made for: the one at or below n and the one above it. */
static double step_of(double n, int more)
{
    double at = (floor(STEPS_A_DOUBLING * log2(fmax(n, 1))) + more) / STEPS_A_DOUBLING;
    return ceil(exp2(at));
}

/* How far between a and b on the way of logarithms: 0 to 1. */
static double way(double x, double a, double b)
{
    return fmin(fmax(log(x / a) / log(b / a), 0), 1);
}

/*
 * Which share a bin has matters once the window is not small against the reference: `half` when it
 * is half as large. A window much larger than it sees each bin's own share as it is: `large`.
 */
static double prior_of(double half, double large, double m, double n)
{
    double to_half = way(n / m, SMALL, HALF), to_large = way(n / m, HALF, LARGE);
    return to_half * half + to_large * (large - half);
}

static struct law_question question_of(const struct drift_null *null, double m, double n)
{
    return (struct law_question){
        .statistic = null->statistic,
        .counts = null->counts,
        .weights = null->weights,
        .prior = prior_of(null->prior, null->prior_large, m, n),
        .prior_ends = prior_of(null->prior_ends, null->prior_large, m, n),
        .prior_shares = null->prior_shares,
        .sparse = null->sparse,
        .sparse_part =
            way(n / m, FIFTH, HALF) - (1 - null->sparse_large) * way(n / m, HALF, FIVEFOLD),
        .steps = null->steps,
        .fine_ends = null->fine_ends,
        .n_bins = null->n_bins,
        .unseen = null->unseen,
        .m = m,
        .n = n,
    };
}

static bool find(struct drift_nulls *nulls, uint64_t key, struct drift_law *out)
{
    struct kept_law **set = nulls->laws[key % SETS];
    bool known = false;
    pthread_mutex_lock(&nulls->lock);
    for (int i = 0; i < WAYS && !known && set[i]; i++) {
        known = set[i]->key == key;
        if (known)
            *out = set[i]->law;
    }
    pthread_mutex_unlock(&nulls->lock);
    return known;
}

/*
 * Into the first free place of its set, or that of the oldest there. One place a key would not do:
 * two features that share it would take it from each other at every window.
 */
static void keep(struct drift_nulls *nulls, uint64_t key, const struct drift_law *law)
{
    struct kept_law **set = nulls->laws[key % SETS];
    pthread_mutex_lock(&nulls->lock);
    struct kept_law **place = set;
    for (int i = 0; i < WAYS && *place; i++)
        if (!set[i] || set[i]->made < (*place)->made)
            place = &set[i];
    if (!*place)
        *place = malloc(sizeof(**place));
    if (*place) /* without memory it is only not remembered */
        **place = (struct kept_law){key, nulls->n_made, *law};
    nulls->n_made++;
    pthread_mutex_unlock(&nulls->lock);
}

/* The law into `out`: from the cache, or made and then put there. */
static int law_of(struct drift_nulls *nulls, const struct drift_null *null, double m, double at,
                  struct drift_law *out)
{
    uint64_t key = mix(null->key ^ mix((uint64_t)at * 8 + null->statistic));
    if (find(nulls, key, out))
        return 0;
    struct law_question question = question_of(null, m, at);
    int rc = drift_law_make(out, &question);
    if (rc == 0)
        keep(nulls, key, out);
    return rc;
}

/* --- questions --- */

struct laws {
    const struct drift_null *null;
    double m, n;
    struct drift_law laws[2];
    int n_laws;
    double part; /* of the way between the two laws' sizes; NaN: the worse one counts */
};

/*
 * Between two sizes the law goes from one to the other as ln n does, where many counts make it
 * smooth. A few come in lumps, which lie elsewhere for every size.
 */
static double part_between(const struct drift_law laws[2], double n)
{
    double low = step_of(n, 0), high = step_of(n, 1);
    if (!(laws[0].smooth && laws[1].smooth) && n < MANY_EVENTS)
        return (double)NAN;
    return log(n / low) / log(high / low);
}

/* What the two laws say together: `first` from the smaller size. */
static double together(const struct laws *laws, double first, double second)
{
    return isnan(laws->part) ? fmax(first, second) : first + laws->part * (second - first);
}

static int laws_of(struct drift_nulls *nulls, const struct drift_null *null, double n,
                   struct laws *out)
{
    bool one = serves_all_sizes(null, n), own = has_own_law(null, n);
    out->null = null;
    out->m = total_of(null);
    out->n = n;
    out->n_laws = one || own || n == step_of(n, 0) ? 1 : 2;
    if (!(out->m > 0) || !(n > 0))
        return -EINVAL;
    for (int i = 0; i < out->n_laws; i++) {
        double at = one ? LAW_EXACT_EVENTS + 1 : own ? n : step_of(n, i);
        int rc = law_of(nulls, null, out->m, at, &out->laws[i]);
        if (rc)
            return rc;
    }
    out->part = out->n_laws == 2 ? part_between(out->laws, n) : 0;
    return 0;
}

static double log_p_of_laws(const struct laws *laws, double t)
{
    const double first = drift_law_log_p(&laws->laws[0], t);
    return laws->n_laws == 2 ? together(laws, first, drift_law_log_p(&laws->laws[1], t)) : first;
}

static double log_p_of_path(const struct laws *laws, double t)
{
    const struct drift_null *null = laws->null;
    const bool bridge = serves_all_sizes(null, laws->n);
    const struct drift_path_mean mean = {.m = laws->m,
                                         .n = laws->n,
                                         .skew = null->skew,
                                         .kurtosis = null->kurtosis,
                                         .heavy = null->heavy,
                                         .peaked = null->peaked,
                                         .counted = !bridge};
    t = drift_path_of_known_std(t * sqrt(1 - null->within), &mean);
    return log_p_of_laws(laws, t) + (bridge ? drift_path_skewness(t, &mean) : 0);
}

static double log_p_of(const struct laws *laws, double t)
{
    const bool path = laws->null->statistic == LAW_WASSERSTEIN;
    return fmin(path ? log_p_of_path(laws, t) : log_p_of_laws(laws, t), 0);
}

/*
 * Skewness and Student's t only ever make a threshold larger: up from the plain one, at first by what
 * a normal law falls there, then along the line through the last two (the secant method), which within
 * CLOSE is nearer than the next look would tell. Where that leaves what is known to hold the threshold,
 * half the way or a quarter on.
 */
static double skewed_threshold(const struct laws *laws, double log_p, double plain)
{
    double at = plain, above = log_p_of(laws, at) - log_p;
    double low = plain, high = (double)INFINITY, fall = fmax(plain, 1);
    if (!(above > 0))
        return plain;
    for (int i = 0; i < MOST_LOOKS; i++) {
        double next = at + above / fall;
        if (!(next > low && next < high))
            next = isinf(high) ? 1.25 * fmax(low, 1e-3) : (low + high) / 2;
        const double there = log_p_of(laws, next) - log_p;
        fall = (above - there) / (next - at);
        if (fabs(there) < CLOSE && fall > 0)
            return next + there / fall;
        if (!(fall > 0))
            fall = fmax(next, 1);
        if (there > 0)
            low = next;
        else
            high = next;
        at = next;
        above = there;
    }
    return isinf(high) ? at : high;
}

double drift_null_p(struct drift_nulls *nulls, const struct drift_null *null, double n,
                    double value)
{
    struct laws laws;
    if (isnan(value) || laws_of(nulls, null, n, &laws))
        return (double)NAN;
    return exp(log_p_of(&laws, scaled(null->statistic, value, laws.m, n)));
}

double drift_null_threshold(struct drift_nulls *nulls, const struct drift_null *null, double n,
                            double p)
{
    struct laws laws;
    if (laws_of(nulls, null, n, &laws))
        return (double)NAN;
    double log_p = log(p), t = drift_law_quantile(&laws.laws[0], log_p);
    if (laws.n_laws == 2)
        t = together(&laws, t, drift_law_quantile(&laws.laws[1], log_p));
    if (null->statistic == LAW_WASSERSTEIN)
        t = skewed_threshold(&laws, log_p, t);
    return unscaled(null->statistic, t, laws.m, n);
}
