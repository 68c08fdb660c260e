/*
 * A few threads that help their caller through many like items which do not depend on each other.
 *
 * Shape    crew_each gives each item to whoever is free, the caller among them, and returns when
 *          all are done. Threads start with the first items and then sleep between calls. A crew
 *          that is busy with another caller's items is not waited for: the later caller does its
 *          own alone. So what is done, and with which result, never depends on the crew
 * Owner    crew_new gives, crew_free ends the threads and takes it; `context` is the caller's
 * Errors   -ENOMEM of crew_new; crew_each returns what a failing item returned, and its message:
 *          items that were not begun by then are left out. A thread that cannot start is missing
 * Threads  any; an item must not call crew_each of its own crew
 */
#pragma once

#include <stddef.h>

#include "common/cleanup.h"
#include "common/err.h"

struct crew;

enum {
    CREW_MOST = 3 /* threads beside the caller */
};

/* As many threads as help on this machine: one less than processors, at most CREW_MOST. */
int crew_size(void);
int crew_new(struct crew **out, int n_threads, struct err *err);
void crew_free(struct crew *crew);
DEFINE_FREEP(crew)

/* 0, or what an item returned. crew NULL: the caller alone. */
typedef int crew_item(void *context, size_t item, struct err *err);
int crew_each(struct crew *crew, size_t n_items, crew_item *work, void *context, struct err *err);
