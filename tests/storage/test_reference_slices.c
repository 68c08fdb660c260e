/* Parts of references as rows: read one by one, each with its reference, and why there is none. */
#include "storage/reference_slices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stats/sample.h"
#include "storage/drift_model.h"
#include "tests/lib/income.h"
#include "tests/test.h"

/* A reference of 1000 values, of which `de` has the first 100 from `first` on; `fr` has no room. */
static struct reference *reference_of(struct income *fixture, double first)
{
    struct reference *reference = income_reference(fixture, 0, 1000);
    struct err err = {0};
    AUTO(profile) struct profile *de = income_profile(fixture, PROFILE_REFERENCE, first, 100);
    struct fitted *fitted = reference->fitted = calloc(1, sizeof(*fitted));
    fitted->estimator = calloc(1, sizeof(*fitted->estimator));
    fitted->slices = calloc(2, sizeof(*fitted->slices));
    fitted->n_slices = 2;
    fitted->slices[0].slice = strdup("country=de");
    must(reference_build_part(&fitted->slices[0].reference, de, 0, reference, &err), &err);
    fitted->slices[1].slice = strdup("country=fr");
    fitted->slice_keys = calloc(1, sizeof(char *));
    fitted->slice_keys[0] = strdup("country");
    fitted->n_slice_keys = 1;
    return reference;
}

static struct profile_model model_of(struct store *store, const char *version, const char *slice)
{
    const struct drift_slice of = {"credit", version, slice};
    const struct profile_span window = {0, HOUR};
    struct profile_model model;
    struct err err = {0};
    must(drift_model_read(store, NULL, &of, &window, &model, &err), &err);
    return model;
}

static void a_slice_has_its_part_and_the_grids_of_the_whole(void **state)
{
    (void)state;
    AUTO(income) struct income *fixture = income_new();
    AUTO(reference) struct reference *reference = reference_of(fixture, 50);
    income_refer(fixture, "", reference);
    AUTO(store) struct store *reader = temp_store(fixture->temp, STORE_READ);
    for (int i = 0; i < 2; i++) { /* the second time from the cache */
        struct profile_model model = model_of(reader, NULL, "country=de");

        assert_int_equal(model.reference.reference->events, 100);
        assert_true(model.layout.reference == reference->id);
        assert_true(model.reference.reference->grids == reference->id);
        assert_string_equal(model.slice, "country=de");
        assert_string_equal(model.no_reference, "");
        profile_model_finish(&model);
    }
}

static void expect_why(struct store *store, const char *slice, const char *why)
{
    struct profile_model model = model_of(store, NULL, slice);
    assert_null(model.reference.reference);
    assert_string_equal(model.no_reference, why);
    assert_non_null(model.whole); /* panes are read on its grids all the same */
    profile_model_finish(&model);
}

static void a_slice_without_a_part_says_why(void **state)
{
    (void)state;
    AUTO(income) struct income *fixture = income_new();
    AUTO(reference) struct reference *reference = reference_of(fixture, 50);
    income_refer(fixture, "", reference);

    expect_why(fixture->store, "country=it", "the reference holds no event of the segment");
    expect_why(fixture->store, "channel=web",
               "the reference keeps no slices of channel; load its events again");
    expect_why(fixture->store, "country=fr",
               "the reference had no room left for the segment: too many slices");
    temp_run(fixture->store,
             "UPDATE reference_models SET bytes = zeroblob(50) WHERE part = 'slice/country=de'");
    expect_why(fixture->store, "country=de",
               "what the reference keeps of the segment is damaged; load its events again");
    struct err err = {0};
    assert_int_equal(reference_slices_verify(fixture->store, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.text, "slice/country=de is damaged"));
    temp_run(fixture->store, "DELETE FROM reference_models WHERE part GLOB 'slice*'");
    expect_why(fixture->store, "country=de",
               "the reference was loaded before slices were kept; load its events again");
    must(reference_slices_verify(fixture->store, &err), &err);
}

static void a_part_of_few_events_is_compared_with_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *method;
        int n;
        const char *why; /* NULL: enough */
    } cases[] = {
        {"auto", 9, "the reference holds 9 events of the segment, 10 are needed"},
        {"auto", 10, NULL},
        {"hellinger", 19, "the reference holds 19 events of the segment, 20 are needed"},
        {"psi", 20, NULL}, /* for its categories: a feature of numbers says that it needs more */
        {"evidently", 1, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        AUTO(income) struct income *fixture = income_new();
        AUTO(config) struct config *config = NULL;
        AUTO(reference) struct reference *reference = reference_of(fixture, 0);
        AUTO(profile)
        struct profile *few = income_profile(fixture, PROFILE_REFERENCE, 0, cases[i].n);
        const struct drift_slice of = {"credit", NULL, "country=de"};
        const struct profile_span window = {0, HOUR};
        struct profile_model model;
        struct err err = {0};
        char yaml[200];
        snprintf(yaml, sizeof(yaml),
                 "models:\n  - {name: credit, task: binary, drift: {method: %s}}\n",
                 cases[i].method);
        must(config_parse(&config, "assay.yaml", yaml, strlen(yaml), &err), &err);
        struct slice_reference *de = &reference->fitted->slices[0];
        reference_free(de->reference);
        de->reference = NULL;
        must(reference_build_part(&de->reference, few, 0, reference, &err), &err);
        income_refer(fixture, "", reference);

        must(drift_model_read(fixture->store, config, &of, &window, &model, &err), &err);

        assert_string_equal(model.no_reference, cases[i].why ? cases[i].why : "");
        assert_true((model.reference.reference == NULL) == (cases[i].why != NULL));
        profile_model_finish(&model);
    }
}

