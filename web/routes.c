#include "web/routes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "web/handlers.h"

/* clang-format off */
#define P_WINDOW {"window", PARAM_DURATION, NULL, 0, 0, "length of a window: a multiple of a minute; default 1h", "1h"}
#define P_FROM   {"from", PARAM_TIME, NULL, 0, 0, "first event time (RFC 3339 or ms); default: 24 windows before `to`", "2023-11-14T00:00:00Z"}
#define P_TO     {"to", PARAM_TIME, NULL, 0, 0, "end of event time, exclusive; default: the end of the window that is filling", "2023-11-15T00:00:00Z"}
#define P_FORMAT {"format", PARAM_CHOICE, "json,csv", 0, 0, "form of the answer; also by the Accept header", "csv"}
#define P_LIMIT(MOST) {"limit", PARAM_INTEGER, NULL, 1, MOST, "items a page", "100"}
#define P_VERSION {"version", PARAM_TEXT, NULL, 0, 0, "one version; `*`: each on its own; omitted: all merged", "v3"}
#define P_STATUS {"status", PARAM_INTEGER, NULL, 0, 1, "1: the result as HTTP status 200, 409 or 503", "0"}
#define P_SEGMENT {"segment", PARAM_SEGMENT, NULL, 0, 0, "one slice, as key:value; `key:*`: each value of the key; omitted: everything", "country:de"}

