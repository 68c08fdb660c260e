/*
 * The inside of run: what run.c (memory), run_look.c (decisions), run_command.c (people),
 * run_pending.c (labels that are too young) and run_write.c (transactions) share. Nobody else
 * includes this.
 *
 * Owner    struct run owns its items
 * Threads  the writer's
 */
#pragma once

#include "abtest/run.h"
#include "stats/metric.h"

/* From since_ms on predictions belong to `step`; -1: to none. */
struct interval {
    int64_t since_ms;
    int step;
};

/* A label or outcome that waits until its prediction is `maturity` old. */
struct young {
    int64_t due_ms;
    struct exposure exposure;
    struct observation observation;
    int sign;
    char name[128]; /* of an outcome; its observation points here */
    struct contribution contributions[EXPERIMENT_MAX_METRICS]; /* of a content; likewise */
    bool contributes;
    struct tally_term *terms; /* of a content, metric after metric; owned */
    uint32_t n_terms[EXPERIMENT_MAX_METRICS];
};

struct item {
    struct experiment *experiment;
    struct ramp_state ramp;
    struct evidence *evidence; /* NULL: draft or final */
    int64_t seq, created_ms;
    bool unclocked; /* started before any event time was known */
    struct interval *intervals;
    size_t n_intervals;
    struct young *young;
    size_t n_young, young_capacity;
    int64_t last_ms[N_ARMS]; /* newest event of each version */
    int64_t lost;            /* messages lost in all, when the step began */
    bool applying;           /* an actuator has not confirmed: events stay outside the comparison */
    bool troubled;           /* … and has failed */
    bool astray;             /* … what it had confirmed before */
    char actuator[VERDICT_WHY_BYTES]; /* which, and why */
    enum hold_cause held;             /* of the hold that was told */
    int64_t segments;                 /* number of the last one of its units that was written */
    size_t appended;                  /* units in segments since all became one */
    bool dirty;                       /* evidence or clocks differ from what is stored */
    struct verdict verdict;           /* of the last look */
    bool looked;
    bool unshown;            /* … and people have an older one */
    bool waited;             /* … for our own input: what follows is of the wall clock */
    bool ticked;             /* the silence since the last look was judged */
    int64_t silence_seen_ms; /* wall clock: until then a hold for want of data was watched */
    bool restored;           /* from storage: nobody has watched since */
    int64_t told_ms; /* the minute of event time of the facts and estimates in the evidence */
    char *verdict_json;
    int64_t shown_ms;    /* real time of verdict_json */
    int64_t recorded_ms; /* event time of the newest look that is kept; INT64_MIN: none */
};

struct run {
    struct run_options options;
    struct item **items;
    size_t n_items;
    int64_t look_ms; /* of the last look; INT64_MIN: none yet */
    int64_t watermark_ms;
};

static inline bool item_active(const struct item *item)
{
    return item->ramp.phase == RAMP_RUNNING || item->ramp.phase == RAMP_PAUSED;
}
struct item *run_find(struct run *run, const char *name);
void item_free(struct item *item);
DEFINE_FREEP(item)
/* Takes the item; on failure frees it. */
int run_add(struct run *run, struct item *item, struct err *err);
int item_enter(struct item *item, int64_t since_ms, int step, struct err *err);
/* The step that a prediction of ts_ms belongs to; -1: none. */
int item_step(const struct item *item, int64_t ts_ms);

/* run_pending.c */
/* Takes young->terms, whatever happens. */
int young_add(struct item *item, const struct young *young, struct err *err);
void young_forget(struct item *item);
/* Counts those that are old enough at look_ms. */
int young_release(struct item *item, int64_t look_ms, struct err *err);
void young_save(const struct item *item, struct buf *out);
int young_load(struct item *item, struct reader *in, struct err *err);

/* run_told.c */
/* A built-in metric of a version over whole minutes; NaN where nothing is known of it. */
int run_value(struct run *run, const char *model, const char *version, const char *metric,
              int64_t from_ms, int64_t to_ms, struct metric_value *out, struct err *err);
/* Facts and estimates of both versions into the evidence, once a minute of event time. */
int item_tell(struct run *run, struct item *item, int64_t look_ms, struct err *err);

/* run_formula.c */
/* Gives the metrics of an object that the model's configuration defines their formula. */
int run_fill_formulas(json_t *object, const struct config *config, struct err *err);
int run_check_metrics(const struct experiment *experiment, const struct config *config,
                      struct err *err);

/* run_record.c */
bool record_due(const struct item *item, int64_t look_ms);
/* In a transaction; the verdict must have been shown (ab_show). */
int record_look(struct item *item, struct store *store, int64_t look_ms, struct err *err);
/* Shows the verdict and records it in a transaction of its own. */
int record_apart(struct item *item, struct store *store, int64_t look_ms, struct err *err);

/* run_actuators.c */
/* Does something else carry its weight? */
bool item_carried(const struct run *run, const struct item *item);
/* In a transaction: the wishes of the actuators that carry this experiment's weight. `seq`: the
   transition that gave it this weight; no two weights may have the same, for what an attempt came
   to is told by it. */
int item_wish(struct run *run, struct item *item, struct store *store, int64_t seq, int64_t wall_ms,
              struct err *err);
/* Reads what became of them: applying, troubled, actuator; and lets the step begin (again) at
   look_ms when all have confirmed. */
int item_confirm(struct run *run, struct item *item, int64_t look_ms, struct err *err);

/* run_write.c */
struct change {
    const char *verdict; /* "advance", "pause", … */
    const char *clock;   /* "event" or "wall" */
    const char *who;
    const char *command; /* idempotency key or "" */
    const char *reason;
    const char *type; /* of the news; NULL: nobody is told */
    int64_t at_ms;
    const struct situation *situation; /* NULL: nothing was weighed */
    struct ramp_state after;
    int64_t lost;
    int64_t wall_ms;
};
/* One transaction, then memory. RUN_CONFLICT: somebody else moved it. */
int item_change(struct run *run, struct item *item, const struct change *change, struct err *err);
/* Inside a transaction: evidence, clocks and the last verdict. */
int item_save(struct item *item, struct store *store, struct err *err);
/* From storage: state, evidence, clocks. */
int item_restore(struct item *item, struct store *store, const char *ramp, struct err *err);
/* Ends the process with SIGKILL when the environment's ASSAY_CRASH_AT names this place: tests. */
void run_crash_at(const char *place);
/* The JSON of the last verdict, made anew. */
int item_show(struct item *item, int64_t at_ms, struct err *err);
/* In a transaction: a new item's row and its audit row. */
int item_create(struct run *run, struct item *item, const struct run_actor *actor, struct err *err);
