#include "stats/area_groups.h"

#include <math.h>

#define WITHIN 0.004     /* of variance, within the groups of exponential values */
#define SEEN_WITHIN 0.85 /* the rest is of values that most windows lack */
/* Fourth moments of the groups: of normal values 3, of a gamma law of 3 5, of exponential ones 8.5. */
#define LIGHT 4.5
#define MAYBE_HEAVY 8.5
#define HEAVY 12.5
#define SKEWED_ALONE 1.6 /* of a gamma law 1.5 */
#define HIDDEN 130       /* what is within groups is more than that to the fourth moment */

static void group_cells(struct area_groups *groups, const struct grid *grid, const double *counts,
                        const double *areas, uint64_t valid, double std)
{
    const double per_event = 1 / (double)valid;
    double last = 0;
    uint32_t used = 0, in_group = 0;
    for (uint32_t i = 0; i < grid->n_cuts; i++)
        used += counts[i] > 0;
    const uint32_t size = used / AREA_GROUPS_MOST + 1;
    double count = 0, sum = 0;
    groups->n = 0;
    for (uint32_t i = 0; i < grid->n_cuts; i++) {
        const double here = counts[i];
        if (here == 0)
            continue;
        count += here;
        sum += grid->cuts[i] * (here * per_event) - areas[i]; /* mean × share */
        used--;
        if (++in_group < size && used)
            continue;
        const double at = sum / (count * per_event);
        if (groups->n)
            groups->steps[groups->n - 1] = (at - last) / std;
        groups->counts[groups->n++] = count;
        last = at;
        count = sum = 0;
        in_group = 0;
    }
}

/*
 * Groups are points to the law, which cannot see what varies within one: of a tail's few groups that
 * is a part of the whole. Where few values make much of the variance, it walks there in smaller steps.
 */
static void look_at_tails(struct area_groups *groups, double m)
{
    double mean = 0, second = 0, third = 0, fourth = 0, at = 0;
    for (size_t i = 1; i < groups->n; i++) {
        at += groups->steps[i - 1];
        mean += groups->counts[i] * at / m;
    }
    at = -mean;
    for (size_t i = 0; i < groups->n; i++) {
        const double square = at * at, part = groups->counts[i] / m * square;
        second += part;
        third += part * at;
        fourth += part * square;
        at += i + 1 < groups->n ? groups->steps[i] : 0;
    }
    groups->within = SEEN_WITHIN * fmin(fmax(1 - second - WITHIN, 0), 1);
    const double tails = fourth + HIDDEN * groups->within;
    groups->fine_ends = tails > LIGHT;
    groups->kurtosis = fourth - 3;
    groups->heavy = fmin(fmax((tails - MAYBE_HEAVY) / (HEAVY - MAYBE_HEAVY), 0), 1);
    groups->peaked = groups->heavy * fmax(fourth - 3 - SKEWED_ALONE * third * third, 0);
}

void area_groups_make(struct area_groups *groups, const struct grid *grid, const double *counts,
                      const double *areas, uint64_t valid, double std)
{
    group_cells(groups, grid, counts, areas, valid, std);
    look_at_tails(groups, (double)valid);
}
