#include "stats/drift_draws.h"

#include <math.h>

#include "stats/distribution.h"

#define TABULATED 64.0

static double entropy_gap(double r) /* 1 - H(r): 0 where both sides are equal, 1 where one is 0 */
{
    double sum = 1;
    if (r > 0)
        sum += r * log2(r);
    if (r < 1)
        sum += (1 - r) * log2(1 - r);
    return sum;
}

void draw_tables_init(struct draw_tables *tables)
{
    for (int i = 1; i < DRAW_NORMALS; i++)
        tables->normals[i] = (float)normal_quantile((double)i / DRAW_NORMALS);
    tables->normals[0] = -9;
    tables->normals[DRAW_NORMALS] = 9;
    for (int i = 0; i <= DRAW_ENTROPIES; i++)
        tables->entropies[i] = (float)entropy_gap((double)i / DRAW_ENTROPIES);
}

void draw_bin_init(struct draw_bin *bin, double mean)
{
    bin->mean = mean;
    bin->root = mean > TABULATED ? sqrt(mean) : 0;
    if (bin->root > 0)
        return;
    double term = exp(-mean), sum = 0;
    for (int k = 0; k < DRAW_MOST; k++) {
        sum += term;
        term *= mean / (k + 1);
        bin->upper[k] = sum * 0x1p32 < 0x1p32 - 1 ? (uint32_t)(sum * 0x1p32) : UINT32_MAX;
    }
    bin->upper[DRAW_MOST - 1] = UINT32_MAX;
    int k = 0;
    for (uint32_t g = 0; g <= DRAW_GUIDES; g++) {
        uint32_t from = g < DRAW_GUIDES ? g << 26 : UINT32_MAX;
        while (k + 1 < DRAW_MOST && bin->upper[k] < from)
            k++;
        bin->guide[g] = (uint8_t)k;
    }
}

static double quick_normal(const struct draw_tables *tables, struct rng *rng)
{
    uint64_t bits = rng_u64(rng);
    uint32_t cell = (uint32_t)(bits >> 52); /* 12 bits */
    double part = (double)(bits << 12 >> 12) * 0x1p-52;
    if (cell < 16 || cell >= DRAW_NORMALS - 16) /* where the quantiles bend */
        return normal_quantile(fmax(((double)cell + part) / DRAW_NORMALS, 1e-17));
    double low = (double)tables->normals[cell], high = (double)tables->normals[cell + 1];
    return low + part * (high - low);
}

double draw_bin(const struct draw_bin *bin, const struct draw_tables *tables, struct rng *rng)
{
    if (bin->root > 0) {
        double z = quick_normal(tables, rng);
        double k = rint(bin->mean + bin->root * z + (z * z - 1) / 6);
        return k < 0 ? 0 : k;
    }
    uint32_t u = (uint32_t)(rng_u64(rng) >> 32);
    uint32_t k = bin->guide[u >> 26];
    while (bin->upper[k] < u)
        k++;
    return k;
}

double draw_js(const struct draw_tables *tables, const struct drift_bin *bins, size_t n_bins,
               double n_reference, double n_window)
{
    double sum = 0, by_reference = 1 / n_reference, by_window = 1 / n_window;
    for (size_t i = 0; i < n_bins; i++) {
        double p = bins[i].reference * by_reference, q = bins[i].window * by_window;
        double both = p + q;
        if (!(both > 0))
            continue;
        double at = q / both * DRAW_ENTROPIES;
        uint32_t cell = at < DRAW_ENTROPIES - 1 ? (uint32_t)at : DRAW_ENTROPIES - 1;
        double low = (double)tables->entropies[cell], high = (double)tables->entropies[cell + 1];
        sum += both * (low + (at - cell) * (high - low));
    }
    return sum / 2;
}
