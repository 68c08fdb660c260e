#include "stats/interval.h"

#include <math.h>

#include "stats/confusion.h"
#include "tests/test.h"

static void wilson_is_wilsons(void **state)
{
    (void)state;
    const struct interval a = interval_wilson(8, 10); /* Wilson 1927, z = 1.959964 */
    assert_close(a.lower, 0.490162, 1e-6);
    assert_close(a.upper, 0.943318, 1e-6);
    assert_close(interval_wilson(0, 10).lower, 0, 0);
    assert_close(interval_wilson(0, 10).upper, 0.277533, 1e-6);
    assert_close(interval_wilson(10, 10).upper, 1, 0);
    assert_true(isnan(interval_wilson(0, 0).lower));
    assert_true(isnan(interval_wilson(3, 2).lower));
}

static void means_have_students_interval(void **state)
{
    (void)state;
    /* 1, 2, 3, 4: mean 2.5, variance 5 / 3, t of 3 degrees 3.18245 */
    const double variance = variance_of(10, 30, 4);
    assert_close(variance, 5.0 / 3, 1e-15);
    assert_close(interval_mean(2.5, variance, 4).upper, 2.5 + 3.182446305 * sqrt(5.0 / 12), 1e-8);
    assert_true(isnan(interval_mean(1, variance_of(1, 1, 1), 1).lower));
}

static void a_perfect_area_still_has_an_interval(void **state)
{
    (void)state;
    assert_close(interval_roc(1, 0, 10, 50).upper, 1, 0);
    assert_close(interval_roc(1, 0, 10, 50).lower, interval_wilson(10, 10).lower, 0);
    assert_close(interval_roc(0.9, 0.0004, 100, 100).lower, 0.9 - 1.959964 * 0.02, 1e-7);
    assert_close(interval_roc(0.99, 0.0004, 100, 100).upper, 1, 0);
    assert_true(isnan(interval_roc(0.9, (double)NAN, 1, 5).lower));
    /* logit(0.8) ± z / sqrt(50 · 0.8 · 0.2) */
    const struct interval ap = interval_average_precision(0.8, 50);
    assert_close(ap.lower, 1 / (1 + exp(-(log(4) - 1.95996398 / sqrt(8)))), 1e-8);
    assert_close(ap.upper, 1 / (1 + exp(-(log(4) + 1.95996398 / sqrt(8)))), 1e-8);
}

enum {
    TN = 60,
    FP = 15,
    FN = 20,
    TP = 105
};

struct two_by_two {
    double truth[2], predicted[2], hit[2];
    struct confusion_cell cells[4];
    struct confusion confusion;
};

static void two_by_two_of(struct two_by_two *t, double tn, double fp, double fn, double tp)
{
    *t = (struct two_by_two){{tn + fp, fn + tp},
                             {tn + fn, fp + tp},
                             {tn, tp},
                             {{0, 0, tn}, {0, 1, fp}, {1, 0, fn}, {1, 1, tp}},
                             {0}};
    t->confusion =
        (struct confusion){2, t->truth, t->predicted, t->hit, tn + fp + fn + tp, t->cells, 4};
}

static double half_width(struct two_by_two *t, confusion_value *value)
{
    const struct interval i = confusion_interval(&t->confusion, value, -1, 1);
    return (i.upper - i.lower) / 2;
}

static void the_delta_method_gives_the_closed_forms(void **state)
{
    (void)state;
    struct two_by_two t;
    two_by_two_of(&t, TN, FP, FN, TP);
    const double z = 1.959963984540054;
    const double accuracy = (TN + TP) / 200.0;
    assert_close(half_width(&t, confusion_accuracy), z * sqrt(accuracy * (1 - accuracy) / 200),
                 1e-8);
    const double se = TP / 125.0, sp = TN / 75.0;
    assert_close(half_width(&t, confusion_balanced_accuracy),
                 z * sqrt(se * (1 - se) / 125 + sp * (1 - sp) / 75) / 2, 1e-8);
    const double f1 = f1_of(TP, FP, FN), n = 2 * TP + FP + FN;
    assert_close(f1, 0.857142857142857, 1e-14);
    const struct interval i = interval_f1(TP, FP, FN);
    assert_close((i.upper - i.lower) / 2,
                 z * sqrt(4 * TP * (1 - f1) * (1 - f1) + (FP + FN) * f1 * f1) / n, 1e-12);
}

/* Wilson's interval of 2 in 2 is .342380 to 1, and F1 = 2J/(1 + J) of the share J. */
static void a_perfect_f1_of_two_labels_is_not_certain(void **state)
{
    (void)state;
    const struct interval perfect = interval_f1(2, 0, 0), worst = interval_f1(0, 1, 1);

    assert_close(perfect.lower, 2 * 0.3423802 / 1.3423802, 1e-6);
    assert_close(perfect.upper, 1, 1e-12);
    assert_close(worst.lower, 0, 1e-12);
    assert_close(worst.upper, 2 * 0.6576198 / 1.6576198, 1e-6);
}

