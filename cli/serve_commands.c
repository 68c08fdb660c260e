#include "cli/serve_commands.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "alerts/command.h"
#include "cli/reference.h"
#include "cli/reference_forget.h"
#include "collector/event.h"
#include "collector/source_http.h"
#include "common/text.h"
#include "storage/audit.h"
#include "storage/commit.h"
#include "storage/erase.h"

static int serve_ingest(void *context, const char *body, size_t n, struct buf *answer,
                        struct err *err)
{
    struct daemon *daemon = context;
    int rc = source_http_ingest(daemon->http, body, n, answer, err);
    switch (rc) {
    case SOURCE_HTTP_BUSY:
        return WEB_BUSY;
    case SOURCE_HTTP_EMPTY:
        err_set(err, ERR_DATA, "the body holds no event");
        return WEB_INVALID;
    case SOURCE_HTTP_MANY:
        return WEB_TOO_MANY;
    default:
        return rc;
    }
}

static void serve_health(void *context, struct web_health *out)
{
    struct daemon *daemon = context;
    struct collector_health health;
    collector_health(daemon->collector, &health);
    *out = (struct web_health){
        .ready = health.ready,
        .degraded = health.degraded,
        .broker_up = health.broker_up,
        .lag = health.lag,
        .lag_ms = health.lag_ms,
        .behind_ms = health.behind_ms,
        .silent_ms = health.silent_ms,
        .watermark_ms = health.watermark_ms,
        .pending = health.pending,
        .pending_bytes = health.pending_bytes,
        .last_commit_ms = health.last_commit_ms,
        .longest_commit_ms = health.longest_commit_ms,
    };
    snprintf(out->reason, sizeof(out->reason), "%s", health.reason);
}

static const char *serve_reject_name(int reason)
{
    return reason >= 0 && reason < N_REJECTS ? reject_name((enum reject)reason) : NULL;
}

static void serve_own_metrics(void *context, struct buf *out)
{
    struct daemon *daemon = context;
    collector_own_metrics(daemon->collector, out);
    alerts_own_metrics(daemon->alerts, out);
    deliver_own_metrics(daemon->deliver, out);
    sinks_own_metrics(daemon->sinks, out);
    traffic_metrics(&daemon->traffic, out);
    pthread_mutex_lock(&daemon->reloading);
    actuate_own_metrics(daemon->engine.actuate, out);
    scrape_own_metrics(daemon->scrape, out);
    pthread_mutex_unlock(&daemon->reloading);
}

struct receiver_rows {
    void (*row)(void *to, const struct web_receiver *receiver);
    void *to;
};

static void receiver_row(void *context, const struct deliver_state *state)
{
    const struct receiver_rows *rows = context;
    const struct web_receiver receiver = {
        .name = state->receiver,
        .type = state->type,
        .sent = state->sent,
        .failed = state->failed,
        .retried = state->retried,
        .rests_until_ms = state->rests_until_ms,
        .gone = state->gone,
        .problem = state->problem,
        .problem_ms = state->problem_ms,
    };
    rows->row(rows->to, &receiver);
}

static void serve_receivers(void *context,
                            void (*row)(void *to, const struct web_receiver *receiver), void *to)
{
    const struct daemon *daemon = context;
    struct receiver_rows rows = {row, to};
    deliver_states(daemon->deliver, receiver_row, &rows);
}

static void serve_sinks(void *context, struct buf *out)
{
    sinks_write(((struct daemon *)context)->sinks, out);
}

struct version_facts {
    const char *model;
    const char *version;
    const char *facts;
    const char *who;
};

static int audit_version(struct store *store, const struct version_facts *facts, struct err *err)
{
    struct buf detail;
    buf_init(&detail, 1024 * 1024);
    buf_printf(&detail, "{\"version\":");
    json_text(&detail, facts->version, strlen(facts->version));
    buf_printf(&detail, ",\"facts\":%s}", facts->facts);
    buf_bytes(&detail, "", 1);
    struct audit_row row = {
        .at_ms = clock_wall_ms(clock_system()),
        .clock = "wall",
        .who = facts->who,
        .action = "version.set",
        .subject = facts->model,
        .detail = (const char *)detail.data,
    };
    int rc = buf_failed(&detail) ? err_set(err, -ENOMEM, "no memory for the audit log")
                                 : commit_audit(store, &row, err);
    buf_finish(&detail);
    return rc;
}

