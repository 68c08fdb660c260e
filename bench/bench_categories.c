/*
 * How often a category feature's p-value is as small as it says, for features that one category
 * dominates: windows and references of the same shares, through the real drift_judge.
 *
 * References and windows are drawn as counts (multinomial); what a reference lacks is unseen in its
 * windows. Told is, for each statistic, the share of windows with p at most 0.05, 0.01 and 0.001,
 * divided by that level; at most 1 keeps the promise, far below 1 is blunt. A law is only made where
 * p can be small: beyond nine tenths of the smallest threshold of the first references.
 *
 *     bench_categories SHARE OTHERS even|falling N REFERENCE_SIZE REFERENCES [WINDOWS [SEED]]
 *
 * SHARE of the first category, OTHERS how many share the rest (evenly, or as 1, 1/2, 1/3, …);
 * WINDOWS a reference (default 20). The standard error is by the scatter of the references.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/small_p.h"
#include "bench/variates.h"
#include "stats/same_shares.h"

enum {
    MOST = 120, /* categories: fewer than a reference tracks by their own count */
    FEW = 500   /* values of a reference: thresholds differ too much to screen by some */
};
static const struct small_p counted = {
    .methods = {DRIFT_PSI, DRIFT_JS, DRIFT_HELLINGER, DRIFT_CHI2, DRIFT_L_INFINITY},
    .levels = {0.05, 0.01, 0.001, 0.0002},
    .counted = 1,
};

struct bench {
    size_t n_categories, n_seen;
    double shares[MOST], seen[MOST]; /* seen: what the reference has of each, in its bins' order */
    double drawn[MOST];              /* shares of `seen`, then of what it lacks */
    int n, m, windows;
    struct rng rng;
    struct reference_feature reference;
    struct category categories[MOST];
    uint64_t id;
    struct small_p small;
};

static void set_shares(struct bench *b, double first, bool even)
{
    double sum = 0;
    for (size_t i = 1; i < b->n_categories; i++)
        sum += b->shares[i] = even ? 1 : 1.0 / (double)i;
    for (size_t i = 1; i < b->n_categories; i++)
        b->shares[i] *= (1 - first) / sum;
    b->shares[0] = first;
}

static void draw_reference(struct bench *b)
{
    struct reference_feature *ref = &b->reference;
    double counts[MOST];
    multinomial_variate(&b->rng, b->shares, b->n_categories, b->m, counts);
    category_bins_free(ref->bins);
    *ref = (struct reference_feature){.name_id = 1,
                                      .kind = PROFILE_CATEGORICAL,
                                      .n = (uint64_t)b->m,
                                      .valid = (uint64_t)b->m,
                                      .categories = b->categories};
    b->n_seen = 0;
    size_t n_unseen = 0;
    for (size_t i = 0; i < b->n_categories; i++) {
        if (counts[i] == 0) {
            b->drawn[b->n_categories - ++n_unseen] = b->shares[i];
            continue;
        }
        b->categories[ref->n_categories++] = (struct category){i + 1, (uint64_t)counts[i]};
        b->n_seen++;
    }
    if (category_bins_new(&ref->bins, b->categories, ref->n_categories, NULL))
        exit(1);
    for (size_t i = 0; i < b->n_seen; i++) {
        const struct category *category = &b->categories[i];
        int bin = category_bin(ref->bins, category->id);
        ref->bin_counts[bin] = category->count;
        b->seen[bin] = (double)category->count;
        b->drawn[bin] = b->shares[category->id - 1];
    }
    b->id += 2;
}

static struct drift_value known(double value)
{
    return (struct drift_value){value, 0, NULL};
}

static struct drift_categorical draw_window(struct bench *b)
{
    double counts[MOST], m = b->m, n = b->n, dof, unseen = 0;
    struct drift_bin bins[MOST + 1];
    size_t n_bins = b->n_seen + 1;
    multinomial_variate(&b->rng, b->drawn, b->n_categories, n, counts);
    for (size_t i = 0; i < b->n_categories; i++)
        bins[i] = (struct drift_bin){i < b->n_seen ? b->seen[i] : 0, counts[i]};
    double p = same_shares_p(bins, b->n_categories);
    for (size_t i = b->n_seen; i < b->n_categories; i++)
        unseen += counts[i];
    bins[b->n_seen] = (struct drift_bin){0, unseen}; /* together, as the statistics take them */
    return (struct drift_categorical){.n = (uint64_t)b->n,
                                      .psi = known(drift_psi(bins, n_bins, m, n)),
                                      .js_distance = known(drift_js(bins, n_bins, m, n)),
                                      .hellinger = known(drift_hellinger(bins, n_bins, m, n)),
                                      .chi2 = known(drift_chi2(bins, n_bins, m, n, &dof)),
                                      .l_infinity = known(drift_l_infinity(bins, n_bins, m, n)),
                                      .same_shares_p = p,
                                      .unseen_rate = known(unseen / n)};
}

/* Its windows' p-values, counted by level. What is unseen can be improbable by itself. */
static void play_reference(struct bench *b)
{
    draw_reference(b);
    for (int w = 0; w < b->windows; w++) {
        struct drift_categorical window = draw_window(b);
        struct drift_subject subject = {.reference = &b->reference,
                                        .reference_id = b->id,
                                        .categorical = &window,
                                        .however_few = true};
        small_p_window(&b->small, &subject, b->m < FEW || window.unseen_rate.value > 0);
    }
    small_p_reference_ends(&b->small);
}

static int usage(void)
{
    fprintf(stderr, "usage: bench_categories SHARE OTHERS even|falling N REFERENCE_SIZE REFERENCES "
                    "[WINDOWS [SEED]]\n");
    return 64;
}

int main(int argc, char **argv)
{
    static struct bench b;
    if (argc < 7)
        return usage();
    double first = atof(argv[1]);
    b.n_categories = 1 + (size_t)atoi(argv[2]);
    b.n = atoi(argv[4]);
    b.m = atoi(argv[5]);
    long references = atol(argv[6]);
    b.windows = argc > 7 ? atoi(argv[7]) : 20;
    struct rng seed = rng_of(argc > 8 ? strtoull(argv[8], NULL, 10) : 1);
    b.rng = rng_of(rng_u64(&seed));
    if (!(first > 0 && first < 1) || b.n_categories < 2 || b.n_categories > MOST || b.n < 1 ||
        b.m < 2 || references < 1 || b.windows < 1)
        return usage();
    set_shares(&b, first, strcmp(argv[3], "even") == 0);
    b.small = counted;
    small_p_init(&b.small);
    while (b.small.references < references)
        play_reference(&b);
    char name[64];
    snprintf(name, sizeof(name), "%s + %s %s", argv[1], argv[2], argv[3]);
    small_p_report(&b.small, name, b.n, b.m, references * b.windows);
    small_p_finish(&b.small);
    category_bins_free(b.reference.bins);
    return 0;
}
