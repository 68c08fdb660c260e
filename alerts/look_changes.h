/*
 * What a look changes: kept while the rules are read, and written afterwards, in one commit. When thousands of alerts
 * change at one look of a backlog, the store is lent for that (storage/lend.h): words and rows are made beside the
 * reading of the log, and beside the next looks, which have the store in turns while they change nothing.
 *
 * Shape    look_changes_start → look_changes_keep (each) → look_changes_write; in alerts/keeper.h
 * Threads  the writer's; those of a crowd are the borrower's until the store is recalled
 */
#pragma once

#include "alerts/alert.h"
#include "alerts/background.h"
#include "alerts/reading.h"

struct alert;
struct alerts;

struct look_change {
    const struct alert *alert;
    struct alert_state state; /* after the look */
    enum alert_event event;   /* ALERT_NOTHING: only since when it is clear */
    struct reading reading;
};

struct look_changes {
    struct look_change *kept;
    size_t n, capacity;
    bool any;        /* something was kept since look_changes_start */
    bool begun;      /* the commit is open: there were more than are kept at once */
    int64_t look_ms; /* event time */
    int64_t wall_ms;
    bool wall;     /* caused by the wall clock, not by events */
    int n_letters; /* of a crowd: notifications that were written with it */
    struct backgrounds backgrounds;
};

void look_changes_start(struct alerts *alerts, const struct outside *outside, bool wall);
int look_changes_keep(struct alerts *alerts, const struct look_change *change, struct err *err);
/* All of it in one commit, or nothing when `rc`, what the look came to so far, is a failure. */
int look_changes_write(struct alerts *alerts, int rc, struct err *err);
void look_changes_drop(struct look_changes *changes);
