/* The metrics of a reference's events: joined by id in any order, for all and for each slice. */
#include <stdio.h>
#include <string.h>

#include "collector/reference_file.h"
#include "stats/fitted.h"
#include "tests/test.h"

static const char yaml[] = "models:\n"
                           "  - {name: binary, task: binary, positive: 1, segments: [country]}\n"
                           "  - {name: multiclass, task: multiclass}\n"
                           "  - {name: regression, task: regression}\n"
                           "  - {name: ranking, task: ranking}\n"
                           "  - {name: segmentation, task: segmentation}\n"
                           "limits: {slices: 2}\n";

struct world {
    struct config *config;
    struct reference *reference;
};

static void world_free(struct world *world)
{
    reference_free(world->reference);
    config_free(world->config);
    free(world);
}
DEFINE_FREEP(world)

/* The reference of `model` (named after its task) made of these lines. */
static struct world *world_of(const char *model, const char *lines)
{
    struct world *world = calloc(1, sizeof(*world));
    struct reference_counts counts;
    struct err err = {0};
    assert_int_equal(config_parse(&world->config, "assay.yaml", yaml, strlen(yaml), &err), 0);
    const struct reference_source source = {
        .model = model,
        .config = config_model_find(world->config, model),
        .task = model,
        .site = world->config,
    };
    int rc = reference_from_text(&world->reference, &source, lines, strlen(lines), &counts, &err);
    if (rc)
        fail_msg("%s", err.text);
    assert_int_equal(counts.refused, 0);
    return world;
}

/* Of a slice that must be there; "" for all. */
static const struct states *states_of(const struct world *world, const char *slice)
{
    const struct fitted *fitted = world->reference->fitted;
    for (uint32_t i = 0; i < fitted->n_metrics; i++)
        if (strcmp(fitted->metrics[i].slice, slice) == 0)
            return fitted->metrics[i].states;
    fail_msg("no metrics of slice \"%s\"", slice);
    return NULL;
}

static double value_of(const struct world *world, const char *slice, const char *metric)
{
    const struct states *states = states_of(world, slice);
    struct metric_ref ref;
    struct metric_value value;
    assert_int_equal(metric_find(&ref, metric, states_setup(states)->task, NULL), 0);
    metric_result(states, &ref, 3600000, &value);
    return value.value;
}

#define P(id, more) "{\"type\":\"prediction\",\"id\":\"" id "\",\"ts\":1," more "}\n"
#define L(id, label) "{\"type\":\"label\",\"id\":\"" id "\",\"ts\":2,\"label\":" label "}\n"
#define BINARY "\"model\":\"binary\",\"version\":\"v1\","

static void labels_meet_their_predictions_in_any_order(void **state)
{
    (void)state;
    AUTO(world)
    struct world *world =
        world_of("binary", L("a", "1") P("a", BINARY "\"score\":0.9,\"latency_ms\":10")
                               P("b", BINARY "\"score\":0.8,\"latency_ms\":30") L("b", "0")
                                   P("c", BINARY "\"score\":0.1") P("d", BINARY "\"score\":0.7")
                                       L("c", "0") L("nobody", "1"));

    assert_int_equal(states_count(states_of(world, "")), 4);
    assert_int_equal(states_labelled(states_of(world, "")), 3);
    assert_float_equal(value_of(world, "", "accuracy"), 2.0 / 3, 1e-12);
    assert_float_equal(value_of(world, "", "roc_auc"), 1.0, 1e-12);
    assert_float_equal(value_of(world, "", "latency_mean"), 20.0, 1e-12);
}

static void the_first_prediction_and_the_last_label_count(void **state)
{
    (void)state;
    AUTO(world)
    struct world *world =
        world_of("binary", P("a", BINARY "\"score\":0.9") P("a", BINARY "\"score\":0.1") L("a", "0")
                               L("a", "1") P("b", BINARY "\"error\":\"down\"") L("b", "1"));

    assert_int_equal(states_count(states_of(world, "")), 2);
    assert_float_equal(value_of(world, "", "accuracy"), 1.0, 1e-12);
    assert_float_equal(value_of(world, "", "error_rate"), 0.5, 1e-12);
    assert_float_equal(value_of(world, "", "tp"), 1.0, 0);
}

