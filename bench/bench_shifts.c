/*
 * How often p-values of wasserstein_norm are as small as a family of 200 features asks for (4e-5), in
 * minutes: by importance sampling.
 *
 * What is far out there is a shift of the mean, so both sides are drawn shifted: the reference's law
 * is tilted to one side, the window's to the other, either way as often, and a window counts by how
 * much more probable the two are without that. They go through the real reference_build,
 * drift_numeric and drift_judge. References are drawn value by value, windows up to 1,300 too;
 * beyond, as counts on the reference's grid, as a pane holds them.
 *
 *     bench_shifts DIST N REFERENCE_SIZE REFERENCES [WINDOWS [SEED [DEVIATIONS]]]
 *
 * DIST: bench/value_law.h; WINDOWS a reference (4); DEVIATIONS: how far apart the two means are
 * drawn, in standard errors (3.3). Told is the share of windows with p at most each level, divided by
 * it, ± one standard error by the references' scatter. Exit status 1: one is above what keeps the
 * promise, or below a tenth of it, by SURE standard errors.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/counted_window.h"
#include "bench/tilted_law.h"
#include "bench/variates.h"
#include "stats/drift_threshold.h"

enum {
    SINGLE = 1300, /* values that a pane keeps */
    N_LEVELS = 4,
    N_SCREENING = 30
};
#define SURE 4.5
#define PAID (1 / 0.85) /* by what Benjamini–Hochberg is not given */
/* What 0.85 of 0.01 asks of families of 1, 10, 50 and 200. */
static const double levels[N_LEVELS] = {0.0085, 0.00085, 0.00017, 0.0000425};

/* Of the reference's values, or a window's: drawn by one of the two, weighed by both. */
struct side {
    struct tilted_law up, down;
};

struct bench {
    const struct value_law *law;
    int n, m, windows;
    struct side of_reference, of_window;
    struct rng rng;
    struct drift_nulls *nulls;
    struct profile_feature feature;
    struct profile_layout layout;
    struct reference *reference;
    double log_up, log_down; /* this reference's, by either tilt */
    /* of the grid's cells: shares by either tilt (up first), their sums' logarithms, deviations */
    double tilted[2][GRID_MAX_CELLS + 1], log_norm[2], at[GRID_MAX_CELLS + 1];
    uint32_t counts[GRID_MAX_CELLS + 1];
    double screen;
    double sums[N_LEVELS], squares[N_LEVELS];
};

static void side_init(struct side *out, const struct value_law *law, double tilt)
{
    tilted_law_init(&out->up, law, tilt);
    tilted_law_init(&out->down, law, -tilt);
}

/* The cells' shares, and what either tilt makes of them: a cell's values count as one. */
static void tilt_cells(struct bench *b)
{
    const struct grid *grid = b->reference->features[0].grid;
    double before = 0, sums[2] = {0, 0};
    for (uint32_t i = 0; i <= grid->n_cuts; i++) {
        const double below = i < grid->n_cuts ? value_law_below(b->law, grid->cuts[i]) : 1;
        const double low = grid->cuts[i > 0 ? i - 1 : 0];
        const double middle = (low + grid->cuts[i < grid->n_cuts ? i : grid->n_cuts - 1]) / 2;
        const double share = fmax(below - before, 0);
        before = below;
        b->at[i] = tilted_law_deviation(&b->of_window.up, middle);
        for (int down = 0; down < 2; down++) {
            const double tilt = down ? b->of_window.down.tilt : b->of_window.up.tilt;
            b->tilted[down][i] = share * exp(tilt * b->at[i]);
            sums[down] += b->tilted[down][i];
        }
    }
    for (int down = 0; down < 2; down++)
        b->log_norm[down] = log(sums[down]);
}

static void draw_reference(struct bench *b, bool up)
{
    AUTO(profile) struct profile *profile = NULL;
    const struct side *side = &b->of_reference;
    reference_free(b->reference);
    b->reference = NULL;
    b->feature = (struct profile_feature){
        .name_id = 1, .kind = PROFILE_NUMERIC, .min = (double)NAN, .max = (double)NAN};
    b->layout = (struct profile_layout){.n_features = 1, .features = &b->feature};
    if (profile_new(&profile, &b->layout, PROFILE_REFERENCE, NULL))
        exit(1);
    b->log_up = b->log_down = 0;
    for (int i = 0; i < b->m; i++) {
        const double x = tilted_law_draw(up ? &side->up : &side->down, &b->rng);
        b->log_up += tilted_law_log_ratio(&side->up, x);
        b->log_down += tilted_law_log_ratio(&side->down, x);
        profile_event(profile, 1);
        profile_number(profile, 0, x, 1);
    }
    if (reference_build(&b->reference, profile, 0, NULL))
        exit(1);
    if (b->n > SINGLE)
        tilt_cells(b);
}

static void draw_counts(struct bench *b, bool up, struct numbers *out, double ratio[2])
{
    const struct grid *grid = b->reference->features[0].grid;
    double drawn[GRID_MAX_CELLS + 1], at = 0;
    multinomial_variate(&b->rng, b->tilted[up ? 0 : 1], grid->n_cuts + 1, b->n, drawn);
    for (uint32_t i = 0; i <= grid->n_cuts; i++)
        at += drawn[i] * b->at[i];
    ratio[0] = b->of_window.up.tilt * at - b->n * b->log_norm[0];
    ratio[1] = b->of_window.down.tilt * at - b->n * b->log_norm[1];
    counted_window(out, b->counts, drawn, grid, b->reference->grids);
}

