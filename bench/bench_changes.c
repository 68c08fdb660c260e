/*
 * How long detectors of changes run between two false alarms, against what was asked.
 *
 *     bench_changes [--alarms N] [--keep FILE] [--seconds S]   the table of docs/statistics.md, "How long runs are"
 *     bench_changes --limits [--keep FILE] [--seconds S]       stats/change_shape_limits.h anew
 *     bench_changes --mean-limits …                            stats/change_mean_limits.h anew
 *
 * Every run is the real detector's, from its start to its alarm. References are drawn from the same
 * law as the events, each is watched for equally many, and all their alarms are counted. With --keep a table is made in pieces of S seconds; rows
 * that are not whole yet stand with the alarms they have.
 */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/kept_runs.h"
#include "bench/sorted_reference.h"
#include "common/rng.h"
#include "stats/change_mean.h"
#include "stats/change_mean_limits.h"
#include "stats/change_mix.h"
#include "stats/change_rate.h"
#include "stats/change_shape.h"
#include "stats/change_shape_limits.h"

enum {
    MAX_REFERENCE = 20000,
    SPAN = 2, /* × asked: events of each reference */
    ALARMS = 400
};

/* --- limits --- */

/* The run at a limit, with a reference so large that its ranks are the true ones. */
static double run_at(struct rng *rng, double limit, bool both)
{
    struct change_shape shape;
    struct change_found found;
    change_shape_init(&shape, LIMITS_FIRST, 1e15, (double)NAN);
    change_shape_set_limit(&shape, limit);
    if (!both) {
        shape.limits[0] = limit;
        shape.limits[1] = (double)INFINITY;
    }
    while (!change_shape_update(&shape, 0, (unsigned)rng_below(rng, SHAPE_BINS), 0, &found))
        ;
    return (double)found.run;
}

static struct change_found mean_run(struct rng *rng, struct change_mean *mean)
{
    struct change_found found;
    double value;
    do {
        value = rng_exponential(rng, 1);
    } while (
        !change_mean_update(mean, 0, value, (unsigned)rng_below(rng, MEAN_TIES), &found, NULL));
    return found;
}

/* Entry i, corrected by the run that is measured at it: one decade more of events takes
   ln(10) × 2 / π² more of the distance. */
static void print_limit(struct kept_runs *kept, bool both, int i)
{
    const double per_decade = log(10) * 2 / (M_PI * M_PI);
    const double limit = (both ? limits_both : limits_short)[i];
    const double expected = LIMITS_FIRST * pow(10, (double)i / LIMITS_PER_DECADE);
    char name[80];
    snprintf(name, sizeof(name), "limit %.4f, %s", limit, both ? "both windows" : "short window");
    struct kept_row *row = kept_row(kept, name);
    while (row && kept_wants(kept, row, expected < 2e5 ? 4000 : 1600)) {
        struct rng rng = rng_of(kept_seed(row));
        kept_add(kept, row, run_at(&rng, limit, both));
    }
    if (!row || row->n == 0)
        return;
    double mean = kept_mean(row), error = kept_error(row);
    printf("%s: asked %.0f, %d runs, %.0f ± %.0f; so %.4f\n", name, expected, row->n, mean,
           2 * error, limit + per_decade * log10(expected / mean));
}

/* What a limit of means is to be: `side` 1 up, -1 down, which had `share` of the alarms. */
static double mean_limit(const double *limits, int i, double longer, double share)
{
    const int from = i < N_MEAN_LIMITS - 1 ? i : i - 1;
    const double per_log = (limits[from + 1] - limits[from]) * MEAN_LIMITS_PER_DECADE / log(10);
    return limits[i] + per_log * (log(longer) + log(2 * share));
}

