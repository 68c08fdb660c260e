/*
 * A sliding Fisher test against our CUSUM, where zeros and ones change their share: the run they
 * reach without a change, and how soon each finds one.
 *
 *     bench_fisher [ASKED [RUNS]]   the table of docs/statistics.md, "And a sliding Fisher test?"
 *
 * The test is played as Alibi Detect 0.12 describes FETDriftOnline: after every event 1 - p of
 * Fisher's test between each of its last windows and a reference, smoothed by 0.99, the largest of
 * them against one threshold. The threshold is simulated: the lowest at which the mean run is as
 * asked. Both know the level: the reference has exactly its share of ones, and events have that
 * probability until they change.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/rng.h"
#include "stats/change_rate.h"

enum {
    REFERENCE = 10000,
    MAX_WINDOWS = 4,
    MAX_WINDOW = 2048,
    BEFORE = 2 * MAX_WINDOW, /* events before a change */
    MAX_RUN = 50             /* × asked: longer runs are cut */
};
static const double SMOOTHING = 0.99;

struct fisher {
    int n_windows;
    int sizes[MAX_WINDOWS];
    double *strange[MAX_WINDOWS]; /* 1 - p by how many ones the window has */
    double threshold;
    /* of the run */
    long n;
    int ones[MAX_WINDOWS];
    double smooth[MAX_WINDOWS];
    bool ring[MAX_WINDOW];
};

static double log_choose(double n, double k)
{
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1);
}

/* p of `ones` in a window of `size` against `reference_ones` of REFERENCE, by the hypergeometric
   law: as many or more; or all that are no more probable. */
static double p_of(int ones, int size, double reference_ones, bool two_sided)
{
    const double all = log_choose(REFERENCE + size, size), total = reference_ones + ones;
    double p = 0, own = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int k = 0; k <= size && k <= total; k++) {
            double chance =
                exp(log_choose(total, k) + log_choose(REFERENCE + size - total, size - k) - all);
            if (pass == 0 && k == ones)
                own = chance;
            if (pass == 1 && (two_sided ? chance <= own * (1 + 1e-7) : k >= ones))
                p += chance;
        }
    return fmin(p, 1);
}

static void fisher_open(struct fisher *fisher, const int *sizes, double p, bool two_sided)
{
    *fisher = (struct fisher){0};
    for (; fisher->n_windows < MAX_WINDOWS && sizes[fisher->n_windows]; fisher->n_windows++) {
        const int size = sizes[fisher->n_windows];
        double *strange = malloc(sizeof(double) * ((size_t)size + 1));
        if (!strange)
            abort();
        for (int k = 0; k <= size; k++)
            strange[k] = 1 - p_of(k, size, p * REFERENCE, two_sided);
        fisher->sizes[fisher->n_windows] = size;
        fisher->strange[fisher->n_windows] = strange;
    }
}

static void fisher_close(struct fisher *fisher)
{
    for (int i = 0; i < fisher->n_windows; i++)
        free(fisher->strange[i]);
}

static void fisher_start(struct fisher *fisher)
{
    fisher->n = 0;
    memset(fisher->ones, 0, sizeof(fisher->ones));
}

/* Is it an alarm? */
static bool fisher_update(struct fisher *fisher, bool one)
{
    double largest = 0;
    for (int i = 0; i < fisher->n_windows; i++) {
        const long size = fisher->sizes[i];
        if (fisher->n >= size)
            fisher->ones[i] -= fisher->ring[(fisher->n - size) % MAX_WINDOW];
        fisher->ones[i] += one;
        if (fisher->n + 1 < size)
            continue;
        double now = fisher->strange[i][fisher->ones[i]];
        fisher->smooth[i] =
            fisher->n + 1 == size ? now : (1 - SMOOTHING) * fisher->smooth[i] + SMOOTHING * now;
        largest = fmax(largest, fisher->smooth[i]);
    }
    fisher->ring[fisher->n++ % MAX_WINDOW] = one;
    return largest >= fisher->threshold;
}

/* --- either of the two --- */

struct detector {
    struct fisher *fisher; /* NULL: the CUSUM */
    struct change_rate fresh, rate;
};

static void start(struct detector *detector)
{
    if (detector->fisher)
        fisher_start(detector->fisher);
    else
        detector->rate = detector->fresh;
}

static bool update(struct detector *detector, bool one)
{
    struct change_found found;
    return detector->fisher ? fisher_update(detector->fisher, one)
                            : change_rate_update(&detector->rate, 0, one, &found, NULL) == 1;
}

