/*
 * How often p-values of js_distance and hellinger of numbers are as small as a family of 200
 * features asks for (4e-5), in seconds: by importance sampling.
 *
 * Doane's bins lie evenly between the reference's smallest and largest value, so those two are drawn
 * by their own law, the other values fall between them, and the window's too or beyond. Both sides'
 * counts are drawn Dirichlet-multinomial, SPREAD times as scattered as they are, and count by how
 * much more probable they are without that. The number of bins is that of up to 31 real references.
 * A law is only made where p can be small: beyond nine tenths of the smallest threshold of the
 * first references.
 *
 *     bench_tails DIST N REFERENCE_SIZE REFERENCES [WINDOWS [SEED [SPREAD]]]
 *
 * DIST: a smooth law of bench/value_law.h; WINDOWS a reference (4), SPREAD 1.5. Told is the share of
 * windows with p at most each level, divided by it, ± one standard error by the references' scatter.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/value_law.h"
#include "bench/variates.h"
#include "stats/drift_threshold.h"

enum {
    N_METHODS = 2,
    N_LEVELS = 4,
    MOST_SAMPLES = 31,
    MOST_BINS = GRID_MAX_DOANE + 1,
    N_SCREENING = 30
};
static const enum drift_method methods[N_METHODS] = {DRIFT_JS, DRIFT_HELLINGER};
/* What 0.85 of 0.01 asks of families of 1, 10, 50 and 200. */
static const double levels[N_LEVELS] = {0.0085, 0.00085, 0.00017, 0.0000425};

struct bench {
    const struct value_law *law;
    int n, m, windows;
    double spread;
    struct rng rng;
    struct drift_nulls *nulls;
    uint32_t bins_of[MOST_SAMPLES], n_samples;
    struct reference_feature reference;
    struct grid grid;
    double counts[MOST_BINS], truth[MOST_BINS], log_weight; /* of this reference */
    double screen[N_METHODS];
    double sums[N_METHODS][N_LEVELS], squares[N_METHODS][N_LEVELS];
};

/* The number of Doane's bins of m values. */
static uint32_t bins_of_sample(struct bench *b)
{
    struct profile_feature feature = {
        .name_id = 1, .kind = PROFILE_NUMERIC, .min = (double)NAN, .max = (double)NAN};
    const struct profile_layout layout = {.n_features = 1, .features = &feature};
    AUTO(profile) struct profile *profile = NULL;
    struct reference *reference = NULL;
    if (profile_new(&profile, &layout, PROFILE_REFERENCE, NULL))
        exit(1);
    for (int i = 0; i < b->m; i++) {
        profile_event(profile, 1);
        profile_number(profile, 0, value_law_draw(b->law, &b->rng), 1);
    }
    if (reference_build(&reference, profile, 0, NULL))
        exit(1);
    const uint32_t n_bins = reference->features[0].grid->n_doane;
    reference_free(reference);
    return n_bins;
}

/* ln of how much more probable the counts are without the spread. */
static double draw_spread(struct bench *b, size_t n_bins, double n, double spread, double *out)
{
    const double all_weight = (n - spread) / (spread - 1);
    double tilted[MOST_BINS] = {0}, all = 0,
           log_weight = lgamma(all_weight + n) - lgamma(all_weight);
    for (size_t i = 0; i < n_bins; i++)
        all += b->truth[i];
    for (size_t i = 0; i < n_bins; i++) {
        const double weight = all_weight * b->truth[i] / all;
        tilted[i] = weight > 1e-10 ? gamma_variate(&b->rng, weight) + 1e-300 : 0;
    }
    multinomial_variate(&b->rng, tilted, n_bins, n, out);
    for (size_t i = 0; i < n_bins; i++) {
        const double share = b->truth[i] / all, weight = all_weight * share;
        if (out[i] > 0)
            log_weight += out[i] * log(share) - lgamma(weight + out[i]) + lgamma(weight);
    }
    return log_weight;
}

static double draw_counts(struct bench *b, size_t n_bins, double n, bool screening, double *out)
{
    if (!screening)
        return draw_spread(b, n_bins, n, b->spread, out);
    multinomial_variate(&b->rng, b->truth, n_bins, n, out);
    return 0;
}

/* The share below the smallest of m uniform values. */
static double share_beyond(struct bench *b)
{
    return -expm1(log1p(-rng_uniform(&b->rng)) / b->m);
}

static void draw_reference(struct bench *b, uint32_t n_bins, bool screening)
{
    const double least = value_law_at(b->law, share_beyond(b));
    const double most = value_law_at(b->law, 1 - share_beyond(b));
    const double first = value_law_below(b->law, least), last = value_law_below(b->law, most);
    double before = first;
    for (uint32_t i = 0; i < n_bins; i++) {
        const double edge = least + (most - least) * (i + 1) / n_bins;
        const double below = i + 1 < n_bins ? value_law_below(b->law, edge) : last;
        b->truth[i] = fmax(below - before, 0);
        before = below;
    }
    b->truth[n_bins] = first + 1 - last;
    b->grid.n_doane = b->grid.n_cuts = n_bins;
    b->log_weight = draw_counts(b, n_bins, b->m - 2, screening, b->counts);
    b->counts[0]++;
    b->counts[n_bins - 1]++;
    b->counts[n_bins] = 0;
}

