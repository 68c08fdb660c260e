/* A window on its reference's grid: four cells at once, against one after the other. */
#include <math.h>

#include "common/rng.h"
#include "stats/drift.h"
#include "stats/drift_numeric.h"
#include "tests/test.h"

enum {
    REFERENCE_EVENTS = 10000,
    SHAPES = 4
};

struct world {
    struct profile_feature feature;
    struct profile_layout layout;
    struct reference *reference;
    struct profile *window;
};

static double draw(struct rng *rng, int shape)
{
    const double x = rng_normal(rng);
    return shape == 0 ? x : shape == 1 ? exp(x) : shape == 2 ? rint(3 * x) : rint(100 * x) / 7;
}

static struct profile *folded(const struct profile_layout *layout, enum profile_level level, int n,
                              int shape, uint64_t seed)
{
    struct profile *out = NULL;
    struct rng rng = rng_of(seed);
    assert_int_equal(profile_new(&out, layout, level, NULL), 0);
    for (int i = 0; i < n; i++) {
        profile_event(out, 1);
        assert_int_equal(profile_number(out, 0, draw(&rng, shape), 1), 0);
    }
    return out;
}

static void open_world(struct world *world, int shape, int n)
{
    *world = (struct world){
        .feature = {.name_id = 5, .kind = PROFILE_NUMERIC, .min = (double)NAN, .max = (double)NAN}};
    world->layout = (struct profile_layout){0, 1, &world->feature};
    struct profile *all = folded(&world->layout, PROFILE_REFERENCE, REFERENCE_EVENTS, shape, 1);
    assert_int_equal(reference_build(&world->reference, all, 0, NULL), 0);
    profile_free(all);
    reference_layout(world->reference, &world->layout, &world->feature);
    world->window = folded(&world->layout, PROFILE_HOUR, n, shape, (uint64_t)n);
}

static void close_world(struct world *world)
{
    profile_free(world->window);
    reference_free(world->reference);
}

struct expected {
    double ks, area, area_bound;
};

/* What the means say of what is known of both sides of 0; off: at most. */
static void narrow(struct expected *out, long double apart, const long double side[2],
                   const long double off[2])
{
    long double least = out->area - out->area_bound, most = out->area + out->area_bound;
    for (int i = 0; i < 2; i++) {
        const long double other = i == 0 ? -apart : apart;
        least = fmaxl(least, 2 * (side[i] - off[i]) + other);
        most = fminl(most, 2 * (side[i] + off[i]) + other);
    }
    if (off[0] + off[1] == 0)
        return;
    const long double missed = apart - (side[0] - side[1]);
    long double area = out->area + missed * (off[0] - off[1]) / (off[0] + off[1]);
    area = fminl(fmaxl(area, least), most);
    out->area = (double)area;
    out->area_bound = (double)fmaxl(most - area, area - least);
}

/* The whole numbers of both sides are followed, so that where they meet the gap is 0. */
static struct expected walked(const struct reference_feature *ref, const struct numbers *window)
{
    const struct grid *grid = ref->grid;
    const long double m = ref->valid, n = window->n;
    long double known = 0, here = 0, side[2] = {0}, off[2] = {0};
    struct expected out = {0, 0, 0};
    for (uint32_t i = 0; i <= grid->n_cuts; i++) {
        const long double a = (known * n - here * m) / (n * m);
        const long double f = ref->grid_counts[i] / m, g = numbers_count(window, i) / n;
        known += ref->grid_counts[i];
        here += numbers_count(window, i);
        const long double e = (known * n - here * m) / (n * m);
        out.ks = fmax(out.ks, (double)fabsl(e));
        if (i == 0 || i == grid->n_cuts)
            continue;
        const long double width = grid->cuts[i] - grid->cuts[i - 1], area = ref->grid_areas[i];
        const long double from_end = f > 0 ? area / f : width / 2;
        const long double net = a * width + (f > 0 ? (1 - g / f) * area : -g * width / 2);
        const long double unknown = g * fmaxl(from_end, width - from_end);
        const bool crosses = (a > 0 && e < 0) || (a < 0 && e > 0);
        const long double value =
            crosses ? width * (a * a + e * e) / (2 * (fabsl(a) + fabsl(e))) : fabsl(net);
        const long double bound = crosses ? (f + g) * width / 2 : unknown;
        const long double half = crosses ? (bound + unknown) / 2 : unknown;
        out.area += (double)value;
        out.area_bound += (double)bound;
        side[0] += (value + net) / 2;
        side[1] += (value - net) / 2;
        /* where they are equal, rounding as the program's own */
        const double start = (double)(a * n * m) * (1 / (double)(n * m));
        off[0] += start <= -((double)ref->grid_counts[i] * (1 / (double)m)) ? 0 : half;
        off[1] += start >= (double)numbers_count(window, i) * (1 / (double)n) ? 0 : half;
    }
    const long double mean = (long double)window->sum / n * grid->unit;
    narrow(&out, mean + (grid->origin - ref->moments.mean), side, off);
    return out;
}

