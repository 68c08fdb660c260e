/*
 * Row i of the system is x_i - p x_(i+hit) - (1-p) x_max(0, i-miss) = 1; x_j is 0 from the limit
 * on. Below the diagonal stand `miss` columns, above it `hit`: elimination stays within this band,
 * and only the last `miss` rows are needed again. It needs no pivoting: rows are diagonally
 * dominant.
 */
#include "stats/run_length.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

struct elimination {
    uint32_t hit, miss;
    double *rows; /* ring of miss + 1 rows of U, each from its diagonal on: hit + 1 wide */
    double *left; /* of the row at hand: its columns before the diagonal, then from it on */
    double *y;    /* ring: L y = 1 */
    double *owed; /* ring of hit + 1: what the z before have put into column i */
};

static double *row_of(const struct elimination *e, size_t i)
{
    return e->rows + (i % (e->miss + 1)) * (e->hit + 1);
}

/* What row i's z puts into the columns behind it, in a ring that has as many places. */
static void owe(struct elimination *e, const double *row, double z, size_t i)
{
    const size_t width = (size_t)e->hit + 1, from = (i + 1) % width;
    const size_t before_end = from + e->hit > width ? width - from : e->hit;
    for (size_t j = 0; j < before_end; j++)
        e->owed[from + j] += row[1 + j] * z;
    for (size_t j = before_end; j < e->hit; j++)
        e->owed[j - before_end] += row[1 + j] * z;
}

/* Row i, reduced by the rows before it; its z and y add to the solution at 0. */
static double eliminate(struct elimination *e, double p, size_t i)
{
    const uint32_t width = e->hit + 1;
    const size_t first = i > e->miss ? i - e->miss : 0;
    const size_t before = i - first;
    double *at = e->left; /* column first + k */
    memset(at, 0, (before + width) * sizeof(*at));
    at[before] = 1;
    at[before + e->hit] -= p;
    at[0] -= 1 - p; /* column max(0, i - miss) */
    double y = 1;
    for (size_t k = 0; k < before; k++) {
        const double *row = row_of(e, first + k);
        double factor = at[k] / row[0];
        if (factor == 0)
            continue;
        for (uint32_t j = 0; j < width; j++)
            at[k + j] -= factor * row[j];
        y -= factor * e->y[(first + k) % (e->miss + 1)];
    }
    double *row = row_of(e, i);
    memcpy(row, at + before, width * sizeof(*row));
    e->y[i % (e->miss + 1)] = y;

    double z = ((i == 0) - e->owed[i % width]) / row[0];
    e->owed[i % width] = 0; /* becomes column i + width */
    owe(e, row, z, i);
    return z * y;
}

int run_length_curve(double p, uint32_t hit, uint32_t miss, double enough, double *curve, size_t n,
                     size_t *filled, struct err *err)
{
    const size_t width = (size_t)hit + 1, height = (size_t)miss + 1;
    AUTO_FREE double *memory =
        calloc(height * width + (miss + width) + height + width, sizeof(*memory));
    *filled = 0;
    if (!memory)
        return err_set(err, -ENOMEM, "run length: no memory for steps of %u and %u", hit, miss);
    struct elimination e = {.hit = hit, .miss = miss, .rows = memory};
    e.left = e.rows + height * width;
    e.y = e.left + miss + width;
    e.owed = e.y + height;
    double length = 0;
    for (size_t i = 0; i < n; i++) {
        length += eliminate(&e, p, i);
        curve[i] = length;
        *filled = i + 1;
        if (!(length < enough))
            break;
    }
    return 0;
}