static int write_version(void *context, struct store *store, struct err *err)
{
    const struct version_facts *facts = context;
    int rc = commit_begin(store, err);
    if (!rc)
        rc = commit_version(store, facts->model, facts->version, facts->facts, err);
    if (!rc)
        rc = audit_version(store, facts, err);
    if (!rc)
        rc = commit_end(store, err);
    if (rc)
        commit_rollback(store);
    return rc;
}

static int serve_put_version(void *context, const char *model, const char *version,
                             const char *facts, const char *who, struct err *err)
{
    struct daemon *daemon = context;
    struct version_facts row = {model, version, facts, who ? who : "operator"};
    return collector_call(daemon->collector, write_version, &row, err);
}

struct erasure {
    struct daemon *daemon;
    const char *model;
    const char *who;
    struct erased erased;
};

static int audit_erasure(struct store *store, const struct erasure *erasure, struct err *err)
{
    char detail[160];
    snprintf(detail, sizeof(detail),
             "{\"series\":%" PRId64 ",\"windows\":%" PRId64 ",\"dead_letters\":%" PRId64 "}",
             erasure->erased.series, erasure->erased.windows, erasure->erased.dead_letters);
    struct audit_row row = {
        .at_ms = clock_wall_ms(clock_system()),
        .clock = "wall",
        .who = erasure->who,
        .action = "model.erase",
        .subject = erasure->model,
        .detail = detail,
    };
    return commit_audit(store, &row, err);
}

/* What is in memory is written first, so that nothing of other models is lost with it. */
static int run_erasure(void *context, struct store *store, struct err *err)
{
    struct erasure *erasure = context;
    struct collector *collector = erasure->daemon->collector;
    struct collector_health health;
    int rc = collector_forget(collector, erasure->model, err);
    if (!rc)
        rc = collector_commit_now(collector, err);
    collector_health(collector, &health);
    if (!rc && health.degraded)
        rc = err_set(err, ERR_FULL, "model %s: nothing can be written now", erasure->model);
    if (!rc)
        rc = commit_begin(store, err);
    if (rc)
        return rc;
    rc = erase_model(store, erasure->model, &erasure->erased, err);
    if (!rc)
        rc = audit_erasure(store, erasure, err);
    if (!rc)
        rc = commit_end(store, err);
    if (rc)
        commit_rollback(store);
    else
        collector_load_again(collector);
    return rc;
}

static int serve_erase_model(void *context, const char *model, const char *who, struct buf *answer,
                             struct err *err)
{
    struct daemon *daemon = context;
    struct erasure erasure = {.daemon = daemon, .model = model, .who = who ? who : "operator"};
    int rc = collector_call(daemon->collector, run_erasure, &erasure, err);
    if (rc)
        return rc == ERASE_BUSY ? WEB_CONFLICT : rc;
    buf_printf(answer, "{\"model\":");
    json_text(answer, model, strlen(model));
    buf_printf(answer,
               ",\"series\":%" PRId64 ",\"windows\":%" PRId64 ",\"dead_letters\":%" PRId64 "}",
               erasure.erased.series, erasure.erased.windows, erasure.erased.dead_letters);
    return 0;
}

/* What the writer must do is short: the events are read on the asker's thread. */
struct reference_command {
    struct daemon *daemon;
    struct reference_load load;
    struct reference_loaded loaded;
    char task[40];
};

static int run_reference_task(void *context, struct store *store, struct err *err)
{
    struct reference_command *command = context;
    command->load.config = config_now(command->daemon);
    return reference_task(store, &command->load, command->task, sizeof(command->task), err);
}

static int run_reference_keep(void *context, struct store *store, struct err *err)
{
    struct reference_command *command = context;
    int rc = reference_keep(store, &command->load, &command->loaded, err);
    return rc ? rc : collector_references_changed(command->daemon->collector, err);
}

static int serve_put_reference(void *context, const char *model, const char *version,
                               const char *body, size_t n, const char *who, struct buf *answer,
                               struct err *err)
{
    struct daemon *daemon = context;
    struct reference_command command = {
        .daemon = daemon,
        .load = {.model = model,
                 .version = version,
                 .text = body,
                 .n = n,
                 .source = "api",
                 .who = who ? who : "operator"},
    };
    int rc = collector_call(daemon->collector, run_reference_task, &command, err);
    pthread_mutex_lock(&daemon->reloading);
    command.load.config = config_now(daemon);
    if (!rc)
        rc = reference_make(&command.load, command.task, &command.loaded, err);
    pthread_mutex_unlock(&daemon->reloading);
    command.load.config = NULL; /* the next SIGHUP may free it */
    if (!rc)
        rc = collector_call(daemon->collector, run_reference_keep, &command, err);
    if (!rc)
        reference_told(&command.load, &command.loaded, answer);
    reference_free(command.loaded.reference);
    return rc;
}

