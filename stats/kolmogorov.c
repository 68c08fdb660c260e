#include "stats/kolmogorov.h"

#include <math.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "stats/distribution.h"

enum {
    SMIRNOV_TERMS = 4000, /* beyond, the finite sum gives way to its expansion */
    QUICK_TERMS = 200     /* … where many p-values are asked for at once */
};

/* P(D+ >= d), Birnbaum and Tingey's sum; all terms are positive. */
static double smirnov_sum(double n, double d)
{
    double sum = 0, log_n = lgamma(n + 1);
    int last = (int)floor(n * (1 - d));
    for (int j = 0; j <= last; j++) {
        double a = d + j / n, b = 1 - a;
        if (b <= 0)
            continue;
        sum +=
            exp(log_n - lgamma(j + 1.0) - lgamma(n - j + 1) + (j - 1) * log(a) + (n - j) * log(b));
    }
    return d * sum;
}

/* Maag, Dicaire 1971: right to O(1/n) relative in the tail. */
static double smirnov_expanded(double n, double d)
{
    double t = 6 * n * d + 1;
    return exp(-t * t / (18 * n));
}

/* P(D < z / sqrt(n)) by Pelz and Good's series in n^(-1/2). */
static double pelz_good(double n, double z)
{
    const double pi = 3.14159265358979323846, root = sqrt(pi / 2);
    double pi2 = pi * pi, pi4 = pi2 * pi2, pi6 = pi4 * pi2;
    double z2 = z * z, z4 = z2 * z2, z6 = z4 * z2;
    double k0 = 0, k1 = 0, k2 = 0, k2b = 0, k3 = 0, k3b = 0;
    for (int k = 0; k <= 20; k++) {
        double h = k + 0.5, h2 = h * h, e = exp(-pi2 * h2 / (2 * z2));
        k0 += e;
        k1 += (pi2 * h2 - z2) * e;
        k2 += (6 * z6 + 2 * z4 + pi2 * (2 * z4 - 5 * z2) * h2 + pi4 * (1 - 2 * z2) * h2 * h2) * e;
        k3 += (-30 * z6 - 90 * z6 * z2 + pi2 * (135 * z4 - 96 * z6) * h2 +
               pi4 * (212 * z4 - 60 * z2) * h2 * h2 + pi6 * (5 - 30 * z2) * h2 * h2 * h2) *
              e;
        if (k == 0)
            continue;
        double q = (double)k * k, f = exp(-pi2 * q / (2 * z2));
        k2b += pi2 * q * f;
        k3b += (3 * pi2 * q * z2 - pi4 * q * q) * f;
    }
    double z3 = z2 * z, z7 = z4 * z3, z10 = z6 * z4;
    double v0 = 2 * root * k0 / z;
    double v1 = root * k1 / (3 * z4);
    double v2 = root * k2 / (36 * z7) - root * k2b / (18 * z3);
    double v3 = root * k3 / (3240 * z10) + root * k3b / (108 * z6);
    double r = sqrt(n);
    return v0 + v1 / r + v2 / n + v3 / (n * r);
}

static double clamp(double p)
{
    return p < 0 ? 0 : p > 1 ? 1 : p;
}

static double one_sample(double d, double n, double most_terms)
{
    if (isnan(d) || isnan(n))
        return (double)NAN;
    double t = n * d;
    if (t <= 0.5 || n < 1)
        return 1;
    if (d >= 1)
        return 0;
    if (t <= 1) /* Ruben, Gambino 1982: exact at both ends */
        return clamp(1 - exp(lgamma(n + 1) - n * log(n) + n * log(2 * t - 1)));
    if (t >= n - 1)
        return clamp(2 * pow(1 - d, n));
    if (d >= 0.5 || t * d >= 2.2)
        return clamp(2 * (n <= most_terms ? smirnov_sum(n, d) : smirnov_expanded(n, d)));
    return clamp(1 - pelz_good(n, d * sqrt(n)));
}

double ks_one_sample_sf(double d, double n)
{
    return one_sample(d, n, SMIRNOV_TERMS);
}

double ks_one_sample_sf_quick(double d, double n)
{
    return one_sample(d, n, QUICK_TERMS);
}

/*
 * P(a path from (0, 0) to (n, m) reaches |i/n - j/m| >= h/lcm), row by row: outside it is 1,
 * inside Q(i, j) = (i Q(i - 1, j) + j Q(i, j - 1)) / (i + j).
 */
static double lattice(uint64_t n, uint64_t m, uint64_t n_step, uint64_t m_step, uint64_t h)
{
    /* i runs over the larger side (n), j over the smaller (m); i m_step - j n_step is the gap */
    AUTO_FREE double *row = malloc((m + 1) * sizeof(*row));
    if (!row)
        return (double)NAN;
    for (uint64_t j = 0; j <= m; j++)
        row[j] = j * n_step >= h;
    uint64_t first = 0;
    for (uint64_t i = 1; i <= n; i++) {
        uint64_t at = i * m_step;
        uint64_t low = at >= h ? (at - h) / n_step + 1 : 0;
        uint64_t high = (at + h - 1) / n_step;
        if (high > m)
            high = m;
        for (; first < low && first <= m; first++)
            row[first] = 1;
        double left = low > 0 ? 1 : 0;
        for (uint64_t j = low; j <= high; j++) {
            left = j == 0 ? row[0] : (row[j] * (double)i + left * (double)j) / (double)(i + j);
            row[j] = left;
        }
    }
    return row[m];
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

double ks_two_sample_p_auto(double d, uint64_t n, uint64_t m, uint64_t max_steps)
{
    if (isnan(d))
        return (double)NAN;
    if (n == 0 || m == 0 || d <= 0)
        return 1;
    uint64_t large = n > m ? n : m, small = n > m ? m : n;
    if (large <= KS_EXACT_VALUES) {
        uint64_t g = common_divisor(large, small);
        uint64_t large_step = large / g, small_step = small / g;
        double lcm = (double)large_step * (double)small;
        uint64_t h = (uint64_t)llround(d * lcm);
        double band = 2.0 * (double)h / (double)large_step + 1; /* of j, a row */
        double width = band < (double)small ? band : (double)small;
        if (h == 0)
            return 1;
        if (width * (double)large <= (double)max_steps) {
            double p = lattice(large, small, large_step, small_step, h);
            if (!isnan(p))
                return clamp(p);
        }
    }
    double both = (double)n / ((double)n + (double)m) * (double)m;
    return one_sample(d, rint(both), max_steps ? SMIRNOV_TERMS : QUICK_TERMS);
}