static struct drift_verdict judge(struct bench *b, uint64_t id, enum drift_method method,
                                  double distance)
{
    const struct drift_value value = {distance, 0, NULL};
    const struct drift_numeric numeric = {
        .n = (uint64_t)b->n, .js_distance = value, .hellinger = value};
    const struct drift_subject subject = {
        .reference = &b->reference, .reference_id = id, .numeric = &numeric};
    const struct drift_rule rule = {method, 0.01, 0};
    struct drift_verdict verdict;
    if (drift_judge(b->nulls, &rule, &subject, 1, &verdict))
        exit(1);
    return verdict;
}

static void play_window(struct bench *b, uint64_t id, bool screening,
                        double small[N_METHODS][N_LEVELS])
{
    const size_t n_bins = b->grid.n_doane + 1;
    double window[MOST_BINS];
    struct drift_bin bins[MOST_BINS];
    const double log_weight = b->log_weight + draw_counts(b, n_bins, b->n, screening, window);
    for (size_t i = 0; i < n_bins; i++)
        bins[i] = (struct drift_bin){b->counts[i], window[i]};
    for (int k = 0; k < N_METHODS; k++) {
        const double distance =
            k ? drift_hellinger(bins, n_bins, b->m, b->n) : drift_js(bins, n_bins, b->m, b->n);
        if (!screening && distance < b->screen[k])
            continue;
        const struct drift_verdict verdict = judge(b, id, methods[k], distance);
        if (screening)
            b->screen[k] = fmin(b->screen[k], 0.9 * verdict.threshold);
        for (int l = 0; l < N_LEVELS; l++)
            small[k][l] += verdict.p_value <= levels[l] ? exp(log_weight) : 0;
    }
}

static void play_reference(struct bench *b, uint64_t number, bool screening)
{
    double small[N_METHODS][N_LEVELS] = {{0}};
    draw_reference(b, b->bins_of[number % b->n_samples], screening);
    for (int w = 0; w < b->windows; w++)
        play_window(b, 2 * number, screening, small);
    for (int k = 0; k < N_METHODS && !screening; k++) {
        for (int l = 0; l < N_LEVELS; l++) {
            const double share = small[k][l] / b->windows;
            b->sums[k][l] += share;
            b->squares[k][l] += share * share;
        }
    }
}

static void report(const struct bench *b, long references)
{
    const double all = (double)references;
    for (int k = 0; k < N_METHODS; k++) {
        printf("| %s | %d | %d | %s |", b->law->name, b->n, b->m, drift_method_name(methods[k]));
        for (int l = 0; l < N_LEVELS; l++) {
            const double mean = b->sums[k][l] / all;
            const double variance = fmax(b->squares[k][l] / all - mean * mean, 0);
            printf(" %.3f ± %.3f |", mean / levels[l], sqrt(variance / all) / levels[l]);
        }
        printf("\n");
    }
}

static int usage(void)
{
    char names[300];
    value_law_names(names, sizeof(names));
    fprintf(stderr,
            "usage: bench_tails DIST N REFERENCE_SIZE REFERENCES [WINDOWS [SEED [SPREAD]]]\n"
            "DIST: one of %s whose values come in no grains; SPREAD: above 1, below 2\n",
            names);
    return 64;
}

int main(int argc, char **argv)
{
    static struct bench b;
    long references = argc > 4 ? atol(argv[4]) : 0;
    b.law = argc > 4 ? value_law_find(argv[1]) : NULL;
    b.n = argc > 4 ? atoi(argv[2]) : 0;
    b.m = argc > 4 ? atoi(argv[3]) : 0;
    b.windows = argc > 5 ? atoi(argv[5]) : 4;
    struct rng seed = rng_of(argc > 6 ? strtoull(argv[6], NULL, 10) : 1);
    b.rng = rng_of(rng_u64(&seed));
    b.spread = argc > 7 ? atof(argv[7]) : 1.5;
    if (!b.law || b.law->grain > 0 || b.n < 2 || b.m < 4 || references < 1 || b.windows < 1 ||
        !(b.spread > 1 && b.spread < 2)) {
        return usage();
    }
    if (drift_nulls_new(&b.nulls, NULL))
        return 1;
    b.reference = (struct reference_feature){.name_id = 1,
                                             .kind = PROFILE_NUMERIC,
                                             .n = (uint64_t)b.m,
                                             .valid = (uint64_t)b.m,
                                             .grid = &b.grid,
                                             .grid_counts = b.counts};
    for (int i = 0; i < MOST_BINS; i++)
        b.grid.doane_bin[i] = (uint8_t)i;
    b.n_samples = b.m > 20000 ? 7 : MOST_SAMPLES;
    for (uint32_t i = 0; i < b.n_samples; i++)
        b.bins_of[i] = bins_of_sample(&b);
    for (int i = 0; i < N_METHODS; i++)
        b.screen[i] = (double)INFINITY;
    for (long r = 0; r < N_SCREENING + references; r++)
        play_reference(&b, (uint64_t)r, r < N_SCREENING);
    report(&b, references);
    drift_nulls_free(b.nulls);
    return 0;
}
