#include "stats/drift_null.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/rng.h"
#include "stats/drift_draws.h"

enum {
    DRAWS = 4096,
    TAIL = DRAWS / 10, /* draws beyond the 90% point */
    SLOTS = 1 << 14,   /* laws kept at once; 200 features × 5 statistics × 16 sizes */
    LARGEST_N = 20000,
    SMALL_N = 64 /* below, counts are drawn one after the other */
};

struct law {
    uint64_t key;
    float sorted[DRAWS / 4]; /* every 4th draw: p down to the tail */
    float start, excess;     /* of the tail */
};

struct drift_nulls {
    struct draw_tables tables;
    pthread_mutex_t lock; /* of the laws; drawing happens outside */
    struct law *laws[SLOTS];
};

int drift_nulls_new(struct drift_nulls **out, struct err *err)
{
    struct drift_nulls *nulls = calloc(1, sizeof(*nulls));
    if (!nulls)
        return err_set(err, -ENOMEM, "drift: no memory for thresholds");
    draw_tables_init(&nulls->tables);
    pthread_mutex_init(&nulls->lock, NULL);
    *out = nulls;
    return 0;
}

void drift_nulls_free(struct drift_nulls *nulls)
{
    if (!nulls)
        return;
    for (int i = 0; i < SLOTS; i++)
        free(nulls->laws[i]);
    pthread_mutex_destroy(&nulls->lock);
    free(nulls);
}

/* --- draws --- */

static double gamma_draw(struct rng *rng, double shape) /* Marsaglia, Tsang 2000; shape >= 1 */
{
    double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = rng_normal(rng), v = 1 + c * x;
        if (v <= 0)
            continue;
        v = v * v * v;
        if (log(1 - rng_uniform(rng)) < 0.5 * x * x + d - d * v + d * log(v))
            return d * v;
    }
}

static double binomial_draw(struct rng *rng, double n, double p)
{
    if (n <= 0 || p <= 0)
        return 0;
    if (p >= 1)
        return n;
    if (p > 0.5)
        return n - binomial_draw(rng, n, 1 - p);
    double mean = n * p;
    if (mean < 20) { /* inversion */
        double q = log1p(-p), u = rng_uniform(rng), term = exp(n * q), ratio = p / (1 - p);
        double k = 0;
        while (u > term && k < n) {
            u -= term;
            k++;
            term *= (n - k + 1) / k * ratio;
            if (term < 1e-300)
                break;
        }
        return k;
    }
    /* normal with its skewness (Cornish, Fisher): off by less than 1e-3 in p from mean 20 on */
    double sd = sqrt(mean * (1 - p)), z = rng_normal(rng);
    double k = rint(mean + sd * z + (1 - 2 * p) * (z * z - 1) / 6);
    return k < 0 ? 0 : k > n ? n : k;
}

/* n events over the bins by their shares (which add up to `all`), and `extra` in the last. */
static void multinomial(struct rng *rng, double n, const double *shares, size_t n_bins, double all,
                        double *out)
{
    for (size_t i = 0; i < n_bins; i++) {
        out[i] = i + 1 == n_bins ? n : binomial_draw(rng, n, shares[i] / all);
        n -= out[i];
        all -= shares[i];
        if (all <= 0)
            all = 1e-300;
    }
}

/* --- statistics --- */

/*
 * Between two bins the gap goes on as a Brownian path does: a quarter of a bin's share is its mean
 * variance there. sqrt(gap² + 2/π variance) is the mean of its absolute value at gap 0, and a
 * little more than it elsewhere.
 */
static double wasserstein_of(const struct drift_null *null, double total,
                             const struct drift_bin *bins, double m, double n)
{
    double gap = 0, sum = 0, by = M_2_PI / 4 * (1 / m + 1 / n);
    for (size_t i = 0; i + 1 < null->n_bins; i++) {
        gap += bins[i].reference / m - bins[i].window / n;
        double share = (null->counts[i] + null->counts[i + 1]) / 2 / total;
        sum += sqrt(gap * gap + by * share) * null->steps[i];
    }
    return sum;
}

static double statistic_of(enum drift_law law, const struct drift_bin *bins, size_t n_bins,
                           double m, double n)
{
    double dof;
    switch (law) {
    case LAW_PSI:
        return drift_psi(bins, n_bins, m, n);
    case LAW_JS:
        return drift_js(bins, n_bins, m, n);
    case LAW_HELLINGER:
        return drift_hellinger(bins, n_bins, m, n);
    case LAW_L_INFINITY:
        return drift_l_infinity(bins, n_bins, m, n);
    case LAW_CHI2:
        return drift_chi2(bins, n_bins, m, n, &dof);
    case LAW_WASSERSTEIN:
        break;
    }
    return (double)NAN;
}

