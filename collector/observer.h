/*
 * A seam for whoever wants each event as it is folded (the A/B engine, wired by cli): called on the
 * writer's thread, inside the same steps as the panes, and saved in the same transaction.
 *
 * Shape    nothing is called while `active` is false; a NULL observer costs one comparison an event
 * Units    ts_ms: event time of the prediction, also for its label and outcomes
 * Owner    everything in a struct observed is borrowed for the call
 * Errors   < 0 ends the round as a failed fold does; observe's OBSERVED_OUTSIDE is remembered with
 *          the prediction and told again with its label and outcomes
 * Threads  the writer's; `active` is changed there only
 */
#pragma once

#include "collector/event.h"
#include "stats/metric.h"
#include "storage/store.h"

enum observed_kind {
    OBSERVED_PREDICTION,
    OBSERVED_LABEL,
    OBSERVED_OUTCOME,
    OBSERVED_SYSTEM
};

enum {
    OBSERVED_OUTSIDE = 1
};

struct observed {
    enum observed_kind kind;
    const char *model, *version;
    int64_t ts_ms;
    struct view unit;   /* the unit's text, or the id where it has none; label, outcome: data NULL
                           when the prediction had a unit (only unit_hash is remembered) */
    uint64_t unit_hash; /* the same for all events of the unit; its lowest bit is always 0 */
    bool outside;       /* what observe said of the prediction */
    int sign;           /* -1 takes a replaced label or outcome back */
    const struct metric_setup *setup;
    const struct sample *sample; /* prediction, label */
    struct view name;            /* outcome */
    double value;                /* outcome */
    const struct event *event;   /* prediction, system: as it came */
};

struct observer {
    void *context;
    bool active; /* somebody wants to be told, and wants looks */
    int (*observe)(void *context, const struct observed *observed, struct err *err);
    /* In the transaction that holds these events and their offsets. */
    int (*in_commit)(void *context, struct store *store, int64_t watermark_ms, struct err *err);
    /* Memory was dropped (fenced, partition lost): load what is stored. */
    int (*reload)(void *context, struct err *err);
};
