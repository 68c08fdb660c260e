/*
 * How often a feature's p-value is as small as it says, for values of any law: windows and
 * references of the same law, through the real reference_build, drift_numeric and drift_judge.
 *
 * With independent p-values Benjamini–Hochberg calls a family of F features as often as the
 * smallest ones say: a promise of 0.01 asks for p at most 0.0085 / F. So the share of windows with
 * p at most 0.85 r, divided by r, is the part of a promise r that one feature reaches, and of a
 * promise F r that F features reach.
 *
 * References are drawn value by value, windows up to 1,300 too; beyond, as counts on the
 * reference's grid, as a pane holds them. Counted by bench/small_p.h.
 *
 *     bench_calibration DIST N REFERENCE_SIZE REFERENCES [WINDOWS [SEED [OTHERS]]]
 *
 * DIST: bench/value_law.h; N events a window; WINDOWS a reference (default: as many as it has
 * values for, at most 20). With OTHERS the reference is a slice's part of a whole, which has so many
 * values beside: of three slices more that lie SHIFT further each.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/counted_window.h"
#include "bench/small_p.h"
#include "bench/value_law.h"
#include "bench/variates.h"

enum {
    SINGLE = 1300, /* values that a pane keeps */
    MOST_WINDOWS = 20,
    SHIFT = 3,
    FEW = 500 /* values of a reference: thresholds differ too much to screen by some */
};
static const struct small_p counted = {
    .methods = {DRIFT_KS, DRIFT_WASSERSTEIN_NORM, DRIFT_PSI, DRIFT_JS, DRIFT_HELLINGER},
    .levels = {0.05, 0.01, 0.001, 0.0002},
    .counted = 0.85, /* what of a promise is handed on to Benjamini–Hochberg */
};

struct bench {
    const struct value_law *law;
    int n, m, windows;
    struct rng rng;
    struct profile_feature feature;
    struct profile_layout layout;
    int others; /* values of the whole beside the slice's; 0: there is no slice */
    struct reference *whole, *reference;
    double shares[GRID_MAX_CELLS + 1]; /* the grid's cells' true ones */
    struct small_p small;
};

static struct profile *empty_profile(struct bench *b)
{
    struct profile *profile = NULL;
    b->feature = (struct profile_feature){
        .name_id = 1, .kind = PROFILE_NUMERIC, .min = (double)NAN, .max = (double)NAN};
    b->layout = (struct profile_layout){.n_features = 1, .features = &b->feature};
    if (profile_new(&profile, &b->layout, PROFILE_REFERENCE, NULL))
        exit(1);
    return profile;
}

static void fold(struct profile *profile, double value)
{
    profile_event(profile, 1);
    profile_number(profile, 0, value, 1);
}

static void draw_reference(struct bench *b)
{
    reference_free(b->reference);
    reference_free(b->whole);
    b->reference = b->whole = NULL;
    AUTO(profile) struct profile *profile = empty_profile(b), *all = empty_profile(b);
    for (int i = 0; i < b->m; i++) {
        const double value = value_law_draw(b->law, &b->rng);
        fold(profile, value);
        fold(all, value);
    }
    for (int i = 0; i < b->others; i++)
        fold(all, value_law_draw(b->law, &b->rng) + SHIFT * (1 + i % 3));
    if (b->others && reference_build(&b->whole, all, 0, NULL))
        exit(1);
    if (b->whole ? reference_build_part(&b->reference, profile, 0, b->whole, NULL)
                 : reference_build(&b->reference, profile, 0, NULL))
        exit(1);
    const struct grid *grid = b->reference->features[0].grid;
    double before = 0;
    for (uint32_t i = 0; i <= grid->n_cuts; i++) {
        double below = i < grid->n_cuts ? value_law_below(b->law, grid->cuts[i]) : 1;
        b->shares[i] = fmax(below - before, 0);
        before = below;
    }
}

static void draw_counts(struct bench *b, struct numbers *out, uint32_t *counts)
{
    const struct grid *grid = b->reference->features[0].grid;
    double drawn[GRID_MAX_CELLS + 1];
    multinomial_variate(&b->rng, b->shares, grid->n_cuts + 1, b->n, drawn);
    counted_window(out, counts, drawn, grid, b->reference->grids);
}

static void draw_window(struct bench *b, struct drift_numeric *out)
{
    uint32_t counts[GRID_MAX_CELLS + 1];
    struct numbers window;
    if (b->n > SINGLE) {
        draw_counts(b, &window, counts);
    } else {
        numbers_init(&window, PROFILE_HOUR);
        for (int i = 0; i < b->n; i++) {
            if (numbers_update(&window, (struct numbers_grid){0}, value_law_draw(b->law, &b->rng),
                               1))
                exit(1);
        }
    }
    struct drift_numeric_input in = {
        b->reference->features, b->reference->grids, &window, NULL, 0, false};
    if (drift_numeric(&in, out))
        exit(1);
    cells_finish(&window.cells);
}

/* Its windows' p-values, counted by level. */
static void play_reference(struct bench *b)
{
    draw_reference(b);
    for (int w = 0; w < b->windows; w++) {
        struct drift_numeric numeric;
        draw_window(b, &numeric);
        struct drift_subject subject = {.reference = b->reference->features,
                                        .reference_id = b->reference->id,
                                        .numeric = &numeric,
                                        .however_few = true};
        small_p_window(&b->small, &subject, b->m < FEW);
    }
    small_p_reference_ends(&b->small);
}

static int usage(void)
{
    char names[256];
    value_law_names(names, sizeof(names));
    fprintf(stderr,
            "usage: bench_calibration DIST N REFERENCE_SIZE REFERENCES [WINDOWS [SEED "
            "[OTHERS]]]\nDIST: %s\n",
            names);
    return 64;
}

int main(int argc, char **argv)
{
    static struct bench b;
    if (argc < 5 || !(b.law = value_law_find(argv[1])))
        return usage();
    b.n = atoi(argv[2]);
    b.m = atoi(argv[3]);
    long references = atol(argv[4]);
    b.windows = argc > 5 ? atoi(argv[5]) : b.n > 0 ? b.m / b.n : 1;
    b.windows = argc > 5 || b.windows <= MOST_WINDOWS ? b.windows : MOST_WINDOWS;
    b.windows = b.windows > 1 ? b.windows : 1;
    if (b.n < 1 || b.m < 2 || references < 1)
        return usage();
    struct rng seed = rng_of(argc > 6 ? strtoull(argv[6], NULL, 10) : 1);
    b.rng = rng_of(rng_u64(&seed));
    b.others = argc > 7 ? atoi(argv[7]) : 0;
    b.small = counted;
    small_p_init(&b.small);
    while (b.small.references < references)
        play_reference(&b);
    small_p_report(&b.small, b.law->name, b.n, b.m, references * b.windows);
    small_p_finish(&b.small);
    reference_free(b.reference);
    reference_free(b.whole);
    return 0;
}
