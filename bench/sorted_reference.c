#include "bench/sorted_reference.h"

#include <stdlib.h>

#include "stats/change_shape.h"

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void sorted_reference_make(double *values, size_t n)
{
    qsort(values, n, sizeof(*values), compare);
}

size_t sorted_reference_upto(const double *values, size_t n, double x)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (values[middle] <= x)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

unsigned sorted_reference_bin(const double *values, size_t n, double x)
{
    unsigned bin = (unsigned)(sorted_reference_upto(values, n, x) * SHAPE_BINS / n);
    return bin < SHAPE_BINS ? bin : SHAPE_BINS - 1;
}
