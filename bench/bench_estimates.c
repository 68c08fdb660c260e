/*
 * What the models fitted on a reference cost an event, by number of features; and how often the
 * reconstruction error alone, and the domain classifier alone, call a window drifted that did not
 * drift.
 *
 *     bench_estimates                                     costs
 *     bench_estimates promise N REFERENCES WINDOWS SEED [STREAM [FILE [SECONDS]]]   windows of N events, so many a
 *                                                                                   reference
 *
 * FILE keeps a line a reference, a play goes on where it stood; after SECONDS it stops (0: never). The table is of all in FILE.
 * STREAM: skewed (default: exponential values, eight categories of equal shares), normal, heavy (normal values
 * cubed and their exponentials), counts (small whole numbers, many of them 0; categories from 0.6 down to 0.001).
 * In all of them every third feature follows the one before it and every fifth is a category.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/expect.h"
#include "common/rng.h"

enum {
    N_REFERENCE = 10000,
    N_EVENTS = 20000,
    PROMISE_FEATURES = 10,
    MOST = 200
};

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

enum stream {
    SKEWED,
    NORMAL,
    HEAVY,
    COUNTS,
    N_STREAMS
};
static const char *const streams[N_STREAMS] = {"skewed", "normal", "heavy", "counts"};

static double draw_number(struct rng *rng, enum stream stream, uint32_t f)
{
    double z;
    switch (stream) {
    case NORMAL:
        return rng_normal(rng);
    case HEAVY:
        z = rng_normal(rng);
        return f % 2 ? exp(z) : z * z * z;
    case COUNTS:
        return floor(rng_exponential(rng, 1 + f % 4) * 0.7);
    default:
        return rng_exponential(rng, 1) - 1;
    }
}

static uint64_t draw_category(struct rng *rng, enum stream stream)
{
    if (stream != COUNTS)
        return 1 + rng_below(rng, 8);
    uint64_t category = 1; /* shares 0.6, 0.24, 0.096, … */
    while (category < 8 && rng_uniform(rng) > 0.6)
        category++;
    return category;
}

/* Every third feature follows the one before it, every fifth is a category. */
static void draw(struct rng *rng, enum stream stream, struct row_value *row, uint32_t k)
{
    for (uint32_t f = 0; f < k; f++) {
        double x = draw_number(rng, stream, f);
        if (f % 3 == 2 && !isnan(row[f - 1].number))
            x = 0.8 * row[f - 1].number + 0.2 * x;
        row[f] = (struct row_value){x, 0};
        if (f % 5 == 4)
            row[f] = (struct row_value){(double)NAN, draw_category(rng, stream)};
    }
}

struct fit {
    struct multivariate *components;
    struct dle *loss;
    struct row_value *rows;
};

static void fit_finish(struct fit *fit)
{
    multivariate_free(fit->components);
    dle_free(fit->loss);
    free(fit->rows);
}

static bool fit_on(struct fit *fit, struct rng *rng, enum stream stream, uint32_t k, bool with_loss)
{
    struct multivariate_feature features[MOST];
    struct dle_feature of_loss[MOST];
    double *errors = malloc(N_REFERENCE * sizeof(*errors));
    *fit = (struct fit){.rows = malloc((size_t)N_REFERENCE * k * sizeof(struct row_value))};
    if (!errors || !fit->rows)
        return false;
    for (uint32_t f = 0; f < k; f++) {
        features[f] = (struct multivariate_feature){.name_id = f + 1, .categorical = f % 5 == 4};
        of_loss[f] = (struct dle_feature){.name_id = f + 1, .categorical = f % 5 == 4};
    }
    for (int i = 0; i < N_REFERENCE; i++) {
        draw(rng, stream, fit->rows + (size_t)i * k, k);
        errors[i] = rng_exponential(rng, 1 + fabs(fit->rows[(size_t)i * k].number));
    }
    int rc = multivariate_fit(&fit->components, features, k, fit->rows, N_REFERENCE, NULL);
    if (!rc && with_loss)
        rc = dle_fit(&fit->loss, of_loss, k, fit->rows, errors, N_REFERENCE, NULL);
    free(errors);
    return rc == 0;
}

