#include "stats/drift_law.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/rng.h"
#include "stats/distribution.h"
#include "stats/drift.h"
#include "tests/test.h"

enum {
    EVENTS = 7,
    BINS = 3,
    OUTCOMES = (EVENTS + 1) * (EVENTS + 2) / 2
};

static const double counts[BINS] = {12, 5, 2};
static const double steps[BINS - 1] = {0.7, 2.1};

struct outcome {
    double p, value; /* of the scaled statistic */
};

/* ln of a Dirichlet-multinomial probability, but for what all have in common. */
static double log_weight(const double *weights, const double *window)
{
    double sum = 0;
    for (int i = 0; i < BINS; i++)
        sum += lgamma(weights[i] + window[i]) - lgamma(window[i] + 1);
    return sum;
}

static double area(const struct drift_bin *bins, double m, double n)
{
    double gap = 0, sum = 0;
    for (int i = 0; i + 1 < BINS; i++) {
        gap += bins[i].window / n - bins[i].reference / m;
        double share = (counts[i] + counts[i + 1]) / 2 / m;
        double variance = (1 / n + 1 / m) * share / 4, by = gap * gap / (2 * variance);
        sum += (fabs(gap) * erf(sqrt(by)) + sqrt(variance * M_2_PI) * exp(-by)) * steps[i];
    }
    return sum;
}

static double scaled(enum drift_statistic statistic, const struct drift_bin *bins, double m,
                     double n)
{
    double both = 1 / n + 1 / m, dof, value;
    switch (statistic) {
    case LAW_PSI:
        return drift_psi(bins, BINS, m, n) / both;
    case LAW_JS:
        value = drift_js(bins, BINS, m, n);
        return value * value / both;
    case LAW_HELLINGER:
        value = drift_hellinger(bins, BINS, m, n);
        return value * value / both;
    case LAW_CHI2:
        return drift_chi2(bins, BINS, m, n, &dof);
    case LAW_L_INFINITY:
        return drift_l_infinity(bins, BINS, m, n) / sqrt(both);
    default:
        return area(bins, m, n) / sqrt(both);
    }
}

/* Every window of 7 events on 3 bins, with its probability given the reference. */
static int all_outcomes(enum drift_statistic statistic, struct outcome *out)
{
    int n_outcomes = 0;
    double total = 0;
    for (int a = 0; a <= EVENTS; a++) {
        for (int b = 0; a + b <= EVENTS; b++) {
            double window[BINS] = {a, b, EVENTS - a - b};
            struct drift_bin bins[BINS];
            for (int i = 0; i < BINS; i++)
                bins[i] = (struct drift_bin){counts[i], window[i]};
            out[n_outcomes].p = exp(log_weight(counts, window));
            out[n_outcomes].value = scaled(statistic, bins, 19, EVENTS);
            total += out[n_outcomes++].p;
        }
    }
    for (int i = 0; i < n_outcomes; i++)
        out[i].p /= total;
    return n_outcomes;
}

static double p_above(const struct outcome *outcomes, int n, double value)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += outcomes[i].value >= value ? outcomes[i].p : 0;
    return sum;
}

static struct law_question question_of(enum drift_statistic statistic)
{
    return (struct law_question){statistic, counts, counts, steps, BINS, 0, 19,
                                 EVENTS,    0,      0,      NULL,  NULL, 0, false};
}

