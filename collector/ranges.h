/*
 * References that `reference: {from, to}` takes from stored panes are kept as rows once they are
 * complete: panes become longer with age, and go.
 *
 * Shape    due when no label for the span can come any more (the model's horizon after `to`), at the
 *          latest before retention touches panes that the span is not whole ones of. One at a time,
 *          read on a thread of its own; panes do not age meanwhile. A span that holds nothing is
 *          looked at again, an hour of event time later
 * Units    event time, ms since the epoch
 * Owner    ranges_new gives, ranges_free takes; the configuration is borrowed
 * Errors   what could not be made is told to the log, and the reference is read from panes as before;
 *          ranges_adopt: as storage/commit.h
 * Threads  the writer's
 */
#pragma once

#include "common/cleanup.h"
#include "common/config.h"
#include "common/log.h"
#include "storage/store.h"

struct ranges;

int ranges_new(struct ranges **out, struct store *store, const struct config *config,
               const struct log *log, struct err *err);
void ranges_free(struct ranges *ranges); /* waits until its thread has left */
DEFINE_FREEP(ranges)

/* Another configuration: everything is looked at again. */
void ranges_configure(struct ranges *ranges, const struct config *config);
/* The model is erased: what is being made of it is thrown away. */
void ranges_forget(struct ranges *ranges, const char *model);

/* After a commit, before panes age: is one due, or being made? Then they must wait. */
bool ranges_hold(struct ranges *ranges, int64_t watermark_ms);
/* Is one made, and waits for ranges_adopt? `wait`: also one that is still being made. */
bool ranges_ready(const struct ranges *ranges, bool wait);
/* Outside a transaction: stores what was made. *changed: a model may have another reference now.
   ERR_FULL: it is still there to be stored, once there is room. */
int ranges_adopt(struct ranges *ranges, bool *changed, struct err *err);
