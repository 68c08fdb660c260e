#include "abtest/run.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "abtest/exposure.h"
#include "abtest/run_item.h"
#include "common/json_print.h"
#include "stats/bucket.h"
#include "storage/transition.h"

void item_free(struct item *item)
{
    if (!item)
        return;
    experiment_free(item->experiment);
    evidence_free(item->evidence);
    free(item->intervals);
    young_forget(item);
    free(item->verdict_json);
    free(item);
}

static void forget(struct run *run)
{
    for (size_t i = 0; i < run->n_items; i++)
        item_free(run->items[i]);
    free(run->items);
    run->items = NULL;
    run->n_items = 0;
}

void run_free(struct run *run)
{
    if (!run)
        return;
    forget(run);
    free(run);
}

struct item *run_find(struct run *run, const char *name)
{
    for (size_t i = 0; i < run->n_items; i++)
        if (strcmp(run->items[i]->experiment->name, name) == 0)
            return run->items[i];
    return NULL;
}

int run_add(struct run *run, struct item *item, struct err *err)
{
    struct item **items = realloc(run->items, (run->n_items + 1) * sizeof(struct item *));
    if (!items) {
        item_free(item);
        return err_set(err, -ENOMEM, "experiments: no memory");
    }
    run->items = items;
    run->items[run->n_items++] = item;
    return 0;
}

bool run_active(const struct run *run)
{
    for (size_t i = 0; i < run->n_items; i++)
        if (item_active(run->items[i]))
            return true;
    return false;
}

int item_enter(struct item *item, int64_t since_ms, int step, struct err *err)
{
    struct interval *grown =
        realloc(item->intervals, (item->n_intervals + 1) * sizeof(*item->intervals));
    if (!grown)
        return err_set(err, -ENOMEM, "experiment %s: no memory", item->experiment->name);
    item->intervals = grown;
    item->intervals[item->n_intervals++] = (struct interval){since_ms, step};
    return 0;
}

int item_step(const struct item *item, int64_t ts_ms)
{
    for (size_t i = item->n_intervals; i-- > 0;) {
        const struct interval *interval = &item->intervals[i];
        if (ts_ms < interval->since_ms)
            continue;
        bool settling =
            interval->since_ms != INT64_MIN && ts_ms < interval->since_ms + RUN_SETTLE_MS;
        return settling ? -1 : interval->step;
    }
    return -1;
}

static int take_row(void *context, const struct experiment_row *row, struct err *err)
{
    struct run *run = context;
    AUTO(item) struct item *item = calloc(1, sizeof(*item));
    if (!item)
        return err_set(err, -ENOMEM, "experiments: no memory");
    int rc = experiment_parse_text(&item->experiment, row->object, strlen(row->object), err);
    if (rc)
        return err_prefix(err, rc, "experiment %s as stored", row->name);
    item->seq = row->seq;
    item->created_ms = row->created_ms;
    item->ramp.phase = (enum ramp_phase)ramp_phase_parse(row->state);
    item->verdict_json = strdup(row->verdict);
    if (!item->verdict_json)
        return err_set(err, -ENOMEM, "experiments: no memory");
    rc = item_restore(item, run->options.store, row->ramp, err);
    struct item *made = item;
    item = NULL; /* run_add owns it now */
    if (!rc)
        return run_add(run, made, err);
    item_free(made);
    return rc;
}

int run_reload(struct run *run, struct err *err)
{
    forget(run);
    return experiments_read(run->options.store, NULL, take_row, run, err);
}

/* A stored experiment is never changed by the file: the difference is told, and the stored stays.
 */
static int create_configured(struct run *run, json_t *object, const struct run_actor *actor,
                             struct err *err)
{
    AUTO(experiment) struct experiment *experiment = NULL;
    int rc = run_fill_formulas(object, run->options.config, err);
    if (!rc)
        rc = experiment_parse(&experiment, object, err);
    if (rc)
        return rc;
    struct item *there = run_find(run, experiment->name);
    if (!there) {
        char name[EXPERIMENT_MAX_NAME_BYTES + 1];
        AUTO_FREE char *text = json_print(object);
        if (!text)
            return err_set(err, -ENOMEM, "experiments: no memory");
        return run_create(run, text, strlen(text), actor, name, err);
    }
    json_t *mine = experiment_print(there->experiment), *theirs = experiment_print(experiment);
    bool differs = !mine || !theirs || !json_equal(mine, theirs);
    json_decref(mine);
    json_decref(theirs);
    if (differs && run->options.log)
        log_write(run->options.log, LEVEL_WARNING, "abtest",
                  "experiment %s differs from the one that was created: the created one stays; "
                  "give a changed experiment a new name",
                  experiment->name);
    return 0;
}

int run_configure(struct run *run, const struct config *config, const struct run_actor *actor,
                  struct err *err)
{
    run->options.config = config;
    json_t *list = config ? json_loads(config->experiments.json, 0, NULL) : NULL;
    int first = 0;
    size_t i;
    json_t *object;
    json_array_foreach(list, i, object)
    {
        struct err why = {0};
        int rc = create_configured(run, object, actor, &why);
        if (rc > 0) /* a conflict: another one runs on this model */
            rc = why.code < 0 ? why.code : ERR_DATA;
        if (rc && !first) {
            *err = why;
            first = err_prefix(err, rc, "%s:%d: experiments[%zu]", config->path,
                               i < config->experiments.n_items ? config->experiments.item_lines[i]
                                                               : config->experiments.line,
                               i);
        }
    }
    json_decref(list);
    return first;
}