static void few_events_have_the_law_of_every_outcome_counted(void **state)
{
    (void)state;
    static const enum drift_statistic statistics[] = {LAW_PSI, LAW_JS, LAW_HELLINGER, LAW_CHI2,
                                                      LAW_WASSERSTEIN};
    for (int k = 0; k < 5; k++) {
        struct law_question question = question_of(statistics[k]);
        struct outcome outcomes[OUTCOMES];
        struct drift_law law;
        int n = all_outcomes(statistics[k], outcomes);

        assert_int_equal(drift_law_make(&law, &question), 0);

        for (int i = 0; i < n; i++) {
            /* sums lie on points: never less than the truth, at most what begins 6.5 points below;
               paths, whose sums are many, are read in the middle */
            double up = statistics[k] == LAW_WASSERSTEIN ? 2 : 0.5;
            double p = exp(drift_law_log_p(&law, outcomes[i].value));
            assert_true(p >= p_above(outcomes, n, outcomes[i].value + up * law.step) * 0.999);
            assert_true(p <=
                        p_above(outcomes, n, outcomes[i].value - 6.5 * law.step) * 1.001 + 1e-9);
        }
    }
}

enum {
    NEARLY_ALL = 500, /* events, as good as all of them in the first bin; */
    MOST_RARE = 30,   /* … in each other bin */
    DOMINATED_OUTCOMES = MOST_RARE * MOST_RARE
};

/* Windows of a reference that its first bin dominates; those left out have p below 1e-12. */
static void dominated_outcomes(enum drift_statistic statistic, const double *reference, double m,
                               struct outcome *out)
{
    double total = 0;
    for (int k = 0; k < DOMINATED_OUTCOMES; k++) {
        double a = k / MOST_RARE, b = k % MOST_RARE, window[BINS] = {NEARLY_ALL - a - b, a, b};
        struct drift_bin bins[BINS];
        for (int i = 0; i < BINS; i++)
            bins[i] = (struct drift_bin){reference[i], window[i]};
        out[k] =
            (struct outcome){log_weight(reference, window), scaled(statistic, bins, m, NEARLY_ALL)};
    }
    double most = out[0].p;
    for (int k = 0; k < DOMINATED_OUTCOMES; k++)
        most = fmax(most, out[k].p);
    for (int k = 0; k < DOMINATED_OUTCOMES; k++)
        total += out[k].p = exp(out[k].p - most);
    for (int k = 0; k < DOMINATED_OUTCOMES; k++)
        out[k].p /= total;
}

static void a_bin_of_nearly_all_events_leaves_the_others_their_law(void **state)
{
    (void)state;
    static const enum drift_statistic statistics[] = {LAW_PSI, LAW_JS, LAW_HELLINGER, LAW_CHI2};
    static const double reference[BINS] = {9900, 60, 40};
    for (int k = 0; k < 4; k++) {
        struct law_question question = {.statistic = statistics[k],
                                        .counts = reference,
                                        .weights = reference,
                                        .n_bins = BINS,
                                        .m = 10000,
                                        .n = NEARLY_ALL};
        struct outcome outcomes[DOMINATED_OUTCOMES];
        struct drift_law law;
        dominated_outcomes(statistics[k], reference, question.m, outcomes);

        assert_int_equal(drift_law_make(&law, &question), 0);

        /* lumps lie between points, and the first bin's part spreads over some */
        for (int i = 0; i < DOMINATED_OUTCOMES; i++) {
            double at = outcomes[i].value, p = exp(drift_law_log_p(&law, at));
            if (p_above(outcomes, DOMINATED_OUTCOMES, at) < 1e-4)
                continue;
            assert_true(p >= p_above(outcomes, DOMINATED_OUTCOMES, at + 1.5 * law.step) * 0.9);
            assert_true(p <= p_above(outcomes, DOMINATED_OUTCOMES, at - 3.5 * law.step) * 1.1);
        }
    }
}

enum {
    ALIKE = 100, /* bins, */
    SEEN = 3,    /* … each so often in the reference */
    FEW = 20     /* events of the window */
};

struct partitions {
    struct outcome all[700]; /* 627 of FEW */
    int n;
    struct drift_bin bins[ALIKE];
};

