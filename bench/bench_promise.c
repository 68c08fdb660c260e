/*
 * The promise of false_alarm_rate over many thousands of windows of 5, 50 and 200 features: what
 * bench_stats measures, with counts drawn instead of events.
 *
 * A statistic of counts depends on its bins alone, so bins are drawn: the reference's as its own
 * 10,000 values would fall (Dirichlet spacings between order statistics for deciles, the rest given
 * the smallest and the largest value for Doane's bins, multinomial for categories), the window's by
 * binomials. For KS and wasserstein_norm uniform and exponential values are drawn in their order,
 * and beyond 1,300 as counts on cells (bench/promise_ks.h, bench/promise_area.h). Verdicts are the
 * real ones (drift_judge), and statistics, too, but for KS and the area between single values.
 *
 * A batch is 200 references, each with `uses` windows, so that it holds `uses` families of 200, 4
 * as many of 50, 40 as many of 5. Families of one batch share references: `uses` is small where
 * the reference's own noise counts.
 *
 * A law is only made where its p can matter. The k-th smallest of F p-values decides only where it
 * is below 0.0425 k / F, and k of them are there with a probability below (0.0425 e)^k: below 1e-8
 * for k = 9. So families of 50 need no p above 0.0068, families of 200 none above 0.0017: counted
 * alone they cost a third or an eighth of the laws (`screen_levels`).
 *
 *     bench_promise KIND N BATCHES [FILE [SECONDS [FAMILY [SEED]]]]
 *
 * KIND: deciles, doane, categories, ks, wasserstein. FAMILY: 5 (default), 50 or 200: no smaller
 * families are counted; each FAMILY has its own batches and seeds, and so has each SEED (0, the
 * default, to 65535): constants that were chosen by one SEED's windows are judged by another's.
 * Batches that FILE has are not played again; after SECONDS it stops (0: never). FILE -: nothing is
 * kept. The table is of all in FILE, whatever its FAMILY and SEED. Exit status 1: a share is proven to
 * be above its promise (its lower limit at 99.99% is), or below a tenth of it (its upper limit is): a
 * simulator that calls nothing proves nothing.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/promise_area.h"
#include "bench/promise_ks.h"
#include "bench/variates.h"
#include "common/rng.h"
#include "stats/distribution.h"
#include "stats/drift_threshold.h"
#include "stats/kolmogorov.h"
#include "stats/same_shares.h"

enum {
    M = 10000, /* values of a reference */
    N_REFERENCES = 200,
    N_SCREENING = 3, /* of them: the least of their thresholds is the screen */
    N_CATEGORIES = 12,
    N_DOANE = 21, /* of 10,000 exponential values */
    N_CELLS = 640,
    MOST_METHODS = 5,
    N_SIZES = 3,
    N_RATES = 2
};
static const size_t sizes[N_SIZES] = {5, 50, 200};
static const double rates[N_RATES] = {0.01, 0.05};
/* p at a batch's first references beyond which no law is made, by the smallest family: twice or
   four times the largest that can matter, for other references have other laws. */
static const double screen_levels[N_SIZES] = {0.08, 0.03, 0.008};
#define NO_ALARM 1.0
/* The smallest family and SEED are parts of a batch's seed. */
#define FAMILY_SHIFT 56
#define SEED_SHIFT 40
#define MOST_SEEDS 65536

enum kind {
    DECILES,
    DOANE,
    CATEGORIES,
    KS,
    AREA,
    N_KINDS
};

static const struct {
    const char *name;
    size_t n_methods;
    enum drift_method methods[MOST_METHODS];
} kinds[N_KINDS] = {
    {"deciles", 1, {DRIFT_PSI}},
    {"doane", 2, {DRIFT_JS, DRIFT_HELLINGER}},
    {"categories", 5, {DRIFT_PSI, DRIFT_JS, DRIFT_HELLINGER, DRIFT_CHI2, DRIFT_L_INFINITY}},
    {"ks", 1, {DRIFT_KS}},
    {"wasserstein", 1, {DRIFT_WASSERSTEIN_NORM}},
};