static void print_mean_limit(struct kept_runs *kept, int i, int scale)
{
    const double expected = MEAN_LIMITS_FIRST * pow(10, (double)i / MEAN_LIMITS_PER_DECADE);
    struct change_mean mean;
    change_mean_init(&mean, expected);
    mean.up.limit = (uint32_t)lround(mean_limits_up[i]);
    mean.down.limit = (uint32_t)lround(mean_limits_down[i]);
    char name[80];
    snprintf(name, sizeof(name), "mean limits %u %u", mean.up.limit, mean.down.limit);
    struct kept_row *runs = kept_row(kept, name);
    strcat(name, ", up");
    struct kept_row *ups = kept_row(kept, name);
    while (runs && ups && kept_wants(kept, runs, (expected < 2e5 ? 10 : 4) * scale)) {
        struct rng rng = rng_of(kept_seed(runs));
        struct change_found found = mean_run(&rng, &mean);
        kept_add(kept, runs, (double)found.run);
        kept_add(kept, ups, found.direction == CHANGE_UP);
    }
    change_mean_finish(&mean);
    if (!runs || !ups || ups->n == 0)
        return;
    double run = kept_mean(runs), up = kept_mean(ups);
    double longer = (expected - mean.learn) / (run - mean.learn);
    printf("%s: asked %.0f, %d runs, %.0f ± %.0f, %.2f of them up; so %.1f and %.1f\n", runs->name,
           expected, runs->n, run, 2 * kept_error(runs), up,
           mean_limit(mean_limits_up, i, longer, up),
           mean_limit(mean_limits_down, i, longer, 1 - up));
}

/* --- measured runs --- */

static double run_of_rate(struct rng *rng, double p, double asked)
{
    struct change_rate rate;
    struct change_found found;
    change_rate_init(&rate, asked);
    while (!change_rate_update(&rate, 0, rng_uniform(rng) < p, &found, NULL))
        ;
    return (double)found.run;
}

/* Alarms of one reference in SPAN times as many events as asked. */
static double alarms_of_shape(struct rng *rng, double n_reference, double asked)
{
    static double sorted[MAX_REFERENCE];
    const size_t n = (size_t)n_reference;
    struct change_shape shape;
    struct change_found found;
    double alarms = 0;
    for (size_t i = 0; i < n; i++)
        sorted[i] = rng_uniform(rng);
    sorted_reference_make(sorted, n);
    change_shape_init(&shape, asked, n_reference, (double)NAN);
    for (double events = 0; events < SPAN * asked; events++) {
        unsigned bin = sorted_reference_bin(sorted, n, rng_uniform(rng));
        alarms += change_shape_update(&shape, 0, bin, 0, &found);
    }
    return alarms;
}

/* Absolute errors of a normal law, or of Cauchy's. */
static double run_of_mean(struct rng *rng, double heavy, double asked)
{
    struct change_mean mean;
    struct change_found found = {0};
    change_mean_init(&mean, asked);
    for (int alarm = 0; !alarm;) {
        double value =
            heavy > 0 ? fabs(tan(M_PI * (rng_uniform(rng) - 0.5))) : fabs(rng_normal(rng));
        alarm =
            change_mean_update(&mean, 0, value, (unsigned)rng_below(rng, MEAN_TIES), &found, NULL);
    }
    change_mean_finish(&mean);
    return (double)found.run;
}

/* One of `n` categories: of 1000 the k-th is as frequent as 1 / k, of fewer all are alike. */
static unsigned category_of(struct rng *rng, double n)
{
    return n < 1000 ? (unsigned)rng_below(rng, (uint64_t)n)
                    : (unsigned)exp(rng_uniform(rng) * log(n));
}

static unsigned id_of(uint64_t category)
{
    category = (category ^ (category >> 31)) * UINT64_C(0xbf58476d1ce4e5b9);
    return change_mix_place(category ^ (category >> 30));
}

static double run_of_mix(struct rng *rng, double n, double asked)
{
    struct change_mix *mix = NULL;
    struct change_found found = {0};
    const uint64_t some = rng_u64(rng);
    if (change_mix_new(&mix, asked, NULL))
        abort();
    for (int alarm = 0; !alarm;)
        alarm =
            change_mix_update(mix, 0, id_of(some + category_of(rng, n)), rng_uniform(rng), &found);
    change_mix_free(mix);
    return (double)found.run;
}

