#include "stats/fdr.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "common/cleanup.h"

struct ranked {
    double p;
    size_t index;
};

static int by_p(const void *a, const void *b)
{
    const struct ranked *x = (const struct ranked *)a, *y = (const struct ranked *)b;
    if (x->p != y->p)
        return x->p < y->p ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static double at_most_one(double p)
{
    return p > 1 ? 1 : p;
}

int fdr_adjust(const double *p, size_t n, enum fdr_method method, double *out)
{
    if (n == 0)
        return 0;
    AUTO_FREE struct ranked *order = calloc(n, sizeof(*order));
    if (!order)
        return -ENOMEM;
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        if (isnan(p[i]))
            out[i] = p[i];
        else
            order[m++] = (struct ranked){p[i], i};
    }
    qsort(order, m, sizeof(*order), by_p);

    double tests = (double)m, bound = 0;
    switch (method) {
    case FDR_BONFERRONI:
        for (size_t k = 0; k < m; k++)
            out[order[k].index] = at_most_one(order[k].p * tests);
        break;
    case FDR_HOLM: /* from the smallest up: never below the one before */
        for (size_t k = 0; k < m; k++) {
            bound = fmax(bound, at_most_one(order[k].p * (tests - (double)k)));
            out[order[k].index] = bound;
        }
        break;
    case FDR_BENJAMINI_HOCHBERG: /* from the largest down: never above the one after */
        bound = 1;
        for (size_t k = m; k-- > 0;) {
            bound = fmin(bound, order[k].p * tests / (double)(k + 1));
            out[order[k].index] = bound;
        }
        break;
    }
    return 0;
}
