/*
 * What the models fitted on a reference cost an event, by number of features, and how often the
 * reconstruction error alone calls a window drifted that did not drift.
 *
 *     bench_estimates [windows]    default 4,000 windows of each size
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "collector/expect.h"
#include "common/rng.h"

enum {
    N_REFERENCE = 10000,
    N_EVENTS = 20000,
    EVERY = 20, /* windows a reference */
    MOST = 200
};

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Every third feature follows the one before it, every fifth is a category. */
static void draw(struct rng *rng, struct row_value *row, uint32_t k)
{
    for (uint32_t f = 0; f < k; f++) {
        double x = rng_exponential(rng, 1) - 1;
        if (f % 3 == 2)
            x = 0.8 * row[f - 1].number + 0.2 * x;
        row[f] = (struct row_value){x, 0};
        if (f % 5 == 4)
            row[f] = (struct row_value){(double)NAN, 1 + rng_below(rng, 8)};
    }
    for (uint32_t f = 2; f < k; f += 3)
        row[f].number = isnan(row[f].number) ? (double)NAN : row[f].number;
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

static bool fit_on(struct fit *fit, struct rng *rng, uint32_t k, bool with_loss)
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
        draw(rng, fit->rows + (size_t)i * k, k);
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
    double room[2 * MOST], sum = 0, best[2] = {1e30, 1e30};
    const double start = now_ns();
    if (!fit_on(&fit, &rng, k, true))
        return;
    const double fitted = now_ns();
    for (int run = 0; run < 5; run++) {
        double from = now_ns();
        for (int i = 0; i < N_EVENTS; i++)
            sum +=
                multivariate_error(fit.components, fit.rows + (size_t)(i % N_REFERENCE) * k, room);
        const double middle = now_ns();
        for (int i = 0; i < N_EVENTS; i++) {
            double absolute, square;
            dle_expect(fit.loss, fit.rows + (size_t)(i % N_REFERENCE) * k, &absolute, &square);
            sum += absolute;
        }
        best[0] = fmin(best[0], (middle - from) / N_EVENTS);
        best[1] = fmin(best[1], (now_ns() - middle) / N_EVENTS);
    }
    const unsigned share = expect_share(fit.components);
    printf("| %u | %u | %.0f | 1 in %u | %.0f | %.0f | %.2f |\n", k, fit.components->n_components,
           best[0], 1U << share, best[0] / (1U << share), best[1], (fitted - start) / 1e9);
    if (sum == 0)
        puts("");
    fit_finish(&fit);
}

static void false_alarms(int n, int windows)
{
    struct rng rng = rng_of(7);
    const double rates[] = {0.01, 0.05};
    int alarms[2] = {0, 0};
    struct row_value row[10];
    double room[20];
    struct fit fit = {0};
    for (int w = 0; w < windows; w++) {
        if (w % EVERY == 0) {
            fit_finish(&fit);
            if (!fit_on(&fit, &rng, 10, false))
                return;
        }
        struct multivariate_window window = {0};
        for (int i = 0; i < n; i++) {
            draw(&rng, row, 10);
            multivariate_update(&window, multivariate_error(fit.components, row, room), 1);
        }
        for (int r = 0; r < 2; r++)
            alarms[r] += multivariate_result(fit.components, &window, rates[r]).drifted;
    }
    for (int r = 0; r < 2; r++)
        printf("| %d | %g | %d | %.4f | %.2f |\n", n, rates[r], windows,
               (double)alarms[r] / windows, alarms[r] / (windows * rates[r]));
    fit_finish(&fit);
}

int main(int argc, char **argv)
{
    const int windows = argc > 1 ? atoi(argv[1]) : 4000;
    const uint32_t features[] = {10, 50, 200};
    const int sizes[] = {50, 500, 5000};
    puts("| features | components | ns an event looked at | looked at | ns an event | expected "
         "error, ns | fit, s |\n|---|---|---|---|---|---|---|");
    for (int i = 0; i < 3; i++)
        costs(features[i]);
    puts("\n| n | promise | windows | false alarms | of promise |\n|---|---|---|---|---|");
    for (int i = 0; i < 3; i++)
        false_alarms(sizes[i], windows);
    return 0;
}