/* Windows with the same counts, whichever bins have them: p is ln of it on the way. */
static void add_partitions(struct partitions *out, int bin, int left, int most, double log_p)
{
    if (left == 0) {
        double m = ALIKE * SEEN, js = drift_js(out->bins, ALIKE, m, FEW);
        out->all[out->n++] =
            (struct outcome){exp(log_p - lgamma(ALIKE - bin + 1)), js * js / (1.0 / FEW + 1 / m)};
        return;
    }
    for (int count = most < left ? most : left; count > 0; count--) {
        double ways = 0;
        for (int times = 1; times * count <= left; times++) {
            out->bins[bin + times - 1].window = count;
            ways += lgamma(SEEN + count) - lgamma(SEEN) - lgamma(count + 1);
            add_partitions(out, bin + times, left - times * count, count - 1,
                           log_p + ways - lgamma(times + 1));
        }
        for (int used = bin; used < ALIKE; used++)
            out->bins[used].window = 0;
    }
}

/* Each adds next to nothing: rounded to the nearest point, all would be off the same way. */
static void many_rare_bins_have_the_law_of_every_outcome_counted(void **state)
{
    (void)state;
    static struct partitions partitions;
    double seen[ALIKE], total = 0;
    for (int i = 0; i < ALIKE; i++) {
        seen[i] = SEEN;
        partitions.bins[i] = (struct drift_bin){SEEN, 0};
    }
    add_partitions(&partitions, 0, FEW, FEW, 0);
    assert_int_equal(partitions.n, 627);
    for (int i = 0; i < partitions.n; i++)
        total += partitions.all[i].p;
    for (int i = 0; i < partitions.n; i++)
        partitions.all[i].p /= total;
    struct law_question question = {.statistic = LAW_JS,
                                    .counts = seen,
                                    .weights = seen,
                                    .n_bins = ALIKE,
                                    .m = ALIKE * SEEN,
                                    .n = FEW};
    struct drift_law law;

    assert_int_equal(drift_law_make(&law, &question), 0);

    for (int i = 0; i < partitions.n; i++) {
        const double value = partitions.all[i].value;
        double p = exp(drift_law_log_p(&law, value));
        if (p_above(partitions.all, partitions.n, value) < 1e-8)
            continue;
        assert_true(p >= p_above(partitions.all, partitions.n, value + 2 * law.step));
        assert_true(p <= p_above(partitions.all, partitions.n, value - 4 * law.step));
    }
}

/* Only their rounding may: bins are followed from the smallest to the largest. */
static void the_order_of_the_bins_does_not_matter(void **state)
{
    (void)state;
    enum {
        MANY = 40
    };
    double there[MANY], back[MANY];
    for (int i = 0; i < MANY; i++)
        there[i] = back[MANY - 1 - i] = 2 + (i * 29) % 83;
    for (enum drift_statistic statistic = LAW_PSI; statistic <= LAW_HELLINGER; statistic++) {
        struct law_question question = {
            .statistic = statistic, .counts = there, .weights = there, .n_bins = MANY, .n = 60};
        struct drift_law law, other;
        for (int i = 0; i < MANY; i++)
            question.m += there[i];
        assert_int_equal(drift_law_make(&law, &question), 0);
        question.counts = question.weights = back;

        assert_int_equal(drift_law_make(&other, &question), 0);

        assert_close(other.step / law.step, 1, 1e-12);
        for (int i = 0; i < LAW_POINTS && law.log_survival[i] > -18; i++)
            assert_close((double)other.log_survival[i], (double)law.log_survival[i], 1e-5);
    }
}

static void the_largest_difference_is_never_called_too_rare(void **state)
{
    (void)state;
    struct law_question question = question_of(LAW_L_INFINITY);
    struct outcome outcomes[OUTCOMES];
    struct drift_law law;
    int n = all_outcomes(LAW_L_INFINITY, outcomes);

    assert_int_equal(drift_law_make(&law, &question), 0);

    for (int i = 0; i < n; i++) {
        double truth = p_above(outcomes, n, outcomes[i].value);
        double p = exp(drift_law_log_p(&law, outcomes[i].value));
        assert_true(p >= truth * 0.999);
        if (truth < 0.05) /* where it matters, all bins' tails together are hardly more */
            assert_true(p <= truth * 2.2);
    }
}

