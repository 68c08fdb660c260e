#include "cli/engine.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "abtest/observation.h"
#include "alerts/announce.h"
#include "storage/commit.h"

/* --- an event of the collector as abtest sees it --- */

static double feature_of(const void *context, const char *name)
{
    const struct event *event = context;
    for (uint32_t i = 0; i < event->n_features; i++)
        if (view_is(event->features[i].name, name) && event->features[i].value.kind == VALUE_NUMBER)
            return event->features[i].value.number;
    return (double)NAN;
}

static int observe_values(struct run *run, struct run_event *event, const struct event *values,
                          struct err *err)
{
    int rc = 0;
    for (uint32_t i = 0; rc >= 0 && i < values->n_values; i++) {
        char name[257];
        struct view text = values->values[i].name;
        if (text.size >= sizeof(name))
            continue;
        memcpy(name, text.data, text.size);
        name[text.size] = '\0';
        event->observation.name = name;
        event->observation.named_value = values->values[i].value.number;
        rc = run_observe(run, event, err);
    }
    return rc < 0 ? rc : 0;
}

static int observe(void *context, const struct observed *observed, struct err *err)
{
    struct engine *engine = context;
    char name[257];
    struct run_event event = {
        .model = observed->model,
        .version = observed->version,
        .unit = observed->unit,
        .unit_hash = observed->unit_hash,
        .ts_ms = observed->ts_ms,
        .outside = observed->outside,
        .sign = observed->sign,
        .observation = observation_nothing(),
    };
    switch (observed->kind) {
    case OBSERVED_PREDICTION:
        observation_of_prediction(&event.observation, observed->setup, observed->sample);
        event.feature = feature_of;
        event.event = observed->event;
        break;
    case OBSERVED_LABEL:
        if (!observation_of_label(&event.observation, observed->setup, observed->sample))
            return 0;
        break;
    case OBSERVED_OUTCOME:
        if (observed->name.size >= sizeof(name))
            return 0;
        memcpy(name, observed->name.data, observed->name.size);
        name[observed->name.size] = '\0';
        event.observation.stage = STAGE_OUTCOME;
        event.observation.name = name;
        event.observation.named_value = observed->value;
        break;
    case OBSERVED_SYSTEM:
        event.observation.stage = STAGE_SYSTEM;
        return observe_values(engine->run, &event, observed->event, err);
    }
    int rc = run_observe(engine->run, &event, err);
    return rc == RUN_OUTSIDE ? OBSERVED_OUTSIDE : rc;
}

static int in_commit(void *context, struct store *store, int64_t watermark_ms, struct err *err)
{
    struct engine *engine = context;
    return run_in_commit(engine->run, store, watermark_ms, err);
}

static int reload(void *context, struct err *err)
{
    struct engine *engine = context;
    int rc = run_reload(engine->run, err);
    engine->observer.active = run_active(engine->run);
    return rc;
}

/* --- news --- */

static int tell(void *context, const struct run_news *news, struct err *err)
{
    struct engine *engine = context;
    if (!engine->alerts)
        return 0;
    struct announcement announcement = {
        .type = news->type,
        .name = news->experiment,
        .model = news->model,
        .version = news->version,
        .summary = news->reason,
        .detail = news->verdict,
        .at_ms = news->at_ms,
        .wall_ms = clock_wall_ms(clock_system()),
    };
    return alerts_announce(engine->alerts, &announcement, err);
}

static void wished(void *context)
{
    struct engine *engine = context;
    engine->wishes = true;
    if (!commit_is_shared(engine->store))
        engine_settle(engine);
}

/* An actuator has failed several times in a row. While the experiment is at work it is held, and
   that is told; afterwards nobody would hear of a rollback that was not carried out. */
static int failing(void *context, const struct actuation_row *row, struct err *err)
{
    struct engine *engine = context;
    char reason[512];
    snprintf(reason, sizeof(reason), "actuator %s does not carry %g%%: %s", row->actuator,
             row->weight, row->problem);
    return run_tell_after_end(engine->run, row->experiment, reason, err);
}

int actuators_check(const struct config *config, struct err *err)
{
    AUTO(actuator_set) struct actuator_set *set = NULL;
    return actuator_set_parse(&set, config, err);
}

int engine_open(struct engine *engine, const struct config *config, struct store *store,
                const struct log *log, struct err *err)
{
    struct run_options options = {.config = config,
                                  .wall_ms = clock_wall_ms(clock_system()),
                                  .store = store,
                                  .log = log,
                                  .context = engine,
                                  .tell = tell,
                                  .wished = wished};
    engine->store = store;
    engine->observer = (struct observer){
        .context = engine, .observe = observe, .in_commit = in_commit, .reload = reload};
    int rc = engine->replays ? 0 : actuator_set_parse(&engine->actuators, config, err);
    options.actuators = engine->actuators;
    if (!rc)
        rc = run_new(&engine->run, &options, err);
    if (!rc && !engine->replays)
        rc = run_set_actuators(engine->run, engine->actuators, clock_wall_ms(clock_system()), err);
    if (!rc)
        engine->observer.active = run_active(engine->run);
    return rc;
}

