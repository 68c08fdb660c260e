/*
 * Answers by value, without HTTP: what `assay query` and the server both give.
 */
#include "web/api.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "tests/test.h"
#include "tests/web/answers.h"
#include "web/json_value.h"

static struct site *filled(void)
{
    struct site *site = site_new();
    const struct minute minutes[] = {
        {"credit", "v3", "", SITE_START, 8, 2, 9, 1, 4, 1},
        {"credit", "v3", "country=de", SITE_START, 4, 0, 5, 0, 0, 0},
        {"credit", "v3", "country=fr", SITE_START, 4, 2, 4, 1, 4, 1},
        {"credit", "v3", "", SITE_START + MINUTE, 10, 0, 10, 0, 0, 0},
        {"credit", "v4", "", SITE_START + MINUTE, 5, 5, 5, 5, 0, 0},
        {"churn <b>", "1", "", SITE_START + MINUTE, 1, 1, 1, 1, 0, 0},
    };
    for (size_t i = 0; i < sizeof(minutes) / sizeof(minutes[0]); i++)
        site_minute(site, &minutes[i]);
    struct err err = {0};
    must(commit_begin(site->store, &err), &err);
    must(commit_model_counts(site->store, "credit",
                             "{\"predictions\":65,\"labels\":60,\"joined\":60,\"pending\":4,"
                             "\"unknown_fields\":2,\"last_event\":1700006520000}",
                             &err),
         &err);
    must(commit_version(site->store, "credit", "v4", "{\"framework\":\"keras\"}", &err), &err);
    must(commit_end(site->store, &err), &err);
    site->now_ms = SITE_START + 5 * MINUTE;
    return site;
}

static void models_are_listed_with_their_counts(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = filled();

    json_t *list = get(site, "/api/v1/models");

    assert_int_equal(json_array_size(at(list, "items")), 2);
    assert_true(json_is_null(at(list, "next")));
    assert_string_equal(text(list, "items.0.name"), "churn <b>");
    assert_string_equal(text(list, "items.1.name"), "credit");
    assert_string_equal(text(list, "items.1.task"), "binary");
    assert_string_equal(text(list, "items.1.versions.0"), "v3");
    assert_string_equal(text(list, "items.1.versions.1"), "v4");
    assert_int_equal(number(list, "items.1.predictions"), 65);
    assert_int_equal(number(list, "items.1.pending"), 4);
    assert_int_equal(number(list, "items.1.rejected"), 0);
    assert_int_equal(number(list, "items.1.unknown_fields"), 2);
    assert_int_equal(number(list, "items.1.complete_up_to"), SITE_START + 2 * MINUTE);
    assert_int_equal(number(list, "items.1.last_event"), SITE_START + 2 * MINUTE);
    assert_int_equal(number(list, "items.1.lag"), 3 * MINUTE);
    assert_true(json_is_null(at(list, "items.0.last_event"))); /* no counts: nothing has come */
    assert_true(json_is_null(at(list, "items.0.lag")));
    json_decref(list);
}

static void a_model_tells_its_metrics_versions_and_slices(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = filled();

    json_t *model = get(site, "/api/v1/models/credit");
    assert_int_equal(number(model, "threshold"), 0.5);
    assert_string_equal(text(model, "metrics.0.name"), "accuracy");
    assert_string_equal(text(model, "metrics.0.better"), "higher");
    json_decref(model);

    json_t *versions = get(site, "/api/v1/models/credit/versions");
    assert_string_equal(text(versions, "items.0.version"), "v3");
    assert_true(json_is_null(at(versions, "items.0.facts")));
    assert_int_equal(number(versions, "items.0.first_seen"), SITE_START);
    assert_int_equal(number(versions, "items.0.last_seen"), SITE_START + 2 * MINUTE);
    assert_string_equal(text(versions, "items.1.facts.framework"), "keras");
    json_decref(versions);

    json_t *slices = get(site, "/api/v1/models/credit/slices");
    assert_int_equal(json_array_size(at(slices, "items")), 2);
    assert_string_equal(text(slices, "items.0.segment"), "country:de");
    assert_string_equal(text(slices, "items.1.value"), "fr");
    json_decref(slices);
}

