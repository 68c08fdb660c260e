/*
 * A thread beside the writer's that does one piece of work at a time.
 *
 * Shape    free → aside_give → at work → free. The thread starts with the first piece and sleeps
 *          between two; waking it takes some microseconds, so pieces should be worth it
 * Owner    aside_new gives, aside_free waits for what it is at and takes it; `context` is the
 *          work's until the thread is free again
 * Errors   -ENOMEM of aside_new; how the work went is kept in its context
 * Threads  one gives and waits; the work runs on the thread, named as aside_new was told, and has
 *          all that the giver did before; whoever waited has all that it did
 */
#pragma once

#include <stdbool.h>

#include "common/cleanup.h"
#include "common/err.h"

struct aside;

/* `name`: at most 15 bytes, as `top -H` shows it; borrowed. */
int aside_new(struct aside **out, const char *name, struct err *err);
void aside_free(struct aside *aside);
DEFINE_FREEP(aside)

/* Has it nothing to do? Takes no lock. */
bool aside_is_free(const struct aside *aside);

/* It must be free. False: there is no thread to be had, and nothing was begun. */
typedef void aside_work(void *context);
bool aside_give(struct aside *aside, aside_work *work, void *context);

/* Until it is free. */
void aside_wait(struct aside *aside);