static void each_cell_counts_as_it_does_alone(void **state)
{
    (void)state;
    static const int sizes[] = {1, 50, 700, 1401, 5000, 20000};
    int inside = 0;
    for (int i = 0; i < SHAPES * 6; i++) {
        struct world world;
        struct drift_numeric out;
        open_world(&world, i / 6, sizes[i % 6]);
        const struct reference_feature *ref = &world.reference->features[0];
        struct numbers on_grid;
        const struct numbers *numbers = world.window->features[0].numeric;
        const bool singly = !numbers->overflowed;
        if (singly) {
            const struct numbers_grid on = {ref->grid, world.reference->id};
            assert_int_equal(numbers_on_grid(numbers, on, &on_grid), 0);
            numbers = &on_grid;
        }
        const struct drift_numeric_input input = {
            .reference = ref, .reference_id = world.reference->id, .window = numbers};
        assert_int_equal(drift_numeric(&input, &out), 0);

        const struct expected expected = walked(ref, numbers);
        assert_close(out.ks.value, expected.ks, 1e-12);
        if (numbers_count(numbers, 0) + numbers_count(numbers, ref->grid->n_cuts) == 0) {
            assert_close(out.wasserstein.value, expected.area, 2 * ref->grid->unit);
            assert_close(out.wasserstein.error_bound, expected.area_bound, 4 * ref->grid->unit);
            inside++;
        }
        if (singly)
            numbers_finish(&on_grid);
        close_world(&world);
    }
    assert_true(inside >= 10); /* beyond the ends there is the sketch, too */
}

static void a_window_like_its_reference_is_not_off_at_all(void **state)
{
    (void)state;
    struct world world;
    struct drift_numeric out;
    open_world(&world, 0, 1);
    const struct reference_feature *ref = &world.reference->features[0];
    struct profile *same = folded(&world.layout, PROFILE_HOUR, REFERENCE_EVENTS, 0, 1);
    const struct drift_numeric_input input = {
        .reference = ref, .reference_id = world.reference->id, .window = same->features[0].numeric};
    assert_int_equal(drift_numeric(&input, &out), 0);

    assert_true(out.ks.value == 0 && out.psi.value == 0 && out.js_distance.value == 0);
    assert_close(out.wasserstein.value, 0, 1e-12);
    profile_free(same);
    close_world(&world);
}

static void bins_side_by_side_count_as_they_do_alone(void **state)
{
    (void)state;
    struct drift_bin bins[11] = {{3, 0}, {0, 7}, {0, 0}, {5, 5}};
    for (int i = 4; i < 11; i++)
        bins[i] = (struct drift_bin){100 + 31 * i, 17 + i * i};
    for (size_t n_bins = 1; n_bins <= 11; n_bins++) {
        double psi = 0, js = 0;
        for (size_t i = 0; i < n_bins; i++) {
            const double p = bins[i].reference / 2000, q = bins[i].window / 900;
            const double a = fmax(p, PSI_FLOOR), b = fmax(q, PSI_FLOOR);
            psi += (b - a) * log(b / a);
            js += (p > 0 ? p * log2(2 * p / (p + q)) : 0) + (q > 0 ? q * log2(2 * q / (p + q)) : 0);
        }
        assert_close(drift_psi(bins, n_bins, 2000, 900), psi, 1e-13);
        assert_close(drift_js(bins, n_bins, 2000, 900), sqrt(js / 2), 1e-13);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_cell_counts_as_it_does_alone),
        cmocka_unit_test(a_window_like_its_reference_is_not_off_at_all),
        cmocka_unit_test(bins_side_by_side_count_as_they_do_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
