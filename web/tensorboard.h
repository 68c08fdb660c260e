/*
 * A model in production beside its training runs: windows of metrics, drift and distributions as
 * TensorBoard's scalars and histograms. `assay export tensorboard` and the sink both write here.
 *
 * Shape    run = MODEL/VERSION under logdir; step = window index (start / window), wall time = the
 *          window's end. Tags: metrics/roc_auc, system/latency_p99_ms, drift/income/psi and
 *          features/income (a histogram). Values that are not defined, empty windows and those that
 *          only coarser panes cover are left out. Every value is the REST answer's
 * Rules    each window is written once: RUN/assay.position remembers how far a run has come. It is
 *          replaced after the window's record, so a crash between the two repeats one window
 * Owner    tensorboard_new gives (the options are borrowed), tensorboard_free takes
 * Errors   ERR_USAGE: a logdir that was begun with another window · -errno with the path · those
 *          of the REST answers
 * Threads  one at a time
 */
#pragma once

#include "web/api.h"

struct tensorboard;

struct tensorboard_options {
    const char *logdir;
    const char *model, *version; /* NULL: all */
    const char *metrics;         /* separated by commas; NULL: all that the task has */
    int64_t from_ms, to_ms;      /* -1: where the last export ended; what is complete */
    int64_t window_ms;
    int64_t delay_ms; /* event time to wait for labels before a window is written */
};

int tensorboard_new(struct tensorboard **out, const struct tensorboard_options *options,
                    struct err *err);
void tensorboard_free(struct tensorboard *board);
DEFINE_FREEP(tensorboard)

/* Writes what is complete and not written yet; *n_windows counts up. */
int tensorboard_write(struct tensorboard *board, struct api_context *api, int64_t *n_windows,
                      struct err *err);