static void a_metric_has_the_value_that_one_counts_by_hand(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = filled();

    json_t *answer = get(site, "/api/v1/models/credit/metrics?metric=accuracy,recall,count"
                               "&version=v3&window=1m&from=1700006400000&to=1700006520000");

    assert_string_equal(text(answer, "version"), "v3");
    assert_int_equal(number(answer, "window"), MINUTE);
    assert_int_equal(json_array_size(at(answer, "series")), 3);
    assert_string_equal(text(answer, "series.0.metric"), "accuracy");
    assert_string_equal(text(answer, "series.0.version"), "v3");
    assert_int_equal(json_array_size(at(answer, "series.0.points")), 2);
    assert_int_equal(number(answer, "series.0.points.0.start"), SITE_START);
    assert_int_equal(number(answer, "series.0.points.0.end"), SITE_START + MINUTE);
    assert_int_equal(number(answer, "series.0.points.0.n"), 25);
    assert_int_equal(number(answer, "series.0.points.0.labelled"), 20);
    assert_close(number(answer, "series.0.points.0.value"), 17.0 / 20, 1e-12);
    /* Wilson's interval of 17 in 20 at z = 1.959963984540054, by hand in Python */
    assert_close(number(answer, "series.0.points.0.lower"), 0.6395811352592431, 1e-12);
    assert_close(number(answer, "series.0.points.0.upper"), 0.9476312541037835, 1e-12);
    assert_close(number(answer, "series.0.points.0.error_bound"), 0, 0);
    assert_int_equal(number(answer, "series.0.points.0.revision"), 1);
    assert_close(number(answer, "series.1.points.0.value"), 0.8, 1e-12);
    assert_close(number(answer, "series.2.points.0.value"), 25, 0);
    assert_true(json_is_null(at(answer, "series.2.points.0.lower")));
    assert_close(number(answer, "series.0.points.1.value"), 1, 0);
    assert_int_equal(number(answer, "complete_up_to"), SITE_START + 2 * MINUTE);
    assert_true(json_is_true(at(answer, "complete")));
    json_decref(answer);
}

static void versions_merge_when_none_is_named_and_part_with_a_star(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = filled();
    const char *range = "window=1m&from=2023-11-15T00:01:00Z&to=2023-11-15T00:02:00Z";
    char target[300];

    snprintf(target, sizeof(target), "/api/v1/models/credit/metrics?metric=accuracy&%s", range);
    json_t *merged = get(site, target);
    assert_int_equal(json_array_size(at(merged, "series")), 1);
    assert_true(json_is_null(at(merged, "version")));
    assert_true(json_is_null(at(merged, "series.0.version")));
    assert_close(number(merged, "series.0.points.0.value"), 30.0 / 40, 1e-12);
    json_decref(merged);

    snprintf(target, sizeof(target), "/api/v1/models/credit/metrics?metric=accuracy&version=*&%s",
             range);
    json_t *apart = get(site, target);
    assert_int_equal(json_array_size(at(apart, "series")), 2);
    assert_string_equal(text(apart, "series.0.version"), "v3");
    assert_close(number(apart, "series.0.points.0.value"), 1, 0);
    assert_string_equal(text(apart, "series.1.version"), "v4");
    assert_close(number(apart, "series.1.points.0.value"), 0.5, 1e-12);
    json_decref(apart);
}

static void slices_are_asked_for_by_key_and_value(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = filled();
    const char *range = "window=1m&from=1700006400000&to=1700006460000";
    char target[300];

    snprintf(target, sizeof(target),
             "/api/v1/models/credit/metrics?metric=recall&segment=country:fr&%s", range);
    json_t *one = get(site, target);
    assert_string_equal(text(one, "series.0.segment"), "country:fr");
    assert_close(number(one, "series.0.points.0.value"), 4.0 / 6, 1e-12);
    json_decref(one);

    snprintf(target, sizeof(target),
             "/api/v1/models/credit/metrics?metric=recall&segment=country:*&%s", range);
    json_t *all = get(site, target);
    assert_int_equal(json_array_size(at(all, "series")), 2);
    assert_string_equal(text(all, "series.0.segment"), "country:de");
    assert_close(number(all, "series.0.points.0.value"), 1, 0);
    json_decref(all);
}

