/* What the counts of a bin add, four at once, against one after the other. */
#include "stats/drift_part.h"

#include <math.h>

#include "stats/drift.h"
#include "tests/test.h"

static double one_by_one(enum drift_statistic statistic, double r, double m, double w, double n)
{
    const struct drift_bin bin = {r, w};
    const double both = 1 / n + 1 / m;
    double d;
    switch (statistic) {
    case LAW_PSI:
        return drift_psi(&bin, 1, m, n) / both;
    case LAW_JS:
        d = drift_js(&bin, 1, m, n);
        return d * d / both;
    case LAW_HELLINGER: {
        const double apart = sqrt(r / m) - sqrt(w / n);
        return apart * apart / 2 / both;
    }
    default:
        d = w * m - r * n;
        return r + w > 0 ? d * d / (n * m * (r + w)) : 0;
    }
}

static void each_count_adds_what_the_statistic_says(void **state)
{
    (void)state;
    static const double sizes[] = {50, 128, 5000}, events[] = {0, 1, 3, 250, 9000};
    static struct drift_part part;
    for (int statistic = LAW_PSI; statistic <= LAW_CHI2; statistic++) {
        for (int i = 0; i < 15 && statistic != LAW_L_INFINITY; i++) {
            const double n = sizes[i / 5], r = events[i % 5], m = 10000;
            const struct law_question q = {.statistic = statistic, .m = m, .n = n};
            const struct count_law law = {.weight = r + 0.5, .total = m + 2, .n = n};
            drift_part_of_bin(&part, &q, r, &law);
            double mean = 0, variance = 0, third = 0;
            for (int k = 0; k < part.counts.n_values; k++) {
                const double w = part.counts.first + k * part.counts.stride;
                const double expected = one_by_one(statistic, r, m, w, n);
                assert_close(part.values[k], expected, 1e-12 * fmax(1, expected));
                mean += part.counts.p[k] * expected;
            }
            for (int k = 0; k < part.counts.n_values; k++) {
                const double d = part.values[k] - mean;
                variance += part.counts.p[k] * d * d;
                third += part.counts.p[k] * d * d * d;
            }
            assert_close(part.mean, mean, 1e-12 * fmax(1, mean));
            assert_close(part.variance, variance, 1e-11 * fmax(1, variance));
            assert_close(part.third, third, 1e-11 * fmax(1, third));
        }
    }
}

/* ln P but for a constant: negative binomial, and beta-binomial where the rest is known. */
static double log_weight(const struct count_law *law, double w)
{
    int sign;
    double p = lgamma_r(law->weight + w, &sign) - lgamma_r(w + 1, &sign);
    if (law->rest > 0)
        return p + lgamma_r(law->rest + law->n - w, &sign) - lgamma_r(law->n - w + 1, &sign);
    return p + w * log(law->n / (law->n + law->total));
}

static void counts_are_as_probable_as_their_law_says(void **state)
{
    (void)state;
    static const struct count_law laws[] = {
        {0.5, 1000, 0, 50},    {40, 1000, 0, 128},       {3, 1000, 0, 60},
        {600, 10000, 0, 5000}, {2000, 10000, 0, 50000},  {9000, 10000, 1000, 5000},
        {700, 1000, 300, 60},  {0.25, 1000, 999.75, 50}, {5e6, 1e7, 0, 1e6},
        {900, 1000, 100, 20},
    };
    for (size_t i = 0; i < sizeof(laws) / sizeof(laws[0]); i++) {
        struct counts counts;
        counts_of(&counts, &laws[i]);
        double all = 0, most = (double)-INFINITY;
        for (int k = 0; k < counts.n_values; k++)
            most = fmax(most, log_weight(&laws[i], counts.first + k * counts.stride));
        for (int k = 0; k < counts.n_values; k++)
            all += exp(log_weight(&laws[i], counts.first + k * counts.stride) - most);
        for (int k = 0; k < counts.n_values; k++) {
            const double w = counts.first + k * counts.stride;
            const double p = exp(log_weight(&laws[i], w) - most) / all;
            assert_close(counts.p[k], p, 1e-8 * p + 1e-300);
        }
        for (int k = counts.n_values; k % 4; k++)
            assert_true(counts.p[k] == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_count_adds_what_the_statistic_says),
        cmocka_unit_test(counts_are_as_probable_as_their_law_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
