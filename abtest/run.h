/*
 * The experiments at work: loads them from storage and configuration, feeds their evidence, takes
 * looks, carries out commands, and writes each change as one transaction.
 *
 * Shape    run_observe for each folded event · run_in_commit inside the collector's transaction ·
 *          run_look after it, at each whole second of event time · run_tick by the wall clock when
 *          no event comes · run_create and run_command for people.
 *          A transition is one transaction: state, evidence, audit row, notifications
 * Units    *_ms: ms since the epoch; look_ms event time, wall_ms wall clock
 * Owner    run_new gives, run_free takes; store, config, log and `context` are borrowed
 * Errors   ERR_NOT_FOUND: no such experiment · ERR_DATA: the object or command is off · outcomes >
 *          0 below
 * Threads  the writer's, but for run_check
 */
#pragma once

#include "abtest/actuator.h"
#include "abtest/decide.h"
#include "common/config.h"
#include "common/log.h"
#include "common/view.h"
#include "storage/store.h"

enum {
    RUN_OUTSIDE = 1,  /* run_observe: the prediction stands outside the comparison */
    RUN_CONFLICT = 2, /* the state does not allow it, or the name is taken; err says more */
    /* After a transition callers may still serve by the old weight: events of both arms stay
       outside the comparison for so long. Assignment answers are valid for as long. */
    RUN_SETTLE_MS = 2000,
    /* Further behind the log, no step is left upwards: what is not read yet was served by the
       present weight, and its event times would count it to the next step. */
    RUN_BEHIND_MS = 10000,
};

/* What is told to people, inside the transaction of what it tells. */
struct run_news {
    const char *type; /* experiment.promoted, .rolled_back, .step, .held */
    const char *experiment, *model;
    const char *version; /* treatment */
    const char *reason;
    const char *verdict; /* JSON */
    int64_t at_ms;
};

struct run_options {
    const struct config *config; /* its `experiments:` are created once, by name; may be NULL */
    int64_t wall_ms;             /* now: by it they are dated */
    struct store *store;
    const struct log *log; /* may be NULL */
    void *context;
    int (*tell)(void *context, const struct run_news *news, struct err *err); /* may be NULL */
    /* What carries weights elsewhere: each transition writes their wishes. NULL: nothing does, as
       in a replay, which takes every weight for carried out at once. */
    const struct actuator_set *actuators;
    void (*wished)(void *context); /* after a commit with new wishes; may be NULL */
};

struct run;

int run_new(struct run **out, const struct run_options *options, struct err *err);
void run_free(struct run *run);
DEFINE_FREEP(run)

/* `assay check`: the objects themselves, and whether one differs from the stored one of its name.
 */
int run_check(const struct config *config, struct err *err);

struct run_actor {
    const char *who;
    int64_t wall_ms;
    int64_t watermark_ms; /* INT64_MIN: not known yet */
    int64_t lost;
    int64_t behind_ms; /* as in run_now */
};

/* A configuration read again: its new experiments are created (and started where they say so). A
   stored one of another shape stays as it is, with a warning; < 0: the first that could not be
   created, after all others were. `config` must outlive the run, or the next call. */
int run_configure(struct run *run, const struct config *config, const struct run_actor *actor,
                  struct err *err);

/* Other actuators from now on (SIGHUP, or a start with another configuration): each that is new is
   to carry the present weight of its experiment; those that are gone are not waited for. `set` must
   outlive the run, or the next call. */
int run_set_actuators(struct run *run, const struct actuator_set *set, int64_t wall_ms,
                      struct err *err);

/* Does any experiment run? Without, nothing need be observed or looked at. */
bool run_active(const struct run *run);
/* Drops memory and loads what is stored. */
int run_reload(struct run *run, struct err *err);

struct run_event {
    const char *model, *version;
    struct view unit;   /* data NULL: only its hash is known */
    uint64_t unit_hash; /* the same for all events of a unit */
    int64_t ts_ms;      /* of the prediction */
    bool outside;       /* what run_observe said of the prediction */
    int sign;
    struct observation observation;
    /* A feature's value, for covariates; NaN: absent. May be NULL. */
    double (*feature)(const void *event, const char *name);
    const void *event;
};
/* 0, RUN_OUTSIDE or < 0. */
int run_observe(struct run *run, const struct run_event *event, struct err *err);

int run_in_commit(struct run *run, struct store *store, int64_t watermark_ms, struct err *err);

struct run_now {
    int64_t look_ms;
    int64_t wall_ms;   /* of decisions; a replay hands in event time */
    int64_t real_ms;   /* how often a verdict is written for people */
    int64_t lost;      /* messages that retention took before they were read, in all */
    int64_t behind_ms; /* how far reading is behind the log; 0 in a replay */
};
int run_look(struct run *run, const struct run_now *now, struct err *err);
/* No event has come for silent_ms on the wall clock. */
int run_tick(struct run *run, const struct run_now *now, int64_t silent_ms, struct err *err);
/* The wall clock was set by so much: what it times goes on from where it was. */
void run_clock_set(struct run *run, int64_t by_ms);
/* In a transaction: people hear of an experiment that is promoted or rolled back but not carried
   out everywhere. Nothing while it is at work: then it is held, and that is told. */
int run_tell_after_end(struct run *run, const char *name, const char *reason, struct err *err);
/* Writes the present verdicts, whatever the time: the end of a replay. */
int run_flush(struct run *run, struct err *err);

/* `body`: the object of contract §4. Its name goes to `name` (EXPERIMENT_MAX_NAME_BYTES + 1). */
int run_create(struct run *run, const char *body, size_t n, const struct run_actor *actor,
               char *name, struct err *err);

struct run_order {
    const char *name;
    const char *command; /* start, pause, … */
    int step;            /* of jump and approve; -1: not given */
    const char *reason;
    const char *id; /* idempotency key; "": none. A repeated one changes nothing */
};
int run_command(struct run *run, const struct run_order *order, const struct run_actor *actor,
                struct err *err);