static void without_a_range_the_last_24_windows_are_given(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = filled();

    json_t *answer = get(site, "/api/v1/models/credit/metrics?metric=count");

    assert_int_equal(json_array_size(at(answer, "series.0.points")), 24);
    assert_int_equal(number(answer, "to"), SITE_START + HOUR);
    assert_int_equal(number(answer, "from"), SITE_START - 23 * HOUR);
    assert_int_equal(number(answer, "series.0.points.23.n"), 65);
    assert_int_equal(number(answer, "series.0.points.0.n"), 0);
    assert_true(json_is_null(at(answer, "series.0.points.0.value")));
    json_decref(answer);
}

static void a_shorter_step_gives_rolling_windows(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = filled();

    json_t *answer = get(site, "/api/v1/models/credit/metrics?metric=count&window=2m&step=1m"
                               "&from=1700006340000&to=1700006520000");

    assert_int_equal(json_array_size(at(answer, "series.0.points")), 2);
    assert_int_equal(number(answer, "series.0.points.0.start"), SITE_START - MINUTE);
    assert_int_equal(number(answer, "series.0.points.0.n"), 25);
    assert_int_equal(number(answer, "series.0.points.1.n"), 65);
    json_decref(answer);
}

static void a_series_that_sinks_says_so_and_by_how_much(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = site_new();
    for (int i = 0; i < 6; i++) {
        const struct minute minute = {"credit", "v3", "", SITE_START + i * MINUTE, 10 - i, i, 10,
                                      0,        0,    0};
        site_minute(site, &minute);
    }

    json_t *series = get(site, "/api/v1/models/credit/metrics?metric=recall,count&window=1m&"
                               "from=1700006400000&to=1700006760000");
    json_t *rolling = get(site, "/api/v1/models/credit/metrics?metric=recall&window=2m&step=1m&"
                                "from=1700006400000&to=1700006760000");

    assert_int_equal(number(series, "series.0.trend.n"), 6);
    assert_close(number(series, "series.0.trend.slope"), -0.1, 1e-12);
    assert_int_equal(number(series, "series.0.trend.declines"), 5);
    /* S = -15, variance 6·5·17/18: z = -14 / sqrt(28.33) */
    assert_close(number(series, "series.0.trend.p_value"), 0.008535, 1e-5);
    assert_int_equal(number(series, "series.1.trend.declines"), 0);
    assert_close(number(series, "series.1.trend.p_value"), 1, 0);
    assert_true(json_is_null(at(rolling, "series.0.trend")));
    json_decref(series);
    json_decref(rolling);
}

static void a_million_points_are_capped_and_the_answer_says_so(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = filled();

    json_t *answer = get(site, "/api/v1/models/credit/metrics?metric=count&window=1m&from=0"
                               "&to=1700006520000");

    assert_int_equal(json_array_size(at(answer, "series.0.points")), 10000);
    assert_int_equal(number(answer, "series.0.points.9999.n"), 40);
    assert_non_null(strstr(text(answer, "notice"), "older windows are left out"));
    json_decref(answer);
}

static void curves_are_those_of_the_counts(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = filled();
    const char *range = "version=v3&from=1700006400000&to=1700006460000";
    char target[300];

    /* 8 of 10 positives at 0.9, the others at 0.2; 9 of 10 negatives at 0.1, one at 0.7 */
    snprintf(target, sizeof(target), "/api/v1/models/credit/curves?kind=roc&%s", range);
    json_t *roc = get(site, target);
    assert_int_equal(json_array_size(at(roc, "series.0.points")), 5); /* 0.6: unlabelled ones */
    assert_close(number(roc, "series.0.points.0.tpr"), 0.8, 1e-12);
    assert_close(number(roc, "series.0.points.0.fpr"), 0, 0);
    assert_close(number(roc, "series.0.points.1.fpr"), 0.1, 1e-12);
    assert_close(number(roc, "series.0.points.1.threshold"), 0.7, 1e-12);
    assert_close(number(roc, "series.0.points.4.tpr"), 1, 0);
    assert_close(number(roc, "series.0.points.4.fpr"), 1, 0);
    assert_close(number(roc, "series.0.area"), 0.8 + 0.2 * 0.9, 1e-12);
    json_decref(roc);

    snprintf(target, sizeof(target), "/api/v1/models/credit/curves?kind=pr&%s", range);
    json_t *pr = get(site, target);
    assert_close(number(pr, "series.0.points.0.precision"), 1, 0);
    assert_close(number(pr, "series.0.points.1.precision"), 8.0 / 9, 1e-12);
    json_decref(pr);

    snprintf(target, sizeof(target), "/api/v1/models/credit/curves?kind=calibration&%s", range);
    json_t *calibration = get(site, target);
    assert_int_equal(number(calibration, "series.0.bins.9.n"), 8);
    assert_close(number(calibration, "series.0.bins.9.predicted"), 0.9, 1e-12);
    assert_close(number(calibration, "series.0.bins.9.observed"), 1, 0);
    assert_true(json_is_null(at(calibration, "series.0.bins.5.observed")));
    json_decref(calibration);

    snprintf(target, sizeof(target), "/api/v1/models/credit/curves?kind=confusion&%s", range);
    json_t *confusion = get(site, target);
    assert_string_equal(text(confusion, "series.0.classes.0"), "1");
    assert_int_equal(number(confusion, "series.0.matrix.0.0"), 8);
    assert_int_equal(number(confusion, "series.0.matrix.0.1"), 2);
    assert_int_equal(number(confusion, "series.0.matrix.1.0"), 1);
    assert_int_equal(number(confusion, "series.0.matrix.1.1"), 9);
    json_decref(confusion);
}