static struct kept_row *measure(struct kept_runs *kept, const char *what, double asked, int n,
                                double (*run)(struct rng *rng, double of, double asked), double of)
{
    char name[80];
    snprintf(name, sizeof(name), "%s | %.0f", what, asked);
    struct kept_row *row = kept_row(kept, name);
    while (row && kept_wants(kept, row, n)) {
        struct rng rng = rng_of(kept_seed(row));
        kept_add(kept, row, run(&rng, of, asked));
    }
    return row && row->n >= 2 ? row : NULL;
}

static void print_row(const struct kept_row *row, double alarms, double mean, double low,
                      double high)
{
    printf("| %s | %.0f | %.0f | %.2f to %.2f |\n", row->name, alarms, mean, low, high);
    fflush(stdout);
}

/* The mean of runs, each learned anew. */
static void measure_runs(struct kept_runs *kept, const char *what, double asked, int n,
                         double (*run)(struct rng *rng, double of, double asked), double of)
{
    const struct kept_row *row = measure(kept, what, asked, n, run, of);
    if (!row)
        return;
    double mean = kept_mean(row), error = kept_error(row);
    print_row(row, row->n, mean, (mean - 2 * error) / asked, (mean + 2 * error) / asked);
}

/* Events of many references for each alarm of theirs. */
static void measure_references(struct kept_runs *kept, double asked, int n, double n_reference)
{
    char what[64];
    snprintf(what, sizeof(what), "numbers, references of %.0f", n_reference);
    const struct kept_row *row = measure(kept, what, asked, n / SPAN, alarms_of_shape, n_reference);
    if (!row || row->sum == 0)
        return;
    double mean = kept_mean(row), error = kept_error(row);
    print_row(row, row->sum, SPAN * asked / mean, SPAN / (mean + 2 * error),
              SPAN / (mean - 2 * error));
}

static void measure_all(struct kept_runs *kept, int n)
{
    static const double asked[] = {2000, 20000, 200000};
    static const double rates[] = {0.5, 0.1, 0.01};
    static const double references[] = {1000, 5000, 20000};
    static const double categories[] = {2, 10, 1000};
    char what[64];
    printf("| stream | asked | alarms | measured | of what was asked (95%%) |\n");
    printf("|---|---|---|---|---|\n");
    for (int a = 0; a < 3; a++) {
        for (int i = 0; i < 3; i++) {
            snprintf(what, sizeof(what), "rate %g, learned", rates[i]);
            measure_runs(kept, what, asked[a], n, run_of_rate, rates[i]);
        }
        measure_runs(kept, "mean of |normal|, learned", asked[a], n, run_of_mean, 0);
        measure_runs(kept, "mean of |Cauchy|, learned", asked[a], n, run_of_mean, 1);
        for (int i = 0; i < 3; i++) {
            snprintf(what, sizeof(what), "%.0f categories, learned", categories[i]);
            measure_runs(kept, what, asked[a], n, run_of_mix, categories[i]);
        }
        for (int i = 0; i < 3; i++)
            measure_references(kept, asked[a], n, references[i]);
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"alarms", required_argument, NULL, 'a'},  {"keep", required_argument, NULL, 'k'},
        {"limits", no_argument, NULL, 'l'},        {"mean-limits", no_argument, NULL, 'm'},
        {"seconds", required_argument, NULL, 's'}, {0}};
    const char *path = NULL;
    int alarms = ALARMS, seconds = 0;
    bool limits = false, mean_limits = false;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'a':
            alarms = atoi(optarg);
            break;
        case 'k':
            path = optarg;
            break;
        case 'l':
            limits = true;
            break;
        case 'm':
            mean_limits = true;
            break;
        case 's':
            seconds = atoi(optarg);
            break;
        default:
            return 2;
        }
    }
    struct kept_runs *kept = kept_open(path, seconds);
    if (!kept)
        return 1;
    if (!limits && !mean_limits)
        measure_all(kept, alarms);
    for (int i = 0; limits && i < 2 * N_LIMITS; i++)
        print_limit(kept, i < N_LIMITS, i % N_LIMITS);
    for (int i = 0; mean_limits && i < N_MEAN_LIMITS; i++)
        print_mean_limit(kept, i, alarms);
    kept_close(kept);
    return 0;
}