static void costs(uint32_t k)
{
    struct rng rng = rng_of(3);
    struct fit fit;
    double room[2 * MOST], coordinates[DOMAIN_COORDINATES], sum = 0;
    double best[3] = {1e30, 1e30, 1e30};
    int32_t terms[DOMAIN_TERMS];
    int64_t sums[DOMAIN_TERMS] = {0};
    const double start = now_ns();
    if (!fit_on(&fit, &rng, SKEWED, k, true))
        return;
    const double fitted = now_ns();
    const struct multivariate *components = fit.components;
    for (int run = 0; run < 5; run++) {
        double from = now_ns();
        for (int i = 0; i < N_EVENTS; i++)
            sum += multivariate_error(components, fit.rows + (size_t)(i % N_REFERENCE) * k, room);
        const double middle = now_ns();
        for (int i = 0; i < N_EVENTS; i++) {
            double absolute, square;
            dle_expect(fit.loss, fit.rows + (size_t)(i % N_REFERENCE) * k, &absolute, &square);
            sum += absolute;
        }
        const double last = now_ns();
        for (int i = 0; i < N_EVENTS; i++) {
            const struct row_value *row = fit.rows + (size_t)(i % N_REFERENCE) * k;
            const double error = multivariate_error(components, row, room);
            multivariate_coordinates(components, room, error, coordinates);
            domain_terms(components->domain, coordinates, terms);
            for (uint32_t t = 0; t < components->domain->n_terms; t++)
                sums[t] += terms[t];
        }
        best[0] = fmin(best[0], (middle - from) / N_EVENTS);
        best[1] = fmin(best[1], (last - middle) / N_EVENTS);
        best[2] = fmin(best[2], (now_ns() - last) / N_EVENTS);
    }
    const unsigned share = expect_share(components);
    printf("| %u | %u | %.0f | %.0f | 1 in %u | %.0f | %.0f | %.2f |\n", k,
           components->n_components, best[0], best[2], 1U << share, best[2] / (1U << share),
           best[1], (fitted - start) / 1e9);
    sum += (double)sums[0];
    if (sum == 0)
        puts("");
    fit_finish(&fit);
}

/* What one test called drifted, of windows that did not drift: sums over references, because the
   windows of one reference are no independent ones. */
struct alarms {
    double n, sum, square; /* of references; of shares of their windows */
};

static void count_reference(struct alarms *alarms, double share)
{
    alarms->n++;
    alarms->sum += share;
    alarms->square += share * share;
}

/* The share, and its upper limit at 99%: by the scatter of the references' shares. */
static void print_alarms(const char *test, int n, double rate, int windows,
                         const struct alarms *alarms)
{
    const double share = alarms->sum / alarms->n;
    const double variance = (alarms->square / alarms->n - share * share) / (alarms->n - 1);
    printf("| %s | %d | %g | %.0f | %.0f | %.4f | %.4f | %.2f |\n", test, n, rate, alarms->n,
           (double)windows, share, share + 2.326 * sqrt(fmax(variance, 0)), share / rate);
}

struct window {
    struct multivariate_window errors;
    int64_t sums[DOMAIN_TERMS];
};

static void draw_window(struct rng *rng, enum stream stream, const struct multivariate *model,
                        int n, struct window *out)
{
    struct row_value row[PROMISE_FEATURES];
    double room[PROMISE_FEATURES], coordinates[DOMAIN_COORDINATES];
    int32_t terms[DOMAIN_TERMS];
    *out = (struct window){0};
    for (int i = 0; i < n; i++) {
        draw(rng, stream, row, PROMISE_FEATURES);
        const double error = multivariate_error(model, row, room);
        multivariate_update(&out->errors, error, 1);
        multivariate_coordinates(model, room, error, coordinates);
        domain_terms(model->domain, coordinates, terms);
        for (uint32_t t = 0; t < model->domain->n_terms; t++)
            out->sums[t] += terms[t];
    }
}

enum {
    N_TESTS = 2,
    N_RATES = 2
};
static const double promised[N_RATES] = {0.01, 0.05};

/* What one reference's windows were called. */
struct calls {
    int windows, of[N_TESTS][N_RATES];
};

