#include "collector/format.h"

#include <stdio.h>
#include <string.h>

#include "tests/test.h"

static struct config *config;
static struct format *format;

/* The first topic and the models of a configuration. */
static void use(const char *topic, const char *models)
{
    char yaml[2048];
    struct err err = {0};
    format_free(format);
    config_free(config);
    format = NULL;
    config = NULL;
    snprintf(yaml, sizeof(yaml), "kafka: {brokers: b, topics: [{name: t, %s}]}\n%s", topic, models);
    if (config_parse(&config, "test", yaml, strlen(yaml), &err) ||
        format_new(&format, &config->kafka.topics[0], config, &err))
        fail_msg("%s", err.text);
}

static int teardown(void **state)
{
    (void)state;
    format_free(format);
    config_free(config);
    format = NULL;
    config = NULL;
    return 0;
}

static struct event first;
static size_t n_events;

static void decode(const char *bytes, const struct header *headers, size_t n_headers)
{
    const struct format_message message = {bytes, strlen(bytes), headers, n_headers};
    const char *detail = NULL;
    enum reject reason = format_decode(format, &message, &first, &n_events, &detail);
    if (reason)
        fail_msg("%s refused: %s, %s", bytes, reject_name(reason), detail);
    assert_null(detail);
}

static void assert_refused(const char *bytes, const struct header *headers, size_t n_headers,
                           enum reject want, const char *want_detail)
{
    const struct format_message message = {bytes, strlen(bytes), headers, n_headers};
    const char *detail = NULL;
    enum reject reason = format_decode(format, &message, &first, &n_events, &detail);
    if (reason != want || strcmp(detail ? detail : "", want_detail) != 0)
        fail_msg("%s: %s \"%s\", not %s \"%s\"", bytes, reject_name(reason), detail ? detail : "",
                 reject_name(want), want_detail);
}

static void assert_view(struct view view, const char *text)
{
    if (!view_is(view, text))
        fail_msg("\"%.*s\" is not \"%s\"", (int)view.size, view.data ? view.data : "(none)", text);
}

static const struct value *feature(const struct event *event, const char *name)
{
    for (uint32_t i = 0; i < event->n_features; i++)
        if (view_is(event->features[i].name, name))
            return &event->features[i].value;
    fail_msg("no feature %s", name);
    return NULL;
}

static void assay_is_read_as_it_is(void **state)
{
    (void)state;
    use("format: assay", "");
    assert_false(format_wants_headers(format));
    decode("{\"type\":\"label\",\"id\":\"a\",\"label\":1}", NULL, 0);
    assert_int_equal(n_events, 1);
    assert_int_equal(first.type, EVENT_LABEL);
    assert_refused("{", NULL, 0, REJECT_NOT_JSON, "expected a key at byte 1");
}

static void json_takes_its_fields_by_pointers(void **state)
{
    (void)state;
    use("format: json, model: credit, version: v1, mapping: {id: /req/id, ts_seconds: /at, "
        "features.income: /req/f/0, features.a~1b: /req/x~1y, segment.country: /geo, "
        "prediction: /out/class, score: /out/p, unit: /user, latency_seconds: /took, "
        "error: /nothing}",
        "");
    decode("{\"req\":{\"id\":77,\"f\":[5.5],\"x/y\":true},\"at\":1700000000.25,\"geo\":\"de\","
           "\"out\":{\"class\":1,\"p\":0.9},\"user\":1.5,\"took\":0.0125}",
           NULL, 0);
    assert_int_equal(first.type, EVENT_PREDICTION);
    assert_view(first.id, "77");
    assert_int_equal(first.ts_ms, 1700000000250);
    assert_view(first.model, "credit");
    assert_view(first.version, "v1");
    assert_view(first.unit, "1.5");
    assert_view(first.class_text, "1");
    assert_true(first.score == 0.9 && first.latency_ms == 12.5);
    assert_true(feature(&first, "income")->number == 5.5);
    assert_int_equal(feature(&first, "a~1b")->kind, VALUE_BOOL);
    assert_view(first.segment[0].value.text, "de");
    assert_false(first.failed);

    assert_refused("{\"out\":{\"p\":2}}", NULL, 0, REJECT_OUT_OF_RANGE, "score");
    assert_refused("[]", NULL, 0, REJECT_MISSING_ID, "id");
    assert_refused("{\"a\":1,\"a\":2}", NULL, 0, REJECT_DUPLICATE_KEY,
                   "the same key twice in one object");
    assert_refused("{\"a\":1e999}", NULL, 0, REJECT_NOT_FINITE, "a number beyond all doubles");
    assert_refused("[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", NULL, 0, REJECT_NOT_JSON,
                   "more than 16 levels");
    assert_refused("", NULL, 0, REJECT_EMPTY, "no bytes");

    use("format: json, mapping: {id: /id, label: /y}", "");
    decode("{\"id\":\"a\",\"y\":\"cat\"}", NULL, 0);
    assert_int_equal(first.type, EVENT_LABEL);
    assert_view(first.class_text, "cat");

    use("format: json, mapping: {type: =outcome, id: /id, name: =click, value: /v}", "");
    decode("{\"id\":\"a\",\"v\":18446744073709551615}", NULL, 0);
    assert_int_equal(first.type, EVENT_OUTCOME);
    assert_view(first.name, "click");
    assert_true(first.outcome_value == 0x1p64);
}

