#include "stats/isotonic.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

static int by_x(const void *a, const void *b)
{
    const struct isotonic_point *x = (const struct isotonic_point *)a;
    const struct isotonic_point *y = (const struct isotonic_point *)b;
    return x->x < y->x ? -1 : x->x > y->x;
}

/* Equal x together, with their mean y. */
static size_t merge_ties(struct isotonic_point *points, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (kept && points[kept - 1].x == points[i].x) {
            struct isotonic_point *p = &points[kept - 1];
            double weight = p->weight + points[i].weight;
            p->y += (points[i].y - p->y) * points[i].weight / weight;
            p->weight = weight;
        } else {
            points[kept++] = points[i];
        }
    }
    return kept;
}

struct block {
    double sum, weight;
    size_t first;
};

static size_t pool(const struct isotonic_point *points, size_t n, struct block *blocks)
{
    size_t top = 0;
    for (size_t i = 0; i < n; i++) {
        blocks[top++] = (struct block){points[i].y * points[i].weight, points[i].weight, i};
        while (top > 1 && blocks[top - 2].sum * blocks[top - 1].weight >=
                              blocks[top - 1].sum * blocks[top - 2].weight) {
            blocks[top - 2].sum += blocks[top - 1].sum;
            blocks[top - 2].weight += blocks[top - 1].weight;
            top--;
        }
    }
    return top;
}

int isotonic_fit(struct isotonic *out, struct isotonic_point *points, size_t n, struct err *err)
{
    *out = (struct isotonic){0};
    if (n == 0)
        return err_set(err, -EINVAL, "isotonic: no points to fit");
    qsort(points, n, sizeof(*points), by_x);
    n = merge_ties(points, n);
    struct block *blocks = malloc(n * sizeof(*blocks));
    out->x = malloc(2 * n * sizeof(double));
    out->y = malloc(2 * n * sizeof(double));
    if (!blocks || !out->x || !out->y) {
        free(blocks);
        isotonic_finish(out);
        return err_set(err, -ENOMEM, "isotonic: no memory for %zu points", n);
    }
    size_t n_blocks = pool(points, n, blocks);
    for (size_t b = 0; b < n_blocks; b++) { /* both ends of a level; its inside adds nothing */
        size_t last = (b + 1 < n_blocks ? blocks[b + 1].first : n) - 1;
        double y = blocks[b].sum / blocks[b].weight;
        out->x[out->n] = points[blocks[b].first].x;
        out->y[out->n++] = y;
        if (last > blocks[b].first) {
            out->x[out->n] = points[last].x;
            out->y[out->n++] = y;
        }
    }
    free(blocks);
    return 0;
}

void isotonic_finish(struct isotonic *isotonic)
{
    free(isotonic->x);
    free(isotonic->y);
    *isotonic = (struct isotonic){0};
}

double isotonic_at(const struct isotonic *isotonic, double x)
{
    size_t low = 0, high = isotonic->n;
    while (low < high) { /* knots at or below x */
        size_t middle = (low + high) / 2;
        if (isotonic->x[middle] <= x)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return isotonic->n ? isotonic->y[0] : (double)NAN;
    if (low == isotonic->n)
        return isotonic->y[low - 1];
    double part = (x - isotonic->x[low - 1]) / (isotonic->x[low] - isotonic->x[low - 1]);
    return isotonic->y[low - 1] + part * (isotonic->y[low] - isotonic->y[low - 1]);
}

void isotonic_save(const struct isotonic *isotonic, struct buf *out)
{
    buf_varint(out, isotonic->n);
    for (size_t i = 0; i < isotonic->n; i++) {
        buf_double(out, isotonic->x[i]);
        buf_double(out, isotonic->y[i]);
    }
}

int isotonic_load(struct isotonic *out, struct reader *in, struct err *err)
{
    *out = (struct isotonic){0};
    uint64_t n = reader_varint(in);
    if (n == 0 || n > reader_left(in) / 16)
        return err_set(err, ERR_CORRUPT, "isotonic: %llu knots do not fit", (unsigned long long)n);
    out->x = malloc(n * sizeof(double));
    out->y = malloc(n * sizeof(double));
    if (!out->x || !out->y) {
        isotonic_finish(out);
        return err_set(err, -ENOMEM, "isotonic: no memory for %llu knots", (unsigned long long)n);
    }
    bool fine = true;
    for (uint64_t i = 0; i < n; i++) {
        out->x[i] = reader_double(in);
        out->y[i] = reader_double(in);
        fine = fine && isfinite(out->x[i]) && isfinite(out->y[i]) &&
               (i == 0 || (out->x[i] > out->x[i - 1] && out->y[i] >= out->y[i - 1]));
    }
    out->n = n;
    if (!fine) {
        isotonic_finish(out);
        return err_set(err, ERR_CORRUPT, "isotonic: the knots are damaged");
    }
    return 0;
}
