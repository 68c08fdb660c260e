/*
 * Gathered values on their way into their panes: a thread puts full buffers into profiles and
 * states while the writer reads on.
 *
 * Shape    folding_spare → gathered_start, gathered_put … → folding_give. What was given waits until
 *          waking the thread is worth it, or until folding_settle, the barrier: behind it all that
 *          was given is in. Neither profiles nor states depend on the order, so the bits are the
 *          same wherever barriers and the thread's turns fall
 * Owner    folding_new gives, folding_free waits for the thread and takes; a spare buffer is the
 *          caller's until it is given or freed
 * Errors   -ENOMEM; one of the thread is told by the next function. Some values are in then, and
 *          nothing but the error comes any more: memory must be dropped
 * Threads  the writer's. Between folding_give and the next barrier the thread, "profiles", has of a
 *          pane its profile's features and what its states make of rows (state_kind.looked); it
 *          reads the layout, the reference's grids and components. Whoever touches one of the first
 *          or changes one of the second settles before. Without a thread to be had the writer does
 *          it all
 */
#pragma once

#include "collector/gather.h"
#include "common/cleanup.h"

struct folding;

int folding_new(struct folding **out, struct err *err);
void folding_free(struct folding *folding);
DEFINE_FREEP(folding)

/* A buffer to gather in; NULL: there is no memory for one. */
struct gathered *folding_spare(struct folding *folding);

/* What it holds goes into that pane. */
int folding_give(struct folding *folding, struct gathered *gathered,
                 const struct gathered_into *into);
int folding_settle(struct folding *folding);
