/* All features together: a window of the whole is judged, that of a slice has its numbers alone. */
#include "storage/drift_components.h"

#include <stdlib.h>

#include "common/rng.h"
#include "stats/estimator.h"
#include "stats/fitted.h"
#include "stats/looked.h"
#include "storage/references.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

enum {
    WIDTH = 3,
    ROWS = 600,
    EVENTS = 60 /* of a window */
};
#define START INT64_C(1700000040000) /* a whole minute */

struct place {
    struct temp *temp;
    struct store *store;
    struct multivariate *model; /* the reference's */
    struct rng rng;
    uint64_t reference;
};

static void draw(struct rng *rng, double shift, struct row_value *row)
{
    for (int f = 0; f < WIDTH; f++)
        row[f] = (struct row_value){.number = shift + rng_normal(rng)};
}

static void load(struct place *place)
{
    struct err err = {0};
    struct profile_feature feature = {.name_id = 1, .min = (double)NAN, .max = (double)NAN};
    const struct profile_layout layout = {0, 1, &feature};
    struct multivariate_feature features[WIDTH] = {{.name_id = 1}, {.name_id = 2}, {.name_id = 3}};
    struct row_value rows[ROWS][WIDTH];
    AUTO(profile) struct profile *profile = NULL;
    AUTO(reference) struct reference *reference = NULL;
    must(profile_new(&profile, &layout, PROFILE_REFERENCE, &err), &err);
    for (int i = 0; i < ROWS; i++) {
        draw(&place->rng, 0, rows[i]);
        profile_event(profile, 1);
        assert_int_equal(profile_number(profile, 0, rows[i][0].number, 1), 0);
    }
    must(reference_build(&reference, profile, 0, &err), &err);
    struct fitted *fitted = reference->fitted = calloc(1, sizeof(*fitted));
    fitted->estimator = calloc(1, sizeof(*fitted->estimator));
    fitted->estimator->reference = place->reference = reference->id;
    must(multivariate_fit(&fitted->components, features, WIDTH, rows[0], ROWS, &err), &err);
    must(multivariate_fit(&place->model, features, WIDTH, rows[0], ROWS, &err), &err);
    must(commit_begin(place->store, &err), &err);
    must(commit_reference(place->store, "credit", "", reference, "file", 1, &err), &err);
    must(commit_end(place->store, &err), &err);
}

static struct place *place_new(void)
{
    struct place *place = calloc(1, sizeof(*place));
    place->temp = temp_new();
    place->store = temp_store(place->temp, STORE_WRITE);
    place->rng = rng_of(7);
    temp_series(place->store, "credit", "v1", "");
    load(place);
    return place;
}

static void place_free(struct place *place)
{
    multivariate_free(place->model);
    store_free(place->store);
    temp_free(place->temp);
    free(place);
}
DEFINE_FREEP(place)

/* The same events, `shift` away from the reference's, for everything and for de. */
static void write_minute(struct place *place, int64_t start_ms, double shift)
{
    struct err err = {0};
    const struct metric_setup setup = {TASK_BINARY, class_id("1", 1), 0.5, NULL};
    AUTO(states) struct states *states = NULL;
    must(states_new(&states, &setup, &err), &err);
    for (int i = 0; i < EVENTS; i++) {
        const struct sample sample = {.score = 0.5, .value = (double)NAN};
        struct looked looked = {.reference = place->reference};
        struct row_value row[WIDTH];
        double columns[WIDTH];
        draw(&place->rng, shift, row);
        for (uint32_t f = 0; f < WIDTH; f++) {
            multivariate_put(place->model, f, row[f], columns);
            multivariate_standardise(place->model, f, &columns[f], 1);
        }
        looked_add(&looked, place->model, columns, 1, 1);
        assert_int_equal(states_predict(states, &sample), 0);
        assert_int_equal(states_looked(states, &looked), 0);
    }
    struct buf bytes;
    buf_init(&bytes, 1 << 20);
    states_save(states, &bytes);
    for (int i = 0; i < 2; i++) {
        const int64_t series =
            temp_series(place->store, "credit", "v1", i == 0 ? "" : "country=de");
        must(commit_begin(place->store, &err), &err);
        must(commit_pane(place->store, series, MINUTE, start_ms, bytes.data, bytes.size, &err),
             &err);
        must(commit_end(place->store, &err), &err);
    }
    buf_finish(&bytes);
}

static int take(void *context, const struct components_point *point, struct err *err)
{
    (void)err;
    *(struct components_point *)context = *point; /* its texts are constants */
    return 0;
}

static struct components_point point_of(struct place *place, const char *slice, int64_t start_ms)
{
    struct err err = {0};
    struct components_point point = {0};
    char why[200];
    const struct series_query query = {.model = "credit",
                                       .version = "v1",
                                       .slice = slice,
                                       .from_ms = start_ms,
                                       .to_ms = start_ms + MINUTE,
                                       .window_ms = MINUTE};
    must(components_each(place->store, &query, 0.01, take, &point, why, &err), &err);
    assert_string_equal(why, "");
    return point;
}

static void a_window_of_the_whole_is_judged(void **state)
{
    (void)state;
    AUTO(place) struct place *place = place_new();
    write_minute(place, START, 0);
    write_minute(place, START + MINUTE, 3);

    const struct components_point well = point_of(place, "", START);
    const struct components_point moved = point_of(place, NULL, START + MINUTE);

    assert_null(well.why);
    assert_false(well.drift.drifted || well.domain.drifted);
    assert_int_equal(moved.n, EVENTS);
    assert_true(moved.reference == place->reference);
    assert_true(moved.drift.drifted && moved.domain.drifted);
    assert_true(moved.drift.reconstruction_error > moved.drift.threshold);
    assert_true(moved.domain.auc > moved.domain.threshold);
}

/* By the law of all rows it would have drifted for ever. */
static void a_slice_that_differs_from_the_whole_has_numbers_and_no_verdict(void **state)
{
    (void)state;
    AUTO(place) struct place *place = place_new();
    write_minute(place, START, 3);

    const struct components_point whole = point_of(place, "", START);
    const struct components_point de = point_of(place, "country=de", START);

    assert_true(whole.drift.drifted);
    assert_int_equal(de.n, EVENTS);
    assert_true(de.drift.reconstruction_error == whole.drift.reconstruction_error);
    assert_true(de.domain.auc == whole.domain.auc);
    assert_false(de.drift.drifted || de.domain.drifted);
    assert_true(isnan(de.drift.lower) && isnan(de.drift.threshold) && isnan(de.drift.p_value));
    assert_true(isnan(de.domain.threshold) && isnan(de.domain.p_value));
    assert_string_equal(de.why, "all features together are judged for the whole model only; ask "
                                "without a segment, or look at the segment's features one by one");
    assert_string_equal(de.domain.why, de.why);

    const struct components_point empty = point_of(place, "country=de", START + MINUTE);
    assert_string_equal(empty.why, "no event in the window");
    assert_false(empty.drift.drifted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_window_of_the_whole_is_judged),
        cmocka_unit_test(a_slice_that_differs_from_the_whole_has_numbers_and_no_verdict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