static void a_mapping_that_means_nothing_is_refused_at_the_start(void **state)
{
    (void)state;
    static const struct {
        const char *mapping, *text;
    } rows[] = {
        {"idd: /id", "topic t: mapping.idd: unknown field; did you mean id?"},
        {"score.x: /id", "topic t: mapping.score.x: unknown field; did you mean score?"},
        {"features.: /id", "topic t: mapping.features.: unknown field; did you mean features?"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char yaml[256];
        struct err err = {0};
        snprintf(yaml, sizeof(yaml),
                 "kafka: {brokers: b, topics: [{name: t, format: json, mapping: {%s}}]}",
                 rows[i].mapping);
        AUTO(config) struct config *c = NULL;
        AUTO(format) struct format *f = NULL;
        assert_int_equal(config_parse(&c, "test", yaml, strlen(yaml), &err), 0);
        assert_int_equal(format_new(&f, &c->kafka.topics[0], c, &err), ERR_DATA);
        assert_string_equal(err.text, rows[i].text);
    }
}

#define ENVELOPE "{\"specversion\":\"1.0\",\"id\":\"e1\",\"source\":\"/s\","

static void a_structured_cloud_event_gives_what_its_data_lacks(void **state)
{
    (void)state;
    use("format: cloudevents, model: m", "");
    assert_true(format_wants_headers(format));
    decode(ENVELOPE "\"type\":\"com.example.prediction\",\"time\":\"2023-11-14T22:13:20Z\","
                    "\"version\":\"v2\",\"data\":{\"score\":0.25,\"features\":{\"x\":1}}}",
           NULL, 0);
    assert_int_equal(first.type, EVENT_PREDICTION);
    assert_view(first.id, "e1");
    assert_view(first.model, "m");
    assert_view(first.version, "v2");
    assert_int_equal(first.ts_ms, 1700000000000);
    assert_true(first.score == 0.25);

    decode(ENVELOPE "\"type\":\"x.label\",\"data\":{\"id\":\"mine\",\"label\":1}}", NULL, 0);
    assert_view(first.id, "mine");
    assert_null(first.model.data);

    /* {"type":"label","label":1} */
    decode(ENVELOPE "\"type\":\"x\",\"data_base64\":\"eyJ0eXBlIjoibGFiZWwiLCJsYWJlbCI6MX0=\"}",
           NULL, 0);
    assert_int_equal(first.type, EVENT_LABEL);
    assert_view(first.class_text, "1");
}

static void a_binary_cloud_event_has_its_envelope_in_headers(void **state)
{
    (void)state;
    use("format: cloudevents", "");
    const struct header headers[] = {
        {"ce_specversion", view_of("1.0")},
        {"ce_id", view_of("e2")},
        {"ce_source", view_of("/s")},
        {"ce_type", view_of("label")},
        {"ce_time", view_of("2023-11-14T22:13:20Z")},
        {"content-type", view_of("application/json")},
    };
    decode("{\"label\":\"cat\"}", headers, 6);
    assert_view(first.id, "e2");
    assert_int_equal(first.ts_ms, 1700000000000);
    assert_view(first.class_text, "cat");

    const struct header structured[] = {
        {"content-type", view_of("Application/CloudEvents+JSON; charset=UTF-8")}};
    decode(ENVELOPE "\"type\":\"label\",\"data\":{\"label\":2}}", structured, 1);
    assert_view(first.class_text, "2");
}

static void an_envelope_that_is_none_is_refused(void **state)
{
    (void)state;
    use("format: cloudevents", "");
    const struct header avro[] = {{"content-type", view_of("application/cloudevents+avro")}};
    const struct header csv[] = {
        {"ce_specversion", view_of("1.0")},    {"ce_id", view_of("e")},
        {"ce_source", view_of("/s")},          {"ce_type", view_of("label")},
        {"content-type", view_of("text/csv")},
    };
    assert_refused("x", avro, 1, REJECT_BAD_FORMAT, "cloudevents: not the JSON event format");
    assert_refused("{}", csv, 5, REJECT_BAD_FORMAT, "cloudevents: its data is not JSON");
    assert_refused("{}", csv, 3, REJECT_BAD_FORMAT, "cloudevents: no type");
    assert_refused("{}", NULL, 0, REJECT_BAD_FORMAT, "cloudevents: specversion is not 1.0");
    assert_refused("[]", NULL, 0, REJECT_BAD_FORMAT, "cloudevents: not an envelope");
    assert_refused("{\"specversion\":\"1.0\",\"type\":\"label\"}", NULL, 0, REJECT_BAD_FORMAT,
                   "cloudevents: no id");
    assert_refused(ENVELOPE "\"type\":\"label\"}", NULL, 0, REJECT_BAD_FORMAT,
                   "cloudevents: no data");
    assert_refused(ENVELOPE "\"type\":\"label\",\"data\":{},\"data_base64\":\"\"}", NULL, 0,
                   REJECT_BAD_FORMAT, "cloudevents: data and data_base64");
    assert_refused(ENVELOPE "\"type\":\"label\",\"data\":[1]}", NULL, 0, REJECT_WRONG_TYPE, "data");
    static const char *const bad64[] = {"e", "e===", "====", "e=30", "e!30", "eQ==eQ=="};
    for (size_t i = 0; i < sizeof(bad64) / sizeof(bad64[0]); i++) {
        char json[256];
        snprintf(json, sizeof(json), ENVELOPE "\"type\":\"label\",\"data_base64\":\"%s\"}",
                 bad64[i]);
        assert_refused(json, NULL, 0, REJECT_BAD_FORMAT, "cloudevents: data_base64 is not Base64");
    }
}

#define ANSWER                                                       \
    ENVELOPE "\"type\":\"org.kubeflow.serving.inference.response\"," \
             "\"time\":\"2023-11-14T22:13:20Z\",\"inferenceservicename\":\"credit\","
#define BINARY "models: [{name: credit, task: binary}]"

static void a_kserve_answer_gives_a_prediction_for_each_row(void **state)
{
    (void)state;
    use("format: kserve", BINARY);
    decode(ANSWER "\"endpoint\":\"canary\",\"data\":{\"predictions\":[0.8,[0.7,0.3],1]}}", NULL, 0);
    assert_int_equal(n_events, 3);
    assert_view(first.id, "e1/0");
    assert_view(first.model, "credit");
    assert_view(first.version, "canary");
    assert_int_equal(first.ts_ms, 1700000000000);
    assert_true(first.score == 0.8);
    assert_null(first.class_text.data);
    format_next(format, &first);
    assert_view(first.id, "e1/1");
    assert_true(first.score == 0.3);
    format_next(format, &first);
    assert_view(first.class_text, "1");
    assert_true(isnan(first.score));

    use("format: kserve, version: v9", "models: [{name: credit, task: regression}]");
    decode(ANSWER "\"data\":{\"predictions\":[0.8]}}", NULL, 0);
    assert_int_equal(n_events, 1);
    assert_view(first.id, "e1");
    assert_view(first.version, "v9");
    assert_true(first.number == 0.8 && isnan(first.score));

    use("format: kserve", "models: [{name: credit, task: multiclass}]");
    decode(ANSWER "\"data\":{\"predictions\":[[0.1,0.7,0.2]]}}", NULL, 0);
    assert_view(first.class_text, "1");
    assert_int_equal(first.n_scores, 3);
    assert_view(first.scores[2].name, "2");
}

static void a_v2_answer_names_model_and_version_itself(void **state)
{
    (void)state;
    use("format: kserve", BINARY);
    decode(ANSWER "\"data\":{\"model_name\":\"credit\",\"model_version\":\"3\",\"id\":\"42\","
                  "\"inputs\":[{\"name\":\"income\",\"shape\":[2,1],\"datatype\":\"FP64\","
                  "\"data\":[1.0,2.0]},{\"name\":\"city\",\"shape\":[2],\"datatype\":\"BYTES\","
                  "\"data\":[\"a\",\"b\"]},{\"name\":\"emb\",\"shape\":[2,2],\"datatype\":\"FP32\","
                  "\"data\":[[3,4],[6,8]]}],"
                  "\"outputs\":[{\"name\":\"score\",\"shape\":[2,1],\"datatype\":\"FP32\","
                  "\"data\":[[0.8],[0.1]]}]}}",
           NULL, 0);
    assert_int_equal(n_events, 2);
    assert_view(first.version, "3");
    assert_true(first.score == 0.8);
    assert_true(feature(&first, "income")->number == 1);
    format_next(format, &first);
    assert_true(first.score == 0.1);
    assert_view(feature(&first, "city")->text, "b");
    assert_int_equal(feature(&first, "emb")->kind, VALUE_ARRAY);
    assert_true(feature(&first, "emb")->number == 10);

    decode(ANSWER "\"data\":{\"inputs\":[{\"name\":\"in\",\"shape\":[1,2],\"datatype\":\"FP64\","
                  "\"data\":[5,6]}],\"outputs\":[{\"name\":\"out\",\"shape\":[1,2],\"datatype\":"
                  "\"FP32\",\"data\":[0.25,0.75]}]}}",
           NULL, 0);
    assert_true(feature(&first, "in_1")->number == 6);
    assert_true(first.score == 0.75);
}

static void a_request_alone_counts_nothing(void **state)
{
    (void)state;
    use("format: kserve", BINARY);
    decode(ENVELOPE "\"type\":\"org.kubeflow.serving.inference.request\",\"data\":{\"instances\":"
                    "[[1]]}}",
           NULL, 0);
    assert_int_equal(n_events, 0);
    const struct header seldon[] = {
        {"ce_specversion", view_of("0.3")},
        {"ce_id", view_of("s")},
        {"ce_source", view_of("/s")},
        {"ce_type", view_of("io.seldon.serving.inference.response")},
        {"ce_inferenceservicename", view_of("credit")},
    };
    decode("{\"predictions\":[0.5]}", seldon, 5);
    assert_int_equal(n_events, 1);
    assert_view(first.model, "credit");
}

static void a_body_that_does_not_fit_is_refused_whole(void **state)
{
    (void)state;
    use("format: kserve", BINARY);
    static const struct {
        const char *data;
        enum reject reason;
        const char *detail;
    } rows[] = {
        {"{}", REJECT_BAD_FORMAT, "kserve: neither predictions nor outputs"},
        {"{\"predictions\":5}", REJECT_BAD_FORMAT,
         "kserve: rows that are neither a list nor a map"},
        {"{\"predictions\":[0.5],\"instances\":[1,2]}", REJECT_BAD_FORMAT,
         "kserve: another number of rows asked than answered"},
        {"{\"predictions\":[0.5,1.5]}", REJECT_OUT_OF_RANGE, "score"},
        {"{\"predictions\":[{\"a\":1,\"b\":2}]}", REJECT_WRONG_TYPE, "prediction"},
        {"{\"outputs\":[{\"name\":\"s\",\"shape\":[3],\"data\":[1,2]}]}", REJECT_BAD_FORMAT,
         "kserve: a tensor's data does not fill its shape"},
        {"{\"outputs\":[{\"name\":\"s\",\"shape\":[-1],\"data\":[1]}]}", REJECT_BAD_FORMAT,
         "kserve: more than 4096 rows"},
        {"{\"outputs\":[{\"name\":\"s\",\"shape\":[1,\"x\"],\"data\":[1]}]}", REJECT_BAD_FORMAT,
         "kserve: a tensor's shape is no list of sizes"},
        {"{\"outputs\":[{\"name\":\"s\",\"shape\":[1],\"data\":[1]},{\"name\":\"t\",\"shape\":[2],"
         "\"data\":[1,2]}]}",
         REJECT_BAD_FORMAT, "kserve: tensors of different numbers of rows"},
        {"{\"outputs\":{\"a\":[1],\"b\":[1,2]}}", REJECT_BAD_FORMAT,
         "kserve: columns of different lengths"},
        {"{\"outputs\":{\"a\":1}}", REJECT_BAD_FORMAT, "kserve: a column that is no list"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char json[1024];
        snprintf(json, sizeof(json), ANSWER "\"data\":%s}", rows[i].data);
        assert_refused(json, NULL, 0, rows[i].reason, rows[i].detail);
    }
    assert_refused(ENVELOPE "\"type\":\"x\",\"data\":{}}", NULL, 0, REJECT_BAD_FORMAT,
                   "kserve: neither an inference request nor a response");
}

static void tfserving_bodies_stand_side_by_side_or_as_members(void **state)
{
    (void)state;
    use("format: tfserving, model: credit", BINARY);
    decode("{\"id\":\"r1\",\"ts\":1700000000000,\"model_spec\":{\"name\":\"credit\",\"version\":7},"
           "\"request\":{\"instances\":[{\"income\":5,\"img\":{\"b64\":\"AAA=\"}}]},"
           "\"response\":{\"predictions\":[{\"probabilities\":[0.2,0.8],\"classes\":1}]}}",
           NULL, 0);
    assert_int_equal(n_events, 1);
    assert_view(first.id, "r1");
    assert_view(first.version, "7");
    assert_int_equal(first.ts_ms, 1700000000000);
    assert_true(first.score == 0.8);
    assert_view(first.class_text, "1");
    assert_view(feature(&first, "img")->text, "AAA=");

    decode("{\"id\":\"r2\",\"inputs\":{\"a\":[1,2],\"b\":[\"x\",\"y\"]},\"outputs\":[0.1,0.9]}",
           NULL, 0);
    assert_int_equal(n_events, 2);
    format_next(format, &first);
    assert_view(first.id, "r2/1");
    assert_view(first.model, "credit");
    assert_true(first.score == 0.9);
    assert_view(feature(&first, "b")->text, "y");

    use("format: tfserving, model: credit", "models: [{name: credit, task: multiclass}]");
    decode("{\"id\":\"r3\",\"result\":[[[\"cat\",0.9],[\"dog\",0.1]]]}", NULL, 0);
    assert_view(first.class_text, "cat");
    assert_true(first.scores[1].value.number == 0.1);

    use("format: tfserving, model: credit, mapping: {id: /meta/rid, segment.country: /meta/c}",
        BINARY);
    decode("{\"meta\":{\"rid\":5,\"c\":\"de\"},\"predictions\":[0.5]}", NULL, 0);
    assert_view(first.id, "5");
    assert_view(first.segment[0].value.text, "de");
    assert_refused("{\"predictions\":[0.5]}", NULL, 0, REJECT_MISSING_ID, "id");
}

static void a_bare_nan_of_tfserving_spoils_only_its_feature(void **state)
{
    (void)state;
    use("format: tfserving, model: credit", BINARY);
    decode("{\"id\":\"NaN \\\" NaN\",\"instances\":[{\"a\":NaN,\"b\":-Infinity,\"c\":2,\"d\":-NaN,"
           "\"e\":[1,Infinity]}],\"predictions\":[0.5]}",
           NULL, 0);
    assert_view(first.id, "NaN \" NaN");
    assert_int_equal(feature(&first, "a")->kind, VALUE_INVALID);
    assert_int_equal(feature(&first, "b")->kind, VALUE_INVALID);
    assert_int_equal(feature(&first, "c")->kind, VALUE_NUMBER);
    assert_int_equal(feature(&first, "d")->kind, VALUE_INVALID);
    assert_int_equal(feature(&first, "e")->kind, VALUE_INVALID);
    assert_refused("{\"id\":\"a\",\"predictions\":[NaN]}", NULL, 0, REJECT_NOT_FINITE,
                   "prediction");
    assert_refused("{\"id\":\"a\",\"predictions\":[NaNs]}", NULL, 0, REJECT_NOT_JSON,
                   "line 1, column 31: ']' expected near 's'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(assay_is_read_as_it_is),
        cmocka_unit_test(json_takes_its_fields_by_pointers),
        cmocka_unit_test(a_mapping_that_means_nothing_is_refused_at_the_start),
        cmocka_unit_test(a_structured_cloud_event_gives_what_its_data_lacks),
        cmocka_unit_test(a_binary_cloud_event_has_its_envelope_in_headers),
        cmocka_unit_test(an_envelope_that_is_none_is_refused),
        cmocka_unit_test(a_kserve_answer_gives_a_prediction_for_each_row),
        cmocka_unit_test(a_v2_answer_names_model_and_version_itself),
        cmocka_unit_test(a_request_alone_counts_nothing),
        cmocka_unit_test(a_body_that_does_not_fit_is_refused_whole),
        cmocka_unit_test(tfserving_bodies_stand_side_by_side_or_as_members),
        cmocka_unit_test(a_bare_nan_of_tfserving_spoils_only_its_feature),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