static void csv_has_a_line_a_point(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = filled();
    struct api_answer answer;
    struct err err = {0};

    must(call(site, "GET",
              "/api/v1/models/credit/metrics?metric=accuracy&version=v4&window=1m&format=csv"
              "&from=1700006400000&to=1700006520000",
              NULL, &answer, &err),
         &err);

    buf_u8(&answer.body, 0);
    assert_string_equal(answer.content_type, "text/csv; charset=utf-8");
    const char *expected =
        "model,version,segment,metric,start,end,n,labelled,value,lower,upper,error_bound,revision"
        "\r\n\"credit\",\"v4\",\"\",\"accuracy\",1700006400000,1700006460000,0,0,,,,0,0\r\n"
        "\"credit\",\"v4\",\"\",\"accuracy\",1700006460000,1700006520000,20,20,0.5,";
    assert_memory_equal(answer.body.data, expected, strlen(expected));
    api_answer_finish(&answer);
}

static void a_name_with_odd_letters_is_reached_and_escaped(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = filled();
    struct buf target;
    buf_init(&target, 1000);
    buf_printf(&target, "/api/v1/models");
    api_target_segment(&target, "churn <b>");
    api_target_segment(&target, "metrics");
    api_target_param(&target, "metric", "count");
    api_target_param(&target, "window", "1m");
    buf_u8(&target, 0);
    assert_string_equal((char *)target.data,
                        "/api/v1/models/churn%20%3Cb%3E/metrics?metric=count&window=1m");

    json_t *answer = get(site, (char *)target.data);

    assert_string_equal(text(answer, "model"), "churn <b>");
    json_decref(answer);
    buf_finish(&target);
}