static const struct route table[] = {
    {"GET", "/-/healthy", SCOPE_NONE, ROUTE_QUICK, health_healthy, "healthy",
     "The process answers", "Health", NULL, 200, false, {{0}}},
    {"GET", "/-/ready", SCOPE_NONE, ROUTE_QUICK, health_ready, "ready",
     "The database is open and the collector has its partitions (else 503, saying why)",
     "Health", NULL, 200, false, {{0}}},
    {"GET", "/metrics", SCOPE_READ, ROUTE_READ, openmetrics, "openmetrics",
     "Own health and the last complete window of each series, as OpenMetrics text",
     "application/openmetrics-text", NULL, 200, false, {{0}}},
    {"GET", "/api/v1/openapi.json", SCOPE_NONE, ROUTE_QUICK, openapi, "openapi",
     "This description", "OpenApi", NULL, 200, false, {{0}}},

    {"GET", "/api/v1/models", SCOPE_READ, ROUTE_CACHED, api_models, "listModels",
     "Every model that is known, with its counts and lag", "ModelList", NULL, 200, false, {{0}}},
    {"GET", "/api/v1/models/{model}", SCOPE_READ, ROUTE_CACHED, api_model, "getModel",
     "One model", "Model", NULL, 200, false, {{0}}},
    {"DELETE", "/api/v1/models/{model}", SCOPE_ADMIN, ROUTE_INGEST, api_delete_model, "eraseModel",
     "Erases everything that was made of a model's events", "Erased", NULL, 200, false, {{0}}},
    {"GET", "/api/v1/models/{model}/versions", SCOPE_READ, ROUTE_CACHED, api_versions,
     "listVersions", "The versions of a model, with their registered facts", "VersionList", NULL,
     200, false, {{0}}},
    {"PUT", "/api/v1/models/{model}/versions/{version}", SCOPE_OPERATE, ROUTE_INGEST,
     api_put_version, "putVersion", "Registers facts of a version, also before its first event", "Version", "VersionFacts", 200,
     false, {{0}}},
    {"GET", "/api/v1/models/{model}/slices", SCOPE_READ, ROUTE_CACHED, api_slices, "listSlices",
     "The segments of a model and the values they were seen with", "SliceList", NULL, 200, false,
     {{0}}},
    {"GET", "/api/v1/models/{model}/metrics", SCOPE_READ, ROUTE_CACHED, api_metrics, "getMetrics",
     "Metrics over time, with intervals and error bounds", "Series", NULL, 200, true,
     {{"metric", PARAM_LIST, NULL, 0, 0, "names separated by commas; default: the main ones of the task", "roc_auc,f1"},
      P_VERSION, P_SEGMENT, P_FROM, P_TO, P_WINDOW,
      {"step", PARAM_DURATION, NULL, 0, 0, "distance of windows, not longer than `window`: shorter gives rolling windows; default `window`", "1h"},
      P_FORMAT}},
    {"GET", "/api/v1/models/{model}/curves", SCOPE_READ, ROUTE_CACHED, api_curves, "getCurves",
     "ROC, precision and recall, calibration or confusion matrix of one window", "Curves", NULL,
     200, false,
     {{"kind", PARAM_CHOICE, "roc,pr,calibration,confusion", 0, 0, "which; default roc", "roc"},
      P_VERSION, P_SEGMENT,
      {"from", PARAM_TIME, NULL, 0, 0, "start of the window; default: a day before `to`", "2023-11-14T00:00:00Z"},
      {"to", PARAM_TIME, NULL, 0, 0, "its end; default: up to what is complete", "2023-11-15T00:00:00Z"}}},
    {"GET", "/api/v1/models/{model}/drift", SCOPE_READ, ROUTE_CACHED, api_drift, "getDrift",
     "Every feature's distribution against the reference, by window, with calibrated verdicts",
     "Drift", NULL, 200, false,
     {{"feature", PARAM_LIST, NULL, 0, 0, "names separated by commas; default: all, with @score, @prediction and @label", "income,@score"},
      P_VERSION, P_SEGMENT, P_FROM, P_TO, P_WINDOW}},
    {"GET", "/api/v1/models/{model}/changes", SCOPE_READ, ROUTE_CACHED, api_changes, "listChanges",
     "When rates, means and distributions changed, by the event, newest first; and what is watched",
     "ChangeList", NULL, 200, false,
     {{"stream", PARAM_TEXT, NULL, 0, 0, "only this metric or feature", "accuracy"},
      {"version", PARAM_TEXT, NULL, 0, 0, "only this version", "v3"},
      {"segment", PARAM_SEGMENT, NULL, 0, 0, "only this slice, as key:value; `key:*`: each value of the key; omitted: the whole and all slices", "country:de"},
      {"from", PARAM_TIME, NULL, 0, 0, "found at this event time or later; default: all that is kept", "2023-11-14T00:00:00Z"},
      {"to", PARAM_TIME, NULL, 0, 0, "found before; default: no end", "2023-11-15T00:00:00Z"},
      P_LIMIT(1000),
      {"after", PARAM_INTEGER, NULL, 0, INT64_MAX, "the `next` of the page before", "120"}}},
    {"GET", "/api/v1/models/{model}/distribution", SCOPE_READ, ROUTE_CACHED, api_distribution,
     "getDistribution", "One feature: reference and window on the same edges", "Distribution", NULL,
     200, false,
     {{"feature", PARAM_TEXT, NULL, 0, 0, "its name; default @score", "income"},
      P_VERSION, P_SEGMENT,
      {"from", PARAM_TIME, NULL, 0, 0, "start of the window; default: an hour before `to`", "2023-11-14T00:00:00Z"},
      {"to", PARAM_TIME, NULL, 0, 0, "its end; default: up to what is complete", "2023-11-15T00:00:00Z"}}},
    {"GET", "/api/v1/models/{model}/explain", SCOPE_READ, ROUTE_CACHED, api_explain, "getExplain",
     "Where a change comes from: slices and features that contribute most, ranked", "Explanation",
     NULL, 200, false,
     {{"metric", PARAM_TEXT, NULL, 0, 0, "whose change is split; default: the task's first one that has a value", "accuracy"},
      P_VERSION, P_SEGMENT,
      {"from", PARAM_TIME, NULL, 0, 0, "start of the window; default: an hour before `to`", "2023-11-14T00:00:00Z"},
      {"to", PARAM_TIME, NULL, 0, 0, "its end; default: up to what is complete", "2023-11-15T00:00:00Z"},
      {"before_from", PARAM_TIME, NULL, 0, 0, "start of what it is compared with; default: as long as the window", "2023-11-13T00:00:00Z"},
      {"before_to", PARAM_TIME, NULL, 0, 0, "its end; default: `from`", "2023-11-14T00:00:00Z"},
      P_LIMIT(1000)}},
    {"PUT", "/api/v1/models/{model}/reference", SCOPE_OPERATE, ROUTE_UPLOAD, api_put_reference,
     "putReference", "Sets what drift is measured against: prediction and label events, JSONL, gzipped or not",
     "ReferenceSet", "Events", 200, false,
     {{"version", PARAM_TEXT, NULL, 0, 0, "for this version alone", "v3"}}},
    {"GET", "/api/v1/models/{model}/references", SCOPE_READ, ROUTE_CACHED, api_references,
     "listReferences", "The references that were ever loaded, newest first, and which of them count",
     "ReferenceList", NULL, 200, false,
     {{"version", PARAM_TEXT, NULL, 0, 0, "only those of this version", "v3"}}},
    {"DELETE", "/api/v1/models/{model}/references/{reference}", SCOPE_OPERATE, ROUTE_INGEST,
     api_forget_reference, "forgetReference",
     "Takes a reference away that was loaded; the one loaded before it counts then, else what the configuration names",
     "ReferenceForgotten", NULL, 200, false,
     {{"version", PARAM_TEXT, NULL, 0, 0, "only as that of this version; omitted: wherever it was loaded", "v3"}}},
    {"POST", "/api/v1/events", SCOPE_INGEST, ROUTE_INGEST, api_events, "postEvents",
     "Takes one event, an array, or JSONL; answers when they are durable", "Ingested", "Events",
     200, false, {{0}}},
    {"GET", "/api/v1/system", SCOPE_READ, ROUTE_READ, api_system, "getSystem",
     "Own health: partitions, lag, rates, rejects by reason, storage", "System", NULL, 200, false,
     {{0}}},
    {"GET", "/api/v1/dead-letters", SCOPE_ADMIN, ROUTE_READ, api_dead_letters, "listDeadLetters",
     "Events that were refused, newest first, with their reason", "DeadLetterList", NULL, 200,
     false,
     {{"reason", PARAM_TEXT, NULL, 0, 0, "only this reason", "not_json"},
      P_LIMIT(1000),
      {"after", PARAM_INTEGER, NULL, 0, INT64_MAX, "the `next` of the page before", "120"}}},
    {"GET", "/api/v1/alerts", SCOPE_READ, ROUTE_READ, api_alerts, "listAlerts",
     "Alerts that are pending, firing or without data; firing first", "AlertList", NULL, 200, false,
     {{"state", PARAM_CHOICE, "active,all", 0, 0, "all: those that have resolved, too", "active"}}},
    {"GET", "/api/v1/alerts/rules", SCOPE_READ, ROUTE_READ, api_alert_rules, "listAlertRules",
     "The rules in force, with their levels, also those that never fired", "AlertRuleList", NULL,
     200, false, {{0}}},
    {"GET", "/api/v1/alerts/history", SCOPE_READ, ROUTE_READ, api_alert_history,
     "listAlertHistory", "What happened to alerts, newest first", "AlertEventList", NULL, 200, false,
     {{"alert", PARAM_TEXT, NULL, 0, 0, "only this alert's id", "00c0ffee00c0ffee"},
      P_LIMIT(1000),
      {"after", PARAM_INTEGER, NULL, 0, INT64_MAX, "the `next` of the page before", "120"}}},
    {"POST", "/api/v1/alerts/{alert}/ack", SCOPE_OPERATE, ROUTE_INGEST, api_ack_alert, "ackAlert",
     "Somebody looks after it: repeats stop", "Empty", "Nothing", 200, false, {{0}}},
    {"GET", "/api/v1/silences", SCOPE_READ, ROUTE_READ, api_silences, "listSilences",
     "Silences that run", "SilenceList", NULL, 200, false,
     {{"state", PARAM_CHOICE, "active,all", 0, 0, "all: those that have ended, too", "active"}}},
    {"POST", "/api/v1/silences", SCOPE_OPERATE, ROUTE_INGEST, api_post_silence, "postSilence",
     "Nobody is told of alerts that match, for a while", "Silence", "NewSilence", 201, false, {{0}}},
    {"DELETE", "/api/v1/silences/{silence}", SCOPE_OPERATE, ROUTE_INGEST, api_delete_silence,
     "deleteSilence", "Ends a silence now", "Empty", NULL, 200, false, {{0}}},
    {"GET", "/api/v2/silences", SCOPE_READ, ROUTE_READ, alertmanager_silences, "amListSilences",
     "Silences as Alertmanager's API v2 has them, for amtool", "AmSilenceList", NULL, 200, false,
     {{"filter", PARAM_MANY, NULL, 0, 0, "only those with this matcher", "alertname=\"auc-low\""}}},
    {"POST", "/api/v2/silences", SCOPE_OPERATE, ROUTE_INGEST, alertmanager_post_silence,
     "amPostSilence", "Makes one, or, with the `id` of one that runs, puts it in that one's place",
     "AmSilenceMade", "AmNewSilence", 200, false, {{0}}},
    {"GET", "/api/v2/silence/{silence}", SCOPE_READ, ROUTE_READ, alertmanager_silence,
     "amGetSilence", "One of them", "AmSilence", NULL, 200, false, {{0}}},
    {"DELETE", "/api/v2/silence/{silence}", SCOPE_OPERATE, ROUTE_INGEST, api_delete_silence,
     "amDeleteSilence", "Ends it now", "Empty", NULL, 200, false, {{0}}},
    {"GET", "/api/v1/deliveries", SCOPE_READ, ROUTE_READ, api_deliveries, "listDeliveries",
     "Notifications and what became of them, newest first", "DeliveryList", NULL, 200, false,
     {P_LIMIT(1000),
      {"after", PARAM_INTEGER, NULL, 0, INT64_MAX, "the `next` of the page before", "120"}}},
    {"POST", "/api/v1/deliveries/{delivery}/again", SCOPE_OPERATE, ROUTE_INGEST, api_send_again,
     "sendAgain", "Sends a notification again that failed for good", "Empty", "Nothing", 200, false,
     {{0}}},
    {"POST", "/api/v1/receivers/{receiver}/test", SCOPE_OPERATE, ROUTE_INGEST, api_test_receiver,
     "testReceiver", "Sends a test message to a receiver now, and tells what it answered",
     "ReceiverTest", "Nothing", 200, false, {{0}}},
    {"GET", "/api/v1/experiments", SCOPE_READ, ROUTE_READ, api_experiments, "listExperiments",
     "Every experiment with its state and last verdict", "ExperimentList", NULL, 200, false, {{0}}},
    {"POST", "/api/v1/experiments", SCOPE_OPERATE, ROUTE_INGEST, api_create_experiment,
     "createExperiment", "Creates an experiment; `start: true` starts it at once", "Experiment",
     "NewExperiment", 201, false, {{0}}},
    {"GET", "/api/v1/experiments/{experiment}", SCOPE_READ, ROUTE_READ, api_experiment,
     "getExperiment", "One experiment", "Experiment", NULL, 200, false, {{0}}},
    {"GET", "/api/v1/experiments/{experiment}/verdict", SCOPE_READ, ROUTE_WAIT, api_verdict,
     "getVerdict", "The decision with its evidence", "Verdict", NULL, 200, false,
     {{"wait", PARAM_WAIT, NULL, 0, 0, "holds the answer until the state changes, at most 60s", "0s"}}},
    {"GET", "/api/v1/experiments/{experiment}/assignment", SCOPE_READ, ROUTE_QUICK, api_assignment,
     "getAssignment", "Which version serves a unit", "Assignment", NULL, 200, false,
     {{"unit", PARAM_NEEDED, NULL, 0, 0, "who is to be served", "user-42"}}},
    {"GET", "/api/v1/experiments/{experiment}/history", SCOPE_READ, ROUTE_READ,
     api_experiment_history, "listTransitions", "What was decided, by whom and on which evidence",
     "TransitionList", NULL, 200, false,
     {{"full", PARAM_INTEGER, NULL, 0, 1, "1: with all that is needed to compute the verdicts again", "0"}}},
    {"GET", "/api/v1/experiments/{experiment}/looks", SCOPE_READ, ROUTE_READ, api_experiment_looks,
     "listLooks", "How its intervals narrowed: kept looks, oldest first", "LookList", NULL, 200,
     false,
     {P_LIMIT(5000),
      {"after", PARAM_TIME, NULL, 0, 0, "the `next` of the page before: looks after that time", "1700000000000"}}},
    {"POST", "/api/v1/experiments/{experiment}/{command}", SCOPE_OPERATE, ROUTE_INGEST,
     api_command_experiment, "commandExperiment",
     "start, pause, resume, jump, freeze, approve, promote or rollback", "Experiment",
     "ExperimentCommand", 200, false, {{0}}},
    {"GET", "/api/v1/audit", SCOPE_READ, ROUTE_READ, api_audit, "listAudit",
     "Who changed what, when and why, oldest first; each row's hash covers the former", "AuditList",
     NULL, 200, false,
     {P_LIMIT(1000), {"after", PARAM_INTEGER, NULL, -1000000, INT64_MAX,
       "rows beyond this number; -100: the newest hundred", "0"}}},
    {"GET", "/api/v1/gate/experiments/{experiment}", SCOPE_READ, ROUTE_READ, api_gate_experiment,
     "gateExperiment", "May a pipeline go on? pass, fail or unknown", "Gate", NULL, 200, false,
     {P_STATUS}},
    {"POST", "/api/v1/gate/experiments/{experiment}", SCOPE_READ, ROUTE_READ, api_gate_experiment,
     "hookExperiment", "The same for webhooks that send a body", "Gate", "Hook", 200, false,
     {P_STATUS}},
    {"GET", "/api/v1/gate/experiments/{experiment}/rollback", SCOPE_READ, ROUTE_READ,
     api_gate_rollback, "gateRollback", "2xx when a rollback is due, else 409", "RollbackHook", NULL,
     200, false, {{0}}},
    {"POST", "/api/v1/gate/experiments/{experiment}/rollback", SCOPE_READ, ROUTE_READ,
     api_gate_rollback, "hookRollback", "The same for webhooks that send a body", "RollbackHook",
     "Hook", 200, false, {{0}}},
    {"GET", "/api/v1/gate/models/{model}", SCOPE_READ, ROUTE_READ, api_gate_model, "gateModel",
     "fail while a rule of the model fires, pass when all have data and none is pending", "Gate",
     NULL, 200, false,
     {{"version", PARAM_TEXT, NULL, 0, 0, "only what concerns this version", "v3"}, P_WINDOW, P_STATUS}},
    {"POST", "/api/v1/gate/models/{model}", SCOPE_READ, ROUTE_READ, api_gate_model, "hookModel",
     "The same for webhooks that send a body", "Gate", "Hook", 200, false,
     {{"version", PARAM_TEXT, NULL, 0, 0, "only what concerns this version", "v3"}, P_WINDOW, P_STATUS}},
    {"POST", "/ofrep/v1/evaluate/flags/{key}", SCOPE_READ, ROUTE_QUICK, ofrep_flag, "evaluateFlag",
     "OFREP: an experiment as a flag", "Flag", "FlagContext", 200, false, {{0}}},
    {"POST", "/ofrep/v1/evaluate/flags", SCOPE_READ, ROUTE_READ, ofrep_flags, "evaluateFlags",
     "OFREP: all experiments as flags", "FlagList", "FlagContext", 200, false, {{0}}},
    {"GET", "/api/v1/session", SCOPE_NONE, ROUTE_SESSION, NULL, "getSession",
     "Who asks, and what they may", "Session", NULL, 200, false, {{0}}},
    {"POST", "/api/v1/session", SCOPE_NONE, ROUTE_SESSION, NULL, "signIn",
     "Signs a browser in with a token: sets the session's cookie", "Session", "SignIn", 200, false, {{0}}},
    {"DELETE", "/api/v1/session", SCOPE_NONE, ROUTE_SESSION, NULL, "signOut",
     "Signs the browser out", "Session", NULL, 200, false, {{0}}},
    {"GET", "/api/v1/stream", SCOPE_READ, ROUTE_STREAM, NULL, "stream",
     "Server-sent events: what changed, as it is committed", "text/event-stream", NULL, 200, false,
     {{0}}},
};
/* clang-format on */
enum {
    MAX_TEXT = 500,  /* characters of a parameter … */
    MAX_LIST = 5000, /* … and of one that holds names */
    N_ROUTES = sizeof(table) / sizeof(table[0])
};

