/*
 * The change counter: goes up by one with each commit that changed something a reader can see.
 * The stream and `?wait=` sleep on it; the outbox's sender too.
 *
 * Owner    changes_new gives, changes_free takes; the writer's process has one
 * Threads  any; changes_wait blocks its caller
 */
#pragma once

#include <stdint.h>

#include "common/cleanup.h"
#include "common/err.h"

struct changes;

int changes_new(struct changes **out, struct err *err);
void changes_free(struct changes *changes);
DEFINE_FREEP(changes)

uint64_t changes_now(struct changes *changes);
void changes_bump(struct changes *changes);
/* The counter is at least `to` from now on: the number that the database remembers. */
void changes_raise(struct changes *changes, uint64_t to);
/* Returns the counter once it is above `after`, or unchanged after timeout_ms. */
uint64_t changes_wait(struct changes *changes, uint64_t after, int timeout_ms);
/* Runs `wake` after each bump (on the bumping thread; must be quick), for event loops. */
int changes_subscribe(struct changes *changes, void (*wake)(void *context), void *context,
                      struct err *err);
