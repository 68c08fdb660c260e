/*
 * What is known of both arms, step by step: everything a decision may read, and nothing else.
 *
 * Shape    for each step and arm: distinct units, units first seen there (for SRM), events; for
 *          each metric the units whose first-ever failure fell there, sums over 1,024 variance
 *          buckets, or score histograms. Beside them the set of seen units (8-byte hashes)
 * Feeding  run.c feeds the events of one look in (ts, partition, offset) order;
 *          abtest/exposure.h makes the exposure of each: step = the transition interval that
 *          contains the prediction's ts; a crossover is counted and left out of the comparison;
 *          unit = bucket_unit_hash, never the assignment's own hash.
 *          evidence_observe takes a prediction (then it also counts the unit), a label with its
 *          prediction, an outcome; sign -1 takes the contribution of a replaced label or outcome
 *          out again, exactly. Labels: only exposures older than the experiment's `maturity`, the
 *          same in both arms. System values: unit = hash of their minute
 *          evidence_set_threshold gives a quantile its q before the events that it judges:
 *          hard_limit, else control's quantile of the window before the step
 * Rules    sums are exact integers: order and split do not matter, equal contents save to equal
 *          bytes. The unit set is capped: beyond `max_units` units are sampled by their hash, and
 *          those outside the sample count neither as units nor as failures from then on
 * Owner    evidence_new and evidence_load give, evidence_free takes
 * Errors   -ENOMEM: nothing of the event was added · ERR_CORRUPT: bytes that are no evidence of
 *          this experiment
 * Threads  one at a time
 * Source   first failure of each unit: docs/abtest.md; variance between buckets: design.md
 */
#pragma once

#include "abtest/experiment.h"
#include "abtest/measure.h"
#include "abtest/sums.h"
#include "common/buf.h"
#include "stats/e_process.h"

enum {
    EVIDENCE_MAX_UNITS = 4000000,
};

struct evidence;

int evidence_new(struct evidence **out, const struct experiment *experiment, int64_t max_units,
                 struct err *err);
void evidence_free(struct evidence *evidence);
DEFINE_FREEP(evidence)

struct exposure {
    int step;
    enum arm_served arm;
    bool crossover;
    uint64_t unit;
    int64_t ts_ms;
};

int evidence_observe(struct evidence *e, const struct exposure *x, const struct observation *o,
                     int sign, struct err *err);
/* What a label's content brings to each metric, for when the content itself is gone. */
void evidence_contributions(const struct evidence *evidence, const struct observation *o,
                            struct contribution *out);
/* … and to its tally; COMPOUND_MAX_TERMS at most. */
size_t evidence_terms(const struct evidence *evidence, const struct observation *o, int metric,
                      struct tally_term *out);
/* What is known of a version as a whole: a fact's or an estimate's value; NaN: not known. */
void evidence_tell(struct evidence *evidence, int metric, enum arm_served arm, double value);
double evidence_told(const struct evidence *evidence, int metric, enum arm_served arm);
/* `known_ms`: of MEASURE_TAIL only predictions after it count, whenever their labels come. */
void evidence_set_threshold(struct evidence *evidence, int step, int metric, double threshold,
                            int64_t known_ms);
double evidence_threshold(const struct evidence *evidence, int step, int metric);

/* Adds what another part saw of the same experiment. ERR_DATA when both saw one unit: a first
   failure cannot be told apart then; parts must be split by unit. */
int evidence_merge(struct evidence *into, const struct evidence *from, struct err *err);

void evidence_save(const struct evidence *evidence, struct buf *out);
/* The units that were touched since the last call, or all: a segment to be appended to those
   before. Whole when asked for, or when the sample has shrunk; returns how many. */
size_t evidence_save_units(struct evidence *evidence, bool *whole, struct buf *out);
/* A segment over those before it, in the order of saving. */
int evidence_load_units(struct evidence *evidence, const void *bytes, size_t n, struct err *err);
size_t evidence_units(const struct evidence *evidence); /* that are kept */
/* The same without the set of units, which no decision reads: what an audit row keeps. */
void evidence_save_counts(const struct evidence *evidence, struct buf *out);
int evidence_load(struct evidence **out, const struct experiment *experiment, const void *bytes,
                  size_t n, struct err *err);

/* --- what decide reads --- */

struct arm_counts {
    int64_t units;     /* distinct in this step */
    int64_t new_units; /* first seen in the experiment in this step */
    int64_t events;
    int64_t last_ts_ms;  /* newest event of the arm in this step; 0: none */
    int64_t first_ts_ms; /* oldest; 0: none */
};
struct arm_counts evidence_arm(const struct evidence *evidence, int step, enum arm_served arm);
/* The arm in which a unit came to the step first; N_ARMS: it has not come. */
enum arm_served evidence_arm_of(const struct evidence *e, int step, uint64_t hash);
int64_t evidence_crossovers(const struct evidence *evidence);
/* Distinct units that the treatment has served, over all steps. */
int64_t evidence_treated(const struct evidence *evidence);
/* 1 = every unit is kept; 0.25 = one in four. */
double evidence_sampling(const struct evidence *evidence);

/* Which question a failure answers: a value counts against q(1 + margin) for its treatment. */
enum failure_side {
    SIDE_HARM,
    SIDE_SAFE,
    N_SIDES,
    SIDE_NONE = N_SIDES /* no margin is in question */
};
struct rate_counts {
    struct failures failures;                 /* units whose first failure fell into the step */
    int64_t trials_control, trials_treatment; /* units of the step that had not failed before */
};
struct rate_counts evidence_rate(const struct evidence *evidence, int step, int metric,
                                 enum failure_side side);

struct ratio_estimate evidence_ratio(const struct evidence *evidence, int step, int metric,
                                     enum arm_served arm);
/* CUPED: theta pooled over both arms of the step, 0 without a covariate. */
struct ratio_estimate evidence_adjusted(const struct evidence *evidence, int step, int metric,
                                        enum arm_served arm, double theta);
double evidence_theta(const struct evidence *evidence, int step, int metric);
/* Exceedances of the hard limit of a latency quantile: share of events above it. */
struct ratio_estimate evidence_beyond_limit(const struct evidence *evidence, int step, int metric,
                                            enum arm_served arm);
/* MEASURE_TAIL: share of events beyond the quantile; that of the treatment is moved by the margin. */
struct ratio_estimate evidence_tail(const struct evidence *evidence, int step, int metric,
                                    enum arm_served arm, enum failure_side side);
/* False: the metric counts per unit, and not every unit is kept any more. */
bool evidence_complete(const struct evidence *evidence, int metric);
/* value = area under the curve; nonzero = positives, n = positives + negatives. MEASURE_AREAS:
   their mean over the classes; nonzero = labels of the rarest. */
struct ratio_estimate evidence_auc(const struct evidence *evidence, int step, int metric,
                                   enum arm_served arm);
/* MEASURE_TALLY. ece: of each question the arm that would answer it too soon is bounded. */
struct ratio_estimate evidence_tally(const struct evidence *evidence, int step, int metric,
                                     enum arm_served arm, enum failure_side side);
/* MEASURE_FLOW: events (a second) as if the arm, with its share of the traffic, had all of it. */
struct ratio_estimate evidence_flow(const struct evidence *evidence, int step, int metric,
                                    enum arm_served arm, const double shares[N_ARMS]);