/* To the scale on which sizes hardly matter, and back. */
static double scaled(enum drift_law law, double value, double m, double n)
{
    if (law == LAW_CHI2)
        return value;
    double both = 1 / n + 1 / m;
    return law == LAW_PSI ? value / both : value * value / both;
}

static double unscaled(enum drift_law law, double value, double m, double n)
{
    if (law == LAW_CHI2)
        return value;
    double both = 1 / n + 1 / m;
    return law == LAW_PSI ? value * both : sqrt(value * both);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double total_of(const struct drift_null *null)
{
    double m = 0;
    for (size_t i = 0; i < null->n_bins; i++)
        m += null->counts[i];
    return m;
}

/* Bins the reference left empty are not impossible: a quarter of an event each. */
static double shares_of(const struct drift_null *null, double *shares)
{
    double all = 0;
    for (size_t i = 0; i < null->n_bins; i++) {
        shares[i] = null->counts[i] > 0 ? null->counts[i] : 0.25;
        all += shares[i];
    }
    return all;
}

/* One side of all draws of a law: the reference's or the window's. */
struct side {
    double n;
    double *shares, all;   /* of every bin; their sum */
    struct draw_bin *bins; /* NULL: one after the other */
    double *counts;
};

static int side_init(struct side *side, const struct drift_null *null, double n, double *memory)
{
    side->n = n;
    side->shares = memory;
    side->counts = memory + null->n_bins + 1;
    side->all = shares_of(null, side->shares);
    side->bins = NULL;
    if (n < SMALL_N)
        return 0;
    side->bins = calloc(null->n_bins + 1, sizeof(*side->bins));
    for (size_t i = 0; side->bins && i < null->n_bins; i++)
        draw_bin_init(&side->bins[i], n * side->shares[i] / side->all);
    return side->bins ? 0 : -ENOMEM;
}

/* The counts of one draw; their sum. */
static double side_draw(struct side *side, const struct draw_tables *tables, struct rng *rng,
                        size_t n_bins, double less)
{
    if (!side->bins) {
        multinomial(rng, side->n - less, side->shares, n_bins, side->all, side->counts);
        return side->n - less;
    }
    double sum = 0;
    for (size_t i = 0; i < n_bins; i++) {
        side->counts[i] = draw_bin(&side->bins[i], tables, rng);
        sum += side->counts[i];
    }
    return sum;
}

static double one_draw(const struct drift_nulls *nulls, const struct drift_null *null,
                       struct side sides[2], struct drift_bin *bins, struct rng *rng)
{
    size_t k = null->n_bins;
    double unseen = 0, m = sides[0].n;
    if (null->unseen > 0) {
        double a = gamma_draw(rng, fmax(null->unseen, 1)), b = gamma_draw(rng, fmax(m, 1));
        unseen = binomial_draw(rng, sides[1].n, a / (a + b));
    }
    m = side_draw(&sides[0], &nulls->tables, rng, k, 0);
    double n = side_draw(&sides[1], &nulls->tables, rng, k, unseen) + unseen;
    for (size_t i = 0; i < k; i++)
        bins[i] = (struct drift_bin){sides[0].counts[i], sides[1].counts[i]};
    bins[k] = (struct drift_bin){0, unseen};
    size_t n_bins = k + (null->law != LAW_WASSERSTEIN);
    double value = null->law == LAW_JS ? sqrt(draw_js(&nulls->tables, bins, n_bins, m, n))
                   : null->law == LAW_WASSERSTEIN ? wasserstein_of(null, sides[0].all, bins, m, n)
                                                  : statistic_of(null->law, bins, n_bins, m, n);
    return scaled(null->law, value, m, n);
}

static int draw(const struct drift_nulls *nulls, const struct drift_null *null, double m, double n,
                uint64_t seed, double *values)
{
    AUTO_FREE double *memory = malloc(4 * (null->n_bins + 1) * sizeof(double));
    AUTO_FREE struct drift_bin *bins = malloc((null->n_bins + 1) * sizeof(*bins));
    struct side sides[2] = {0};
    int rc = memory && bins ? side_init(&sides[0], null, m, memory) : -ENOMEM;
    if (!rc)
        rc = side_init(&sides[1], null, n, memory + 2 * (null->n_bins + 1));
    struct rng rng = rng_of(seed);
    for (int d = 0; !rc && d < DRAWS; d++)
        values[d] = one_draw(nulls, null, sides, bins, &rng);
    free(sides[0].bins);
    free(sides[1].bins);
    return rc;
}

static int make(const struct drift_nulls *nulls, struct law *law, const struct drift_null *null,
                double m, double n)
{
    AUTO_FREE double *values = malloc(DRAWS * sizeof(*values));
    if (!values || draw(nulls, null, m, n, law->key, values))
        return -ENOMEM;
    qsort(values, DRAWS, sizeof(*values), by_value);
    for (int i = 0; i < DRAWS / 4; i++)
        law->sorted[i] = (float)values[4 * i + 3];
    double start = values[DRAWS - TAIL - 1], excess = 0;
    for (int i = DRAWS - TAIL; i < DRAWS; i++)
        excess += values[i] - start;
    excess /= TAIL;
    law->start = (float)start;
    law->excess = (float)(excess * (1 + 1 / sqrt(TAIL)));
    return 0;
}

/* --- the cache --- */

static uint64_t mix(uint64_t x)
{
    struct rng rng = rng_of(x);
    return rng_u64(&rng);
}

static double step_of(const struct drift_null *null, double n, int more)
{
    if (n >= LARGEST_N && null->unseen == 0)
        return LARGEST_N;
    return fmax(floor(exp2((floor(2 * log2(fmax(n, 1))) + more) / 2)), 1);
}

/* The law into `out`: from the cache, or drawn and then put there. */
static int law_of(struct drift_nulls *nulls, const struct drift_null *null, double m, double at,
                  struct law *out)
{
    uint64_t key = mix(null->key ^ mix((uint64_t)at * 8 + null->law));
    struct law **slot = &nulls->laws[key % SLOTS];
    pthread_mutex_lock(&nulls->lock);
    bool known = *slot && (*slot)->key == key;
    if (known)
        *out = **slot;
    pthread_mutex_unlock(&nulls->lock);
    if (known)
        return 0;
    out->key = key;
    int rc = make(nulls, out, null, m, at);
    if (rc)
        return rc;
    pthread_mutex_lock(&nulls->lock);
    if (!*slot)
        *slot = malloc(sizeof(**slot));
    if (*slot) /* without memory it is only not remembered */
        **slot = *out;
    pthread_mutex_unlock(&nulls->lock);
    return 0;
}

static double p_of(const struct law *law, double t)
{
    if (t >= (double)law->start && law->excess > 0)
        return 0.1 * exp(-(t - (double)law->start) / (double)law->excess);
    size_t low = 0, high = DRAWS / 4;
    while (low < high) { /* draws below t */
        size_t middle = (low + high) / 2;
        if ((double)law->sorted[middle] < t)
            low = middle + 1;
        else
            high = middle;
    }
    return (DRAWS / 4 - (double)low + 1) / (DRAWS / 4 + 1);
}

static double threshold_of(const struct law *law, double p)
{
    if (p <= 0.1)
        return (double)law->start - log(p / 0.1) * (double)law->excess;
    double at = (1 - p) * (DRAWS / 4);
    return (double)law->sorted[at < DRAWS / 4 - 1 ? (size_t)at : DRAWS / 4 - 1];
}

/*
 * The next smaller size has the heavier tails; where something may be unseen the next larger one
 * has more of that, and the more cautious of both answers.
 */
static double of_laws(struct drift_nulls *nulls, const struct drift_null *null, double n,
                      double asked, double (*answer)(const struct law *law, double asked))
{
    double m = total_of(null), most = (double)NAN;
    if (!(m > 0) || !(n > 0))
        return most;
    for (int more = 0; more <= (null->unseen > 0); more++) {
        struct law law;
        if (law_of(nulls, null, m, step_of(null, n, more), &law))
            return (double)NAN;
        most = fmax(most, answer(&law, asked)); /* fmax leaves the first NaN out */
    }
    return most;
}

double drift_null_p(struct drift_nulls *nulls, const struct drift_null *null, double n,
                    double value)
{
    if (isnan(value))
        return (double)NAN;
    return of_laws(nulls, null, n, scaled(null->law, value, total_of(null), n), p_of);
}

double drift_null_threshold(struct drift_nulls *nulls, const struct drift_null *null, double n,
                            double p)
{
    if (!(p > 0))
        return (double)NAN;
    return unscaled(null->law, of_laws(nulls, null, n, p, threshold_of), total_of(null), n);
}
