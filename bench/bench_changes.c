/*
 * How long detectors of changes run between two false alarms, against what was asked; and how soon
 * a change is found.
 *
 *     bench_changes [SCALE [SEED]]   the tables of docs/statistics.md; SCALE times as many alarms
 *     bench_changes --delays [SEED]  the last table alone (ten minutes and more)
 *     bench_changes --limits         the numbers of stats/change_shape_limits.h
 *
 * Every run is the real detector's, from its start to its alarm. A reference serves one run: it is
 * drawn from the same law as the events.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/rng.h"
#include "stats/change_rate.h"
#include "stats/change_shape.h"
#include "stats/change_shape_limits.h"

enum {
    MAX_REFERENCE = 20000
};

struct mean {
    double sum, squares;
    int n;
};

static void mean_add(struct mean *mean, double x)
{
    mean->sum += x;
    mean->squares += x * x;
    mean->n++;
}

static double mean_of(const struct mean *mean)
{
    return mean->sum / mean->n;
}

static double error_of(const struct mean *mean)
{
    double m = mean_of(mean);
    return sqrt((mean->squares / mean->n - m * m) / mean->n);
}

/* --- limits --- */

/* Mean run at a limit, with a reference so large that its ranks are the true ones. */
static double run_at(struct rng *rng, double limit, bool both, int runs)
{
    struct change_shape shape;
    struct change_found found;
    change_shape_init(&shape, LIMITS_FIRST, 1e15, (double)NAN);
    change_shape_set_limit(&shape, limit);
    if (!both) {
        shape.limit_short = limit;
        shape.limit_long = (double)INFINITY;
    }
    double events = 0;
    for (int alarms = 0; alarms < runs; events++)
        alarms += change_shape_update(&shape, 0, (unsigned)rng_below(rng, SHAPE_BINS), 0, &found);
    return events / runs;
}

/* One decade more of events takes ln(10) × 2 / π² more of the distance; twice corrected. */
static void print_limits(bool both)
{
    const double per_decade = log(10) * 2 / (M_PI * M_PI);
    struct rng rng = rng_of(1);
    double limit = 1;
    printf("static const double limits_%s[N_LIMITS] = {", both ? "both" : "short");
    for (int i = 0; i < N_LIMITS; i++) {
        double expected = LIMITS_FIRST * pow(10, (double)i / LIMITS_PER_DECADE);
        if (i == N_LIMITS - 1) { /* by the law's tail */
            printf(", %.4f", limit);
            break;
        }
        int runs = expected < 2e4 ? 4000 : expected < 2e5 ? 600 : 100;
        for (int round = 0; round < 2; round++)
            limit += per_decade * log10(expected / run_at(&rng, limit, both, runs));
        printf("%s%.4f", i ? ", " : "", limit);
        fflush(stdout);
        limit += per_decade / LIMITS_PER_DECADE;
    }
    printf("};\n");
}

/* --- measured runs --- */

static void print_row(const char *what, double asked, const struct mean *runs)
{
    double mean = mean_of(runs), error = error_of(runs);
    printf("| %s | %.0f | %d | %.0f | %.2f to %.2f |\n", what, asked, runs->n, mean,
           (mean - 2 * error) / asked, (mean + 2 * error) / asked);
    fflush(stdout);
}

static void measure_rate(struct rng *rng, double p, double asked, int n)
{
    struct mean runs = {0};
    struct change_rate rate;
    struct change_found found;
    change_rate_init(&rate, asked);
    while (runs.n < n)
        if (change_rate_update(&rate, 0, rng_uniform(rng) < p, &found, NULL))
            mean_add(&runs, (double)found.run);
    char what[64];
    snprintf(what, sizeof(what), "rate %g, learned", p);
    print_row(what, asked, &runs);
}