struct bench {
    enum kind kind;
    int n, uses;
    size_t smallest; /* of `sizes`: the families that are counted */
    uint64_t series; /* what the seeds of all its batches begin with */
    struct rng rng;
    struct drift_nulls *nulls;
    struct reference_feature reference;
    struct grid grid;
    struct category *categories;
    double *own_counts;
    double counts[N_CELLS], truth[N_CELLS]; /* of the reference; the bins' true shares */
    double window[N_CELLS];
    struct area_play *area;
    struct ks_play *ks;
    uint64_t id;
    double screen[MOST_METHODS];
    double same_shares_p; /* of the last window of categories */
};

/* --- references --- */

/* Edge i lies 0.9 of the way from the value 1000 i to the next. */
static void draw_deciles(struct bench *b)
{
    for (int i = 0; i <= GRID_DECILES - 1; i++) {
        bool end = i == 0 || i == GRID_DECILES - 1;
        b->counts[i] = (double)M / GRID_DECILES;
        b->truth[i] = gamma_variate(&b->rng, end ? 1000.9 : 999.9);
    }
}

/* Exponential values: smallest and largest first, the others fall between them. */
static void draw_doane(struct bench *b)
{
    double least = rng_exponential(&b->rng, 1.0 / M);
    double most = -log(-expm1(log(1 - rng_uniform(&b->rng)) / M));
    double width = (most - least) / N_DOANE, inner[N_DOANE];
    for (int i = 0; i < N_DOANE; i++)
        inner[i] = b->truth[i] = exp(-least - i * width) * -expm1(-width);
    b->truth[N_DOANE] = -expm1(-least) + exp(-most);
    multinomial_variate(&b->rng, inner, N_DOANE, M - 2, b->counts);
    b->counts[0]++;
    b->counts[N_DOANE - 1]++;
    b->counts[N_DOANE] = 0;
}

static void draw_categories(struct bench *b)
{
    double share = 0.4;
    for (int i = 0; i < N_CATEGORIES; i++) {
        b->truth[i] = i + 1 < N_CATEGORIES ? share : share / 0.4;
        share *= 0.6;
    }
    multinomial_variate(&b->rng, b->truth, N_CATEGORIES, M, b->counts);
    for (int i = 0; i < N_CATEGORIES; i++)
        b->reference.bin_counts[i] = (uint64_t)b->counts[i];
}

static void draw_uniform(struct bench *b)
{
    ks_reference(b->ks, &b->rng);
}

static void draw_area(struct bench *b)
{
    area_reference(b->area, &b->rng, &b->reference);
}

static void draw_reference(struct bench *b)
{
    static void (*const draws[N_KINDS])(struct bench *) = {
        draw_deciles, draw_doane, draw_categories, draw_uniform, draw_area,
    };
    draws[b->kind](b);
    b->id += 2;
    if (b->kind == DECILES || b->kind == DOANE)
        memcpy(b->reference.grid_counts, b->counts, sizeof(b->counts));
}

