/*
 * How often a window of features that did not drift is called drifted, against what was promised.
 *
 * Every p-value comes from the real path: a reference built from 10,000 drawn values, a window of
 * n (single values up to 1,300, counts on the grid beyond), drift_numeric or drift_categorical,
 * drift_judge. Windows and references come from the same law; a reference serves few windows where
 * it is not much larger than they are, because these would then go astray together (`plans`).
 * p-values are then put together to families of 5, 50 and 200 features, and a family is a false
 * alarm when drift_family calls any of them.
 *
 *     bench_stats [SCALE [SEED [N]]]    default 1 1, all sizes; SCALE times as many p-values
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/rng.h"
#include "stats/distribution.h"
#include "stats/drift_threshold.h"

enum {
    N_REFERENCES = 1,
    REFERENCE_VALUES = 10000,
    N_CATEGORIES = 12,
    N_METHODS = 10
};

static const struct {
    enum drift_method method;
    bool numeric;
} methods[N_METHODS] = {
    {DRIFT_KS, true},          {DRIFT_WASSERSTEIN_NORM, true}, {DRIFT_PSI, true},
    {DRIFT_JS, true},          {DRIFT_HELLINGER, true},        {DRIFT_PSI, false},
    {DRIFT_JS, false},         {DRIFT_HELLINGER, false},       {DRIFT_CHI2, false},
    {DRIFT_L_INFINITY, false},
};

/* p-values of each statistic, and how many windows a reference serves. */
static const struct plan {
    int n;
    size_t n_p, uses;
} plans[] = {
    {50, 400000, 200},
    {500, 400000, 100},
    {5000, 200000, 20},
    {50000, 40000, 4},
};

struct bench {
    struct rng rng;
    struct reference *references[N_REFERENCES];
    struct profile_feature features[N_REFERENCES][2];
    struct profile_layout layouts[N_REFERENCES];
    double *cell_share[N_REFERENCES]; /* true probability of each grid cell */
    struct drift_nulls *nulls;
};

/* The law of the values: standard exponential, so that cells differ in width. */
static double law_cdf(double x)
{
    return x > 0 ? -expm1(-x) : 0;
}

