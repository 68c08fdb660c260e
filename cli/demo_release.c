#include "cli/demo_release.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/client.h"

enum {
    ASK_EVERY_MS = 250,
    VALID_MS = 2000, /* contract §6: valid_for_ms of an assignment */
};

/* The steps are short, so that who watches sees them; guards need no more than they say. */
static const char experiment[] =
    "{\"name\":\"" RELEASE_NAME "\",\"model\":\"credit\",\"control\":\"v3\",\"treatment\":\"v4\","
    "\"salt\":\"" RELEASE_NAME "\",\"alpha\":0.05,\"noninferiority\":\"lenient\",\"steps\":["
    "{\"weight\":5,\"min_duration\":\"30s\",\"min_units\":10},"
    "{\"weight\":50,\"min_duration\":\"3m\",\"min_units\":500},"
    "{\"weight\":100,\"min_duration\":\"5m\"}],\"metrics\":["
    "{\"metric\":\"error_rate\",\"role\":\"guardrail\",\"direction\":\"lower\",\"margin\":0.02},"
    "{\"metric\":\"latency_p99\",\"role\":\"guardrail\",\"direction\":\"lower\","
    "\"margin_relative\":0.25},"
    "{\"metric\":\"outcome_rate{name=\\\"click\\\"}\",\"role\":\"monitor\","
    "\"direction\":\"higher\"},"
    "{\"metric\":\"roc_auc\",\"role\":\"monitor\",\"direction\":\"higher\"}]}";

static const struct {
    const char *version, *facts;
} versions[] = {
    {"v2", "{\"code_version\":\"3f1c2ab\",\"data_snapshot\":\"loans-2026-q1\","
           "\"artifact_bytes\":48211034,\"framework\":\"tensorflow 2.15\"}"},
    {"v3", "{\"code_version\":\"9ad04e7\",\"data_snapshot\":\"loans-2026-q2\","
           "\"artifact_bytes\":51933210,\"framework\":\"tensorflow 2.16\"}"},
    {"v4", "{\"code_version\":\"c7e5518\",\"data_snapshot\":\"loans-2026-q3\","
           "\"artifact_bytes\":97120455,\"framework\":\"tensorflow 2.16\","
           "\"notes\":\"deeper towers\"}"},
};

static int call(const struct release *release, const char *method, const char *path,
                const char *body, struct buf *answer, struct err *err)
{
    const struct client client = {.url = release->url};
    const struct client_request request = {
        .method = method, .path = path, .body = body, .timeout_s = 5};
    long status = 0;
    int rc = client_call(&client, &request, &status, answer, err);
    if (!rc && status >= 400)
        rc = client_refused((const char *)answer->data, answer->size, status, err);
    return rc;
}

int release_open(struct release *release, const char *url, struct err *err)
{
    struct buf answer;
    snprintf(release->url, sizeof(release->url), "%s", url);
    release->reached_ms = INT64_MIN;
    buf_init(&answer, 1 << 20);
    int rc = 0;
    for (size_t i = 0; !rc && i < sizeof(versions) / sizeof(versions[0]); i++) {
        char path[64];
        snprintf(path, sizeof(path), "/api/v1/models/credit/versions/%s", versions[i].version);
        rc = call(release, "PUT", path, versions[i].facts, &answer, err);
    }
    buf_finish(&answer);
    return rc;
}

int release_begin(struct release *release, struct err *err)
{
    struct buf answer;
    buf_init(&answer, 1 << 20);
    int rc = call(release, "POST", "/api/v1/experiments", experiment, &answer, err);
    if (!rc)
        rc = call(release, "POST", "/api/v1/experiments/" RELEASE_NAME "/start",
                  "{\"reason\":\"release of v4\"}", &answer, err);
    release->begun = rc == 0;
    buf_finish(&answer);
    return rc;
}

/* The answer as JSON; NULL when there is none. */
static json_t *ask(const struct release *release, const char *path)
{
    struct buf answer;
    buf_init(&answer, 1 << 20);
    json_t *json = call(release, "GET", path, NULL, &answer, NULL)
                       ? NULL
                       : json_loadb((const char *)answer.data, answer.size, 0, NULL);
    buf_finish(&answer);
    return json;
}

double release_weight(struct release *release, int64_t wall_ms)
{
    if (release->begun && wall_ms - release->asked_ms >= ASK_EVERY_MS) {
        json_t *json = ask(release, "/api/v1/experiments/" RELEASE_NAME);
        release->asked_ms = wall_ms;
        if (json) {
            release->weight = json_number_value(json_object_get(json, "weight"));
            release->told_ms = wall_ms;
        }
        json_decref(json);
    }
    return wall_ms - release->told_ms < VALID_MS ? release->weight : 0;
}

int64_t release_reached(struct release *release, int64_t wall_ms)
{
    if (wall_ms - release->reach_asked_ms >= ASK_EVERY_MS) {
        json_t *json = ask(release, "/api/v1/system");
        json_t *watermark = json_object_get(json_object_get(json, "collector"), "watermark");
        release->reach_asked_ms = wall_ms;
        if (json_is_integer(watermark))
            release->reached_ms = json_integer_value(watermark);
        json_decref(json);
    }
    return release->reached_ms;
}