static void parts_come_and_go_with_their_reference(void **state)
{
    (void)state;
    AUTO(income) struct income *fixture = income_new();
    AUTO(reference) struct reference *first = reference_of(fixture, 0);
    AUTO(reference) struct reference *second = reference_of(fixture, 500); /* of the same whole */
    AUTO(reference) struct reference *own = reference_of(fixture, 800);
    struct err err = {0};
    assert_true(first->id == second->id);
    income_refer(fixture, "", first);
    income_refer(fixture, "", second);
    income_refer(fixture, "v2", own);
    const struct {
        const char *version;
        double mean;
    } rows[] = {{NULL, 549.5}, {"v1", 549.5}, {"v2", 849.5}};
    for (size_t i = 0; i < 3; i++) {
        struct profile_model model = model_of(fixture->store, rows[i].version, "country=de");
        assert_true(model.reference.reference->features[0].moments.mean == rows[i].mean);
        profile_model_finish(&model);
    }
    must(commit_begin(fixture->store, &err), &err);
    must(commit_reference_withdrawn(fixture->store, "credit", "", 9, &err), &err);
    must(commit_end(fixture->store, &err), &err);
    struct profile_model model = model_of(fixture->store, NULL, "country=de");
    assert_null(model.reference.reference);
    assert_string_equal(model.no_reference, ""); /* nor has the model one */
    profile_model_finish(&model);
}

static void a_model_turns_from_slice_to_slice_and_back(void **state)
{
    (void)state;
    AUTO(income) struct income *fixture = income_new();
    AUTO(reference) struct reference *reference = reference_of(fixture, 50);
    const struct profile_span window = {0, HOUR};
    const char *const slices[] = {"country=it", "country=de", ""};
    const uint64_t events[] = {0, 100, 1000};
    struct err err = {0};
    income_refer(fixture, "", reference);
    struct profile_model model = model_of(fixture->store, NULL, NULL);
    const struct profile_feature *features = model.features;
    for (int i = 0; i < 3; i++) {
        const struct drift_slice of = {"credit", NULL, slices[i]};
        must(drift_model_turn(fixture->store, NULL, &of, &window, &model, &err), &err);
        const struct reference *now = model.reference.reference;
        assert_int_equal(now ? now->events : 0, events[i]);
        assert_ptr_equal(model.features, features);
        assert_true((model.no_reference[0] != 0) == (events[i] == 0));
        assert_true(model.layout.reference == reference->id);
    }
    profile_model_finish(&model);
}

static bool differs(struct income *fixture, const struct reference *reference)
{
    struct err err = {0};
    bool out = false;
    must(reference_slices_differ(fixture->store, "credit", reference->id, reference->fitted, &out,
                                 &err),
         &err);
    return out;
}

static void what_was_kept_is_told_from_what_a_file_has_now(void **state)
{
    (void)state;
    AUTO(income) struct income *fixture = income_new();
    AUTO(reference) struct reference *reference = reference_of(fixture, 0);
    AUTO(reference)
    struct reference *other = reference_of(fixture, 1); /* another de, the same id */
    assert_false(differs(fixture, reference));          /* there is none of that id */
    income_refer(fixture, "", reference);
    assert_false(differs(fixture, reference));
    assert_true(differs(fixture, other));
    temp_run(fixture->store, "DELETE FROM reference_models WHERE part GLOB 'slice*'");
    assert_true(differs(fixture, reference));
    fitted_forget_slices(other->fitted);
    assert_false(differs(fixture, other)); /* no segments then, none now */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slice_has_its_part_and_the_grids_of_the_whole),
        cmocka_unit_test(a_slice_without_a_part_says_why),
        cmocka_unit_test(a_part_of_few_events_is_compared_with_nothing),
        cmocka_unit_test(parts_come_and_go_with_their_reference),
        cmocka_unit_test(a_model_turns_from_slice_to_slice_and_back),
        cmocka_unit_test(what_was_kept_is_told_from_what_a_file_has_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
