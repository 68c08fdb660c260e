#include "stats/moments.h"

#include <math.h>

void moments_update(struct moments *moments, double value)
{
    double distance = value - moments->mean;
    moments->n++;
    moments->mean += distance / (double)moments->n;
    moments->m2 += distance * (value - moments->mean);
}

void moments_merge(struct moments *into, const struct moments *from)
{
    if (from->n == 0)
        return;
    if (into->n == 0) {
        *into = *from;
        return;
    }
    double n_into = (double)into->n, n_from = (double)from->n, n = n_into + n_from;
    double distance = from->mean - into->mean;
    into->m2 += from->m2 + distance * distance * (n_into * (n_from / n));
    into->mean += distance * (n_from / n);
    into->n += from->n;
}

double moments_variance(const struct moments *moments)
{
    return moments->n < 2 ? (double)NAN : moments->m2 / (double)(moments->n - 1);
}

struct moments moments_of_sums(int64_t n, double sum, double sum_squares)
{
    if (n <= 0)
        return (struct moments){0};
    long double mean = (long double)sum / n;
    long double m2 = (long double)sum_squares - mean * sum;
    return (struct moments){n, (double)mean, m2 > 0 ? (double)m2 : 0};
}

void pair_update(struct pair_moments *moments, double y, double x)
{
    double distance_x = x - moments->x.mean;
    moments_update(&moments->x, x);
    moments_update(&moments->y, y);
    moments->cross += distance_x * (y - moments->y.mean);
}

void pair_merge(struct pair_moments *into, const struct pair_moments *from)
{
    if (from->y.n == 0)
        return;
    if (into->y.n > 0) {
        double n_into = (double)into->y.n, n_from = (double)from->y.n;
        into->cross += from->cross + (from->x.mean - into->x.mean) * (from->y.mean - into->y.mean) *
                                         (n_into * (n_from / (n_into + n_from)));
    } else {
        into->cross = from->cross;
    }
    moments_merge(&into->x, &from->x);
    moments_merge(&into->y, &from->y);
}

double pair_covariance(const struct pair_moments *moments)
{
    return moments->y.n < 2 ? (double)NAN : moments->cross / (double)(moments->y.n - 1);
}

struct pair_moments pair_of_sums(int64_t n, double y_sum, double y_squares, double x_sum,
                                 double x_squares, double xy_sum)
{
    if (n <= 0)
        return (struct pair_moments){0};
    long double cross = (long double)xy_sum - (long double)x_sum / n * y_sum;
    return (struct pair_moments){
        .y = moments_of_sums(n, y_sum, y_squares),
        .x = moments_of_sums(n, x_sum, x_squares),
        .cross = (double)cross,
    };
}
