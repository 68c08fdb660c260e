/*
 * The A/B engine beside the collector: what serve and replay wire alike. Turns the collector's
 * observed events into abtest's, and passes looks, ticks and commands on.
 *
 * Owner    engine_open fills, engine_close takes; store, log, collector and alerts are borrowed
 * Threads  the writer's, but for engine_create and engine_command (any: they call the writer)
 */
#pragma once

#include "abtest/actuate.h"
#include "abtest/run.h"
#include "alerts/run.h"
#include "collector/collect.h"

struct engine {
    struct run *run;
    struct store *store;         /* borrowed */
    struct observer observer;    /* for collector_options; active while an experiment runs */
    struct collector *collector; /* set once it is there */
    struct alerts *alerts;       /* NULL: nobody is told */
    bool replays;                /* decisions know event time alone: nothing is carried anywhere */
    struct actuator_set *actuators;
    struct actuate *actuate; /* NULL: replay, or not started yet */
    bool wishes;             /* it is to hear of new ones once they are durable */
};

/* `assay check`: the actuators themselves, and whether the experiment of each is configured (one
   that is created over HTTP may come later: that is not an error). */
int actuators_check(const struct config *config, struct err *err);

/* Other actuators, of a configuration that actuators_check has passed. The old ones must have been
   stopped (engine_actuate_detach, actuate_stop). Writer's thread. */
int engine_reload_actuators(struct engine *engine, const struct config *config, struct err *err);
/* The hands that are at work, for the caller to stop; from here on nobody hears of wishes. Writer's
   thread. */
struct actuate *engine_actuate_detach(struct engine *engine);

int engine_open(struct engine *engine, const struct config *config, struct store *store,
                const struct log *log, struct err *err);
void engine_close(struct engine *engine);

/* Starts the actuators' threads; engine_actuate_stop ends them, before the collector goes. `writer`
 * is borrowed for as long. */
int engine_actuate(struct engine *engine, const struct writer *writer, const char *store_path,
                   const struct log *log, struct err *err);
void engine_actuate_stop(struct engine *engine);

int engine_look(struct engine *engine, int64_t look_ms, struct err *err);
/* What looks wrote is durable: whoever carries weights elsewhere may read of it. */
void engine_settle(struct engine *engine);
/* The wall clock was set by so much. */
void engine_clock_set(struct engine *engine, int64_t by_ms);
/* No event since silent_ms, the last look was at look_ms. */
int engine_tick(struct engine *engine, int64_t look_ms, int64_t silent_ms, struct err *err);

/* 0, RUN_CONFLICT or < 0; the name of what was created or meant goes to `name`. */
int engine_create(struct engine *engine, const char *body, const char *who,
                  char name[EXPERIMENT_MAX_NAME_BYTES + 1], struct err *err);
/* A configuration read again; on the writer's thread. */
int engine_configure(struct engine *engine, const struct config *config, struct err *err);
int engine_command(struct engine *engine, const struct run_order *order, const char *who,
                   struct err *err);
