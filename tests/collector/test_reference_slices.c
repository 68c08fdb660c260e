/* What a reference keeps of the model's slices: values of each, labels where their prediction is. */
#include <stdio.h>
#include <string.h>

#include "collector/reference_file.h"
#include "stats/fitted.h"
#include "tests/test.h"

static const char yaml[] =
    "models:\n"
    "  - {name: credit, task: binary, positive: 1, segments: [country, channel]}\n"
    "limits: {slices: 2}\n";

static struct reference *reference_of(const char *settings, const char *lines)
{
    AUTO(config) struct config *config = NULL;
    struct reference *reference = NULL;
    struct reference_counts counts;
    struct err err = {0};
    assert_int_equal(config_parse(&config, "assay.yaml", settings, strlen(settings), &err), 0);
    const struct reference_source source = {.model = "credit",
                                            .config = config_model_find(config, "credit"),
                                            .task = "binary",
                                            .site = config};
    if (reference_from_text(&reference, &source, lines, strlen(lines), &counts, &err))
        fail_msg("%s", err.text);
    assert_int_equal(counts.refused, 0);
    return reference;
}

static const struct reference *slice_of(const struct reference *whole, const char *slice)
{
    for (uint32_t i = 0; i < whole->fitted->n_slices; i++)
        if (strcmp(whole->fitted->slices[i].slice, slice) == 0)
            return whole->fitted->slices[i].reference;
    return NULL;
}

static const struct reference_feature *feature_of(const struct reference *whole, const char *slice,
                                                  const char *name)
{
    const struct reference *reference = slice_of(whole, slice);
    assert_non_null(reference);
    return reference_find(reference, class_id(name, strlen(name)));
}

#define P(id, country, income)                                                                     \
    "{\"type\":\"prediction\",\"id\":\"" id "\",\"ts\":1,\"model\":\"credit\",\"version\":\"v1\"," \
    "\"score\":0.5,\"features\":{\"income\":" income "},\"segment\":{" country "}}\n"
#define L(id, label) "{\"type\":\"label\",\"id\":\"" id "\",\"ts\":2,\"label\":" label "}\n"
#define DE "\"country\":\"de\""
#define FR "\"country\":\"fr\""

static void each_slice_has_its_own_values(void **state)
{
    (void)state;
    AUTO(reference)
    struct reference *whole =
        reference_of(yaml, P("a", DE, "10") P("b", DE, "30") P("c", FR, "100"));

    assert_int_equal(slice_of(whole, "country=de")->events, 2);
    assert_int_equal(slice_of(whole, "country=fr")->events, 1);
    assert_int_equal(slice_of(whole, "channel=__none__")->events, 3);
    assert_true(feature_of(whole, "country=de", "income")->moments.mean == 20);
    assert_true(feature_of(whole, "country=fr", "income")->moments.mean == 100);
    assert_true(feature_of(whole, "country=de", "@score")->valid == 2);
    assert_true(slice_of(whole, "country=de")->grids == whole->id);
    assert_int_equal(whole->fitted->n_slice_keys, 2);
    assert_string_equal(whole->fitted->slice_keys[0], "country");
    assert_string_equal(whole->fitted->slices[0].slice, "channel=__none__"); /* of most events */
}

static void values_beyond_the_limit_are_other_and_missing_ones_none(void **state)
{
    (void)state;
    AUTO(reference)
    struct reference *whole =
        reference_of(yaml, P("a", DE, "1") P("b", FR, "2") P("c", "\"country\":\"it\"", "3")
                               P("d", "\"country\":\"se\"", "5") P("e", "", "7"));

    assert_null(slice_of(whole, "country=it"));
    assert_true(feature_of(whole, "country=__other__", "income")->moments.mean == 4);
    assert_true(feature_of(whole, "country=__none__", "income")->moments.mean == 7);
}

static void a_label_is_in_the_slices_of_its_prediction_the_last_one_and_once(void **state)
{
    (void)state;
    AUTO(reference)
    struct reference *whole =
        reference_of(yaml, L("a", "1") P("a", DE, "1") P("b", DE, "2") P("c", FR, "3") L("b", "0")
                               L("b", "1") L("c", "0") L("nobody", "1"));

    const struct reference_feature *de = feature_of(whole, "country=de", "@label");
    const struct reference_feature *fr = feature_of(whole, "country=fr", "@label");
    assert_int_equal(de->valid, 2);
    assert_int_equal(de->n_categories, 1);
    assert_int_equal(fr->valid, 1);
    assert_int_equal(de->missing, 0);
}

static void a_feature_that_a_slice_never_has_is_not_in_its_part(void **state)
{
    (void)state;
    AUTO(reference)
    struct reference *whole = reference_of(yaml, P("a", DE, "1") P("b", FR, "null"));

    assert_null(feature_of(whole, "country=fr", "income"));
    assert_non_null(feature_of(whole, "country=fr", "@score"));
}

static void without_segments_nothing_is_kept(void **state)
{
    (void)state;
    AUTO(reference)
    struct reference *whole =
        reference_of("models:\n  - {name: credit, task: binary}\n", P("a", DE, "1"));

    assert_int_equal(whole->fitted->n_slices, 0);
    assert_int_equal(whole->fitted->n_slice_keys, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_slice_has_its_own_values),
        cmocka_unit_test(values_beyond_the_limit_are_other_and_missing_ones_none),
        cmocka_unit_test(a_label_is_in_the_slices_of_its_prediction_the_last_one_and_once),
        cmocka_unit_test(a_feature_that_a_slice_never_has_is_not_in_its_part),
        cmocka_unit_test(without_segments_nothing_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