static void a_wrong_question_is_told_what_may_be_asked(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = filled();
    static const struct {
        const char *target;
        int status;
        const char *field, *message;
    } wrong[] = {
        {"/api/v1/models/credit/metrics?windw=1h", 400, "windw",
         "windw: no such parameter; did you mean window?"},
        {"/api/v1/models/credit/metrics?window=90s", 400, "window",
         "window: 90s is not a multiple of a minute from 1m to 366d"},
        {"/api/v1/models/credit/metrics?window=-1h", 400, "window",
         "window: -1h is not a multiple of a minute from 1m to 366d"},
        {"/api/v1/models/credit/metrics?window=1h&step=2h", 400, "step",
         "step: must not be longer than the window"},
        {"/api/v1/models/credit/metrics?from=yesterday", 400, "from",
         "from: yesterday is not a time"},
        {"/api/v1/models/credit/metrics?from=99999999999999999999", 400, "from",
         "from: 99999999999999999999 is not a time"},
        {"/api/v1/models/credit/metrics?from=5&to=4", 400, "from", "from: 5 is after to (4)"},
        {"/api/v1/models/credit/metrics?window=1h&window=2h", 400, "window",
         "window: was given twice"},
        {"/api/v1/models/credit/metrics?segment=de", 400, "segment",
         "segment: de is not of the form key:value"},
        {"/api/v1/models/credit/metrics?format=xml", 400, "format",
         "format: xml is none of json,csv"},
        {"/api/v1/models/credit/metrics?metric=", 400, "metric",
         "metric: must be a text of 1 to 5000 characters"},
        {"/api/v1/dead-letters?limit=0", 400, "limit",
         "limit: 0 is not a whole number from 1 to 1000"},
        {"/api/v1/models/credit/curves?kind=lift", 400, "kind",
         "kind: lift is none of roc,pr,calibration,confusion"},
        {"/api/v1/models/credit/curves?from=5&to=5", 400, "from", "from: 5 is not before to (5)"},
        {"/api/v1/models?page=2", 400, "page", "page: no parameter is taken here"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct api_answer answer;
        struct err err = {0};
        assert_int_equal(call(site, "GET", wrong[i].target, NULL, &answer, &err), ERR_USAGE);
        assert_string_equal(err.text, wrong[i].message);
        assert_int_equal(answer.status, wrong[i].status);
        assert_string_equal(answer.field, wrong[i].field);
        api_answer_finish(&answer);
    }
}

static void what_is_not_there_is_told_with_what_is_near(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = filled();
    static const char *const targets[] = {"/api/v1/models/credits", "/api/v1/models/credits/slices",
                                          "/api/v1/models/credits/versions",
                                          "/api/v1/models/credits/metrics"};
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        struct api_answer answer;
        struct err err = {0};
        assert_int_equal(call(site, "GET", targets[i], NULL, &answer, &err), ERR_NOT_FOUND);
        assert_int_equal(answer.status, 404);
        assert_non_null(strstr(err.text, "credit"));
        api_answer_finish(&answer);
    }
    struct api_answer answer;
    struct err err = {0};
    assert_int_equal(
        call(site, "GET", "/api/v1/models/credit/metrics?metric=roc_acu", NULL, &answer, &err),
        ERR_USAGE);
    assert_string_equal(answer.field, "metric");
    assert_non_null(strstr(err.text, "roc_auc"));
    api_answer_finish(&answer);
}

struct ingested {
    char body[200];
    int answer;
};

static int ingest(void *context, const char *body, size_t n, struct buf *answer, struct err *err)
{
    struct ingested *ingested = context;
    snprintf(ingested->body, sizeof(ingested->body), "%.*s", (int)n, body);
    if (ingested->answer < 0)
        return err_set(err, ingested->answer, "the disk is full");
    buf_printf(answer, "{\"accepted\":1,\"duplicates\":0,\"rejected\":[]}");
    return ingested->answer;
}

static void events_go_to_the_collector_and_its_answer_comes_back(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = filled();
    struct ingested ingested = {.answer = 0};
    site->commands.context = &ingested;
    site->commands.ingest = ingest;
    struct api_answer answer;
    struct err err = {0};

    must(call(site, "POST", "/api/v1/events", "{\"type\":\"label\"}", &answer, &err), &err);
    assert_string_equal(ingested.body, "{\"type\":\"label\"}");
    assert_int_equal(answer.status, 200);
    assert_memory_equal(answer.body.data, "{\"accepted\":1,", 14);
    api_answer_finish(&answer);

    ingested.answer = WEB_BUSY;
    assert_true(call(site, "POST", "/api/v1/events", "{}", &answer, &err) < 0);
    assert_int_equal(answer.status, 429);
    assert_int_equal(answer.retry_after_s, 1);
    api_answer_finish(&answer);

    ingested.answer = ERR_FULL;
    assert_int_equal(call(site, "POST", "/api/v1/events", "{}", &answer, &err), ERR_FULL);
    assert_int_equal(answer.status, 429);
    assert_string_equal(err.text, "the disk is full");
    api_answer_finish(&answer);

    assert_int_equal(call(site, "POST", "/api/v1/events", "", &answer, &err), ERR_USAGE);
    assert_string_equal(answer.field, "body");
    api_answer_finish(&answer);
}

static int put_version(void *context, const char *model, const char *version, const char *facts,
                       const char *who, struct err *err)
{
    (void)who;
    (void)err;
    char *text = context;
    snprintf(text, 200, "%s/%s %s", model, version, facts);
    return 0;
}