static int by_id(const void *a, const void *b)
{
    const struct category *x = (const struct category *)a, *y = (const struct category *)b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static void prepare_categories(struct bench *b)
{
    struct reference_feature *ref = &b->reference;
    b->categories = calloc(N_CATEGORIES, sizeof(*b->categories));
    for (uint64_t i = 0; b->categories && i < N_CATEGORIES; i++)
        b->categories[i] = (struct category){.id = i + 1, .count = N_CATEGORIES - i + 1};
    if (!b->categories)
        exit(1);
    qsort(b->categories, N_CATEGORIES, sizeof(*b->categories), by_id);
    if (category_bins_new(&ref->bins, b->categories, N_CATEGORIES, NULL))
        exit(1);
    ref->categories = b->categories;
    ref->n_categories = N_CATEGORIES;
}

/* As many cells as bins. */
static void prepare_bins(struct bench *b)
{
    struct reference_feature *ref = &b->reference;
    b->own_counts = ref->grid_counts = calloc(N_CELLS, sizeof(double));
    ref->grid = &b->grid;
    if (!ref->grid_counts)
        exit(1);
    b->grid.n_deciles = GRID_DECILES - 1;
    b->grid.n_doane = N_DOANE;
    b->grid.n_cuts = b->kind == DECILES ? GRID_DECILES - 1 : N_DOANE;
    for (int i = 0; i <= N_DOANE; i++) {
        b->grid.doane_bin[i] = (uint8_t)i;
        b->grid.decile_bin[i] = (uint8_t)i;
    }
}

/* A reference whose counts come with each draw. */
static void prepare(struct bench *b)
{
    struct reference_feature *ref = &b->reference;
    ref->name_id = 1;
    ref->kind = b->kind == CATEGORIES ? PROFILE_CATEGORICAL : PROFILE_NUMERIC;
    ref->n = ref->valid = M;
    ref->n_cells = M;
    ref->cell_share = 1.0 / N_CELLS;
    if (b->kind == CATEGORIES)
        prepare_categories(b);
    else if (b->kind == DECILES || b->kind == DOANE)
        prepare_bins(b);
    else if (b->kind == KS)
        b->ks = ks_play_new(b->n);
    else
        b->area = area_play_new(b->n);
    if ((b->kind == KS && !b->ks) || (b->kind == AREA && !b->area))
        exit(1);
}

/* --- windows --- */

static double statistic_of(enum drift_method method, const struct drift_bin *bins, size_t n_bins,
                           double n)
{
    double dof;
    switch (method) {
    case DRIFT_PSI:
        return drift_psi(bins, n_bins, M, n);
    case DRIFT_JS:
        return drift_js(bins, n_bins, M, n);
    case DRIFT_HELLINGER:
        return drift_hellinger(bins, n_bins, M, n);
    case DRIFT_CHI2:
        return drift_chi2(bins, n_bins, M, n, &dof);
    default:
        return drift_l_infinity(bins, n_bins, M, n);
    }
}

static void draw_window(struct bench *b, double out[MOST_METHODS])
{
    static const size_t n_bins[N_KINDS] = {GRID_DECILES, N_DOANE + 1, N_CATEGORIES, 0, 0};
    struct drift_bin bins[N_DOANE + 1];
    if (b->kind == KS) {
        out[0] = ks_window(b->ks, &b->rng, b->screen[0]);
        return;
    }
    if (b->kind == AREA) {
        out[0] = area_window(b->area, &b->rng, &b->reference);
        return;
    }
    multinomial_variate(&b->rng, b->truth, n_bins[b->kind], b->n, b->window);
    for (size_t i = 0; i < n_bins[b->kind]; i++)
        bins[i] = (struct drift_bin){b->counts[i], b->window[i]};
    if (b->kind == CATEGORIES)
        b->same_shares_p = same_shares_p(bins, n_bins[b->kind]);
    for (size_t i = 0; i < kinds[b->kind].n_methods; i++)
        out[i] = statistic_of(kinds[b->kind].methods[i], bins, n_bins[b->kind], b->n);
}

/* --- verdicts --- */

static struct drift_verdict judge(struct bench *b, enum drift_method method, double statistic)
{
    struct drift_value value = {statistic, 0, NULL};
    struct drift_numeric numeric = {.n = (uint64_t)b->n,
                                    .psi = value,
                                    .js_distance = value,
                                    .hellinger = value,
                                    .ks = value,
                                    .wasserstein_norm = value};
    struct drift_categorical categorical = {.n = (uint64_t)b->n,
                                            .psi = value,
                                            .js_distance = value,
                                            .hellinger = value,
                                            .chi2 = value,
                                            .l_infinity = value,
                                            .same_shares_p = b->same_shares_p};
    struct drift_subject subject = {.reference = &b->reference, .reference_id = b->id};
    if (b->kind == CATEGORIES)
        subject.categorical = &categorical;
    else
        subject.numeric = &numeric;
    numeric.ks.error_bound = b->n > KS_SINGLE; /* above 0: read off a grid */
    if (b->n <= KS_SINGLE && method == DRIFT_KS)
        numeric.ks_p = ks_two_sample_p_auto(statistic, M, (uint64_t)b->n, 0);
    struct drift_rule rule = {method, screen_levels[b->smallest] / 0.85, 0};
    struct drift_verdict verdict;
    if (drift_judge(b->nulls, &rule, &subject, 1, &verdict))
        exit(1);
    return verdict;
}

static bool any_drifted(const double *p, size_t n, double rate)
{
    struct drift_verdict verdicts[200];
    struct drift_rule rule = {DRIFT_AUTO, rate, 0};
    bool any = false;
    for (size_t i = 0; i < n; i++)
        verdicts[i] = (struct drift_verdict){.p_value = p[i], .statistic = 1};
    if (drift_family(verdicts, n, &rule))
        exit(1);
    for (size_t i = 0; i < n; i++)
        any = any || verdicts[i].drifted;
    return any;
}

struct alarms {
    long of[MOST_METHODS][N_SIZES][N_RATES];
};

static void count_alarms(const struct bench *b, const double *p, long of[N_SIZES][N_RATES])
{
    for (size_t s = b->smallest; s < N_SIZES; s++) {
        for (size_t at = 0; at < (size_t)b->uses * N_REFERENCES; at += sizes[s]) {
            for (size_t r = 0; r < N_RATES; r++)
                of[s][r] += any_drifted(p + at, sizes[s], rates[r]);
        }
    }
}

/* p-values of method i stand window by window, each over all references. */
static void play(struct bench *b, uint64_t batch, struct alarms *out)
{
    size_t n_p = (size_t)b->uses * N_REFERENCES, n_methods = kinds[b->kind].n_methods;
    double *p = malloc(n_methods * n_p * sizeof(*p)), value[MOST_METHODS];
    if (!p)
        exit(1);
    struct rng start = rng_of(b->series + batch * 8 + b->kind);
    b->rng = rng_of(rng_u64(&start));
    for (size_t i = 0; i < n_methods; i++)
        b->screen[i] = (double)INFINITY;
    for (int r = 0; r < N_REFERENCES; r++) {
        draw_reference(b);
        for (int use = 0; use < b->uses; use++) {
            draw_window(b, value);
            for (size_t i = 0; i < n_methods; i++) {
                enum drift_method method = kinds[b->kind].methods[i];
                if (r < N_SCREENING && use == 0)
                    b->screen[i] = fmin(b->screen[i], judge(b, method, value[i]).threshold);
                p[i * n_p + (size_t)(use * N_REFERENCES + r)] =
                    value[i] < b->screen[i] ? NO_ALARM : judge(b, method, value[i]).p_value;
            }
        }
    }
    *out = (struct alarms){0};
    for (size_t i = 0; i < n_methods; i++)
        count_alarms(b, p + i * n_p, out->of[i]);
    free(p);
}

/* --- what is kept: a line a batch, which begins with its seed --- */

struct played {
    long batches[N_SIZES]; /* by their smallest family */
    long own;              /* of them: of this FAMILY and SEED */
    struct alarms alarms;
};

static void add(struct played *sum, const struct bench *b, uint64_t seed, const struct alarms *more)
{
    sum->batches[seed >> FAMILY_SHIFT]++;
    sum->own += seed >> SEED_SHIFT == b->series >> SEED_SHIFT;
    for (size_t i = 0; i < MOST_METHODS * N_SIZES * N_RATES; i++)
        (&sum->alarms.of[0][0][0])[i] += (&more->of[0][0][0])[i];
}

static bool read_batch(FILE *file, uint64_t *seed, struct alarms *out)
{
    bool fine = fscanf(file, "%" SCNu64, seed) == 1 && *seed >> FAMILY_SHIFT < N_SIZES;
    for (size_t i = 0; fine && i < MOST_METHODS * N_SIZES * N_RATES; i++)
        fine = fscanf(file, "%ld", &(&out->of[0][0][0])[i]) == 1;
    return fine;
}

static void write_batch(FILE *file, uint64_t seed, const struct alarms *batch)
{
    fprintf(file, "%" PRIu64, seed);
    for (size_t i = 0; i < MOST_METHODS * N_SIZES * N_RATES; i++)
        fprintf(file, " %ld", (&batch->of[0][0][0])[i]);
    fprintf(file, "\n");
    fflush(file);
}

/* Of that size; a batch has families of its smallest size and larger ones. */
static double windows_of(const struct bench *b, const struct played *sum, size_t size)
{
    long batches = 0;
    for (size_t smallest = 0; smallest <= size; smallest++)
        batches += sum->batches[smallest];
    return (double)batches * b->uses * N_REFERENCES / (double)sizes[size];
}

/* May the promise be what is kept? At 99.99% the share is not above it, and not next to nothing. */
static bool may_hold(double calls, double windows, double promise)
{
    const double rest = windows - calls;
    const double low = calls > 0 ? beta_quantile(1e-4, calls, rest + 1) : 0;
    const double high = rest > 0 ? beta_quantile(1 - 1e-4, calls + 1, rest) : 1;
    return low <= promise && high >= promise / 10;
}

/* Does every share look like a promise that is kept? */
static bool report(const struct bench *b, const struct played *sum)
{
    bool held = true;
    printf(
        "| method | n | features | promise | windows | false alarms | upper 99%% | of promise |\n"
        "|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < kinds[b->kind].n_methods; i++) {
        for (size_t at = 0; at < N_SIZES * N_RATES; at++) {
            size_t s = at / N_RATES, r = at % N_RATES;
            double all = windows_of(b, sum, s), k = (double)sum->alarms.of[i][s][r];
            if (all == 0)
                continue;
            double high = k < all ? beta_quantile(0.99, k + 1, all - k) : 1;
            held = held && may_hold(k, all, rates[r]);
            printf("| %s (%s) | %d | %zu | %.2f | %.0f | %.5f | %.5f | %.2f |\n",
                   drift_method_name(kinds[b->kind].methods[i]),
                   b->kind == CATEGORIES ? "categories" : "numbers", b->n, sizes[s], rates[r], all,
                   k / all, high, k / all / rates[r]);
        }
    }
    return held;
}

static int uses_for(int n)
{
    return n <= 50 ? 200 : n <= 500 ? 20 : n <= 5000 ? 2 : 1;
}

/* NULL: fine; else what the arguments are. */
static const char *read_arguments(struct bench *b, int argc, char **argv)
{
    static const char usage[] = "usage: bench_promise deciles|doane|categories|ks|wasserstein N "
                                "BATCHES [FILE [SECONDS [FAMILY [SEED]]]]\n";
    if (argc < 4)
        return usage;
    while (b->kind < N_KINDS && strcmp(kinds[b->kind].name, argv[1]) != 0)
        b->kind++;
    b->n = atoi(argv[2]);
    size_t family = argc > 6 ? (size_t)atoi(argv[6]) : sizes[0];
    while (b->smallest < N_SIZES && sizes[b->smallest] != family)
        b->smallest++;
    uint64_t seed = argc > 7 ? strtoull(argv[7], NULL, 10) : 0;
    b->series = ((uint64_t)b->smallest << FAMILY_SHIFT) + (seed << SEED_SHIFT);
    bool fine = b->kind < N_KINDS && b->n >= 1 && b->smallest < N_SIZES && seed < MOST_SEEDS;
    return fine ? NULL : usage;
}

/* What the file has, then more up to so many of this family. until 0: no limit. */
static bool play_all(struct bench *b, long most, FILE *file, time_t until)
{
    struct played sum = {0};
    struct alarms batch;
    uint64_t seed;
    while (file && read_batch(file, &seed, &batch))
        add(&sum, b, seed, &batch);
    while (sum.own < most && (!until || time(NULL) < until)) {
        uint64_t next = (uint64_t)sum.own + 1;
        play(b, next, &batch);
        add(&sum, b, b->series + next, &batch);
        if (file)
            write_batch(file, b->series + next, &batch);
    }
    return report(b, &sum);
}

int main(int argc, char **argv)
{
    static struct bench b;
    const char *usage = read_arguments(&b, argc, argv);
    if (usage || drift_nulls_new(&b.nulls, NULL)) {
        fputs(usage ? usage : "bench_promise: no memory\n", stderr);
        return 64;
    }
    b.uses = uses_for(b.n);
    prepare(&b);
    bool keeps = argc > 4 && strcmp(argv[4], "-") != 0;
    FILE *file = keeps ? fopen(argv[4], "a+") : NULL;
    if (keeps && !file) {
        perror(argv[4]);
        return 74;
    }
    int seconds = argc > 5 ? atoi(argv[5]) : 0;
    bool held = play_all(&b, atol(argv[3]), file, seconds > 0 ? time(NULL) + seconds : 0);
    if (file)
        fclose(file);
    free(b.own_counts);
    area_play_free(b.area);
    ks_play_free(b.ks);
    category_bins_free(b.reference.bins);
    free(b.categories);
    drift_nulls_free(b.nulls);
    return held ? 0 : 1;
}
