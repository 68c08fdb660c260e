#include "tests/web/page_alerts.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "alerts/command.h"
#include "alerts/run.h"
#include "common/clock.h"
#include "storage/alert_rows.h"
#include "storage/outbox.h"
#include "tests/test.h"

pthread_mutex_t page_alerts_lock = PTHREAD_MUTEX_INITIALIZER;

struct made {
    const char *id, *rule, *model, *version, *slice, *severity, *metric, *note;
    double value, lower, upper, level;
    int phase;
    int64_t from_ms, to_ms; /* to 0: still */
};

static char *data_of(const struct made *a)
{
    json_t *data = json_pack(
        "{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:f,s:f,s:f,s:f,s:i,s:i,s:I,s:{s:I,s:I},s:s,s:{s:s}}", "key",
        a->id, "name", a->rule, "severity", a->severity, "model", a->model, "version", a->version,
        "segment", a->slice, "metric", a->metric, "value", a->value, "lower", a->lower, "upper",
        a->upper, "level", a->level, "n", 1412, "labelled", 1350, "since",
        (json_int_t)(a->from_ms - 10 * MINUTE), "window", "start", (json_int_t)(a->from_ms - HOUR),
        "end", (json_int_t)a->from_ms, "summary", "its whole interval lies beyond the level",
        "annotations", "note", a->note);
    char *text = json_dumps(data, JSON_COMPACT);
    assert_non_null(text);
    json_decref(data);
    return text;
}

static void write_event(struct site *site, const char *alert, const char *event, int64_t at_ms,
                        const char *data)
{
    struct err err = {0};
    struct alert_event_row row = {
        .alert = alert, .event = event, .at_ms = at_ms, .clock = "event", .data = data};
    must(commit_alert_event(site->store, &row, NULL, &err), &err);
}

static void write_made(struct site *site, const struct made *a)
{
    struct err err = {0};
    char *data = data_of(a);
    struct alert_row row = {.id = a->id,
                            .rule = a->rule,
                            .model = a->model,
                            .version = a->version,
                            .slice = a->slice,
                            .severity = a->severity,
                            .phase = a->phase,
                            .since_ms = a->to_ms ? a->to_ms : a->from_ms,
                            .bad_since_ms = a->from_ms - 10 * MINUTE,
                            .clear_since_ms = -1,
                            .last_change_ms = a->to_ms ? a->to_ms : a->from_ms,
                            .data = data};
    must(commit_alert(site->store, &row, &err), &err);
    write_event(site, a->id, "pending", a->from_ms - 10 * MINUTE, data);
    if (a->phase != 1)
        write_event(site, a->id, "firing", a->from_ms, data);
    if (a->to_ms)
        write_event(site, a->id, "resolved", a->to_ms, data);
    free(data);
}

static void write_notices(struct site *site, int64_t end_ms)
{
    static const struct {
        enum outbox_state state;
        int status;
        const char *problem, *receiver;
    } made[] = {{OUTBOX_SENT, 200, "", "oncall"},
                {OUTBOX_FAILED, 404, "the receiver answered 404 Not Found", "chat"},
                {OUTBOX_WAITING, 503, "the receiver answered 503", "pager"},
                {OUTBOX_SENT, 202, "", "oncall"}};
    struct err err = {0};
    for (int i = 0; i < 4; i++) {
        struct outbox_row row = {.receiver = made[i].receiver,
                                 .group_key = "model=credit",
                                 .type = "alert.firing",
                                 .data = "{}",
                                 .created_ms = end_ms - (4 - i) * 20 * MINUTE,
                                 .next_ms = end_ms};
        must(commit_outbox(site->store, &row, &err), &err);
        struct outbox_attempt attempt = {.id = i + 1,
                                         .state = made[i].state,
                                         .next_ms = end_ms + 5 * MINUTE,
                                         .status = made[i].status,
                                         .problem = made[i].problem,
                                         .at_ms = end_ms - i * MINUTE};
        must(commit_outbox_attempt(site->store, &attempt, &err), &err);
    }
}

void page_alerts_write(struct site *site, int64_t end_ms, const char *hostile)
{
    struct err err = {0};
    const struct made made[] = {
        {"00000000000000a3", "latency-high", "credit", "", "", "warning", "latency_p99",
         "was the batch job", 96, 93, 99, 90, 0, end_ms - 15 * HOUR, end_ms - 13 * HOUR},
        {"00000000000000a1", "auc-low", "credit", "v4", "", "critical", "roc_auc",
         "see the runbook", 0.874, 0.853, 0.894, 0.9, 2, end_ms - 5 * HOUR, 0},
        {"00000000000000a2", hostile, "credit", "v4", "country=fr", "warning", "accuracy", hostile,
         0.66, 0.63, 0.69, 0.7, 2, end_ms - 2 * HOUR, 0},
        {"00000000000000a4", "errors-high", "churn", "", "", "info", "error_rate", "none yet",
         0.012, 0.008, 0.018, 0.005, 1, end_ms - 3 * MINUTE, 0},
    };
    for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++)
        write_made(site, &made[i]);
    struct silence_row silence = {.matchers = "[\"model=\\\"churn\\\"\",\"severity=\\\"info\\\"\"]",
                                  .starts_ms = end_ms - HOUR,
                                  .ends_ms = end_ms + 7 * HOUR,
                                  .created_by = "maria",
                                  .comment = hostile};
    int64_t id;
    must(commit_silence(site->store, &silence, &id, &err), &err);
    write_notices(site, end_ms);
}

/* Those of the made-up history, and one that has never fired. */
static int list_rules(struct site *site, struct buf *answer, struct err *err)
{
    static const char yaml[] =
        "models: [{name: credit, task: binary, label_horizon: 1h}, {name: churn, task: binary, "
        "label_horizon: 1h}]\n"
        "alerts:\n"
        "  - {name: auc-low, model: credit, version: v4, metric: roc_auc, window: 1h, below: 0.9, "
        "severity: critical}\n"
        "  - {name: errors-many, model: credit, metric: error_rate, window: 1h, above: 0.05, "
        "clear: "
        "0.04, for: 5m}\n"
        "  - {name: churn-silent, model: churn, absent: 10m}\n";
    AUTO(config) struct config *config = NULL;
    AUTO(alerts) struct alerts *alerts = NULL;
    int rc = config_parse(&config, "assay.yaml", yaml, strlen(yaml), err);
    if (!rc)
        rc = alerts_new(&alerts, config, site->store, NULL, NULL, err);
    return rc ? rc : alerts_list_rules(alerts, answer, err);
}

int page_alerts_command(void *context, const char *action, const char *subject, const char *body,
                        const char *who, struct buf *answer, struct err *err)
{
    struct site *site = context;
    struct actor actor = {who, clock_wall_ms(clock_system())};
    int64_t id = strtoll(subject, NULL, 10);
    int rc;
    pthread_mutex_lock(&page_alerts_lock);
    if (strcmp(action, "rules") == 0)
        rc = list_rules(site, answer, err);
    else if (strcmp(action, "silence") == 0)
        rc = alerts_silence(site->store, body, &actor, answer, err);
    else if (strcmp(action, "ack") == 0)
        rc = alerts_ack(site->store, subject, body, &actor, NULL, err);
    else if (strcmp(action, "silence-end") == 0)
        rc = alerts_silence_end(site->store, id, &actor, err);
    else
        rc = alerts_send_again(site->store, id, body, &actor, err);
    pthread_mutex_unlock(&page_alerts_lock);
    return rc;
}
