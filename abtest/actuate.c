/*
 * A worker's round: read its row; when a wish is unconfirmed and due, carry it and look; when it is
 * confirmed and `reconcile` has passed, look. What came of it goes through the writer with the
 * wish's number, so that it is dropped when a newer wish stands there by then.
 */
#include "abtest/actuate.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abtest/carry.h"
#include "abtest/experiment.h"
#include "abtest/run_item.h"
#include "common/deadline.h"
#include "common/rng.h"
#include "storage/commit.h"
#include "storage/transition.h"

enum {
    FIRST_RETRY_MS = 500,
    LONGEST_RETRY_MS = 30000,
    LONGEST_RETRY_AFTER_MS = 60000,
    IDLE_MS = 1000
};

struct worker {
    struct actuate *actuate;
    const struct actuator *actuator;
    struct store *store;
    struct rng rng;
    pthread_t thread;
    bool running;
    unsigned seen;      /* of actuate->changes, when the round began */
    int64_t looked_ms;  /* when reality was last read */
    int64_t looked_seq; /* … for this wish */
    int64_t late_ms;    /* until then a request that nobody waits for may still be obeyed */
    bool begun;
    atomic_int_fast64_t confirmed, failed, corrected;
};

struct actuate {
    struct actuate_options options;
    struct worker *workers;
    size_t n;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    atomic_uint changes;
    atomic_bool stopping;
};

/* One actuator's row and what its wish is about, copied. */
struct errand {
    bool any, active;
    struct actuation_row row;
    char problem[256];
    struct experiment *experiment;
};

static int64_t now(const struct worker *worker)
{
    return clock_wall_ms(worker->actuate->options.clock);
}

static int take_row(void *context, const struct actuation_row *row, struct err *err)
{
    (void)err;
    struct errand *errand = context;
    errand->any = true;
    errand->row = *row;
    snprintf(errand->problem, sizeof(errand->problem), "%s", row->problem);
    errand->row.problem = errand->problem;
    return 0;
}

static int take_experiment(void *context, const struct experiment_row *row, struct err *err)
{
    struct errand *errand = context;
    int phase = ramp_phase_parse(row->state);
    errand->active = phase == RAMP_RUNNING || phase == RAMP_PAUSED;
    return experiment_parse_text(&errand->experiment, row->object, strlen(row->object), err);
}

static int read_errand(struct worker *worker, struct errand *errand, struct err *err)
{
    const struct actuator *a = worker->actuator;
    int rc = actuations_read(worker->store, a->name, a->experiment, take_row, errand, err);
    if (!rc && errand->any)
        rc = experiments_read(worker->store, a->experiment, take_experiment, errand, err);
    errand->row.actuator = a->name;
    errand->row.experiment = a->experiment;
    errand->any = errand->any && errand->experiment;
    return rc;
}

static bool is_overtaken(void *context)
{
    const struct worker *worker = context;
    return atomic_load(&worker->actuate->stopping) ||
           atomic_load(&worker->actuate->changes) != worker->seen;
}

/* --- what came of it --- */

struct result {
    struct worker *worker;
    const struct actuation_row *row;
    bool tell;
};

static int write_outcome(void *context, struct store *store, struct err *err)
{
    const struct result *result = context;
    const struct actuate_options *options = &result->worker->actuate->options;
    int rc = commit_begin(store, err);
    if (rc)
        return rc;
    rc = commit_actuation_outcome(store, result->row, err);
    if (!rc && result->tell && options->failing)
        rc = options->failing(options->context, result->row, err);
    if (!rc)
        rc = commit_end(store, err);
    if (rc)
        commit_rollback(store);
    return rc == ACTUATION_STALE ? 0 : rc;
}

static void note(struct worker *worker, const struct actuation_row *row, bool tell)
{
    struct err err = {0};
    struct result result = {worker, row, tell};
    const struct actuate_options *options = &worker->actuate->options;
    if (writer_call(&options->writer, write_outcome, &result, &err) &&
        !atomic_load(&worker->actuate->stopping))
        log_write(options->log, LEVEL_WARNING, "abtest",
                  "actuator %s: what came of it is not stored, it will be repeated: %s",
                  row->actuator, err.text);
}

static void note_confirmed(struct worker *worker, struct actuation_row *row)
{
    bool new = !row->confirmed;
    if (!new && !*row->problem)
        return; /* nothing to write */
    row->confirmed = true;
    row->attempts = 0;
    row->problem = "";
    row->confirmed_ms = now(worker);
    row->next_ms = 0;
    note(worker, row, false);
    if (!new)
        return;
    atomic_fetch_add(&worker->confirmed, 1);
    log_write(worker->actuate->options.log, LEVEL_INFO, "abtest", "actuator %s carries %g%% of %s",
              row->actuator, row->weight, row->experiment);
}