static double mean_run(struct detector *detector, double p, double asked, int runs)
{
    struct rng rng = rng_of(1);
    double events = 0;
    for (int i = 0; i < runs; i++) {
        long n = 0;
        start(detector);
        do
            n++;
        while (!update(detector, rng_uniform(&rng) < p) && (double)n < MAX_RUN * asked);
        events += (double)n;
    }
    return events / runs;
}

static double mean_delay(struct detector *detector, double p, double changed, double asked,
                         int runs)
{
    struct rng rng = rng_of(2);
    double events = 0;
    for (int i = 0; i < runs; i++) {
        long n = 0;
        start(detector);
        for (int k = 0; k < BEFORE; k++)
            if (update(detector, rng_uniform(&rng) < p))
                start(detector), k = 0;
        do
            n++;
        while (!update(detector, rng_uniform(&rng) < changed) && (double)n < MAX_RUN * asked);
        events += (double)n;
    }
    return events / runs;
}

/* Is the mean run as long as asked? Not asked further once it is. */
static bool runs_long(struct detector *detector, double p, double asked, int runs)
{
    struct rng rng = rng_of(1);
    double left = asked * runs;
    for (int i = 0; i < runs && left > 0; i++) {
        start(detector);
        do
            left--;
        while (!update(detector, rng_uniform(&rng) < p) && left > 0);
    }
    return left <= 0;
}

/* The lowest threshold with the run that is asked for, by the decimal digits of 1 - threshold. */
static void calibrate(struct detector *detector, double p, double asked, int runs)
{
    double low = 1, high = 14;
    for (int i = 0; i < 14; i++) {
        double middle = (low + high) / 2;
        detector->fisher->threshold = 1 - pow(10, -middle);
        if (runs_long(detector, p, asked, runs))
            high = middle;
        else
            low = middle;
    }
    detector->fisher->threshold = 1 - pow(10, -high);
}

/* --- the table --- */

enum {
    N_DETECTORS = 3 /* two choices of windows, and the CUSUM */
};

/* Around a known level; one side alone runs twice as long as both together. What the detector adds
   to what it is asked (512 events in which it looks whether a change is over, and 8 %) is taken off.
 */
static void cusum_open(struct detector *detector, double p, bool two_sided, double asked)
{
    const double n = 1e9, own = ((two_sided ? asked : asked / 2) + 512) / 1.08;
    *detector = (struct detector){0};
    if (change_rate_init_level(&detector->fresh, own, n, p * n, NULL))
        abort();
    if (!two_sided)
        detector->fresh.down.miss = 0;
}

static void print_rows(double p, const double *changed, bool two_sided, double asked, int runs)
{
    static const int windows[][MAX_WINDOWS] = {{64, 512}, {32, 128, 512, 2048}};
    struct fisher fishers[N_DETECTORS - 1];
    struct detector detectors[N_DETECTORS];
    double reached[N_DETECTORS];
    for (int d = 0; d < N_DETECTORS - 1; d++) {
        fisher_open(&fishers[d], windows[d], p, two_sided);
        detectors[d] = (struct detector){.fisher = &fishers[d]};
        calibrate(&detectors[d], p, asked, runs);
    }
    cusum_open(&detectors[N_DETECTORS - 1], p, two_sided, asked);
    for (int d = 0; d < N_DETECTORS; d++)
        reached[d] = mean_run(&detectors[d], p, asked, runs);
    for (; *changed > 0; changed++) {
        if (!two_sided && *changed < p)
            continue;
        printf("| %g → %g | %s |", p, *changed, two_sided ? "two" : "one");
        for (int d = 0; d < N_DETECTORS; d++)
            printf(" %.0f: %.0f |", reached[d],
                   mean_delay(&detectors[d], p, *changed, asked, runs));
        printf("\n");
        fflush(stdout);
    }
    for (int d = 0; d < N_DETECTORS - 1; d++)
        fisher_close(&fishers[d]);
}

int main(int argc, char **argv)
{
    static const struct {
        double p, changed[6];
    } rows[] = {{0.5, {0.4, 0.55, 0.6, 0.7}},
                {0.1, {0.05, 0.13, 0.15, 0.2, 0.3}},
                {0.01, {0.002, 0.015, 0.02, 0.03, 0.05}}};
    const double asked = argc > 1 ? strtod(argv[1], NULL) : 20000;
    const int runs = argc > 2 ? atoi(argv[2]) : 400;
    printf("asked %.0f; run that is reached: events until the change is found\n\n", asked);
    printf("| share | sides | Fisher 64, 512 | Fisher 32, 128, 512, 2048 | CUSUM |\n"
           "|---|---|---|---|---|\n");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (int two_sided = 0; two_sided < 2; two_sided++)
            print_rows(rows[i].p, rows[i].changed, two_sided, asked, runs);
    return 0;
}