void engine_close(struct engine *engine)
{
    run_free(engine->run);
    engine->run = NULL;
    actuator_set_free(engine->actuators);
    engine->actuators = NULL;
}

struct actuate *engine_actuate_detach(struct engine *engine)
{
    struct actuate *actuate = engine->actuate;
    engine->actuate = NULL;
    return actuate;
}

int engine_reload_actuators(struct engine *engine, const struct config *config, struct err *err)
{
    AUTO(actuator_set) struct actuator_set *set = NULL;
    int rc = actuator_set_parse(&set, config, err);
    if (!rc)
        rc = run_set_actuators(engine->run, set, clock_wall_ms(clock_system()), err);
    if (rc) {
        run_set_actuators(engine->run, engine->actuators, clock_wall_ms(clock_system()), NULL);
        return rc;
    }
    actuator_set_free(engine->actuators);
    engine->actuators = set;
    set = NULL; /* the engine owns it now */
    return 0;
}

void engine_actuate_stop(struct engine *engine)
{
    actuate_stop(engine->actuate);
    engine->actuate = NULL;
}

int engine_actuate(struct engine *engine, const struct writer *writer, const char *store_path,
                   const struct log *log, struct err *err)
{
    struct actuate_options options = {
        .set = engine->actuators,
        .store_path = store_path,
        .writer = *writer,
        .clock = clock_system(),
        .log = log,
        .seed = (uint64_t)clock_wall_ms(clock_system()),
        .context = engine,
        .failing = failing,
    };
    return actuator_set_count(engine->actuators) ? actuate_start(&engine->actuate, &options, err)
                                                 : 0;
}

static struct run_now now_of(const struct engine *engine, int64_t look_ms)
{
    struct collector_input input = collector_input(engine->collector);
    int64_t wall_ms = clock_wall_ms(clock_system());
    return (struct run_now){
        .look_ms = look_ms,
        .wall_ms = engine->replays ? look_ms : wall_ms,
        .real_ms = wall_ms,
        .lost = input.lost,
        .behind_ms = engine->replays ? 0 : input.behind_ms,
    };
}

int engine_look(struct engine *engine, int64_t look_ms, struct err *err)
{
    if (!engine->observer.active)
        return 0;
    struct run_now now = now_of(engine, look_ms);
    int rc = run_look(engine->run, &now, err);
    engine->observer.active = run_active(engine->run);
    return rc;
}

void engine_settle(struct engine *engine)
{
    if (engine->wishes)
        actuate_changed(engine->actuate);
    engine->wishes = false;
}

void engine_clock_set(struct engine *engine, int64_t by_ms)
{
    run_clock_set(engine->run, by_ms);
}

int engine_tick(struct engine *engine, int64_t look_ms, int64_t silent_ms, struct err *err)
{
    if (!engine->observer.active)
        return 0;
    struct run_now now = now_of(engine, look_ms);
    int rc = run_tick(engine->run, &now, silent_ms, err);
    engine->observer.active = run_active(engine->run);
    return rc;
}

/* --- people --- */

struct call_to_run {
    struct engine *engine;
    const char *body;
    char *name;
    const struct run_order *order; /* NULL: create */
    struct run_actor actor;
};

/* What was read so far is committed first: it belongs to the time before the command. */
static int call_run(void *context, struct store *store, struct err *err)
{
    (void)store;
    struct call_to_run *call = context;
    struct engine *engine = call->engine;
    struct collector_health health;
    int rc = collector_commit_now(engine->collector, err);
    if (rc)
        return rc;
    collector_health(engine->collector, &health);
    call->actor.watermark_ms = health.watermark_ms;
    struct collector_input input = collector_input(engine->collector);
    call->actor.lost = input.lost;
    call->actor.behind_ms = input.behind_ms;
    rc = call->order ? run_command(engine->run, call->order, &call->actor, err)
                     : run_create(engine->run, call->body, strlen(call->body), &call->actor,
                                  call->name, err);
    engine->observer.active = run_active(engine->run);
    return rc;
}

int engine_create(struct engine *engine, const char *body, const char *who,
                  char name[EXPERIMENT_MAX_NAME_BYTES + 1], struct err *err)
{
    struct call_to_run call = {
        .engine = engine,
        .body = body,
        .name = name,
        .actor = {.who = who, .wall_ms = clock_wall_ms(clock_system())},
    };
    return collector_call(engine->collector, call_run, &call, err);
}

int engine_configure(struct engine *engine, const struct config *config, struct err *err)
{
    struct collector_health health;
    int rc = collector_commit_now(engine->collector, err);
    if (rc)
        return rc;
    collector_health(engine->collector, &health);
    struct collector_input input = collector_input(engine->collector);
    struct run_actor actor = {"configuration", clock_wall_ms(clock_system()), health.watermark_ms,
                              input.lost, input.behind_ms};
    rc = run_configure(engine->run, config, &actor, err);
    engine->observer.active = run_active(engine->run);
    return rc;
}

int engine_command(struct engine *engine, const struct run_order *order, const char *who,
                   struct err *err)
{
    struct call_to_run call = {
        .engine = engine,
        .order = order,
        .actor = {.who = who, .wall_ms = clock_wall_ms(clock_system())},
    };
    return collector_call(engine->collector, call_run, &call, err);
}