/* `ratio`: ln of how much more probable they are with the tilt up, and down, than without. */
static void draw_values(struct bench *b, bool up, struct numbers *out, double ratio[2])
{
    const struct side *side = &b->of_window;
    ratio[0] = ratio[1] = 0;
    numbers_init(out, PROFILE_HOUR);
    for (int i = 0; i < b->n; i++) {
        const double x = tilted_law_draw(up ? &side->up : &side->down, &b->rng);
        ratio[0] += tilted_law_log_ratio(&side->up, x);
        ratio[1] += tilted_law_log_ratio(&side->down, x);
        if (numbers_update(out, (struct numbers_grid){0}, x, 1))
            exit(1);
    }
}

/* How much more probable the window and its reference are than they were drawn; `up` is the window's. */
static double draw_window(struct bench *b, bool up, struct drift_numeric *out)
{
    struct numbers window;
    double ratio[2];
    if (b->n > SINGLE)
        draw_counts(b, up, &window, ratio);
    else
        draw_values(b, up, &window, ratio);
    const struct drift_numeric_input in = {
        b->reference->features, b->reference->grids, &window, NULL, 0, false};
    if (drift_numeric(&in, out))
        exit(1);
    cells_finish(&window.cells);
    return 2 / (exp(ratio[0] + b->log_down) + exp(ratio[1] + b->log_up));
}

static void play_reference(struct bench *b, bool screening)
{
    const bool up = rng_u64(&b->rng) & 1;
    double small[N_LEVELS] = {0};
    draw_reference(b, !up);
    for (int w = 0; w < b->windows; w++) {
        struct drift_numeric numeric;
        const double weight = draw_window(b, up, &numeric);
        if (!screening && numeric.wasserstein_norm.value < b->screen)
            continue;
        const struct drift_subject subject = {.reference = b->reference->features,
                                              .reference_id = b->reference->id,
                                              .numeric = &numeric,
                                              .however_few = true};
        const struct drift_rule rule = {DRIFT_WASSERSTEIN_NORM, levels[0], 0};
        struct drift_verdict verdict;
        if (drift_judge(b->nulls, &rule, &subject, 1, &verdict))
            exit(1);
        if (screening)
            b->screen = fmin(b->screen, 0.9 * verdict.threshold);
        for (int k = 0; k < N_LEVELS; k++)
            small[k] += verdict.p_value <= levels[k] ? weight : 0;
    }
    for (int k = 0; k < N_LEVELS && !screening; k++) {
        const double share = small[k] / b->windows;
        b->sums[k] += share;
        b->squares[k] += share * share;
    }
}

/* Whether every level may be kept. */
static bool report(const struct bench *b, long references)
{
    const double all = (double)references;
    bool kept = true;
    printf("| %s | %d | %d |", b->law->name, b->n, b->m);
    for (int k = 0; k < N_LEVELS; k++) {
        const double mean = b->sums[k] / all;
        const double variance = fmax(b->squares[k] / all - mean * mean, 0);
        const double ratio = mean / levels[k], error = sqrt(variance / all) / levels[k];
        printf(" %.3f ± %.3f |", ratio, error);
        kept = kept && ratio - SURE * error <= PAID && ratio + SURE * error >= 0.1;
    }
    printf("\n");
    return kept;
}

static int usage(void)
{
    char names[300];
    value_law_names(names, sizeof(names));
    fprintf(stderr,
            "usage: bench_shifts DIST N REFERENCE_SIZE REFERENCES [WINDOWS [SEED [DEVIATIONS]]]\n"
            "DIST: %s; DEVIATIONS: 0 to 10\n",
            names);
    return 64;
}

int main(int argc, char **argv)
{
    static struct bench b;
    const long references = argc > 4 ? atol(argv[4]) : 0;
    b.law = argc > 4 ? value_law_find(argv[1]) : NULL;
    b.n = argc > 4 ? atoi(argv[2]) : 0;
    b.m = argc > 4 ? atoi(argv[3]) : 0;
    b.windows = argc > 5 ? atoi(argv[5]) : 4;
    struct rng seed = rng_of(argc > 6 ? strtoull(argv[6], NULL, 10) : 1);
    b.rng = rng_of(rng_u64(&seed));
    const double deviations = argc > 7 ? atof(argv[7]) : 3.3;
    if (!b.law || b.n < 1 || b.m < 2 || references < 1 || b.windows < 1 ||
        !(deviations >= 0 && deviations <= 10)) {
        return usage();
    }
    const double root = sqrt(1.0 / b.n + 1.0 / b.m);
    side_init(&b.of_reference, b.law, deviations / (b.m * root));
    side_init(&b.of_window, b.law, deviations / (b.n * root));
    if (drift_nulls_new(&b.nulls, NULL))
        return 1;
    b.screen = (double)INFINITY;
    for (long r = 0; r < N_SCREENING + references; r++)
        play_reference(&b, r < N_SCREENING);
    const bool kept = report(&b, references);
    reference_free(b.reference);
    drift_nulls_free(b.nulls);
    return kept ? 0 : 1;
}