struct forget_command {
    struct daemon *daemon;
    struct reference_forgetting wanted;
    struct buf *answer;
};

static int run_forget(void *context, struct store *store, struct err *err)
{
    struct forget_command *command = context;
    command->wanted.config = config_now(command->daemon);
    int rc = reference_forget(store, &command->wanted, command->answer, err);
    return rc ? rc : collector_references_changed(command->daemon->collector, err);
}

static int serve_forget_reference(void *context, const char *model, const char *version,
                                  const char *id, const char *who, struct buf *answer,
                                  struct err *err)
{
    struct daemon *daemon = context;
    struct forget_command command = {
        .daemon = daemon,
        .wanted = {.model = model, .version = version, .id = id, .who = who ? who : "operator"},
        .answer = answer,
    };
    int rc = collector_call(daemon->collector, run_forget, &command, err);
    return rc == FORGET_OF_FILE ? WEB_CONFLICT : rc;
}

struct alert_command {
    const struct daemon *daemon;
    const char *action;
    const char *subject;
    const char *body;
    struct actor actor;
    struct buf *answer;
};

static int run_alert_command(void *context, struct store *store, struct err *err)
{
    const struct alert_command *command = context;
    if (strcmp(command->action, "rules") == 0)
        return alerts_list_rules(command->daemon->alerts, command->answer, err);
    if (strcmp(command->action, "silence") == 0)
        return alerts_silence(store, command->body, &command->actor, command->answer, err);
    if (strcmp(command->action, "ack") == 0)
        return alerts_ack(store, command->subject, command->body, &command->actor,
                          alerts_receivers(command->daemon->alerts), err);
    int64_t id = 0;
    if (int_parse(&id, command->subject, strlen(command->subject)))
        return err_set(err, ERR_NOT_FOUND, "\"%s\" is no id", command->subject);
    if (strcmp(command->action, "silence-end") == 0)
        return alerts_silence_end(store, id, &command->actor, err);
    return alerts_send_again(store, id, command->body, &command->actor, err);
}

static int serve_alert(void *context, const char *action, const char *subject, const char *body,
                       const char *who, struct buf *answer, struct err *err)
{
    struct daemon *daemon = context;
    if (strcmp(action, "test") == 0) /* waits for the receiver: not on the writer's thread */
        return deliver_test_now(daemon->deliver, subject, answer, err);
    struct alert_command command = {
        daemon, action, subject, body, {who, clock_wall_ms(clock_system())}, answer};
    int rc = collector_call(daemon->collector, run_alert_command, &command, err);
    deliver_wake(daemon->deliver);
    return rc;
}

static int web_code(int rc)
{
    return rc == RUN_CONFLICT ? WEB_CONFLICT : rc;
}

static int serve_experiment_create(void *context, const char *body, const char *who, char *name,
                                   struct err *err)
{
    struct daemon *daemon = context;
    int rc = engine_create(&daemon->engine, body, who, name, err);
    deliver_wake(daemon->deliver);
    return web_code(rc);
}

static int serve_experiment_command(void *context, const struct web_order *wanted, const char *who,
                                    struct err *err)
{
    struct daemon *daemon = context;
    struct run_order order = {
        .name = wanted->experiment,
        .command = wanted->command,
        .step = wanted->step,
        .reason = wanted->reason,
        .id = wanted->id,
    };
    int rc = engine_command(&daemon->engine, &order, who, err);
    deliver_wake(daemon->deliver);
    return web_code(rc);
}

struct web_commands serve_commands(struct daemon *daemon)
{
    return (struct web_commands){
        .context = daemon,
        .ingest = serve_ingest,
        .health = serve_health,
        .own_metrics = serve_own_metrics,
        .receivers = serve_receivers,
        .sinks = serve_sinks,
        .put_version = serve_put_version,
        .erase_model = serve_erase_model,
        .put_reference = serve_put_reference,
        .forget_reference = serve_forget_reference,
        .reject_name = serve_reject_name,
        .alert = serve_alert,
        .experiment_create = serve_experiment_create,
        .experiment_command = serve_experiment_command,
        .experiment_valid_ms = RUN_SETTLE_MS,
    };
}
