/* What people do: create an experiment, and operate it. A person's command wins over the engine. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "abtest/run_item.h"
#include "common/text.h"
#include "storage/catalog.h"
#include "storage/transition.h"

enum {
    MAX_WORDS = 100
};

/* --- checks that need the world --- */

struct words {
    const char *texts[MAX_WORDS];
    size_t n;
    const char *wanted;
    bool found;
};

static void words_free(struct words *words)
{
    for (size_t i = 0; i < words->n; i++)
        free((char *)(uintptr_t)words->texts[i]);
}

static int add_word(struct words *words, const char *text, struct err *err)
{
    words->found |= strcmp(text, words->wanted) == 0;
    if (words->n == MAX_WORDS)
        return 0;
    char *copy = strdup(text);
    if (!copy)
        return err_set(err, -ENOMEM, "experiments: no memory");
    words->texts[words->n++] = copy;
    return 0;
}

static int take_model(void *context, const struct model_row *model, struct err *err)
{
    return add_word(context, model->name, err);
}

static int take_version(void *context, const char *version, const char *facts_json, struct err *err)
{
    (void)facts_json;
    return add_word(context, version, err);
}

static int refuse_word(struct words *words, const char *what, const char *of, struct err *err)
{
    const char *near = text_near(words->wanted, words->texts, words->n);
    return err_set(err, ERR_DATA, "%s: \"%s\" is not known%s%s%s%s%s", what, words->wanted, of,
                   near ? "; did you mean \"" : "", near ? near : "", near ? "\"" : "",
                   near ? "?" : "");
}

static int check_model(struct run *run, const struct experiment *experiment, struct err *err)
{
    const struct config *config = run->options.config;
    struct words words = {.wanted = experiment->model};
    if (config && config->auto_models.task)
        return 0;
    int rc = 0;
    for (size_t i = 0; !rc && config && i < config->n_models; i++)
        rc = add_word(&words, config->models[i].name, err);
    if (!rc)
        rc = models_each(run->options.store, take_model, &words, err);
    if (!rc && !words.found)
        rc = refuse_word(&words, "model", "", err);
    words_free(&words);
    return rc;
}

/* Control must be what serves; a treatment may still have to be deployed: until it speaks, it is
   held. Before the model's first event nothing is known. */
static int check_control(struct run *run, const struct experiment *experiment, struct err *err)
{
    struct words words = {.wanted = experiment->control};
    int rc = versions_each(run->options.store, experiment->model, take_version, &words, err);
    if (rc == ERR_NOT_FOUND)
        rc = 0;
    if (!rc && words.n > 0 && !words.found)
        rc = refuse_word(&words, "control", " as a version of this model", err);
    words_free(&words);
    return rc;
}

static int check_covariates(const struct experiment *experiment, struct err *err)
{
    const char *first = NULL;
    for (int i = 0; i < experiment->n_metrics; i++) {
        const char *covariate = experiment->metrics[i].covariate;
        if (covariate && first && strcmp(first, covariate) != 0)
            return err_set(err, ERR_DATA,
                           "metrics[%d].covariate: \"%s\" and \"%s\" cannot both be used; one "
                           "experiment takes one covariate",
                           i, covariate, first);
        first = first ? first : covariate;
    }
    return 0;
}

/* Another experiment on the model that runs, or a control that was rolled back. */
static int check_others(struct run *run, const struct experiment *experiment, struct err *err)
{
    for (size_t i = 0; i < run->n_items; i++) {
        const struct item *other = run->items[i];
        const struct experiment *theirs = other->experiment;
        if (strcmp(theirs->model, experiment->model) != 0 ||
            strcmp(theirs->name, experiment->name) == 0)
            continue;
        if (item_active(other)) {
            err_set(err, -EEXIST,
                    "experiment %s is %s on model %s already: promote it or roll it back first",
                    theirs->name, ramp_phase_name(other->ramp.phase), theirs->model);
            return RUN_CONFLICT;
        }
        if (other->ramp.phase == RAMP_ROLLED_BACK &&
            strcmp(theirs->treatment, experiment->control) == 0) {
            err_set(err, -EEXIST, "control %s was rolled back by experiment %s: take another one",
                    experiment->control, theirs->name);
            return RUN_CONFLICT;
        }
    }
    return 0;
}

/* --- create --- */