const struct route *routes_table(size_t *n)
{
    *n = N_ROUTES;
    return table;
}

/* Walks pattern and segments together; the segment under `capture` goes to *value. */
static bool matches(const char *pattern, const struct target *target, const char *capture,
                    const char **value)
{
    size_t i = 0;
    while (*pattern == '/') {
        pattern++;
        size_t n = strcspn(pattern, "/");
        if (i == target->n_segments)
            return false;
        const char *segment = target->segments[i++];
        if (pattern[0] == '{') {
            if (segment[0] == '\0')
                return false;
            if (capture && strlen(capture) == n - 2 && memcmp(pattern + 1, capture, n - 2) == 0)
                *value = segment;
        } else if (strlen(segment) != n || memcmp(segment, pattern, n) != 0) {
            return false;
        }
        pattern += n;
    }
    return i == target->n_segments;
}

/* How much of a pattern is said: `…/assignment` is nearer to a path than `…/{command}`. */
static int literals(const char *pattern)
{
    int n = 0;
    for (; *pattern; pattern++)
        n += pattern[0] == '/' && pattern[1] != '{';
    return n;
}

static void near_path(const struct target *target, struct err *err)
{
    char path[300] = "";
    size_t at = 0;
    for (size_t i = 0; i < target->n_segments && at < sizeof(path) - 1; i++)
        at += (size_t)snprintf(path + at, sizeof(path) - at, "/%s", target->segments[i]);
    const char *patterns[N_ROUTES];
    for (size_t i = 0; i < N_ROUTES; i++)
        patterns[i] = table[i].pattern;
    const char *near = text_near(path, patterns, N_ROUTES);
    if (near)
        err_set(err, ERR_NOT_FOUND, "there is nothing at %s; did you mean %s?", path, near);
    else
        err_set(err, ERR_NOT_FOUND, "there is nothing at %s; /api/v1/openapi.json lists all paths",
                path);
}