static void each_slice_has_its_own_and_beyond_the_limit_the_rest_is_other(void **state)
{
    (void)state;
    AUTO(world)
    struct world *world =
        world_of("binary", P("a", BINARY "\"score\":0.9,\"segment\":{\"country\":\"de\"}")
                               P("b", BINARY "\"score\":0.9,\"segment\":{\"country\":\"fr\"}")
                                   P("c", BINARY "\"score\":0.9,\"features\":{\"country\":\"it\"}")
                                       P("d", BINARY "\"score\":0.9") L("a", "1") L("b", "0")
                                           L("c", "0") L("d", "1"));

    assert_float_equal(value_of(world, "country=de", "accuracy"), 1.0, 0);
    assert_float_equal(value_of(world, "country=fr", "accuracy"), 0.0, 0);
    assert_float_equal(value_of(world, "country=__other__", "accuracy"), 0.0, 0);
    assert_float_equal(value_of(world, "country=__none__", "accuracy"), 1.0, 0);
    assert_float_equal(value_of(world, "", "accuracy"), 0.5, 0);
}

static void classes_values_rankings_and_pixels_are_judged_as_on_the_stream(void **state)
{
    (void)state;
    AUTO(world)
    struct world *classes = world_of(
        "multiclass",
        P("a", "\"model\":\"multiclass\",\"version\":\"v1\",\"scores\":{\"x\":0.2,\"y\":0.8}")
            P("b", "\"model\":\"multiclass\",\"version\":\"v1\",\"prediction\":\"x\"")
                L("a", "\"y\"") L("b", "\"y\""));
    assert_float_equal(value_of(classes, "", "accuracy"), 0.5, 0);

    AUTO(world)
    struct world *values = world_of(
        "regression", P("a", "\"model\":\"regression\",\"version\":\"v1\",\"prediction\":3")
                          P("b", "\"model\":\"regression\",\"version\":\"v1\",\"prediction\":5")
                              L("a", "4") L("b", "2"));
    assert_float_equal(value_of(values, "", "mae"), 2.0, 0);

    AUTO(world)
    struct world *rankings =
        world_of("ranking", P("a", "\"model\":\"ranking\",\"version\":\"v1\",\"ranking\":"
                                   "[\"i\",\"j\",\"k\"]") L("a", "{\"j\":1}"));
    assert_float_equal(value_of(rankings, "", "mrr"), 0.5, 0);

    AUTO(world)
    struct world *pixels = world_of(
        "segmentation",
        P("a",
          "\"model\":\"segmentation\",\"version\":\"v1\"") "{\"type\":\"label\",\"id\":\"a\","
                                                           "\"ts\":2,"
                                                           "\"confusion\":{\"road\":[6,2,2]}}\n");
    assert_int_equal(rankings->reference->n_features, 0);
    assert_int_equal(pixels->reference->n_features, 0);
    assert_float_equal(value_of(pixels, "", "mean_iou"), 0.6, 1e-12);
}

static void a_byte_order_mark_is_no_part_of_the_first_event(void **state)
{
    (void)state;
    static const char lines[] =
        "\xef\xbb\xbf" P("a", "\"model\":\"binary\",\"version\":\"v1\",\"score\":0.5");

    AUTO(world) struct world *world = world_of("binary", lines); /* which refuses no line */

    assert_string_equal(world->reference->fitted->metrics[0].slice, "");
}

static void events_of_which_nothing_can_be_compared_are_refused(void **state)
{
    (void)state;
    static const char lines[] = P("a", "\"model\":\"ranking\",\"version\":\"v1\"");
    AUTO(config) struct config *config = NULL;
    AUTO(reference) struct reference *reference = NULL;
    struct reference_counts counts;
    struct err err = {0};
    assert_int_equal(config_parse(&config, "assay.yaml", yaml, strlen(yaml), &err), 0);
    const struct reference_source source = {.model = "ranking",
                                            .config = config_model_find(config, "ranking"),
                                            .task = "ranking",
                                            .site = config};

    int rc = reference_from_text(&reference, &source, lines, strlen(lines), &counts, &err);

    assert_int_equal(rc, ERR_DATA);
    assert_string_equal(err.text, "reference: of 1 events none has a feature, score, prediction or "
                                  "label to compare with");
    assert_null(reference);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_meet_their_predictions_in_any_order),
        cmocka_unit_test(the_first_prediction_and_the_last_label_count),
        cmocka_unit_test(each_slice_has_its_own_and_beyond_the_limit_the_rest_is_other),
        cmocka_unit_test(classes_values_rankings_and_pixels_are_judged_as_on_the_stream),
        cmocka_unit_test(a_byte_order_mark_is_no_part_of_the_first_event),
        cmocka_unit_test(events_of_which_nothing_can_be_compared_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
