/*
 * The inside of evidence: what evidence.c (counting and reading) and evidence_save.c (bytes, and
 * parts that become one) share. Nobody else includes this.
 *
 * Owner    struct evidence owns its units, steps and cells
 * Threads  one at a time
 */
#pragma once

#include "abtest/areas.h"
#include "abtest/compound.h"
#include "abtest/curve.h"
#include "abtest/evidence.h"
#include "abtest/tally.h"
#include "abtest/units.h"

/* In unit.steps, above every step: treatment has served it; it served it first in the step it came
   to last. */
#define TREATED (UINT32_C(1) << 31)
#define TREATED_LAST (UINT32_C(1) << 30)
#define STEPS (UNIT_TOUCHED - 1)
#define SAVED (~UNIT_TOUCHED)

/* One metric in one step and arm; what its kind does not need is NULL. */
struct cell {
    struct sums *sums;
    struct sums *limit;          /* quantile with a hard limit: events beyond it */
    struct sums *moved[N_SIDES]; /* MEASURE_TAIL: treatment's events beyond the quantile moved by
                                    the question's margin; NULL: it has none */
    struct sums *before; /* the covariate of a metric that labels or outcomes bring: predictions
                            tell it */
    struct curve *curve;
    struct areas *areas;
    struct tally *tally;
};

struct step_evidence {
    struct arm_counts arms[N_ARMS];
    double thresholds[EXPERIMENT_MAX_METRICS];
    int64_t known_ms[EXPERIMENT_MAX_METRICS]; /* since when the threshold is */
    struct rate_counts rates[EXPERIMENT_MAX_METRICS][N_SIDES];
    struct cell cells[EXPERIMENT_MAX_METRICS][N_ARMS];
};

struct evidence {
    int n_steps, n_metrics;
    bool counts_units; /* a metric is by unit: new ones are told to it */
    int64_t crossovers, treated;
    struct units units;
    struct measure measures[EXPERIMENT_MAX_METRICS];
    struct experiment_metric metrics[EXPERIMENT_MAX_METRICS]; /* borrowed texts */
    struct compound *compounds[EXPERIMENT_MAX_METRICS]; /* of MEASURE_TALLY and MEASURE_AREAS */
    double told[EXPERIMENT_MAX_METRICS][N_ARMS];        /* facts and estimates; NaN: not known */
    struct step_evidence *steps;
};

/* The memory of one cell, whatever its metric needs; false without memory. */
bool evidence_cell_ready(const struct evidence *e, struct cell *cell, int metric,
                         enum arm_served arm);
