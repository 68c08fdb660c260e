/*
 * The score process S with S(t) normal of variance t and independent increments: its density among
 * the runs that have not stopped yet, on a Simpson grid from -SPAN to the last bound.
 */
#include "stats/group_sequential.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "stats/distribution.h"

enum {
    POINTS = 801, /* odd, for Simpson */
    BISECTIONS = 80
};
static const double SPAN = 8; /* standard deviations */

struct grid {
    double s[POINTS];
    double mass[POINTS]; /* density times Simpson weight */
};

static void grid_set(struct grid *grid, double from, double to)
{
    double step = (to - from) / (POINTS - 1);
    for (int i = 0; i < POINTS; i++) {
        grid->s[i] = from + i * step;
        grid->mass[i] = step / 3 * (i == 0 || i == POINTS - 1 ? 1 : i % 2 ? 4 : 2);
    }
}

/* Probability that the process, not stopped so far, stands above s after dt more. */
static double exceed(const struct grid *grid, double dt, double s)
{
    double sum = 0;
    for (int i = 0; i < POINTS; i++)
        sum += grid->mass[i] * normal_sf((s - grid->s[i]) / sqrt(dt));
    return sum;
}

static double solve(const struct grid *grid, double dt, double t, double spend)
{
    double low = -SPAN * sqrt(t), high = SPAN * sqrt(t);
    for (int i = 0; i < BISECTIONS; i++) {
        double middle = 0.5 * (low + high);
        if (exceed(grid, dt, middle) > spend)
            low = middle;
        else
            high = middle;
    }
    return 0.5 * (low + high);
}

static void advance(const struct grid *from, double dt, struct grid *to)
{
    for (int j = 0; j < POINTS; j++) {
        double density = 0;
        for (int i = 0; i < POINTS; i++)
            density += from->mass[i] * normal_pdf((to->s[j] - from->s[i]) / sqrt(dt));
        to->mass[j] *= density / sqrt(dt);
    }
}

int group_sequential_bounds(const double *fractions, size_t n, double alpha, double power,
                            double *z_bounds, double *alpha_spent)
{
    if (!(alpha > 0 && alpha <= 0.5) || !(power > 0))
        return -EINVAL;
    for (size_t k = 0; k < n; k++)
        if (!(fractions[k] > (k ? fractions[k - 1] : 0)) || fractions[k] > 1)
            return -EINVAL;
    AUTO_FREE struct grid *grids = calloc(2, sizeof(*grids));
    if (!grids)
        return -ENOMEM;

    struct grid *now = &grids[0], *next = &grids[1];
    double spent = 0, t = 0, bound;
    for (size_t k = 0; k < n; k++) {
        double target = alpha * pow(fractions[k], power), dt = fractions[k] - t;
        alpha_spent[k] = target;
        if (k == 0)
            bound = normal_isf(target) * sqrt(fractions[0]);
        else
            bound = solve(now, dt, fractions[k], target - spent);
        z_bounds[k] = bound / sqrt(fractions[k]);
        grid_set(next, -SPAN * sqrt(fractions[k]), bound);
        if (k == 0) {
            for (int i = 0; i < POINTS; i++)
                next->mass[i] *= normal_pdf(next->s[i] / sqrt(dt)) / sqrt(dt);
        } else {
            advance(now, dt, next);
        }
        struct grid *swap = now;
        now = next;
        next = swap;
        spent = target;
        t = fractions[k];
    }
    return 0;
}
