/*
 * The writer's thread beside it, as a test sees it: how often it was given work, and what keeps it from going on.
 *
 * Shape    a test that is linked with it (`beside_tests` in tests/meson.build) has pthread_create, aside_give and
 *          aside_wait of its own. It stands in front of what the thread does as well, and calls beside_work there
 * Errors   a test that cannot go on fails
 * Threads  the writer's: all; the thread: beside_work
 */
#pragma once

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "tests/lib/collector_bench.h"

struct beside {
    atomic_bool none;    /* there is no thread to be had */
    atomic_bool shut;    /* the thread waits at its first piece of work until it is let go */
    atomic_bool failing; /* its first piece of work is one too many for memory */
    atomic_bool lazy;    /* the thread does nothing until the writer waits for it */
    atomic_bool awaited;
    atomic_int n;     /* pieces of work that the thread had */
    bool out;         /* it was given something that nobody waited for yet */
    int given;        /* how often */
    pthread_t writer; /* who called beside_reset */
    sem_t entered, open;
};
extern struct beside beside;

void beside_reset(void);
bool beside_is_writer(void);

/* The thread begins a piece of work. -ENOMEM: it is the one that fails. */
int beside_work(void);

/* Steps until the thread is at its first piece of work, and waits; false: it never was. */
bool beside_step_until_at_work(struct collector_bench *bench);
/* A thread that lets it go; to be joined. */
pthread_t beside_let_go(void);
