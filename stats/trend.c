#include "stats/trend.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "stats/distribution.h"

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double variance_of(const double *values, double *sorted, size_t n)
{
    double count = (double)n, variance = count * (count - 1) * (2 * count + 5);
    for (size_t i = 0; i < n; i++)
        sorted[i] = values[i];
    qsort(sorted, n, sizeof(double), by_value);
    for (size_t i = 0; i < n;) {
        size_t j = i;
        while (j < n && sorted[j] == sorted[i])
            j++;
        double ties = (double)(j - i);
        variance -= ties * (ties - 1) * (2 * ties + 5);
        i = j;
    }
    return variance / 18;
}

static double middle_of(double a, double b, double c)
{
    return fmax(fmin(a, b), fmin(fmax(a, b), c));
}

/*
 * Puts the k-th smallest of [from, to) in its place, what is not larger before it and what is not smaller behind: of a
 * thousand windows' 499,500 slopes four are wanted, and sorting all of them took most of a rule's look.
 * Hoare 1961, algorithm 65: FIND.
 */
static double place_rank(double *v, size_t from, size_t to, size_t k)
{
    while (to - from > 1) {
        const double pivot = middle_of(v[from], v[from + (to - from - 1) / 2], v[to - 1]);
        size_t i = from, j = to - 1;
        for (;;) {
            while (v[i] < pivot)
                i++;
            while (v[j] > pivot)
                j--;
            if (i >= j)
                break;
            const double swapped = v[i];
            v[i++] = v[j];
            v[j--] = swapped;
        }
        if (k <= j)
            to = j + 1;
        else
            from = j + 1;
    }
    return v[k];
}

static void slopes(const double *times, const double *values, size_t n, double *all,
                   double variance, struct trend *out)
{
    size_t n_slopes = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = i + 1; j < n; j++) {
            if (times[j] > times[i])
                all[n_slopes++] = (values[j] - values[i]) / (times[j] - times[i]);
        }
    }
    if (n_slopes == 0)
        return;
    const size_t middle = n_slopes / 2;
    out->slope = place_rank(all, 0, n_slopes, middle);
    if (n_slopes % 2 == 0)
        out->slope = (place_rank(all, 0, middle, middle - 1) + out->slope) / 2;
    double half = 1.959963984540054 * sqrt(variance), count = (double)n_slopes;
    double low = floor((count - half) / 2) - 1, high = ceil((count + half) / 2);
    out->lower = place_rank(all, 0, middle + 1, low < 0 ? 0 : (size_t)low);
    out->upper = place_rank(all, middle, n_slopes, high > count - 1 ? n_slopes - 1 : (size_t)high);
}

double trend_least_p(size_t n)
{
    double count = (double)n, pairs = count * (count - 1) / 2;
    return normal_sf((pairs - 1) / sqrt(count * (count - 1) * (2 * count + 5) / 18));
}

int trend_of(const double *times, const double *values, size_t n, struct trend *out)
{
    const double none = (double)NAN;
    *out = (struct trend){.z = none, .p_value = none, .slope = none, .lower = none, .upper = none};
    AUTO_FREE double *memory = malloc((2 * n + n * n / 2 + 1) * sizeof(double));
    if (!memory)
        return -ENOMEM;
    double *t = memory, *x = memory + n;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[i]))
            continue;
        t[out->n] = times[i];
        x[out->n++] = values[i];
    }
    for (size_t i = out->n; i > 1 && x[i - 1] < x[i - 2]; i--)
        out->declines++;
    if (out->n < 3)
        return 0;
    for (size_t i = 0; i < out->n; i++) {
        for (size_t j = i + 1; j < out->n; j++)
            out->s += (x[j] > x[i]) - (x[j] < x[i]);
    }
    double variance = variance_of(x, memory + 2 * n, out->n);
    out->z = variance > 0 && out->s != 0 ? (out->s - copysign(1, out->s)) / sqrt(variance) : 0;
    out->p_value = 2 * normal_sf(fabs(out->z));
    if (out->p_value > 1)
        out->p_value = 1;
    slopes(t, x, out->n, memory + 2 * n, variance, out);
    return 0;
}