static uint64_t category_draw(struct rng *rng)
{
    double u = rng_uniform(rng);
    uint64_t k = 0;
    for (double rest = 0.4; k + 1 < N_CATEGORIES && u >= rest; rest *= 0.6) {
        u -= rest;
        k++;
    }
    return (k + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static void fold(struct bench *b, struct profile *profile)
{
    profile_event(profile, 1);
    profile_number(profile, 0, rng_exponential(&b->rng, 1), 1);
    profile_category(profile, 1, category_draw(&b->rng), 1);
}

static void draw_reference(struct bench *b, int r)
{
    reference_free(b->references[r]);
    b->references[r] = NULL;
    free(b->cell_share[r]);
    b->features[r][0] = (struct profile_feature){
        .name_id = 1, .kind = PROFILE_NUMERIC, .min = (double)NAN, .max = (double)NAN};
    b->features[r][1] = (struct profile_feature){
        .name_id = 2, .kind = PROFILE_CATEGORICAL, .min = (double)NAN, .max = (double)NAN};
    b->layouts[r] = (struct profile_layout){.n_features = 2, .features = b->features[r]};
    AUTO(profile) struct profile *profile = NULL;
    if (profile_new(&profile, &b->layouts[r], PROFILE_REFERENCE, NULL))
        exit(1);
    for (int i = 0; i < REFERENCE_VALUES; i++)
        fold(b, profile);
    if (reference_build(&b->references[r], profile, 0, NULL))
        exit(1);
    reference_layout(b->references[r], &b->layouts[r], b->features[r]);
    const struct grid *grid = b->features[r][0].grid;
    b->cell_share[r] = calloc(grid->n_cuts + 1, sizeof(double));
    double before = 0;
    for (uint32_t i = 0; i <= grid->n_cuts; i++) {
        double up_to = i < grid->n_cuts ? law_cdf(grid->cuts[i]) : 1;
        b->cell_share[r][i] = up_to - before;
        before = up_to;
    }
}

static double normal_binomial(struct rng *rng, double n, double p)
{
    if (n * p < 30 || n * (1 - p) < 30) {
        double k = 0;
        bool swap = p > 0.5;
        double q = swap ? 1 - p : p, at = -1;
        if (q <= 0)
            return swap ? n : 0;
        for (;;) { /* gaps between successes are geometric */
            at += 1 + floor(log(1 - rng_uniform(rng)) / log1p(-q));
            if (at >= n)
                break;
            k++;
        }
        return swap ? n - k : k;
    }
    double sd = sqrt(n * p * (1 - p)), z = rng_normal(rng);
    double k = rint(n * p + sd * z + (1 - 2 * p) * (z * z - 1) / 6);
    return k < 0 ? 0 : k > n ? n : k;
}

/* A window of many values, straight onto the grid; its categories likewise. */
static void draw_counts(struct bench *b, int r, int n, struct profile *window)
{
    const struct grid *grid = b->features[r][0].grid;
    struct numbers *numbers = window->features[0].numeric;
    numbers->n_counts = grid->n_cuts + 1;
    numbers->reference = b->references[r]->id;
    numbers->overflowed = true;
    numbers->n = (uint64_t)n;
    numbers->n_far = (uint64_t)n; /* there are no sums */
    numbers->wide = calloc(numbers->n_counts, sizeof(uint32_t));
    double left = n, rest = 1;
    for (uint32_t i = 0; i < numbers->n_counts; i++) {
        double share = b->cell_share[r][i];
        double k = i == grid->n_cuts ? left
                   : share > 0       ? normal_binomial(&b->rng, left, fmin(share / rest, 1))
                                     : 0;
        numbers->wide[i] = (uint32_t)k;
        left -= k;
        rest -= share;
    }
    /* where the sketch would put what lies beyond the reference */
    for (uint32_t k = 0; k < numbers->wide[grid->n_cuts]; k++)
        cells_update(&numbers->cells, grid->cuts[grid->n_cuts - 1] + rng_exponential(&b->rng, 1),
                     1);
    for (uint32_t k = 0; k < numbers->wide[0]; k++)
        cells_update(&numbers->cells, nextafter(grid->cuts[0], -(double)INFINITY), 1);
    double shares[N_CATEGORIES], all = 1;
    shares[0] = 0.4;
    for (int k = 1; k < N_CATEGORIES; k++)
        shares[k] = shares[k - 1] * 0.6;
    left = n;
    for (int k = 0; k < N_CATEGORIES; k++) {
        double here =
            k + 1 == N_CATEGORIES ? left : normal_binomial(&b->rng, left, shares[k] / all);
        uint64_t id = (uint64_t)(k + 1) * UINT64_C(0x9e3779b97f4a7c15);
        left -= here;
        all -= shares[k];
        if (here == 0)
            continue;
        profile_category(window, 1, id, 1);
        struct categories *c = window->features[1].categories;
        for (uint32_t s = 0; s < c->n_slots; s++) {
            if (c->ids[s] == id)
                c->counts[s] = (uint32_t)here;
        }
        c->n += (uint64_t)here - 1;
    }
}

static void one_window(struct bench *b, int r, int n, double p[N_METHODS])
{
    AUTO(profile) struct profile *window = NULL;
    if (profile_new(&window, &b->layouts[r], PROFILE_HOUR, NULL))
        exit(1);
    if (n <= 1300) {
        for (int i = 0; i < n; i++)
            fold(b, window);
    } else {
        profile_number(window, 0, 1, 1); /* makes the part */
        cells_finish(&window->features[0].numeric->cells);
        draw_counts(b, r, n, window);
    }
    struct drift_numeric numeric;
    struct drift_categorical categorical;
    const struct reference_feature *x = reference_find(b->references[r], 1);
    const struct reference_feature *c = reference_find(b->references[r], 2);
    uint64_t id = b->references[r]->id;
    struct drift_numeric_input in = {x, id, window->features[0].numeric, NULL, 0, false};
    drift_numeric(&in, &numeric);
    drift_categorical(c, id, window->features[1].categories, &categorical);
    for (int i = 0; i < N_METHODS; i++) {
        struct drift_rule rule = {methods[i].method, 0.01, 0};
        struct drift_subject subject = {.reference = methods[i].numeric ? x : c,
                                        .reference_id = id};
        subject.numeric = methods[i].numeric ? &numeric : NULL;
        subject.categorical = methods[i].numeric ? NULL : &categorical;
        struct drift_verdict verdict;
        if (drift_judge(b->nulls, &rule, &subject, 1, &verdict))
            exit(1);
        p[i] = verdict.p_value;
    }
}

/* Families of n_features with any q <= rate, made of p-values from different references. */
static void report(const char *name, int n, const double *p, size_t n_p, size_t uses, double rate)
{
    size_t n_references = n_p / uses;
    static const size_t sizes[] = {5, 50, 200};
    for (int s = 0; s < 3; s++) {
        size_t n_families = n_references * uses / sizes[s], alarms = 0;
        struct drift_rule rule = {DRIFT_AUTO, rate, 0};
        struct drift_verdict *verdicts = calloc(sizes[s], sizeof(*verdicts));
        for (size_t f = 0; verdicts && f < n_families; f++) {
            bool any = false;
            for (size_t i = 0; i < sizes[s]; i++) {
                size_t at = f * sizes[s] + i;
                double one = p[at % n_references * uses + at / n_references];
                verdicts[i] = (struct drift_verdict){.p_value = one, .statistic = 1};
            }
            drift_family(verdicts, sizes[s], &rule);
            for (size_t i = 0; i < sizes[s]; i++)
                any = any || verdicts[i].drifted;
            alarms += any;
        }
        free(verdicts);
        double k = (double)alarms, all = (double)n_families;
        double low = alarms ? beta_quantile(0.01, k, all - k + 1) : 0;
        double high = alarms < n_families ? beta_quantile(0.99, k + 1, all - k) : 1;
        printf("| %s | %d | %zu | %.2f | %zu | %.4f | %.4f | %.4f | %.2f |\n", name, n, sizes[s],
               rate, n_families, k / all, low, high, k / all / rate);
    }
}

static void run_plan(struct bench *b, const struct plan *plan, double scale)
{
    size_t n_p = (size_t)((double)plan->n_p * scale);
    double *p[N_METHODS] = {0};
    for (int i = 0; i < N_METHODS; i++) {
        p[i] = calloc(n_p + 1, sizeof(double));
        if (!p[i])
            exit(1);
    }
    for (size_t k = 0; k < n_p; k++) {
        double one[N_METHODS];
        if (k % plan->uses == 0)
            draw_reference(b, 0);
        one_window(b, 0, plan->n, one);
        for (int i = 0; i < N_METHODS; i++)
            p[i][k] = one[i];
    }
    for (int i = 0; i < N_METHODS; i++) {
        char name[64];
        snprintf(name, sizeof(name), "%s (%s)", drift_method_name(methods[i].method),
                 methods[i].numeric ? "numbers" : "categories");
        report(name, plan->n, p[i], n_p, plan->uses, 0.01);
        report(name, plan->n, p[i], n_p, plan->uses, 0.05);
        free(p[i]);
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    double scale = argc > 1 ? strtod(argv[1], NULL) : 1;
    struct bench b = {.rng = rng_of(argc > 2 ? strtoul(argv[2], NULL, 10) : 1)};
    int only = argc > 3 ? atoi(argv[3]) : 0;
    if (drift_nulls_new(&b.nulls, NULL))
        return 1;
    printf("| method | n | features | promise | windows | false alarms | lower 99%% | upper 99%% | "
           "of promise |\n|---|---|---|---|---|---|---|---|---|\n");
    for (size_t s = 0; s < sizeof(plans) / sizeof(plans[0]); s++) {
        if (!only || only == plans[s].n)
            run_plan(&b, &plans[s], scale);
    }
    for (int r = 0; r < N_REFERENCES; r++) {
        reference_free(b.references[r]);
        free(b.cell_share[r]);
    }
    drift_nulls_free(b.nulls);
    return 0;
}
