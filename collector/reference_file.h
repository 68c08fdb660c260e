/*
 * A reference from events: JSONL of predictions and labels, gzipped or not, folded into one
 * profile.
 *
 * Shape    events are checked as on the stream; those of other models, and lines that cannot be
 *          read, are counted and left out. Labels are counted by themselves, without their
 *          predictions; in slices with them (collector/reference_slices.h)
 * Owner    reference_from_file and reference_from_text give; reference_free takes
 * Limits   a text of 2 GiB, unpacked
 * Errors   ERR_IO: the file cannot be read · ERR_DATA: no event of the model in it
 * Threads  any
 */
#pragma once

#include "common/config.h"
#include "stats/reference.h"

struct reference_counts {
    uint64_t events;  /* taken */
    uint64_t refused; /* lines that are no events */
    uint64_t others;  /* events of other models or versions */
};

/* `version` NULL: events of all versions. `config`: the model's, NULL when it has none; `task`
   counts then. */
struct reference_source {
    const char *model;
    const char *version;
    const struct config_model *config;
    const char *task;
    const struct config *site; /* all of the configuration, for the model's slices; NULL: none */
};

int reference_from_file(struct reference **out, const struct reference_source *source,
                        const char *path, struct reference_counts *counts, struct err *err);
int reference_from_text(struct reference **out, const struct reference_source *source,
                        const char *text, size_t n, struct reference_counts *counts,
                        struct err *err);
