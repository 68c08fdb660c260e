/*
 * Threads that answer requests while the HTTP library's own thread goes on with the sockets.
 *
 * Shape    a job is put in (work_put), runs on one of at most n_threads threads, each with a
 *          context of its own, and says itself when it is done. Threads start when first needed
 * Owner    work_new gives; work_stop finishes the jobs that are in and takes the threads;
 *          work_free takes it. A struct job is the caller's until `run` has been called
 * Errors   work_put: false when `max_queued` jobs wait already (429), or after work_stop
 * Threads  any
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"
#include "common/err.h"
#include "web/api.h"

struct job {
    struct job *next;
    void (*run)(struct job *job, struct api_context *context); /* the job is not used after it */
};

struct work;

int work_new(struct work **out, const struct api_options *options, int n_threads, int max_queued,
             struct err *err);
void work_stop(struct work *work);
void work_free(struct work *work);
DEFINE_FREEP(work)

bool work_put(struct work *work, struct job *job);