static int64_t retry_delay(struct worker *worker, int64_t attempts, int64_t retry_after_ms)
{
    int64_t delay = FIRST_RETRY_MS;
    for (int64_t i = 1; i < attempts && delay < LONGEST_RETRY_MS; i++)
        delay *= 2;
    delay = delay < LONGEST_RETRY_MS ? delay : LONGEST_RETRY_MS;
    delay = (int64_t)((double)delay * (0.8 + 0.4 * rng_uniform(&worker->rng)));
    if (retry_after_ms > LONGEST_RETRY_AFTER_MS)
        retry_after_ms = LONGEST_RETRY_AFTER_MS;
    return delay > retry_after_ms ? delay : retry_after_ms;
}

static void note_failed(struct worker *worker, struct actuation_row *row,
                        const struct carry_report *report)
{
    row->attempts++;
    row->status = report->status;
    row->problem = report->problem;
    row->next_ms = now(worker) + retry_delay(worker, row->attempts, report->retry_after_ms);
    atomic_fetch_add(&worker->failed, 1);
    if (row->attempts == 1 || row->attempts == ACTUATE_FAILURES_TOLD || row->attempts % 20 == 0)
        log_write(worker->actuate->options.log, LEVEL_ERROR, "abtest",
                  "actuator %s does not carry %g%% of %s: %s", row->actuator, row->weight,
                  row->experiment, row->problem);
    note(worker, row, row->attempts == ACTUATE_FAILURES_TOLD);
}

/* Somebody, or something, has changed it behind our back. */
static void note_drifted(struct worker *worker, struct actuation_row *row,
                         struct carry_report *report)
{
    snprintf(report->problem, sizeof(report->problem), "found %s in place of %g%%", report->found,
             row->weight);
    row->confirmed = false;
    row->corrections++;
    row->attempts = 0;
    row->next_ms = now(worker);
    row->problem = report->problem;
    atomic_fetch_add(&worker->corrected, 1);
    log_write(worker->actuate->options.log, LEVEL_WARNING, "abtest",
              "actuator %s: %s; it is set again", row->actuator, row->problem);
    note(worker, row, false);
}

/* --- the round --- */

static void carry_wish(struct worker *worker, struct actuation_row *row, const struct carry *carry)
{
    struct carry_report report;
    /* a system that takes its time may have done by now what it was told before */
    enum carried seen = row->attempts > 0 ? carry_look(carry, &report) : CARRIED_OTHER;
    if (seen != CARRIED_DONE) {
        seen = carry_apply(carry, &report);
        if (seen == CARRIED_DONE)
            seen = carry_look(carry, &report);
    }
    if (is_overtaken(worker) && seen != CARRIED_DONE) {
        /* ended by us, which says nothing about the actuator: it may obey after the next one */
        worker->late_ms = now(worker) + ACTUATOR_LATE_MS;
        return;
    }
    run_crash_at("after-carrying");
    if (seen == CARRIED_OTHER)
        snprintf(report.problem, sizeof(report.problem), "it still says %s in place of %g%%",
                 report.found, row->weight);
    if (seen == CARRIED_DONE || seen == CARRIED_BLIND)
        note_confirmed(worker, row);
    else
        note_failed(worker, row, &report);
    worker->looked_ms = now(worker);
    worker->looked_seq = row->seq;
}

static void look_again(struct worker *worker, struct actuation_row *row, const struct carry *carry)
{
    struct carry_report report;
    enum carried seen = carry_look(carry, &report);
    if (is_overtaken(worker))
        return;
    worker->looked_ms = now(worker);
    worker->looked_seq = row->seq;
    if (seen == CARRIED_OTHER)
        note_drifted(worker, row, &report);
    else if (seen == CARRIED_FAILED)
        note_failed(worker, row, &report);
    else
        note_confirmed(worker, row);
}

/* A request may have been under way when the process, or the configuration, before this one ended. */
static void begin(struct worker *worker, const struct errand *errand)
{
    const struct actuation_row *row = &errand->row;
    bool young = now(worker) < row->wanted_ms + ACTUATOR_LATE_MS;
    if (!worker->begun && errand->any && (young || !row->confirmed))
        worker->late_ms = now(worker) + ACTUATOR_LATE_MS;
    worker->begun = true;
}

/* Does what is due; how long to sleep then, in ms. */
static int64_t do_round(struct worker *worker)
{
    struct errand errand = {0};
    struct err err = {0};
    int64_t sleep_ms = IDLE_MS;
    worker->seen = atomic_load(&worker->actuate->changes);
    if (read_errand(worker, &errand, &err))
        log_write(worker->actuate->options.log, LEVEL_WARNING, "abtest", "actuator %s: %s",
                  worker->actuator->name, err.text);
    begin(worker, &errand);
    if (errand.any) {
        struct actuator_wish wish = {
            .experiment = worker->actuator->experiment,
            .model = errand.experiment->model,
            .control = errand.experiment->control,
            .treatment = errand.experiment->treatment,
            .seq = errand.row.seq,
            .weight = errand.row.weight,
        };
        struct carry carry = {worker->actuator, &wish, is_overtaken, worker};
        if (worker->looked_seq != errand.row.seq)
            worker->looked_ms = 0; /* after a start reality is read at once */
        int64_t due_ms = errand.row.confirmed ? worker->looked_ms + worker->actuator->reconcile_ms
                                              : errand.row.next_ms;
        bool wanted = !errand.row.confirmed || errand.active || now(worker) < worker->late_ms;
        if (wanted && due_ms <= now(worker)) {
            if (errand.row.confirmed)
                look_again(worker, &errand.row, &carry);
            else
                carry_wish(worker, &errand.row, &carry);
            sleep_ms = 0;
        } else if (wanted && due_ms - now(worker) < sleep_ms) {
            sleep_ms = due_ms - now(worker);
        }
    }
    experiment_free(errand.experiment);
    return sleep_ms;
}

