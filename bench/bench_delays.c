/*
 * How soon a change is found, in events: by the event, and for numbers also by windows that drift
 * is judged in, at the same rate of false alarms.
 *
 *     bench_delays [RUNS [SEED]]   those of docs/statistics.md, "How soon a change is found"
 *
 * Windows hold a thousand or ten thousand events each (an hour of them, say), and a hundredth of
 * them may alarm without drift: Kolmogorov–Smirnov's test of each against the reference. Detectors
 * by the event are asked for a false alarm in a hundred times as many events. A change comes at any
 * place of a window, and is found at the end of the first that alarms.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/sorted_reference.h"
#include "common/rng.h"
#include "stats/change_mean.h"
#include "stats/change_rate.h"
#include "stats/change_shape.h"
#include "stats/distribution.h"

enum {
    REFERENCE = 10000,
    MAX_WINDOW = 10000,
    BEFORE = 1000,
    ENOUGH = 100 /* windows without an alarm: given up */
};

/* --- rates and means --- */

static double delay_of_rate(struct rng *rng, double p, double changed, double asked)
{
    struct change_rate rate;
    struct change_found found;
    double delay = 0;
    change_rate_init(&rate, asked);
    for (uint64_t k = 0; k < 2 * rate.learn; k++)
        if (change_rate_update(&rate, 0, rng_uniform(rng) < p, &found, NULL))
            k = 0; /* a false alarm: once more */
    do
        delay++;
    while (!change_rate_update(&rate, 0, rng_uniform(rng) < changed, &found, NULL));
    return delay;
}

static double delay_of_mean(struct rng *rng, double p, double times, double asked)
{
    struct change_mean mean;
    struct change_found found;
    double delay = 0;
    (void)p;
    change_mean_init(&mean, asked);
    for (uint64_t k = 0; k < 2 * mean.learn; k++)
        if (change_mean_update(&mean, 0, fabs(rng_normal(rng)), 0, &found, NULL))
            k = 0; /* as above */
    do
        delay++;
    while (!change_mean_update(&mean, 0, times * fabs(rng_normal(rng)), 0, &found, NULL));
    change_mean_finish(&mean);
    return delay;
}

static double mean_of(double (*delay)(struct rng *, double, double, double), struct rng *rng,
                      double p, double changed, double asked, int runs)
{
    double sum = 0;
    for (int i = 0; i < runs; i++)
        sum += delay(rng, p, changed, asked);
    return sum / runs;
}

static void print_rates_and_means(struct rng *rng, int runs)
{
    static const double asked[] = {20000, 200000};
    static const struct {
        double before, after; /* before 0: errors grow so many times */
    } rows[] = {{0.1, 0.2}, {0.1, 0.13}, {0.01, 0.03}, {0, 2}, {0, 1.5}, {0, 1.2}};
    printf("| change | found after, of 20,000 | of 200,000 |\n|---|---|---|\n");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool is_rate = rows[i].before > 0;
        if (is_rate)
            printf("| rate %g → %g |", rows[i].before, rows[i].after);
        else
            printf("| mae of normal errors × %g |", rows[i].after);
        for (int a = 0; a < 2; a++)
            printf(" %.0f |", mean_of(is_rate ? delay_of_rate : delay_of_mean, rng, rows[i].before,
                                      rows[i].after, asked[a], runs));
        printf("\n");
        fflush(stdout);
    }
}

/* --- distributions --- */

struct law {
    const char *name;
    double shift, spread;
};

static double draw(struct rng *rng, const struct law *law)
{
    return law->shift + law->spread * rng_normal(rng);
}

static bool shape_takes(struct change_shape *shape, const double *reference, double x)
{
    struct change_found found;
    unsigned bin = sorted_reference_bin(reference, REFERENCE, x);
    return change_shape_update(shape, 0, bin, 0, &found) == 1;
}

static double delay_by_event(struct rng *rng, const double *reference, const struct law *law,
                             double asked)
{
    static const struct law same = {"", 0, 1};
    struct change_shape shape;
    double delay = 0;
    change_shape_init(&shape, asked, REFERENCE, (double)NAN);
    for (int k = 0; k < BEFORE; k++)
        shape_takes(&shape, reference, draw(rng, &same));
    if (shape.changed) /* a false alarm: it would be silent for a while */
        change_shape_init(&shape, asked, REFERENCE, (double)NAN);
    do
        delay++;
    while (!shape_takes(&shape, reference, draw(rng, law)));
    return delay;
}

static bool window_alarms(double *values, int n, const double *reference, double rate)
{
    double ks = 0;
    sorted_reference_make(values, (size_t)n);
    for (int i = 0; i < n; i++) {
        double there = (double)sorted_reference_upto(reference, REFERENCE, values[i]) / REFERENCE;
        ks = fmax(ks, fmax(fabs((i + 1.0) / n - there), fabs((double)i / n - there)));
    }
    return ks_two_sample_p(ks, n, REFERENCE) <= rate;
}

static double delay_by_window(struct rng *rng, const double *reference, const struct law *law,
                              int size)
{
    static const struct law same = {"", 0, 1};
    static double values[MAX_WINDOW];
    const int before = (int)rng_below(rng, (uint64_t)size);
    double delay = 0;
    for (int window = 0; window < ENOUGH; window++) {
        for (int i = 0; i < size; i++)
            values[i] = draw(rng, window == 0 && i < before ? &same : law);
        delay += window == 0 ? size - before : size;
        if (window_alarms(values, size, reference, 0.01))
            break;
    }
    return delay;
}

static void print_distributions(struct rng *rng, int runs)
{
    static const int sizes[] = {1000, 10000};
    static const struct law laws[] = {{"mean by 0.25 standard deviations", 0.25, 1},
                                      {"mean by 0.5", 0.5, 1},
                                      {"mean by 1", 1, 1},
                                      {"variance × 2", 0, M_SQRT2},
                                      {"variance × 4", 0, 2}};
    static double reference[REFERENCE];
    printf("\n| change of a normal feature | events a window | by the event | by windows |\n"
           "|---|---|---|---|\n");
    for (size_t i = 0; i < sizeof(laws) / sizeof(laws[0]); i++)
        for (int s = 0; s < 2; s++) {
            double events = 0, windows = 0;
            for (int run = 0; run < runs; run++) {
                for (int k = 0; k < REFERENCE; k++)
                    reference[k] = rng_normal(rng);
                sorted_reference_make(reference, REFERENCE);
                events += delay_by_event(rng, reference, &laws[i], 100.0 * sizes[s]);
                windows += delay_by_window(rng, reference, &laws[i], sizes[s]);
            }
            printf("| %s | %d | %.0f | %.0f |\n", laws[i].name, sizes[s], events / runs,
                   windows / runs);
            fflush(stdout);
        }
}

int main(int argc, char **argv)
{
    const int runs = argc > 1 ? atoi(argv[1]) : 200;
    struct rng rng = rng_of(argc > 2 ? strtoull(argv[2], NULL, 10) : 1);
    print_rates_and_means(&rng, runs);
    print_distributions(&rng, runs);
    return 0;
}