static void a_perfect_matrix_has_no_interval_by_the_delta_method(void **state)
{
    (void)state;
    struct two_by_two t;
    two_by_two_of(&t, 3, 0, 0, 2);

    const struct interval i = confusion_interval(&t.confusion, confusion_mcc, -1, 1);

    assert_true(isnan(i.lower) && isnan(i.upper));
}

/* The jackknife leaves one event out at a time; for smooth values it meets the delta method. */
static double jackknife(confusion_value *value)
{
    static const double cells[] = {TN, FP, FN, TP};
    double sum = 0, squares = 0, n = 0;
    for (int out = 0; out < 4; out++) {
        struct two_by_two t;
        two_by_two_of(&t, TN - (out == 0), FP - (out == 1), FN - (out == 2), TP - (out == 3));
        const double left = value(&t.confusion);
        sum += cells[out] * left;
        squares += cells[out] * left * left;
        n += cells[out];
    }
    return 1.959964 * sqrt((n - 1) / n * (squares - sum * sum / n));
}

static void kappa_and_matthews_agree_with_the_jackknife(void **state)
{
    (void)state;
    struct two_by_two t;
    two_by_two_of(&t, TN, FP, FN, TP);
    confusion_value *const values[] = {confusion_kappa, confusion_mcc, confusion_f1_macro,
                                       confusion_precision_weighted};
    for (int i = 0; i < 4; i++) {
        const double expected = jackknife(values[i]);
        assert_close(half_width(&t, values[i]), expected, 0.02 * expected);
    }
    assert_close(t.confusion.total, 200, 0); /* put back */
    assert_close(t.truth[0], TN + FP, 0);
}

static void one_class_alone_has_no_correlation(void **state)
{
    (void)state;
    struct two_by_two t;
    two_by_two_of(&t, 10, 0, 0, 0);
    assert_true(isnan(confusion_mcc(&t.confusion)));
    assert_true(isnan(confusion_kappa(&t.confusion)));
    assert_close(confusion_balanced_accuracy(&t.confusion), 1, 0);
    assert_true(isnan(f1_of(0, 0, 0)));
}

static struct interval change_of(double now, double half, double before, double wide)
{
    const struct estimate a = {now, {now - half, now + half}},
                          b = {before, {before - wide, before + wide}};
    return interval_change(a, b);
}

/* Without noise of its own each side leaves r with |now - r before| = half, or = r wide. */
static void a_relative_change_is_as_sure_as_both_of_its_sides(void **state)
{
    (void)state;
    const struct interval of_now = change_of(0.7, 0.1, 1, 0),
                          of_before = change_of(0.5, 0, 0.5, 0.1);
    const struct interval of_both = change_of(1.2, 0.1, 1, 0.1),
                          negative = change_of(-1, 0.5, -2, 0);

    assert_close(of_now.lower, -0.4, 1e-12);
    assert_close(of_now.upper, -0.2, 1e-12);
    assert_close(of_before.lower, 0.5 / 0.6 - 1, 1e-12);
    assert_close(of_before.upper, 0.5 / 0.4 - 1, 1e-12);
    assert_close(pow(1.2 - (1 + of_both.upper), 2), 0.01 + pow(0.1 * (1 + of_both.upper), 2),
                 1e-12);
    assert_true(of_both.lower > 0 && of_both.upper > 0.2);
    assert_close(negative.lower, 0.25, 1e-12); /* from -2 to -1 is half of it up */
    assert_close(negative.upper, 0.75, 1e-12);
}

static void
a_change_from_what_may_be_nothing_is_unbounded_and_one_without_intervals_has_none(void **state)
{
    (void)state;
    const struct estimate exact = {1, {NAN, NAN}}, doubtful = {0.1, {0, 0.3}};

    assert_true(isnan(interval_change(exact, exact).lower));
    assert_true(isinf(interval_change(exact, doubtful).lower));
    assert_true(isinf(interval_change(exact, doubtful).upper));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wilson_is_wilsons),
        cmocka_unit_test(means_have_students_interval),
        cmocka_unit_test(a_perfect_area_still_has_an_interval),
        cmocka_unit_test(a_perfect_f1_of_two_labels_is_not_certain),
        cmocka_unit_test(a_perfect_matrix_has_no_interval_by_the_delta_method),
        cmocka_unit_test(the_delta_method_gives_the_closed_forms),
        cmocka_unit_test(kappa_and_matthews_agree_with_the_jackknife),
        cmocka_unit_test(one_class_alone_has_no_correlation),
        cmocka_unit_test(a_relative_change_is_as_sure_as_both_of_its_sides),
        cmocka_unit_test(
            a_change_from_what_may_be_nothing_is_unbounded_and_one_without_intervals_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