int routes_find(const struct route **out, const char *method, const struct target *target,
                struct api_answer *answer, struct err *err)
{
    const char *want = strcmp(method, "HEAD") == 0 ? "GET" : method;
    size_t at = 0;
    bool path_known = false;
    int nearest = 0;
    for (size_t i = 0; i < N_ROUTES; i++) {
        int n = literals(table[i].pattern);
        if (n > nearest && matches(table[i].pattern, target, NULL, NULL))
            nearest = n;
    }
    for (size_t i = 0; i < N_ROUTES; i++) {
        if (literals(table[i].pattern) < nearest || !matches(table[i].pattern, target, NULL, NULL))
            continue;
        if (strcmp(table[i].method, want) == 0) {
            *out = &table[i];
            answer->allowed[0] = '\0'; /* what other methods of the path have left there */
            return 0;
        }
        bool get = strcmp(table[i].method, "GET") == 0;
        path_known = true;
        at += (size_t)snprintf(answer->allowed + at, sizeof(answer->allowed) - at, "%s%s%s",
                               at ? "\n" : "", table[i].method, get ? "\nHEAD" : "");
    }
    if (path_known) {
        err_set(err, ERR_USAGE, "%s is not done here", method);
        return ROUTE_METHOD;
    }
    near_path(target, err);
    return ROUTE_UNKNOWN;
}

