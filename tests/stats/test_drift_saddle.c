#include "stats/drift_saddle.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stats/drift.h"
#include "tests/test.h"

enum {
    BINS = 60,
    COUNTS = 20,
    EVENTS = 45,
    FINE = 3000 /* points of a sum */
};
#define LONGEST 80.0 /* sum that has a point */

struct bins {
    double p[BINS][COUNTS], values[BINS][COUNTS];
    struct saddle_bin bins[BINS];
};

/* Poisson counts of unequal means, together EVENTS; what a count adds grows like its square. */
static void make_bins(struct bins *out)
{
    double all = 0;
    for (int i = 0; i < BINS; i++)
        all += 1 + i % 7;
    for (int i = 0; i < BINS; i++) {
        double mean = (1 + i % 7) * EVENTS / all, p = exp(-mean);
        for (int k = 0; k < COUNTS; k++) {
            out->p[i][k] = p;
            out->values[i][k] = (k - mean) * (k - mean) / (k + mean) * (1 + i * 1e-3);
            p *= mean / (k + 1);
        }
        out->bins[i] = (struct saddle_bin){0, COUNTS, out->p[i], out->values[i]};
    }
}

typedef double table[EVENTS + 1][FINE];

/* The same with one bin more: every way. */
static void add_bin(double (*into)[FINE], double (*from)[FINE], const struct saddle_bin *bin,
                    double *carry)
{
    const double left = *carry;
    memset(into, 0, sizeof(table));
    for (int k = 0; k < bin->n; k++) {
        double exact = bin->values[k] * FINE / LONGEST, at = fmax(floor(exact + left + 0.5), 0);
        *carry += bin->p[k] * (exact - at);
        for (int n = 0; n + k <= EVENTS; n++)
            for (int x = 0; x + (int)at < FINE; x++)
                into[n + k][x + (int)at] += from[n][x] * bin->p[k];
    }
}

static void its_tail_is_that_of_every_way_counted(void **state)
{
    (void)state;
    static struct bins bins;
    static table tables[2];
    make_bins(&bins);
    double carry = 0, all = 0, above = 0;
    tables[0][0][0] = 1;
    for (int i = 0; i < BINS; i++)
        add_bin(tables[(i + 1) % 2], tables[i % 2], &bins.bins[i], &carry);
    const double *sums = tables[BINS % 2][EVENTS];
    for (int x = 0; x < FINE; x++)
        all += sums[x];
    struct drift_law law;

    assert_int_equal(drift_saddle_law(&law, bins.bins, BINS, EVENTS), 0);

    int n_compared = 0;
    for (int x = FINE - 1; x > 0; x--) {
        above += sums[x];
        double p = above / all;
        if (p < 1e-7 || p > 0.5)
            continue;
        double ours = exp(drift_law_log_p(&law, (x - 0.5) * LONGEST / FINE));
        assert_true(fabs(ours / p - 1) < 0.04);
        n_compared++;
    }
    assert_true(n_compared > 300);
    assert_true((double)law.log_survival[LAW_POINTS - 1] < log(1e-8));
}

static void the_law_falls_from_certain(void **state)
{
    (void)state;
    static struct bins bins;
    make_bins(&bins);
    struct drift_law law;

    assert_int_equal(drift_saddle_law(&law, bins.bins, BINS, EVENTS), 0);

    assert_true(law.log_survival[0] == 0);
    for (int i = 1; i < LAW_POINTS; i++)
        assert_true(law.log_survival[i] <= law.log_survival[i - 1]);
}

static void a_sum_that_does_not_vary_has_none(void **state)
{
    (void)state;
    static struct bins bins;
    make_bins(&bins);
    for (int i = 0; i < BINS; i++)
        for (int k = 0; k < COUNTS; k++)
            bins.values[i][k] = 1;
    struct drift_law law;

    assert_int_equal(drift_saddle_law(&law, bins.bins, BINS, EVENTS), SADDLE_NONE);
}

/* Two bins of at most 19 events each, and 200 of both. */
static void a_total_out_of_reach_has_none(void **state)
{
    (void)state;
    static struct bins bins;
    make_bins(&bins);
    struct drift_law law;

    assert_int_equal(drift_saddle_law(&law, bins.bins, 2, 10 * COUNTS), SADDLE_NONE);
}

/* --- lumps --- */

enum {
    ALIKE = 61,        /* categories, */
    SEEN = 100000,     /* … each so often in the reference */
    FEW = 33,          /* events of the window */
    PARTITIONS = 11000 /* 10,143 of FEW */
};

struct partitions {
    double p[PARTITIONS], values[PARTITIONS]; /* of the scaled statistic */
    int n;
    struct drift_bin bins[ALIKE];
};

/* Windows with the same counts, whichever categories have them; `log_p`: of those counted so far. */
static void add_partitions(struct partitions *out, int bin, int left, int most, double log_p)
{
    if (left == 0) {
        const double m = (double)ALIKE * SEEN, js = drift_js(out->bins, ALIKE, m, FEW);
        out->p[out->n] = exp(log_p + lgamma(ALIKE + 1) - lgamma(ALIKE - bin + 1) + lgamma(FEW + 1) -
                             FEW * log(ALIKE));
        out->values[out->n++] = js * js / (1.0 / FEW + 1 / m);
        return;
    }
    for (int count = most < left ? most : left; count > 0; count--) {
        for (int times = 1; times * count <= left && bin + times <= ALIKE; times++) {
            out->bins[bin + times - 1].window = count;
            add_partitions(out, bin + times, left - times * count, count - 1,
                           log_p - times * lgamma(count + 1) - lgamma(times + 1));
        }
        for (int used = bin; used < ALIKE; used++)
            out->bins[used].window = 0;
    }
}

/* 33 events of 61 categories alike: nine pairs, and each is a lump. */
static void a_sum_in_lumps_is_not_called_rarer_than_it_is(void **state)
{
    (void)state;
    static struct partitions all;
    double counts[ALIKE], sum = 0;
    for (int i = 0; i < ALIKE; i++)
        all.bins[i].reference = counts[i] = SEEN;
    add_partitions(&all, 0, FEW, FEW, 0);
    for (int i = 0; i < all.n; i++)
        sum += all.p[i];
    assert_true(fabs(sum - 1) < 1e-9);
    const struct law_question question = {.statistic = LAW_JS,
                                          .counts = counts,
                                          .weights = counts,
                                          .n_bins = ALIKE,
                                          .m = (double)ALIKE * SEEN,
                                          .n = FEW};
    struct drift_law law;

    assert_int_equal(drift_law_make(&law, &question), 0);

    assert_true(law.smooth);
    for (double level = 0.05; level > 1e-6; level /= 2) {
        double reached = 0;
        for (int i = 0; i < all.n; i++)
            reached += drift_law_log_p(&law, all.values[i]) <= log(level) ? all.p[i] : 0;
        printf("p <= %g: %g\n", level, reached);
        assert_true(reached > 0.25 * level && reached < 1.1 * level);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_tail_is_that_of_every_way_counted),
        cmocka_unit_test(the_law_falls_from_certain),
        cmocka_unit_test(a_sum_that_does_not_vary_has_none),
        cmocka_unit_test(a_total_out_of_reach_has_none),
        cmocka_unit_test(a_sum_in_lumps_is_not_called_rarer_than_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