static void facts_of_a_version_are_checked_before_they_are_kept(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = filled();
    char kept[200] = "";
    site->commands.context = kept;
    site->commands.put_version = put_version;
    struct api_answer answer;
    struct err err = {0};
    const char *target = "/api/v1/models/credit/versions/v5";

    must(call(site, "PUT", target, "{\"notes\":\"x\",\"artifact_bytes\":12}", &answer, &err), &err);
    assert_string_equal(kept, "credit/v5 {\"artifact_bytes\":12,\"notes\":\"x\"}");
    api_answer_finish(&answer);

    assert_int_equal(call(site, "PUT", target, "{\"note\":\"x\"}", &answer, &err), ERR_USAGE);
    assert_string_equal(err.text, "note: no such fact");
    api_answer_finish(&answer);
    assert_int_equal(call(site, "PUT", target, "{\"notes\":1}", &answer, &err), ERR_USAGE);
    assert_string_equal(err.text, "notes: must be a text");
    api_answer_finish(&answer);
    assert_int_equal(call(site, "PUT", target, "[1", &answer, &err), ERR_USAGE);
    assert_string_equal(answer.field, "body");
    api_answer_finish(&answer);
}

static void health(void *context, struct web_health *out)
{
    *out = *(const struct web_health *)context;
}

static void the_gate_of_a_model_does_not_judge_what_is_old(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = filled();
    struct web_health now = {.ready = true, .behind_ms = 121000};
    site->commands.context = &now;
    site->commands.health = health;

    json_t *gate = get(site, "/api/v1/gate/models/credit");
    assert_string_equal(text(gate, "result"), "unknown");
    assert_string_equal(text(gate, "reasons.0"),
                        "own input is stale: messages have waited in the log for minutes");
    json_decref(gate);

    now = (struct web_health){.ready = false};
    gate = get(site, "/api/v1/gate/models/credit");
    assert_string_equal(text(gate, "reasons.0"), "own input is not ready");
    json_decref(gate);
}

static int erase_model(void *context, const char *model, const char *who, struct buf *answer,
                       struct err *err)
{
    (void)who;
    (void)answer;
    int *outcome = context;
    return *outcome ? err_set(err, *outcome, "model %s is busy", model) : 0;
}

static void a_model_is_erased_once_it_is_known_and_nothing_holds_it(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = filled();
    int outcome = 0;
    site->commands.context = &outcome;
    site->commands.erase_model = erase_model;
    struct api_answer answer;
    struct err err = {0};

    must(call(site, "DELETE", "/api/v1/models/credit", NULL, &answer, &err), &err);
    assert_int_equal(answer.status, 200);
    api_answer_finish(&answer);

    assert_int_equal(call(site, "DELETE", "/api/v1/models/crdit", NULL, &answer, &err),
                     ERR_NOT_FOUND);
    assert_int_equal(answer.status, 404);
    api_answer_finish(&answer);

    outcome = WEB_CONFLICT;
    assert_int_equal(call(site, "DELETE", "/api/v1/models/credit", NULL, &answer, &err), ERR_DATA);
    assert_int_equal(answer.status, 409);
    assert_string_equal(err.text, "model credit is busy");
    api_answer_finish(&answer);
}

static void dead_letters_come_newest_first_in_pages(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = filled();
    struct err err = {0};
    must(commit_begin(site->store, &err), &err);
    for (int i = 0; i < 5; i++) {
        struct dead_letter_row row = {.topic = "predictions",
                                      .offset = i,
                                      .at_ms = SITE_START + i,
                                      .reason = i % 2 ? "not_json" : "missing_id",
                                      .payload = view_of("<img src=x> \xff")};
        must(commit_dead_letter(site->store, &row, &err), &err);
    }
    must(commit_end(site->store, &err), &err);

    json_t *page = get(site, "/api/v1/dead-letters?limit=2");
    assert_int_equal(json_array_size(at(page, "items")), 2);
    assert_int_equal(number(page, "items.0.offset"), 4);
    assert_string_equal(text(page, "items.0.reason"), "missing_id");
    assert_string_equal(text(page, "items.0.payload"), "<img src=x> \xef\xbf\xbd");
    char target[100];
    snprintf(target, sizeof(target), "/api/v1/dead-letters?limit=4&after=%lld",
             (long long)number(page, "next"));
    json_decref(page);

    page = get(site, target);
    assert_int_equal(json_array_size(at(page, "items")), 3);
    assert_int_equal(number(page, "items.0.offset"), 2);
    assert_true(json_is_null(at(page, "next")));
    json_decref(page);

    page = get(site, "/api/v1/dead-letters?reason=not_json");
    assert_int_equal(json_array_size(at(page, "items")), 2);
    assert_int_equal(number(page, "items.0.offset"), 3);
    json_decref(page);
}