/* The rank of a value among a sorted reference. */
static double rank_of(const double *sorted, size_t n, double x)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sorted[middle] <= x)
            low = middle + 1;
        else
            high = middle;
    }
    return (double)low / (double)n;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure_shape(struct rng *rng, size_t n_reference, double asked, int n)
{
    static double sorted[MAX_REFERENCE];
    struct mean runs = {0};
    struct change_found found;
    while (runs.n < n) {
        struct change_shape shape;
        for (size_t i = 0; i < n_reference; i++)
            sorted[i] = rng_uniform(rng);
        qsort(sorted, n_reference, sizeof(sorted[0]), compare);
        change_shape_init(&shape, asked, (double)n_reference, (double)NAN);
        for (;;) {
            double rank = rank_of(sorted, n_reference, rng_uniform(rng));
            unsigned bin = rank >= 1 ? SHAPE_BINS - 1 : (unsigned)(rank * SHAPE_BINS);
            if (change_shape_update(&shape, 0, bin, 0, &found))
                break;
        }
        mean_add(&runs, (double)found.run);
    }
    char what[64];
    snprintf(what, sizeof(what), "numbers, reference of %zu", n_reference);
    print_row(what, asked, &runs);
}

/* --- how soon --- */

static void measure_delay(struct rng *rng, double p, double changed, double asked)
{
    struct mean delays = {0};
    for (int i = 0; i < 200; i++) {
        struct change_rate rate;
        struct change_found found;
        double delay = 0;
        change_rate_init(&rate, asked);
        for (uint64_t k = 0; k < 2 * rate.learn; k++)
            change_rate_update(&rate, 0, rng_uniform(rng) < p, &found, NULL);
        while (!change_rate_update(&rate, 0, rng_uniform(rng) < changed, &found, NULL))
            delay++;
        mean_add(&delays, delay + 1);
    }
    printf("| rate %g → %g | %.0f | %.0f |\n", p, changed, asked, mean_of(&delays));
}

static void measure_shift(struct rng *rng, double shift, double asked)
{
    struct mean delays = {0};
    for (int i = 0; i < 200; i++) {
        struct change_shape shape;
        struct change_found found;
        double delay = 0;
        bool alarmed = false;
        change_shape_init(&shape, asked, 1e9, (double)NAN);
        for (int k = 0; k < 1000; k++)
            change_shape_update(&shape, 0, (unsigned)rng_below(rng, SHAPE_BINS), 0, &found);
        for (; !alarmed; delay++) {
            double rank = 0.5 * erfc(-(rng_normal(rng) + shift) / sqrt(2));
            unsigned bin = rank >= 1 ? SHAPE_BINS - 1 : (unsigned)(rank * SHAPE_BINS);
            alarmed = change_shape_update(&shape, 0, bin, 0, &found);
        }
        mean_add(&delays, delay);
    }
    printf("| normal values shifted by %g standard deviations | %.0f | %.0f |\n", shift, asked,
           mean_of(&delays));
}

static void measure_delays(struct rng *rng)
{
    static const double asked[] = {20000, 200000};
    printf("| change | asked | found after events |\n|---|---|---|\n");
    for (int a = 0; a < 2; a++) {
        measure_delay(rng, 0.1, 0.2, asked[a]);
        measure_delay(rng, 0.1, 0.13, asked[a]);
        measure_delay(rng, 0.01, 0.03, asked[a]);
        measure_shift(rng, 1, asked[a]);
        measure_shift(rng, 0.25, asked[a]);
    }
}

static void measure_all(double scale, uint64_t seed)
{
    static const double asked[] = {2000, 20000, 200000};
    static const double rates[] = {0.5, 0.1, 0.01};
    static const size_t references[] = {1000, 5000, 20000};
    struct rng rng = rng_of(seed);
    printf("| stream | asked | alarms | measured | of what was asked (95%%) |\n");
    printf("|---|---|---|---|---|\n");
    for (int a = 0; a < 3; a++) {
        int n = (int)(scale * (a == 2 ? 100 : 400));
        for (int i = 0; i < 3; i++)
            measure_rate(&rng, rates[i], asked[a], n);
        for (int i = 0; i < 3; i++)
            measure_shape(&rng, references[i], asked[a], n);
    }
    printf("\n");
    measure_delays(&rng);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--limits") == 0) {
        print_limits(true);
        print_limits(false);
        return 0;
    }
    if (argc > 1 && strcmp(argv[1], "--delays") == 0) {
        struct rng rng = rng_of(argc > 2 ? strtoull(argv[2], NULL, 10) : 1);
        measure_delays(&rng);
        return 0;
    }
    measure_all(argc > 1 ? strtod(argv[1], NULL) : 1, argc > 2 ? strtoull(argv[2], NULL, 10) : 1);
    return 0;
}