static void many_events_have_the_laws_of_the_textbooks(void **state)
{
    (void)state;
    double many[] = {3000, 2500, 2000, 1500, 1000}, reach[] = {1, 1, 1, 1};
    struct drift_law law;
    struct law_question question = {LAW_CHI2, many, many, reach, 5,    0, 10000,
                                    20000,    0,    0,    NULL,  NULL, 0, false};
    for (double p = 0.1; p > 1e-6; p /= 10) {
        assert_int_equal(drift_law_make(&law, &question), 0);
        double t = drift_law_quantile(&law, log(p));
        assert_true(fabs(chi2_sf(t, 4) / p - 1) < 0.05);
        assert_true(fabs(exp(drift_law_log_p(&law, t)) / p - 1) < 1e-5);
    }
    /* PSI, Hellinger and Jensen-Shannon are that, too: Yurdakul 2018; 1/8 and 1/(8 ln 2) of it */
    static const struct {
        enum drift_statistic statistic;
        double by;
    } others[] = {{LAW_PSI, 1}, {LAW_HELLINGER, 0.125}, {LAW_JS, 0.125 / M_LN2}};
    for (int i = 0; i < 3; i++) {
        question.statistic = others[i].statistic;
        assert_int_equal(drift_law_make(&law, &question), 0);
        double t = drift_law_quantile(&law, log(1e-4));
        assert_true(fabs(t / (others[i].by * chi2_quantile(0.9999, 4)) - 1) < 0.01);
    }
}

enum {
    MOST_URN_BINS = 80,
    MOST_URN_EVENTS = 500,
    URNS = 200000
};

/* A window of Dirichlet-multinomial counts: each event falls as the weights say, or where an earlier
   one fell. `upto`: the weights, added up. */
static void fill_from_urn(struct rng *rng, const double *upto, size_t n_bins, int n,
                          struct drift_bin *bins)
{
    uint8_t fell[MOST_URN_EVENTS];
    const double all = upto[n_bins - 1];
    for (size_t i = 0; i < n_bins; i++)
        bins[i].window = 0;
    for (int i = 0; i < n; i++) {
        const double at = rng_uniform(rng) * (all + i);
        uint8_t bin = 0;
        if (at < all)
            while (upto[bin] <= at)
                bin++;
        else
            bin = fell[(int)(at - all)];
        fell[i] = bin;
        bins[bin].window++;
    }
}

/* How many times as often as the law of these counts says urns reach its threshold. */
static double of_urns(const struct law_question *question, double p)
{
    const size_t n_bins = question->n_bins + (question->unseen > 0);
    struct drift_bin bins[MOST_URN_BINS] = {0};
    double upto[MOST_URN_BINS], all = 0, above = 0;
    struct rng rng = rng_of(1);
    struct drift_law law;
    assert_int_equal(drift_law_make(&law, question), 0);
    const double most = drift_law_quantile(&law, log(p)) * (1 / question->n + 1 / question->m);
    for (size_t i = 0; i < n_bins; i++) {
        bins[i].reference = i < question->n_bins ? question->counts[i] : 0;
        upto[i] = all += i < question->n_bins ? question->weights[i] : question->unseen;
    }
    for (int k = 0; k < URNS; k++) {
        fill_from_urn(&rng, upto, n_bins, (int)question->n, bins);
        const double distance = question->statistic == LAW_JS
                                    ? drift_js(bins, n_bins, question->m, question->n)
                                    : drift_hellinger(bins, n_bins, question->m, question->n);
        above += distance * distance >= most;
    }
    return above / URNS / p;
}

/*
 * Exponential values: a few bins hold most events, and many a few, which are convolved as if they knew
 * nothing of the others.
 */