static void the_system_tells_its_partitions_and_rejects(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = filled();
    struct err err = {0};
    struct partition_counts counts = {.consumed = 10,
                                      .folded = 7,
                                      .dead_lettered = 3,
                                      .newest_ts_ms = SITE_START,
                                      .rejects = {[1] = 2, [5] = 1}};
    must(commit_begin(site->store, &err), &err);
    must(commit_offset(site->store, "predictions", 0, -1, 10, &counts, &err), &err);
    must(commit_offset(site->store, "predictions", 1, -1, 10, &counts, &err), &err);
    must(commit_end(site->store, &err), &err);

    json_t *answer = get(site, "/api/v1/system");

    assert_int_equal(json_array_size(at(answer, "partitions")), 2);
    assert_int_equal(number(answer, "partitions.1.consumed"), 10);
    assert_int_equal(number(answer, "totals.consumed"), 20);
    assert_int_equal(number(answer, "totals.folded"), 14);
    assert_int_equal(number(answer, "rejects.0.n"), 4);
    assert_int_equal(number(answer, "rejects.1.n"), 2);
    assert_true(number(answer, "storage.database_bytes") > 0);
    json_decref(answer);
}

static void lost_messages_make_an_answer_incomplete(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = filled();
    struct err err = {0};
    struct partition_counts counts = {.lost = 17};
    must(commit_begin(site->store, &err), &err);
    must(commit_offset(site->store, "predictions", 3, -1, 10, &counts, &err), &err);
    must(commit_end(site->store, &err), &err);

    json_t *answer = get(site, "/api/v1/models/credit/metrics?metric=count");

    assert_true(json_is_false(at(answer, "complete")));
    assert_string_equal(text(answer, "incomplete_reasons.0"),
                        "17 messages of predictions/3 were deleted before they were read");
    json_decref(answer);
}

static void a_number_is_written_in_the_fewest_digits_that_read_back(void **state)
{
    (void)state;
    static const char expected[] = "{\"a\":0.05,\"b\":[1e-8,3,true,null,\"\\u0001x\"],\"c\":0.1}";
    json_t *value = json_loads("{\"a\":0.050000000000000003,\"b\":[1e-8,3,true,null,\"\\u0001x\"],"
                               "\"c\":0.10000000000000001}",
                               0, NULL);
    struct buf out;
    buf_init(&out, 1000);

    out_value(&out, value);

    assert_int_equal(out.size, strlen(expected));
    assert_memory_equal(out.data, expected, out.size);
    buf_finish(&out);
    json_decref(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_is_written_in_the_fewest_digits_that_read_back),
        cmocka_unit_test(models_are_listed_with_their_counts),
        cmocka_unit_test(a_model_tells_its_metrics_versions_and_slices),
        cmocka_unit_test(a_metric_has_the_value_that_one_counts_by_hand),
        cmocka_unit_test(versions_merge_when_none_is_named_and_part_with_a_star),
        cmocka_unit_test(slices_are_asked_for_by_key_and_value),
        cmocka_unit_test(without_a_range_the_last_24_windows_are_given),
        cmocka_unit_test(a_shorter_step_gives_rolling_windows),
        cmocka_unit_test(a_series_that_sinks_says_so_and_by_how_much),
        cmocka_unit_test(a_million_points_are_capped_and_the_answer_says_so),
        cmocka_unit_test(curves_are_those_of_the_counts),
        cmocka_unit_test(csv_has_a_line_a_point),
        cmocka_unit_test(a_name_with_odd_letters_is_reached_and_escaped),
        cmocka_unit_test(a_wrong_question_is_told_what_may_be_asked),
        cmocka_unit_test(what_is_not_there_is_told_with_what_is_near),
        cmocka_unit_test(events_go_to_the_collector_and_its_answer_comes_back),
        cmocka_unit_test(facts_of_a_version_are_checked_before_they_are_kept),
        cmocka_unit_test(the_gate_of_a_model_does_not_judge_what_is_old),
        cmocka_unit_test(a_model_is_erased_once_it_is_known_and_nothing_holds_it),
        cmocka_unit_test(dead_letters_come_newest_first_in_pages),
        cmocka_unit_test(the_system_tells_its_partitions_and_rejects),
        cmocka_unit_test(lost_messages_make_an_answer_incomplete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