static int parse_body(struct run *run, const char *body, size_t n, struct experiment **out,
                      struct err *err)
{
    json_t *json = json_loadb(body, n, JSON_REJECT_DUPLICATES, NULL);
    if (!json) /* says where it ends to be JSON */
        return experiment_parse_text(out, body, n, err);
    int rc = run_fill_formulas(json, run->options.config, err);
    if (!rc)
        rc = experiment_parse(out, json, err);
    json_decref(json);
    return rc;
}

int run_create(struct run *run, const char *body, size_t n, const struct run_actor *actor,
               char *name, struct err *err)
{
    AUTO(item) struct item *item = calloc(1, sizeof(*item));
    if (!item)
        return err_set(err, -ENOMEM, "experiments: no memory");
    int rc = parse_body(run, body, n, &item->experiment, err);
    if (!rc)
        rc = check_covariates(item->experiment, err);
    if (!rc)
        rc = run_check_metrics(item->experiment, run->options.config, err);
    if (!rc)
        rc = check_model(run, item->experiment, err);
    if (!rc && item->experiment->start) {
        rc = check_others(run, item->experiment, err);
        if (!rc)
            rc = check_control(run, item->experiment, err);
    }
    if (rc)
        return rc;
    /* its length was checked by the parser */
    memcpy(name, item->experiment->name, strlen(item->experiment->name) + 1);
    if (run_find(run, name)) {
        err_set(err, -EEXIST, "experiment %s exists already; a finished name is never used again",
                name);
        return RUN_CONFLICT;
    }
    item->ramp = ramp_draft();
    item->created_ms = actor->wall_ms;
    item->verdict_json = strdup("{}");
    if (!item->verdict_json)
        return err_set(err, -ENOMEM, "experiments: no memory");
    rc = item_create(run, item, actor, err);
    if (rc)
        return rc;
    bool start = item->experiment->start;
    struct item *made = item;
    item = NULL; /* run_add owns it now */
    rc = run_add(run, made, err);
    struct run_order order = {
        .name = name, .command = "start", .step = -1, .reason = "start: true", .id = ""};
    return rc || !start ? rc : run_command(run, &order, actor, err);
}

/* --- operate --- */

struct repeat {
    const char *id;
    bool found;
};

static int take_transition(void *context, const struct transition_row *row, struct err *err)
{
    (void)err;
    struct repeat *repeat = context;
    repeat->found |= strcmp(row->command, repeat->id) == 0;
    return 0;
}

static int was_done(struct run *run, const struct run_order *order, bool *done, struct err *err)
{
    struct repeat repeat = {order->id, false};
    int rc = *order->id
                 ? transitions_read(run->options.store, order->name, take_transition, &repeat, err)
                 : 0;
    *done = repeat.found;
    return rc;
}

/* Event time after everything that was seen, or is in the log and was served by the weight of
   before; INT64_MIN: nothing was. */
static int64_t event_now(const struct run *run, const struct run_actor *actor)
{
    int64_t watermark =
        actor->watermark_ms > run->watermark_ms ? actor->watermark_ms : run->watermark_ms;
    int64_t now = watermark == INT64_MIN ? INT64_MIN : watermark + 1;
    now = run->look_ms > now ? run->look_ms : now;
    return now != INT64_MIN && actor->behind_ms > RUN_BEHIND_MS ? now + actor->behind_ms : now;
}

static int prepare_start(struct run *run, struct item *item, struct err *err)
{
    int rc = check_others(run, item->experiment, err);
    if (!rc)
        rc = check_control(run, item->experiment, err);
    if (!rc && !item->evidence)
        rc = evidence_new(&item->evidence, item->experiment, EVIDENCE_MAX_UNITS, err);
    return rc;
}

static const char *news_of(enum ramp_command command)
{
    switch (command) {
    case COMMAND_PROMOTE:
        return "experiment.promoted";
    case COMMAND_ROLLBACK:
        return "experiment.rolled_back";
    case COMMAND_START:
    case COMMAND_JUMP:
        return "experiment.step";
    default:
        return NULL;
    }
}

