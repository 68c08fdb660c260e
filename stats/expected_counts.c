#include "stats/expected_counts.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "common/cleanup.h"

enum {
    MOST_POINTS = 24, /* of the grid, for one count */
    ROUNDS = 100
};
#define STEP 0.25    /* of sqrt(mean) */
#define FIRST 0.0625 /* sqrt(mean) of the first point */
#define LARGE 1e6    /* from there on normal in sqrt(mean); logarithms would lose digits */
#define BELOW 3.0    /* in sqrt(mean) */
#define ABOVE 2.5

/* A count, how many categories have it, and how probable the points near it make it. */
struct seen {
    double count, n;
    double point; /* the first one's number */
    size_t first; /* its place in the law, which has no room for points that are near no count */
    size_t n_points;
    double p[MOST_POINTS];
};

static double mean_at(const struct seen *seen, size_t i)
{
    const double root = FIRST + STEP * (seen->point + (double)i);
    return root * root;
}

static void weigh(struct seen *seen)
{
    const double root = sqrt(seen->count);
    int sign;
    seen->point = ceil((fmax(root - BELOW, FIRST) - FIRST) / STEP);
    const double n = floor((root + ABOVE - FIRST) / STEP) - seen->point + 1;
    seen->n_points = n < MOST_POINTS ? (size_t)n : MOST_POINTS;
    for (size_t i = 0; i < seen->n_points; i++) {
        const double mean = mean_at(seen, i), apart = sqrt(mean) - root;
        seen->p[i] = seen->count > LARGE
                         ? exp(-2 * apart * apart)
                         : exp(seen->count * log(mean) - mean - lgamma_r(seen->count + 1, &sign)) /
                               -expm1(-mean);
    }
}

/* Gives the points of all counts their places; returns how many there are. */
static size_t place(struct seen *seen, size_t n_seen)
{
    size_t end = seen[0].n_points;
    seen[0].first = 0;
    for (size_t k = 1; k < n_seen; k++) {
        const double behind = seen[k - 1].point + (double)seen[k - 1].n_points;
        seen[k].first = seen[k].point < behind ? end - (size_t)(behind - seen[k].point) : end;
        end = seen[k].first + seen[k].n_points;
    }
    return end;
}

static double sum_of(const struct seen *seen, const double *law)
{
    double sum = 0;
    for (size_t i = 0; i < seen->n_points; i++)
        sum += seen->p[i] * law[seen->first + i];
    return sum;
}

/* One round of EM: what each point has of the categories becomes the law. */
static void improve(const struct seen *seen, size_t n_seen, double *law, double *next, size_t n)
{
    for (size_t i = 0; i < n; i++)
        next[i] = 0;
    for (size_t k = 0; k < n_seen; k++) {
        const double share = seen[k].n / sum_of(&seen[k], law);
        for (size_t i = 0; i < seen[k].n_points; i++)
            next[seen[k].first + i] += share * seen[k].p[i] * law[seen[k].first + i];
    }
    for (size_t i = 0; i < n; i++)
        law[i] = next[i];
}

static double mean_of(const struct seen *seen, const double *law)
{
    double sum = 0;
    for (size_t i = 0; i < seen->n_points; i++)
        sum += seen->p[i] * law[seen->first + i] * mean_at(seen, i);
    return sum / sum_of(seen, law);
}

int expected_counts(double *expected, const uint64_t *counts, size_t n_all)
{
    size_t n_seen = 0;
    if (n_all == 0)
        return 0;
    for (size_t i = 0; i < n_all; i++)
        n_seen += i == 0 || counts[i] != counts[i - 1];
    AUTO_FREE struct seen *seen = malloc(n_seen * sizeof(*seen));
    if (!seen)
        return -ENOMEM;
    n_seen = 0;
    for (size_t i = 0; i < n_all; i++) {
        if (i == 0 || counts[i] != counts[i - 1]) {
            seen[n_seen] = (struct seen){.count = (double)counts[i]};
            weigh(&seen[n_seen++]);
        }
        seen[n_seen - 1].n++;
    }
    const size_t n_points = place(seen, n_seen);
    AUTO_FREE double *law = malloc(2 * n_points * sizeof(*law));
    if (!law)
        return -ENOMEM;
    for (size_t i = 0; i < n_points; i++)
        law[i] = 1;
    for (int round = 0; round < ROUNDS; round++)
        improve(seen, n_seen, law, law + n_points, n_points);
    for (size_t i = 0, k = 0; i < n_all; i++) {
        k += (double)counts[i] != seen[k].count;
        expected[i] = i && counts[i] == counts[i - 1] ? expected[i - 1] : mean_of(&seen[k], law);
    }
    return 0;
}