static void *work(void *context)
{
    struct worker *worker = context;
    struct actuate *actuate = worker->actuate;
    while (!atomic_load(&actuate->stopping)) {
        const int64_t sleep_ms = do_round(worker);
        const struct timespec until = deadline_after(sleep_ms);
        pthread_mutex_lock(&actuate->lock);
        if (sleep_ms > 0 && !is_overtaken(worker))
            pthread_cond_timedwait(&actuate->moved, &actuate->lock, &until);
        pthread_mutex_unlock(&actuate->lock);
    }
    return NULL;
}

static int start_worker(struct actuate *actuate, size_t i, struct err *err)
{
    struct worker *worker = &actuate->workers[i];
    worker->actuate = actuate;
    worker->actuator = actuator_set_at(actuate->options.set, i);
    worker->rng = rng_of(actuate->options.seed + i);
    int rc = store_open(&worker->store, actuate->options.store_path, STORE_READ, err);
    if (rc)
        return rc;
    rc = -pthread_create(&worker->thread, NULL, work, worker);
    worker->running = rc == 0;
    return rc ? err_set(err, rc, "actuator %s: cannot start its thread: %s", worker->actuator->name,
                        err_words(-rc))
              : 0;
}

int actuate_start(struct actuate **out, const struct actuate_options *options, struct err *err)
{
    size_t n = actuator_set_count(options->set);
    struct actuate *actuate = calloc(1, sizeof(*actuate));
    if (actuate)
        actuate->workers = calloc(n + 1, sizeof(*actuate->workers));
    if (!actuate || !actuate->workers) {
        free(actuate);
        return err_set(err, -ENOMEM, "actuators: no memory");
    }
    actuate->options = *options;
    actuate->n = n;
    pthread_mutex_init(&actuate->lock, NULL);
    deadline_cond_init(&actuate->moved);
    int rc = 0;
    for (size_t i = 0; !rc && i < n; i++)
        rc = start_worker(actuate, i, err);
    if (rc) {
        actuate_stop(actuate);
        return rc;
    }
    *out = actuate; /* the caller owns it now */
    return 0;
}

void actuate_changed(struct actuate *actuate)
{
    if (!actuate)
        return;
    pthread_mutex_lock(&actuate->lock);
    atomic_fetch_add(&actuate->changes, 1);
    pthread_cond_broadcast(&actuate->moved);
    pthread_mutex_unlock(&actuate->lock);
}

void actuate_stop(struct actuate *actuate)
{
    if (!actuate)
        return;
    atomic_store(&actuate->stopping, true);
    actuate_changed(actuate);
    for (size_t i = 0; i < actuate->n; i++)
        if (actuate->workers[i].running)
            pthread_join(actuate->workers[i].thread, NULL);
    for (size_t i = 0; i < actuate->n; i++)
        store_free(actuate->workers[i].store);
    pthread_cond_destroy(&actuate->moved);
    pthread_mutex_destroy(&actuate->lock);
    free(actuate->workers);
    free(actuate);
}

static void metric(struct actuate *actuate, struct buf *out, const char *name, const char *help,
                   size_t offset)
{
    buf_printf(out, "# TYPE %s counter\n# HELP %s %s\n", name, name, help);
    for (size_t i = 0; i < actuate->n; i++) {
        const char *worker = (const char *)&actuate->workers[i];
        const atomic_int_fast64_t *count = (const void *)(worker + offset);
        buf_printf(out, "%s_total{actuator=\"%s\"} %" PRId64 "\n", name,
                   actuate->workers[i].actuator->name, (int64_t)atomic_load(count));
    }
}

void actuate_own_metrics(struct actuate *actuate, struct buf *out)
{
    if (!actuate || actuate->n == 0)
        return;
    metric(actuate, out, "assay_actuator_confirmed", "Weights that reality confirmed.",
           offsetof(struct worker, confirmed));
    metric(actuate, out, "assay_actuator_failed", "Attempts that will be repeated.",
           offsetof(struct worker, failed));
    metric(actuate, out, "assay_actuator_corrected", "Weights found otherwise and set again.",
           offsetof(struct worker, corrected));
}
