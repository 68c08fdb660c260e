/*
 * Weights that something else must carry. A transition writes the wish of each actuator in its own
 * transaction; from then until all have confirmed (and again while reality is found to be
 * otherwise) nobody knows which share is really served, so predictions of that time stay outside
 * the comparison, the step has not begun, and nothing goes on.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abtest/run_item.h"
#include "common/grow.h"
#include "storage/actuation.h"
#include "storage/commit.h"

static bool carries(const struct actuator *actuator, const struct item *item)
{
    return strcmp(actuator->experiment, item->experiment->name) == 0;
}

bool item_carried(const struct run *run, const struct item *item)
{
    for (size_t i = 0; i < actuator_set_count(run->options.actuators); i++)
        if (carries(actuator_set_at(run->options.actuators, i), item))
            return true;
    return false;
}

int item_wish(struct run *run, struct item *item, struct store *store, int64_t seq, int64_t wall_ms,
              struct err *err)
{
    const struct actuator_set *set = run->options.actuators;
    const char *name = item->experiment->name;
    double weight = ramp_weight(&item->ramp, item->experiment);
    int rc = 0;
    for (size_t i = 0; !rc && i < actuator_set_count(set); i++) {
        const struct actuator *actuator = actuator_set_at(set, i);
        if (carries(actuator, item))
            rc = commit_actuation_wanted(store, actuator->name, name, seq, weight, wall_ms, err);
    }
    return rc ? rc : commit_applying(store, name, err);
}

static bool has_actuator(const struct actuator_set *set, const char *name)
{
    for (size_t i = 0; i < actuator_set_count(set); i++)
        if (strcmp(actuator_set_at(set, i)->name, name) == 0)
            return true;
    return false;
}

struct state {
    const struct actuator_set *set;
    struct item *item;
    size_t n;
    bool applying, troubled;
    char text[VERDICT_WHY_BYTES];
};

static int take_row(void *context, const struct actuation_row *row, struct err *err)
{
    (void)err;
    struct state *state = context;
    bool open = !row->confirmed || *row->problem;
    if (!has_actuator(state->set, row->actuator) || !open)
        return 0; /* one that was taken out of the configuration carries nothing any more */
    bool worse = *row->problem && !state->troubled;
    if (!state->text[0] || worse)
        snprintf(state->text, sizeof(state->text), "%.32s: %s", row->actuator,
                 *row->problem ? row->problem : "has not confirmed yet");
    state->applying |= !row->confirmed;
    state->troubled |= *row->problem != '\0';
    return 0;
}

int item_confirm(struct run *run, struct item *item, int64_t look_ms, struct err *err)
{
    struct state state = {.set = run->options.actuators, .item = item};
    if (actuator_set_count(state.set) == 0 && !item->applying)
        return 0;
    int rc =
        actuations_read(run->options.store, NULL, item->experiment->name, take_row, &state, err);
    if (rc)
        return rc;
    bool was = item->applying;
    item->applying = state.applying;
    item->troubled = state.troubled;
    memcpy(item->actuator, state.text, sizeof(item->actuator));
    if (was == state.applying)
        return 0;
    item->dirty = true;
    if (!was) {
        item->astray = true;
        return item_enter(item, look_ms, -1, err);
    }
    if (!item->astray) /* the step begins now, not when it was decided */
        item->ramp.since_ms = look_ms;
    item->astray = false;
    return item_enter(item, look_ms, item->ramp.step, err);
}

/* --- other actuators --- */

/* Actuators that stand in the database, as a configuration with others finds them. */
struct former {
    struct run *run;
    int64_t wall_ms;
    char **gone; /* names of those that are not configured any more */
    size_t n_gone, gone_capacity;
    bool *open; /* by item: a wish of it is not confirmed, or can still be undone */
};

static int take_former(void *context, const struct actuation_row *row, struct err *err)
{
    struct former *former = context;
    struct run *run = former->run;
    for (size_t i = 0; i < run->n_items; i++)
        if (strcmp(run->items[i]->experiment->name, row->experiment) == 0)
            former->open[i] |=
                !row->confirmed || former->wall_ms < row->wanted_ms + ACTUATOR_LATE_MS;
    if (has_actuator(run->options.actuators, row->actuator))
        return 0;
    int rc = grow(&former->gone, &former->gone_capacity, former->n_gone + 1, sizeof(char *),
                  "actuators", err);
    if (rc)
        return rc;
    char *name = strdup(row->actuator);
    if (!name)
        return err_set(err, -ENOMEM, "actuators: no memory");
    former->gone[former->n_gone++] = name;
    return 0;
}

/* An end that was not carried out yet, or that a request of before can still undo, is work for
   those that take over, as a step is. */
static int wish_anew(const struct former *former, int64_t wall_ms, struct err *err)
{
    struct run *run = former->run;
    struct store *store = run->options.store;
    int rc = 0;
    for (size_t i = 0; !rc && i < former->n_gone; i++)
        rc = commit_actuation_gone(store, former->gone[i], err);
    for (size_t i = 0; !rc && i < run->n_items; i++)
        if (item_active(run->items[i]) || former->open[i])
            rc = item_wish(run, run->items[i], store, run->items[i]->seq, wall_ms, err);
    return rc;
}

static int take_over(const struct former *former, int64_t wall_ms, struct err *err)
{
    struct store *store = former->run->options.store;
    int rc = commit_begin(store, err);
    if (rc)
        return rc;
    rc = wish_anew(former, wall_ms, err);
    if (!rc)
        rc = commit_end(store, err);
    if (rc)
        commit_rollback(store);
    return rc;
}

int run_set_actuators(struct run *run, const struct actuator_set *set, int64_t wall_ms,
                      struct err *err)
{
    struct former former = {
        .run = run, .wall_ms = wall_ms, .open = calloc(run->n_items + 1, sizeof(bool))};
    if (!former.open)
        return err_set(err, -ENOMEM, "actuators: no memory");
    run->options.actuators = set;
    int rc = actuations_read(run->options.store, NULL, NULL, take_former, &former, err);
    if (!rc)
        rc = take_over(&former, wall_ms, err);
    for (size_t i = 0; i < former.n_gone; i++)
        free(former.gone[i]);
    free(former.gone);
    free(former.open);
    return rc;
}

int run_tell_after_end(struct run *run, const char *name, const char *reason, struct err *err)
{
    const struct item *item = run_find(run, name);
    if (!item || !ramp_final(&item->ramp) || !run->options.tell)
        return 0;
    struct run_news news = {
        .type = "experiment.held",
        .experiment = name,
        .model = item->experiment->model,
        .version = item->experiment->treatment,
        .reason = reason,
        .verdict = item->verdict_json,
        .at_ms = run->look_ms == INT64_MIN ? item->ramp.since_ms : run->look_ms,
    };
    return run->options.tell(run->options.context, &news, err);
}