int api_refuse(struct api_answer *answer, struct err *err, const char *field, const char *allowed,
               const char *format, ...)
{
    char text[ERR_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    snprintf(answer->field, sizeof(answer->field), "%s", field);
    snprintf(answer->allowed, sizeof(answer->allowed), "%s", allowed);
    return err_set(err, ERR_USAGE, "%s: %s", field, text);
}

/* An offset such as +02:00 whose plus a form's decoding has taken for a blank is still one. */
static int read_time(int64_t *out, const char *value, size_t n)
{
    char text[64];
    if (n < 7 || n >= sizeof(text) || value[n - 6] != ' ')
        return time_parse_any(out, value, n);
    memcpy(text, value, n + 1);
    text[n - 6] = '+';
    return time_parse_any(out, text, n);
}

static const struct route_param *param_find(const struct route *route, const char *name)
{
    for (int i = 0; i < ROUTE_MAX_PARAMS && route->params[i].name; i++)
        if (strcmp(route->params[i].name, name) == 0)
            return &route->params[i];
    return NULL;
}

static int unknown_param(const struct route *route, const char *name, struct api_answer *answer,
                         struct err *err)
{
    const char *names[ROUTE_MAX_PARAMS];
    char all[400] = "";
    size_t n = 0, at = 0;
    for (; n < ROUTE_MAX_PARAMS && route->params[n].name; n++) {
        names[n] = route->params[n].name;
        at += (size_t)snprintf(all + at, sizeof(all) - at, "%s%s", n ? "\n" : "", names[n]);
    }
    if (n == 0)
        return api_refuse(answer, err, name, "", "no parameter is taken here");
    const char *near = text_near(name, names, n);
    return near ? api_refuse(answer, err, name, all, "no such parameter; did you mean %s?", near)
                : api_refuse(answer, err, name, all, "no such parameter");
}

static bool is_choice(const char *choices, const char *value)
{
    const char *name;
    size_t n;
    while (list_next(&choices, &name, &n))
        if (strlen(value) == n && memcmp(name, value, n) == 0)
            return true;
    return false;
}

static int refuse_choice(const struct route_param *param, const char *value,
                         struct api_answer *answer, struct err *err)
{
    int rc = api_refuse(answer, err, param->name, param->choices, "%.100s is none of %s", value,
                        param->choices);
    for (char *c = answer->allowed; *c; c++)
        if (*c == ',')
            *c = '\n';
    return rc;
}

static int parse_duration(int64_t *out, const char *value, size_t n)
{
    return int_parse(out, value, n) == 0 ? 0 : duration_parse(out, value, n);
}

/* Of UTF-8: all bytes but those that go on with a character. */
static size_t characters(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += (*text & 0xc0) != 0x80;
    return n;
}

static int check_param(const struct route_param *param, const char *value,
                       struct api_answer *answer, struct err *err)
{
    int64_t number;
    int most;
    char range[80];
    switch (param->type) {
    case PARAM_TEXT:
    case PARAM_MANY:
    case PARAM_NEEDED:
    case PARAM_LIST:
    case PARAM_SEGMENT:
    case PARAM_WAIT: /* what is in these two, their handlers know */
        most = param->type == PARAM_LIST ? MAX_LIST : MAX_TEXT;
        snprintf(range, sizeof(range), "a text of 1 to %d characters", most);
        if (value[0] == '\0' || characters(value) > (size_t)most)
            return api_refuse(answer, err, param->name, range, "must be %s", range);
        return 0;
    case PARAM_TIME:
        /* The year 9999, so that arithmetic on times cannot overflow. */
        if (read_time(&number, value, strlen(value)) || number < 0 ||
            number > INT64_C(253402300799999))
            return api_refuse(answer, err, param->name,
                              "milliseconds since the epoch, or RFC 3339 such as "
                              "2023-11-14T22:13:20Z",
                              "%.100s is not a time", value);
        return 0;
    case PARAM_DURATION:
        if (parse_duration(&number, value, strlen(value)) || number <= 0 || number % 60000 != 0 ||
            number > INT64_C(366) * 86400000)
            return api_refuse(answer, err, param->name,
                              "a multiple of 1m from 1m to 366d, such as 1m, 5m, 1h, 1d",
                              "%.100s is not a multiple of a minute from 1m to 366d", value);
        return 0;
    case PARAM_INTEGER:
        snprintf(range, sizeof(range), "a whole number from %lld to %lld", (long long)param->min,
                 (long long)param->max);
        if (int_parse(&number, value, strlen(value)) || number < param->min || number > param->max)
            return api_refuse(answer, err, param->name, range, "%.100s is not %s", value, range);
        return 0;
    case PARAM_CHOICE:
        if (!is_choice(param->choices, value))
            return refuse_choice(param, value, answer, err);
        return 0;
    }
    return 0;
}

int routes_check(const struct route *route, const struct target *target, struct api_answer *answer,
                 struct err *err)
{
    for (size_t i = 0; i < target->n_params; i++) {
        const struct api_param *given = &target->params[i];
        const struct route_param *param = param_find(route, given->name);
        if (!param)
            return unknown_param(route, given->name, answer, err);
        for (size_t k = 0; k < i && param->type != PARAM_MANY; k++)
            if (strcmp(target->params[k].name, given->name) == 0)
                return api_refuse(answer, err, given->name, "once", "was given twice");
        int rc = check_param(param, given->value, answer, err);
        if (rc)
            return rc;
    }
    for (int i = 0; i < ROUTE_MAX_PARAMS && route->params[i].name; i++) {
        bool given = route->params[i].type != PARAM_NEEDED;
        for (size_t k = 0; k < target->n_params; k++)
            given |= strcmp(target->params[k].name, route->params[i].name) == 0;
        if (!given)
            return api_refuse(answer, err, route->params[i].name, "", "is needed: %s",
                              route->params[i].help);
    }
    return 0;
}

const char *input_capture(const struct api_input *input, const char *name)
{
    const char *value = "";
    matches(input->route->pattern, input->target, name, &value);
    return value;
}

const char *input_param(const struct api_input *input, const char *name)
{
    for (size_t i = 0; i < input->target->n_params; i++)
        if (strcmp(input->target->params[i].name, name) == 0)
            return input->target->params[i].value;
    return NULL;
}

/* A parameter was checked when the request came: what is read here is right or not there. */
static int64_t input_parsed(const struct api_input *input, const char *name, int64_t otherwise,
                            int (*parse)(int64_t *out, const char *text, size_t n))
{
    const char *text = input_param(input, name);
    int64_t value = otherwise;
    if (text)
        parse(&value, text, strlen(text));
    return value;
}

int64_t input_time(const struct api_input *input, const char *name, int64_t otherwise)
{
    return input_parsed(input, name, otherwise, read_time);
}

int64_t input_duration(const struct api_input *input, const char *name, int64_t otherwise)
{
    return input_parsed(input, name, otherwise, parse_duration);
}

int64_t input_integer(const struct api_input *input, const char *name, int64_t otherwise)
{
    return input_parsed(input, name, otherwise, int_parse);
}

bool input_csv(const struct api_input *input)
{
    const char *format = input_param(input, "format");
    return format ? strcmp(format, "csv") == 0 : input->request->csv;
}

bool list_next(const char **at, const char **name, size_t *n)
{
    const char *c = *at;
    if (!c || *c == '\0')
        return false;
    int depth = 0;
    bool quoted = false;
    const char *start = c;
    for (; *c && (quoted || depth > 0 || *c != ','); c++) {
        if (*c == '\\' && quoted && c[1])
            c++;
        else if (*c == '"')
            quoted = !quoted;
        else if (*c == '{' && !quoted)
            depth++;
        else if (*c == '}' && !quoted && depth > 0)
            depth--;
    }
    *name = start;
    *n = (size_t)(c - start);
    *at = *c ? c + 1 : c;
    return true;
}