static int carry_out(struct run *run, struct item *item, const struct run_order *order,
                     const struct run_actor *actor, struct err *err)
{
    enum ramp_command command = (enum ramp_command)ramp_command_parse(order->command);
    int64_t now_ms = event_now(run, actor);
    bool unclocked = now_ms == INT64_MIN;
    struct ramp_state after = item->ramp;
    struct ramp_now now = {unclocked ? actor->wall_ms : now_ms, actor->wall_ms};
    if (command == COMMAND_JUMP && order->step < 0)
        return err_set(err, ERR_DATA, "jump needs \"step\": 0..%d", item->experiment->n_steps - 1);
    int rc = ramp_command(&after, item->experiment, command, order->step, now, err);
    if (rc)
        return rc == RAMP_CONFLICT ? RUN_CONFLICT : rc;
    if (command == COMMAND_START) {
        rc = prepare_start(run, item, err);
        if (rc)
            return rc;
        item->unclocked = unclocked;
    }
    item->held = CAUSE_NONE;
    struct change change = {
        .verdict = order->command,
        .clock = unclocked || actor->behind_ms > RUN_BEHIND_MS ? "wall" : "event",
        .who = actor->who,
        .command = order->id,
        .reason = order->reason,
        .type = news_of(command),
        .at_ms = now.event_ms,
        .after = after,
        .lost = actor->lost,
        .wall_ms = actor->wall_ms,
    };
    return item_change(run, item, &change, err);
}

int run_command(struct run *run, const struct run_order *order, const struct run_actor *actor,
                struct err *err)
{
    struct item *item = run_find(run, order->name);
    if (!item) {
        const char *names[MAX_WORDS];
        size_t n = 0;
        for (; n < run->n_items && n < MAX_WORDS; n++)
            names[n] = run->items[n]->experiment->name;
        const char *near = text_near(order->name, names, n);
        return err_set(err, ERR_NOT_FOUND, "there is no experiment \"%s\"%s%s%s", order->name,
                       near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    }
    if (ramp_command_parse(order->command) < 0)
        return err_set(err, ERR_NOT_FOUND,
                       "\"%s\" is no command: start, pause, resume, jump, "
                       "freeze, approve, promote or rollback",
                       order->command);
    bool done;
    int rc = was_done(run, order, &done, err);
    return rc || done ? rc : carry_out(run, item, order, actor, err);
}

/* --- assay check --- */

struct compared {
    const struct experiment *experiment;
    bool differs;
};

static int compare(void *context, const struct experiment_row *row, struct err *err)
{
    struct compared *compared = context;
    AUTO(experiment) struct experiment *stored = NULL;
    int rc = experiment_parse_text(&stored, row->object, strlen(row->object), err);
    if (rc)
        return rc;
    json_t *mine = experiment_print(stored), *theirs = experiment_print(compared->experiment);
    compared->differs = !json_equal(mine, theirs);
    json_decref(mine);
    json_decref(theirs);
    return 0;
}

static int check_stored(const struct config *config, const struct experiment *experiment,
                        struct err *err)
{
    AUTO(store) struct store *store = NULL;
    struct err none;
    struct compared compared = {experiment, false};
    if (store_open(&store, config->storage_path, STORE_READ, &none))
        return 0; /* nothing was created yet */
    int rc = experiments_read(store, experiment->name, compare, &compared, err);
    if (!rc && compared.differs)
        rc = err_set(err, ERR_DATA,
                     "%s was created with other values; give a changed experiment a new name",
                     experiment->name);
    return rc;
}

int run_check(const struct config *config, struct err *err)
{
    json_t *list = json_loads(config->experiments.json, 0, NULL);
    int rc = 0;
    size_t i;
    json_t *object;
    json_array_foreach(list, i, object)
    {
        AUTO(experiment) struct experiment *experiment = NULL;
        rc = run_fill_formulas(object, config, err);
        if (!rc)
            rc = experiment_parse(&experiment, object, err);
        if (!rc)
            rc = check_covariates(experiment, err);
        if (!rc)
            rc = run_check_metrics(experiment, config, err);
        if (!rc && !config->auto_models.task && !config_model_find(config, experiment->model))
            rc = err_set(err, ERR_DATA, "model: \"%s\" is not configured", experiment->model);
        if (!rc)
            rc = check_stored(config, experiment, err);
        if (rc) {
            rc = err_prefix(err, rc, "%s:%d: experiments[%zu]", config->path,
                            i < config->experiments.n_items ? config->experiments.item_lines[i]
                                                            : config->experiments.line,
                            i);
            break;
        }
    }
    json_decref(list);
    return rc;
}
