/*
 * The writer's work between two commits that nobody waits for: panes that age, values for SQL
 * readers, old dead letters. In small steps, so that the log does not wait.
 */
#pragma once

#include <stdint.h>

#include "common/err.h"

struct collector;

/* After a commit that wrote n_panes; everything is written. */
int tidy_after_commit(struct collector *collector, int64_t n_panes, struct err *err);
/* A step more of what has to age, while collector->aging; everything must be written. */
int tidy_aging(struct collector *collector, struct err *err);
/* Rejected events on to their topic. */
int tidy_dead_topic(struct collector *collector, struct err *err);
/* In a round in which nothing came. */
int tidy_idle(struct collector *collector, struct err *err);