static void few_and_many_events_a_bin_have_the_law_of_urns(void **state)
{
    (void)state;
    enum {
        EVEN = 22
    };
    double seen[EVEN], m = 0;
    for (int i = 0; i < EVEN; i++)
        m += seen[i] = 10000 * exp(-0.45 * i) * -expm1(-0.45);
    const struct law_question question = {.statistic = LAW_HELLINGER,
                                          .counts = seen,
                                          .weights = seen,
                                          .n_bins = EVEN,
                                          .unseen = 2,
                                          .m = m,
                                          .n = 215};
    const double ratio = of_urns(&question, 0.02);
    printf("%.3f of p\n", ratio);
    assert_close(ratio, 0.98, 0.04);
}

/* What many rare bins vary in is nothing that the one of nearly all events could do without. */
static void a_dominant_bin_leaves_many_rare_ones_the_law_of_urns(void **state)
{
    (void)state;
    enum {
        RARE = 60
    };
    double seen[RARE + 1] = {95000}, m = 95000;
    for (int i = 1; i <= RARE; i++)
        m += seen[i] = 5000.0 / RARE;
    const struct law_question question = {
        .statistic = LAW_JS, .counts = seen, .weights = seen, .n_bins = RARE + 1, .m = m, .n = 500};
    const double ratio = of_urns(&question, 0.02);
    printf("%.3f of p\n", ratio);
    assert_close(ratio, 0.9, 0.12);
}

/* The area under a Brownian bridge's absolute value: mean, and Johnson, Killeen 1983, table 1. */
static void the_area_of_many_uniform_values_is_that_of_a_brownian_bridge(void **state)
{
    (void)state;
    enum {
        GROUPS = 64
    };
    double even[GROUPS], apart[GROUPS];
    for (int i = 0; i < GROUPS; i++) {
        even[i] = 1e6 / GROUPS;
        apart[i] = sqrt(12) / GROUPS; /* in standard deviations */
    }
    struct law_question question = {
        LAW_WASSERSTEIN, even, even, apart, GROUPS, 0, 1e6, 1e6, 0, 0, NULL, NULL, 0, false};
    struct drift_law law;
    assert_int_equal(drift_law_make(&law, &question), 0);
    static const struct {
        double p, area;
    } table[] = {{0.5, 0.2804}, {0.1, 0.4986}, {0.05, 0.5821}, {0.01, 0.7518}};
    for (int i = 0; i < 4; i++)
        assert_true(fabs(drift_law_quantile(&law, log(table[i].p)) / sqrt(12) - table[i].area) <
                    0.008);
}

/*
 * A gap of many standard deviations before the last few of 10,000 values: the area is next to that
 * gap times a bridge's distance from 0 there, which is normal.
 */
static void a_tail_of_few_values_is_that_of_a_brownian_bridge(void **state)
{
    (void)state;
    enum {
        GROUPS = 50
    };
    const double last = 0.0002; /* each of the upper ten has half of the one below it */
    double weights[GROUPS], apart[GROUPS];
    for (int i = 0; i < GROUPS; i++) {
        weights[i] = 1e6 * (i < 40 ? (1 - 1023 * last) / 40 : last * exp2(49 - i));
        apart[i] = i + 2 < GROUPS ? 1e-4 : 1 / sqrt(last * (1 - last));
    }
    struct law_question question = {
        LAW_WASSERSTEIN, weights, weights, apart, GROUPS, 0, 1e6, 1e6, 0, 0, NULL, NULL, 0, true};
    struct drift_law law;
    assert_int_equal(drift_law_make(&law, &question), 0);
    double second = 0, fourth = 0, step = law.step / 8;
    for (double t = step / 2; t < 12; t += step) {
        const double p = exp(drift_law_log_p(&law, t));
        second += 2 * t * p * step;
        fourth += 4 * t * t * t * p * step;
    }
    printf("second and fourth moment: %.3f, %.3f\n", second, fourth);
    assert_true(fabs(second - 1) < 0.15 && fabs(fourth - 3) < 0.4);
}