int run_new(struct run **out, const struct run_options *options, struct err *err)
{
    AUTO(run) struct run *run = calloc(1, sizeof(*run));
    if (!run)
        return err_set(err, -ENOMEM, "experiments: no memory");
    run->options = *options;
    run->look_ms = run->watermark_ms = INT64_MIN;
    int rc = run_reload(run, err);
    struct run_actor actor = {"configuration", options->wall_ms, INT64_MIN, 0, 0};
    if (!rc)
        rc = run_configure(run, options->config, &actor, err);
    if (rc)
        return rc;
    *out = run;
    run = NULL; /* the caller owns it now */
    return 0;
}

/* --- events --- */

/* The first covariate that a metric names: one for the whole experiment. */
static double covariate_of(const struct experiment *experiment, const struct run_event *event)
{
    for (int i = 0; event->feature && i < experiment->n_metrics; i++)
        if (experiment->metrics[i].covariate)
            return event->feature(event->event, experiment->metrics[i].covariate);
    return (double)NAN;
}

/* Only a hash of the unit is known when a label comes, so evidence names all units by it. */
static void name_unit(struct exposure *exposure, const struct experiment *experiment,
                      uint64_t unit_hash)
{
    exposure->unit = bucket_unit_hash(experiment->salt, strlen(experiment->salt),
                                      (const char *)&unit_hash, sizeof(unit_hash));
}

static int expose(struct item *item, const struct run_event *event, bool treated, int step,
                  struct exposure *out)
{
    const struct experiment *experiment = item->experiment;
    if (event->observation.stage == STAGE_PREDICTION) {
        struct view version = {event->version, strlen(event->version)};
        exposure_of(out, experiment, step, event->unit, version, event->ts_ms);
        name_unit(out, experiment, event->unit_hash);
        if (experiment->by_served) {
            enum arm_served before = evidence_arm_of(item->evidence, step, out->unit);
            out->arm = treated ? ARM_TREATMENT : ARM_CONTROL;
            out->crossover = before != N_ARMS && before != out->arm;
        }
        return out->crossover || out->arm == ARM_OUTSIDE ? RUN_OUTSIDE : 0;
    }
    bool system = event->observation.stage == STAGE_SYSTEM;
    *out = (struct exposure){
        .step = step,
        .arm = treated ? ARM_TREATMENT : ARM_CONTROL,
        .ts_ms = event->ts_ms,
        .crossover = event->outside,
    };
    name_unit(out, experiment, system ? (uint64_t)(event->ts_ms / 60000) : event->unit_hash);
    if (!event->unit.data || system || experiment->by_served)
        return 0;
    /* A label of a prediction without a unit: its id is at hand, and is the unit. */
    struct view version = {event->version, strlen(event->version)};
    struct exposure again;
    exposure_of(&again, experiment, step, event->unit, version, event->ts_ms);
    out->crossover = again.crossover;
    out->arm = again.arm;
    return 0;
}

static int observe(struct run *run, struct item *item, const struct run_event *event,
                   struct err *err)
{
    const struct experiment *experiment = item->experiment;
    bool treated = strcmp(event->version, experiment->treatment) == 0;
    struct young seen = {.observation = event->observation, .sign = event->sign};
    if (!treated && strcmp(event->version, experiment->control) != 0)
        return 0;
    int64_t *last_ms = &item->last_ms[treated ? ARM_TREATMENT : ARM_CONTROL];
    if (event->observation.stage == STAGE_PREDICTION && event->ts_ms > *last_ms) {
        *last_ms = event->ts_ms;
        item->dirty = true;
    }
    int step = item_step(item, event->ts_ms);
    if (step < 0)
        return 0;
    int outside = expose(item, event, treated, step, &seen.exposure);
    seen.observation.covariate = covariate_of(experiment, event);
    item->dirty = true;
    bool late =
        event->observation.stage == STAGE_LABEL || event->observation.stage == STAGE_OUTCOME;
    seen.due_ms = event->ts_ms + experiment->maturity_ms;
    int rc =
        late && experiment->maturity_ms > 0 &&
                (run->look_ms == INT64_MIN || seen.due_ms > run->look_ms)
            ? young_add(item, &seen, err)
            : evidence_observe(item->evidence, &seen.exposure, &seen.observation, seen.sign, err);
    return rc < 0 ? rc : outside;
}

int run_observe(struct run *run, const struct run_event *event, struct err *err)
{
    for (size_t i = 0; i < run->n_items; i++) {
        struct item *item = run->items[i];
        if (item_active(item) && strcmp(item->experiment->model, event->model) == 0)
            return observe(run, item, event, err); /* two never run on one model */
    }
    return 0;
}

int run_in_commit(struct run *run, struct store *store, int64_t watermark_ms, struct err *err)
{
    int rc = 0;
    run->watermark_ms = watermark_ms;
    for (size_t i = 0; !rc && i < run->n_items; i++)
        if (item_active(run->items[i]) && run->items[i]->dirty)
            rc = item_save(run->items[i], store, err);
    return rc;
}
