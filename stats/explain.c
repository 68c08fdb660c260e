#include "stats/explain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_contribution(const void *a, const void *b)
{
    const struct explain_slice *x = (const struct explain_slice *)a;
    const struct explain_slice *y = (const struct explain_slice *)b;
    double p = fabs(x->within + x->between), q = fabs(y->within + y->between);
    if (p != q)
        return p > q ? -1 : 1;
    return strcmp(x->name, y->name);
}

double explain_slices(struct explain_slice *slices, size_t n)
{
    double n0 = 0, n1 = 0, sum0 = 0, sum1 = 0;
    for (size_t i = 0; i < n; i++) {
        n0 += slices[i].n_before;
        n1 += slices[i].n_now;
        sum0 += slices[i].sum_before;
        sum1 += slices[i].sum_now;
    }
    double before = sum0 / n0, now = sum1 / n1, change = now - before;
    double middle = (before + now) / 2;
    for (size_t i = 0; i < n; i++) {
        struct explain_slice *s = &slices[i];
        double w0 = s->n_before / n0, w1 = s->n_now / n1;
        /* a slice that is new or gone has one value only: all of it is its share's doing */
        double m0 = s->n_before > 0 ? s->sum_before / s->n_before : s->sum_now / s->n_now;
        double m1 = s->n_now > 0 ? s->sum_now / s->n_now : m0;
        if (s->n_before <= 0 && s->n_now <= 0)
            m0 = m1 = middle;
        s->within = (w0 + w1) / 2 * (m1 - m0);
        s->between = (w1 - w0) * ((m0 + m1) / 2 - middle);
        s->share = change != 0 ? (s->within + s->between) / change : (double)NAN;
    }
    qsort(slices, n, sizeof(*slices), by_contribution);
    return n0 > 0 && n1 > 0 ? change : (double)NAN;
}