static void one_bin_holds_every_event_for_certain(void **state)
{
    (void)state;
    double all[] = {500}, none[] = {0};
    struct law_question question = {LAW_JS, all, all, none, 1,    0, 500,
                                    40,     0,   0,   NULL, NULL, 0, false};
    struct drift_law law;

    assert_int_equal(drift_law_make(&law, &question), 0);

    assert_true(drift_law_log_p(&law, 0) == 0);
    assert_true(drift_law_log_p(&law, 2) < -50);
    assert_true(drift_law_quantile(&law, log(1e-3)) < 1);
}

/* A reference of three values: what it never had weighs more than what it had. */
static void a_tiny_reference_has_a_law_that_falls(void **state)
{
    (void)state;
    double few[] = {1, 1, 1}, weights[] = {0.5, 0.5, 0.5}, apart[] = {1, 1};
    for (int statistic = LAW_PSI; statistic <= LAW_CHI2; statistic++) {
        struct law_question question = {(enum drift_statistic)statistic,
                                        few,
                                        weights,
                                        apart,
                                        3,
                                        2,
                                        3,
                                        5000,
                                        0,
                                        0,
                                        NULL,
                                        NULL,
                                        0,
                                        false};
        struct drift_law law;

        assert_int_equal(drift_law_make(&law, &question), 0);

        for (int i = 0; i < LAW_POINTS; i++) {
            assert_true(law.log_survival[i] <= 1e-6F);
            assert_true(i == 0 || law.log_survival[i] <= law.log_survival[i - 1] + 1e-3F);
        }
    }
}

/* P(k of n) in a bin of weight a beside one of weight b. */
static double beta_binomial(double k, double n, double a, double b)
{
    return exp(log_beta(k + a, n - k + b) - log_beta(a, b) - log(n + 1) -
               log_beta(n - k + 1, k + 1));
}

static void a_path_may_leave_a_tiny_reference_far_behind(void **state)
{
    (void)state;
    static const double seen[2] = {0, 60}, weights[2] = {0.25, 60}, step[1] = {1};
    const struct law_question question = {.statistic = LAW_WASSERSTEIN,
                                          .counts = seen,
                                          .weights = weights,
                                          .steps = step,
                                          .n_bins = 2,
                                          .m = 60,
                                          .n = LAW_EXACT_EVENTS};
    const double n = question.n, both = 1 / n + 1 / question.m;
    struct drift_law law;

    assert_int_equal(drift_law_make(&law, &question), 0);

    double p = 0;
    for (double k = n; k >= 20; k--) {
        p += beta_binomial(k, n, weights[0], weights[1]);
        double near = k / n / sqrt(both) - 4 * law.step, ours = exp(drift_law_log_p(&law, near));
        if (p > 1e-7)
            assert_true(ours > 0.6 * p && ours < 3 * p);
    }
    assert_close(p, 1.76e-5, 1e-7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_events_have_the_law_of_every_outcome_counted),
        cmocka_unit_test(a_bin_of_nearly_all_events_leaves_the_others_their_law),
        cmocka_unit_test(many_rare_bins_have_the_law_of_every_outcome_counted),
        cmocka_unit_test(the_order_of_the_bins_does_not_matter),
        cmocka_unit_test(the_largest_difference_is_never_called_too_rare),
        cmocka_unit_test(many_events_have_the_laws_of_the_textbooks),
        cmocka_unit_test(few_and_many_events_a_bin_have_the_law_of_urns),
        cmocka_unit_test(a_dominant_bin_leaves_many_rare_ones_the_law_of_urns),
        cmocka_unit_test(the_area_of_many_uniform_values_is_that_of_a_brownian_bridge),
        cmocka_unit_test(a_tiny_reference_has_a_law_that_falls),
        cmocka_unit_test(a_path_may_leave_a_tiny_reference_far_behind),
        cmocka_unit_test(a_tail_of_few_values_is_that_of_a_brownian_bridge),
        cmocka_unit_test(one_bin_holds_every_event_for_certain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