static bool play_reference(uint64_t seed, int n, enum stream stream, struct calls *calls)
{
    struct rng start = rng_of(seed), rng = rng_of(rng_u64(&start));
    struct fit fit;
    bool fine = fit_on(&fit, &rng, stream, PROMISE_FEATURES, false);
    for (int w = 0; fine && w < calls->windows; w++) {
        struct window window;
        draw_window(&rng, stream, fit.components, n, &window);
        for (int i = 0; i < N_RATES; i++) {
            double rate = promised[i];
            calls->of[0][i] += multivariate_result(fit.components, &window.errors, rate).drifted;
            calls->of[1][i] += domain_result(fit.components->domain, window.sums, n, rate).drifted;
        }
    }
    fit_finish(&fit);
    return fine;
}

struct play {
    int n, references, windows;
    uint64_t seed;
    enum stream stream;
    FILE *file;   /* NULL: nothing is kept */
    time_t until; /* 0: no limit */
};

static bool read_calls(FILE *file, struct calls *calls)
{
    return fscanf(file, "%d %d %d %d %d", &calls->windows, &calls->of[0][0], &calls->of[0][1],
                  &calls->of[1][0], &calls->of[1][1]) == 5;
}

static void write_calls(FILE *file, const struct calls *calls)
{
    fprintf(file, "%d %d %d %d %d\n", calls->windows, calls->of[0][0], calls->of[0][1],
            calls->of[1][0], calls->of[1][1]);
    fflush(file);
}

static void count_calls(struct alarms alarms[N_TESTS][N_RATES], const struct calls *calls)
{
    for (int i = 0; i < N_TESTS * N_RATES; i++) {
        int drifted = calls->of[i / N_RATES][i % N_RATES];
        count_reference(&alarms[i / N_RATES][i % N_RATES], (double)drifted / calls->windows);
    }
}

static int promise(const struct play *play)
{
    static const char *const tests[N_TESTS] = {"reconstruction_error", "domain_classifier"};
    struct alarms alarms[N_TESTS][N_RATES] = {0};
    struct calls calls;
    int played = 0, windows = 0;
    for (; play->file && read_calls(play->file, &calls); played++, windows += calls.windows)
        count_calls(alarms, &calls);
    for (; played < play->references && (!play->until || time(NULL) < play->until); played++) {
        calls = (struct calls){.windows = play->windows};
        if (!play_reference((play->seed << 32) + (uint64_t)played, play->n, play->stream, &calls))
            return 1;
        count_calls(alarms, &calls);
        windows += calls.windows;
        if (play->file)
            write_calls(play->file, &calls);
    }
    for (int i = 0; i < N_TESTS * N_RATES; i++)
        print_alarms(tests[i / N_RATES], play->n, promised[i % N_RATES], windows,
                     &alarms[i / N_RATES][i % N_RATES]);
    return 0;
}

static int promise_main(int argc, char **argv)
{
    struct play play = {.n = atoi(argv[2]),
                        .references = atoi(argv[3]),
                        .windows = atoi(argv[4]),
                        .seed = strtoull(argv[5], NULL, 10)};
    while (argc > 6 && play.stream < N_STREAMS && strcmp(argv[6], streams[play.stream]) != 0)
        play.stream++;
    if (play.stream == N_STREAMS)
        return fprintf(stderr, "%s: no stream; skewed, normal, heavy or counts\n", argv[6]), 64;
    if (argc > 7 && !(play.file = fopen(argv[7], "a+")))
        return perror(argv[7]), 74;
    int seconds = argc > 8 ? atoi(argv[8]) : 0;
    play.until = seconds > 0 ? time(NULL) + seconds : 0;
    int rc = promise(&play);
    if (play.file)
        fclose(play.file);
    return rc;
}

int main(int argc, char **argv)
{
    const uint32_t features[] = {10, 50, 200};
    if (argc >= 6 && strcmp(argv[1], "promise") == 0)
        return promise_main(argc, argv);
    puts("| features | components | ns an event looked at | with the domain classifier | looked at "
         "| "
         "ns an event | expected error, ns | fit, s |\n|---|---|---|---|---|---|---|---|");
    for (int i = 0; i < 3; i++)
        costs(features[i]);
    return 0;
}
