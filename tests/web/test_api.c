/*
 * Answers by value, without HTTP: what `assay query` and the server both give.
 */
#include "web/api.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "storage/audit.h"
#include "storage/outbox.h"
#include "storage/transition.h"
#include "tests/test.h"
#include "tests/web/answers.h"

static void models_are_listed_with_their_counts(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = site_filled();

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
    __attribute__((cleanup(site_freep))) struct site *site = site_filled();

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

static void a_name_with_odd_letters_is_reached_and_escaped(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = site_filled();
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
    __attribute__((cleanup(site_freep))) struct site *site = site_filled();
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
        {"/api/v1/models/credit/explain?metric=accurcy", 400, "metric",
         "metric: metric 'accurcy' is unknown; did you mean 'accuracy'?"},
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
    json_decref(get(site, "/api/v1/models/credit/metrics?from=2023-11-14T22:13:20+02:00"));
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
    __attribute__((cleanup(site_freep))) struct site *site = site_filled();
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
    __attribute__((cleanup(site_freep))) struct site *site = site_filled();
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

    ingested.answer = WEB_TOO_MANY;
    assert_true(call(site, "POST", "/api/v1/events", "{}", &answer, &err) < 0);
    assert_int_equal(answer.status, 413);
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
    __attribute__((cleanup(site_freep))) struct site *site = site_filled();
    char kept[200] = "";
    site->commands.context = kept;
    site->commands.put_version = put_version;
    struct api_answer answer;
    struct err err = {0};
    const char *target = "/api/v1/models/credit/versions/v5";

    must(call(site, "PUT", target, "{\"notes\":\"x\",\"artifact_bytes\":12}", &answer, &err), &err);
    assert_string_equal(kept, "credit/v5 {\"notes\":\"x\",\"artifact_bytes\":12}");
    api_answer_finish(&answer);

    assert_int_equal(call(site, "PUT", "/api/v1/models/credti/versions/v5", "{}", &answer, &err),
                     ERR_NOT_FOUND);
    assert_string_equal(err.text, "no model \"credti\"; did you mean \"credit\"?");
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
    __attribute__((cleanup(site_freep))) struct site *site = site_filled();
    struct web_health now = {.ready = true, .behind_ms = 121000};
    site->commands.context = &now;
    site->commands.health = health;

    json_t *gate = get(site, "/api/v1/gate/models/credit");
    assert_string_equal(text(gate, "result"), "unknown");
    assert_string_equal(text(gate, "reasons.0"),
                        "own input is stale: messages have waited in the log for minutes");
    json_decref(gate);

    now = (struct web_health){.ready = true, .silent_ms = 121000};
    gate = get(site, "/api/v1/gate/models/credit");
    assert_string_equal(text(gate, "reasons.0"),
                        "own input is stale: the broker has been away for minutes");
    json_decref(gate);

    now = (struct web_health){.ready = true, .broker_up = true, .silent_ms = 3600001};
    gate = get(site, "/api/v1/gate/models/credit");
    assert_string_equal(text(gate, "result"), "unknown");
    assert_string_equal(text(gate, "reasons.0"),
                        "own input is stale: nothing has come for longer than the window");
    json_decref(gate);
    gate = get(site, "/api/v1/gate/models/credit?window=2h");
    assert_string_equal(text(gate, "reasons.0"), "no rule watches this model");
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
    __attribute__((cleanup(site_freep))) struct site *site = site_filled();
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
    __attribute__((cleanup(site_freep))) struct site *site = site_filled();
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

static void the_audit_log_is_read_from_any_row_or_so_many_before_its_end(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = site_filled();
    struct err err = {0};
    must(commit_begin(site->store, &err), &err);
    for (int i = 1; i <= 5; i++) {
        struct audit_row row = {.at_ms = i,
                                .clock = "wall",
                                .who = "ann",
                                .action = "ack",
                                .subject = "a",
                                .detail = "{}"};
        must(commit_audit(site->store, &row, &err), &err);
    }
    must(commit_end(site->store, &err), &err);
    static const struct {
        const char *target;
        int first, n, next; /* 0: null */
    } asked[] = {
        {"/api/v1/audit", 1, 5, 0},
        {"/api/v1/audit?after=3", 4, 2, 0},
        {"/api/v1/audit?after=-2", 4, 2, 0},
        {"/api/v1/audit?after=-4&limit=3", 2, 3, 4},
        {"/api/v1/audit?after=-1000", 1, 5, 0},
    };

    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        json_t *page = get(site, asked[i].target);
        assert_int_equal(number(page, "items.0.at"), asked[i].first);
        assert_int_equal(json_array_size(at(page, "items")), asked[i].n);
        if (asked[i].next)
            assert_int_equal(number(page, "next"), asked[i].next);
        else
            assert_true(json_is_null(at(page, "next")));
        json_decref(page);
    }
}

static void two_receivers(void *context, void (*row)(void *to, const struct web_receiver *receiver),
                          void *to)
{
    const struct web_receiver well = {.name = "oncall", .type = "webhook", .sent = 3};
    const struct web_receiver ill = {.name = "dead",
                                     .type = "slack",
                                     .retried = 5,
                                     .rests_until_ms = SITE_START + 30000,
                                     .problem = "HTTP 500",
                                     .problem_ms = SITE_START};
    (void)context;
    row(to, &well);
    row(to, &ill);
}

static void one_sink(void *context, struct buf *out)
{
    (void)context;
    buf_printf(out, "{\"type\":\"tensorboard\"}");
}

static void the_system_tells_its_partitions_and_rejects(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = site_filled();
    struct err err = {0};
    const struct outbox_row waiting = {.webhook_id = "w",
                                       .receiver = "dead",
                                       .group_key = "g",
                                       .type = "alert.firing",
                                       .data = "{}",
                                       .created_ms = SITE_START,
                                       .next_ms = SITE_START};
    struct partition_counts counts = {.consumed = 10,
                                      .folded = 7,
                                      .dead_lettered = 3,
                                      .newest_ts_ms = SITE_START,
                                      .rejects = {[1] = 2, [5] = 1}};
    must(commit_begin(site->store, &err), &err);
    must(commit_offset(site->store, "predictions", 0, -1, 10, &counts, &err), &err);
    must(commit_offset(site->store, "predictions", 1, -1, 10, &counts, &err), &err);
    must(commit_end(site->store, &err), &err);

    site->commands.receivers = two_receivers;
    site->commands.sinks = one_sink;
    must(commit_begin(site->store, &err), &err);
    must(commit_outbox(site->store, &waiting, &err), &err);
    must(commit_end(site->store, &err), &err);

    json_t *answer = get(site, "/api/v1/system");

    assert_string_equal(json_string_value(at(answer, "receivers.0.receiver")), "oncall");
    assert_int_equal(number(answer, "receivers.0.waiting"), 0);
    assert_true(json_is_null(at(answer, "receivers.0.oldest_waiting")));
    assert_true(json_is_null(at(answer, "receivers.0.rests_until")));
    assert_true(json_is_null(at(answer, "receivers.0.problem")));
    assert_int_equal(number(answer, "receivers.1.waiting"), 1);
    assert_int_equal(number(answer, "receivers.1.oldest_waiting"), SITE_START);
    assert_int_equal(number(answer, "receivers.1.rests_until"), SITE_START + 30000);
    assert_string_equal(json_string_value(at(answer, "receivers.1.problem")), "HTTP 500");
    assert_string_equal(json_string_value(at(answer, "sinks.0.type")), "tensorboard");
    assert_int_equal(json_array_size(at(answer, "partitions")), 2);
    assert_int_equal(number(answer, "partitions.1.consumed"), 10);
    assert_int_equal(number(answer, "totals.consumed"), 20);
    assert_int_equal(number(answer, "totals.folded"), 14);
    assert_int_equal(number(answer, "rejects.0.n"), 4);
    assert_int_equal(number(answer, "rejects.1.n"), 2);
    assert_true(number(answer, "storage.database_bytes") > 0);
    json_decref(answer);
}

static int silence(void *context, const char *action, const char *subject, const char *body,
                   const char *who, struct buf *answer, struct err *err)
{
    (void)context, (void)action, (void)subject, (void)body, (void)who, (void)err;
    buf_printf(answer, "{\"id\":17}");
    return 0;
}

/* Writes it as the engine does, under a name that a path must encode. */
static int create(void *context, const char *body, const char *who, char *name, struct err *err)
{
    (void)body, (void)who;
    struct site *site = context;
    struct experiment_row row = {.name = "v4 of credit",
                                 .model = "credit",
                                 .object = "{\"name\":\"v4 of credit\"}",
                                 .state = "draft",
                                 .verdict = "{}",
                                 .ramp = ""};
    must(commit_begin(site->store, err), err);
    must(commit_experiment_new(site->store, &row, err), err);
    must(commit_end(site->store, err), err);
    snprintf(name, 129, "%s", row.name);
    return 0;
}

static void what_is_made_says_where_it_is(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = site_filled();
    struct err err = {0};
    struct api_answer silenced, created;
    site->commands =
        (struct web_commands){.context = site, .alert = silence, .experiment_create = create};

    must(call(site, "POST", "/api/v1/silences", "{}", &silenced, &err), &err);
    must(call(site, "POST", "/api/v1/experiments", "{}", &created, &err), &err);

    assert_int_equal(silenced.status, 201);
    assert_string_equal(silenced.location, "/api/v1/silences/17");
    assert_int_equal(created.status, 201);
    assert_string_equal(created.location, "/api/v1/experiments/v4%20of%20credit");
    json_decref(get(site, created.location));
    api_answer_finish(&silenced);
    api_answer_finish(&created);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models_are_listed_with_their_counts),
        cmocka_unit_test(a_model_tells_its_metrics_versions_and_slices),
        cmocka_unit_test(a_name_with_odd_letters_is_reached_and_escaped),
        cmocka_unit_test(a_wrong_question_is_told_what_may_be_asked),
        cmocka_unit_test(what_is_not_there_is_told_with_what_is_near),
        cmocka_unit_test(events_go_to_the_collector_and_its_answer_comes_back),
        cmocka_unit_test(facts_of_a_version_are_checked_before_they_are_kept),
        cmocka_unit_test(the_gate_of_a_model_does_not_judge_what_is_old),
        cmocka_unit_test(a_model_is_erased_once_it_is_known_and_nothing_holds_it),
        cmocka_unit_test(dead_letters_come_newest_first_in_pages),
        cmocka_unit_test(the_audit_log_is_read_from_any_row_or_so_many_before_its_end),
        cmocka_unit_test(the_system_tells_its_partitions_and_rejects),
        cmocka_unit_test(what_is_made_says_where_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
