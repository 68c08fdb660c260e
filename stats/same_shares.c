#include "stats/same_shares.h"

#include <math.h>

#include "stats/distribution.h"

/* Events that the smaller side expects of a category that stands for itself. */
#define FINE 0.1 /* fewer, and a single one decides alone */
#define COARSE 5.0

struct table {
    double n, share; /* events of both sides, and the reference's share of them */
    size_t columns;
    double x2;
    double reciprocals;     /* sum of 1 / events of a column */
    double third_cumulants; /* of the columns' parts of X² */
};

/* Of (R - E R)² / Var R, R binomial: from R's cumulants by its central moments. */
static double third_cumulant(double events, double p)
{
    const double pq = p * (1 - p), k2 = events * pq, k3 = k2 * (1 - 2 * p), k4 = k2 * (1 - 6 * pq);
    const double k6 = k2 * (1 - 30 * pq + 120 * pq * pq);
    const double fourth = k4 + 3 * k2 * k2;
    const double sixth = k6 + 15 * k4 * k2 + 10 * k3 * k3 + 15 * k2 * k2 * k2;
    return (sixth - 3 * fourth * k2 + 2 * k2 * k2 * k2) / (k2 * k2 * k2);
}

static void add_column(struct table *table, struct drift_bin column)
{
    const double events = column.reference + column.window;
    const double apart = column.reference - events * table->share;
    if (events == 0)
        return;
    table->columns++;
    table->x2 += apart * apart / (events * table->share * (1 - table->share));
    table->reciprocals += 1 / events;
    table->third_cumulants += third_cumulant(events, table->share);
}

static struct table table_of(const struct drift_bin *bins, size_t n_bins, double least)
{
    struct table table = {0};
    double reference = 0;
    for (size_t i = 0; i < n_bins; i++) {
        reference += bins[i].reference;
        table.n += bins[i].reference + bins[i].window;
    }
    table.share = reference / table.n;
    struct drift_bin rare = {0};
    const double smaller = fmin(table.share, 1 - table.share);
    for (size_t i = 0; i < n_bins && smaller > 0; i++) {
        if ((bins[i].reference + bins[i].window) * smaller >= least) {
            add_column(&table, bins[i]);
            continue;
        }
        rare.reference += bins[i].reference;
        rare.window += bins[i].window;
    }
    if (smaller > 0)
        add_column(&table, rare);
    return table;
}

/* Dawson's, of two rows. */
static double variance_of(const struct table *table)
{
    const double n = table->n, k = (double)table->columns;
    const double rows = (n - 2) / (n - 1), columns = (k - 1) * (n - k) / (n - 1);
    const double uneven_rows = (1 / table->share + 1 / (1 - table->share) - 4) / (n - 2);
    const double uneven_columns = (n * table->reciprocals - k * k) / (n - 2);
    return 2 * n / (n - 3) * (rows - uneven_rows) * (columns - uneven_columns) +
           n * n / (n - 1) * uneven_rows * uneven_columns;
}

static double p_of(const struct table *table)
{
    if (table->columns < 2 || table->n < 4)
        return 1;
    const double mean = table->n * (double)(table->columns - 1) / (table->n - 1);
    const double variance = variance_of(table), third = table->third_cumulants - 8;
    if (!(variance > 0))
        return 1;
    /* where lumps leave no skewness: a gamma law of that mean */
    const double skewed = third > 0 ? third : 2 * variance * variance / mean;
    const double shape = 4 * variance * variance * variance / (skewed * skewed);
    const double scale = skewed / (2 * variance);
    const double from = table->x2 - mean + shape * scale;
    return from > 0 ? gamma_sf(from, shape, scale) : 1;
}

double same_shares_p(const struct drift_bin *bins, size_t n_bins)
{
    const struct table fine = table_of(bins, n_bins, FINE), coarse = table_of(bins, n_bins, COARSE);
    const double p = p_of(&fine);
    return fine.columns == coarse.columns ? p : fmin(2 * fmin(p, p_of(&coarse)), 1);
}
