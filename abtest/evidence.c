/*
 * A cell is one metric in one step and arm; its sums are made when the first event comes, so that
 * a metric without labels costs nothing. All memory an event needs is taken before anything of it
 * is counted.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "abtest/evidence_inside.h"

static int evidence_fill(struct evidence *e, const struct experiment *experiment, int64_t max_units,
                         struct err *err)
{
    e->steps = calloc((size_t)experiment->n_steps, sizeof(*e->steps));
    if (!e->steps)
        return err_set(err, -ENOMEM, "evidence of %s: no memory", experiment->name);
    e->n_steps = experiment->n_steps;
    e->n_metrics = experiment->n_metrics;
    units_init(&e->units, max_units > 0 ? (size_t)max_units : EVIDENCE_MAX_UNITS);
    for (int m = 0; m < e->n_metrics; m++) {
        e->metrics[m] = experiment->metrics[m];
        int rc = measure_of(&e->measures[m], &e->metrics[m], err);
        if (!rc && e->measures[m].kind == MEASURE_TALLY)
            rc = compound_new(&e->compounds[m], &e->measures[m], e->metrics[m].expr, err);
        if (rc)
            return rc;
        e->told[m][ARM_CONTROL] = e->told[m][ARM_TREATMENT] = (double)NAN;
        for (int s = 0; s < e->n_steps; s++)
            e->steps[s].thresholds[m] = (double)NAN;
    }
    return 0;
}

int evidence_new(struct evidence **out, const struct experiment *experiment, int64_t max_units,
                 struct err *err)
{
    *out = calloc(1, sizeof(**out));
    if (!*out)
        return err_set(err, -ENOMEM, "evidence of %s: no memory", experiment->name);
    int rc = evidence_fill(*out, experiment, max_units, err);
    if (rc) {
        evidence_free(*out);
        *out = NULL;
    }
    return rc;
}

void evidence_free(struct evidence *e)
{
    if (!e)
        return;
    for (int s = 0; e->steps && s < e->n_steps; s++)
        for (int m = 0; m < e->n_metrics; m++)
            for (int a = 0; a < N_ARMS; a++) {
                struct cell *cell = &e->steps[s].cells[m][a];
                sums_free(cell->sums);
                sums_free(cell->limit);
                sums_free(cell->before);
                curve_free(cell->curve);
                tally_free(cell->tally);
            }
    for (int m = 0; m < e->n_metrics; m++)
        compound_free(e->compounds[m]);
    units_finish(&e->units);
    free(e->steps);
    free(e);
}

static bool has_limit(const struct evidence *e, int metric)
{
    return e->measures[metric].kind == MEASURE_FAILURE && !isnan(e->measures[metric].quantile) &&
           !isnan(e->metrics[metric].hard_limit);
}

/* Is the covariate told by another event than the one that is measured? */
static bool has_before(const struct evidence *e, int metric)
{
    return e->metrics[metric].covariate && e->measures[metric].kind == MEASURE_RATIO &&
           (e->measures[metric].stage == STAGE_LABEL || e->measures[metric].stage == STAGE_OUTCOME);
}

static bool sums_ready(struct sums **sums, bool needed)
{
    if (needed && !*sums)
        *sums = sums_new();
    return *sums || !needed;
}

bool evidence_cell_ready(const struct evidence *e, struct cell *cell, int metric)
{
    switch (e->measures[metric].kind) {
    case MEASURE_AUC:
        if (!cell->curve)
            cell->curve = curve_new();
        return cell->curve != NULL;
    case MEASURE_TALLY:
        if (!cell->tally)
            cell->tally = tally_new();
        return cell->tally != NULL;
    case MEASURE_FACT:
    case MEASURE_ESTIMATE:
        return true;
    case MEASURE_FAILURE:
    case MEASURE_RATIO:
    case MEASURE_FLOW:
        break;
    }
    return sums_ready(&cell->sums, true) && sums_ready(&cell->limit, has_limit(e, metric)) &&
           sums_ready(&cell->before, has_before(e, metric));
}

/* q for control; q moved by the margin in question for the treatment (contract: latency margins).
 */
static double threshold_of(const struct evidence *e, int step, int metric, enum failure_side side,
                           enum arm_served arm)
{
    const struct experiment_metric *m = &e->metrics[metric];
    double q = e->steps[step].thresholds[metric];
    if (arm == ARM_CONTROL)
        return q;
    double absolute = side == SIDE_HARM ? m->harm_margin : m->margin;
    double relative = side == SIDE_HARM ? m->harm_margin_relative : m->margin_relative;
    return q * (1 + (isnan(relative) ? 0 : relative)) + (isnan(absolute) ? 0 : absolute);
}

static void count_rate(struct evidence *e, const struct exposure *x, const struct observation *o,
                       struct unit *unit, bool new_in_step)
{
    struct step_evidence *step = &e->steps[x->step];
    for (int m = 0; m < e->n_metrics; m++) {
        if (e->measures[m].kind != MEASURE_FAILURE)
            continue;
        for (int side = 0; side < N_SIDES; side++) {
            uint32_t bit = UINT32_C(1) << (m * N_SIDES + side);
            struct rate_counts *rate = &step->rates[m][side];
            if (unit->failed & bit)
                continue;
            if (new_in_step) {
                rate->trials_control += x->arm == ARM_CONTROL;
                rate->trials_treatment += x->arm == ARM_TREATMENT;
            }
            bool failed = false;
            double q = threshold_of(e, x->step, m, (enum failure_side)side, x->arm);
            if (!measure_failure(&e->measures[m], o, q, &failed) || !failed)
                continue;
            unit->failed |= bit;
            units_touch(&e->units, unit);
            rate->failures.control += x->arm == ARM_CONTROL;
            rate->failures.treatment += x->arm == ARM_TREATMENT;
        }
    }
}

static int count_unit(struct evidence *e, const struct exposure *x, const struct observation *o,
                      struct err *err)
{
    struct arm_counts *arm = &e->steps[x->step].arms[x->arm];
    struct unit *unit = units_take(&e->units, x->unit);
    if (!unit && units_sampled(&e->units, x->unit))
        return err_set(err, -ENOMEM, "evidence: no memory for one more unit");
    arm->events++;
    if (x->ts_ms > arm->last_ts_ms)
        arm->last_ts_ms = x->ts_ms;
    if (arm->first_ts_ms == 0 || x->ts_ms < arm->first_ts_ms)
        arm->first_ts_ms = x->ts_ms;
    if (!unit)
        return 0; /* outside the sample */
    uint32_t bit = UINT32_C(1) << x->step;
    bool new_in_step = !(unit->steps & bit);
    if (new_in_step) {
        arm->units++;
        arm->new_units += unit->steps == 0;
        e->treated += x->arm == ARM_TREATMENT && !(unit->steps & TREATED);
        unit->steps = (unit->steps & ~TREATED_LAST) | bit |
                      (x->arm == ARM_TREATMENT ? TREATED | TREATED_LAST : 0);
        units_touch(&e->units, unit);
    }
    count_rate(e, x, o, unit, new_in_step);
    return 0;
}

static bool contributes(const struct measure *measure, const struct observation *o, int metric,
                        struct term *term)
{
    if (!o->contributions)
        return measure_ratio(measure, o, &term->numerator, &term->denominator);
    term->numerator = o->contributions[metric].numerator;
    term->denominator = o->contributions[metric].denominator;
    return term->denominator != 0;
}

void evidence_contributions(const struct evidence *e, const struct observation *o,
                            struct contribution *out)
{
    for (int m = 0; m < e->n_metrics; m++)
        if (!measure_ratio(&e->measures[m], o, &out[m].numerator, &out[m].denominator))
            out[m] = (struct contribution){0, 0};
}

size_t evidence_terms(const struct evidence *e, const struct observation *o, int metric,
                      struct tally_term *out)
{
    size_t before = 0;
    if (e->measures[metric].kind != MEASURE_TALLY)
        return 0;
    if (!o->n_terms)
        return compound_terms(e->compounds[metric], o, out);
    for (int m = 0; m < metric; m++)
        before += o->n_terms[m];
    for (size_t i = 0; i < o->n_terms[metric]; i++)
        out[i] = o->terms[before + i];
    return o->n_terms[metric];
}

static void count_sums(struct evidence *e, struct cell *cell, const struct exposure *x,
                       const struct observation *o, int metric, int sign)
{
    struct term term = {0, 0, 0};
    if (!contributes(&e->measures[metric], o, metric, &term))
        return;
    term.covariate = cell->before || isnan(o->covariate) ? 0 : o->covariate;
    sums_add(cell->sums, x->unit, &term, sign);
    if (cell->limit) {
        struct term beyond = {o->latency_ms > e->metrics[metric].hard_limit, 1, 0};
        sums_add(cell->limit, x->unit, &beyond, sign);
    }
}

static void count_cell(struct evidence *e, const struct exposure *x, const struct observation *o,
                       int metric, int sign)
{
    struct cell *cell = &e->steps[x->step].cells[metric][x->arm];
    struct tally_term terms[COMPOUND_MAX_TERMS];
    bool seen = o->stage == STAGE_PREDICTION;
    switch (e->measures[metric].kind) {
    case MEASURE_AUC:
        if (o->stage == STAGE_LABEL && !o->failed && o->score >= 0 && o->score <= 1)
            curve_add(cell->curve, x->unit, o->score, o->positive, sign);
        return;
    case MEASURE_TALLY: {
        size_t n = evidence_terms(e, o, metric, terms);
        if (n > 0)
            tally_add(cell->tally, x->unit, terms, n, sign);
        return;
    }
    case MEASURE_FLOW:
        if (seen)
            sums_add(cell->sums, x->unit, &(struct term){1, 0, 0}, sign);
        return;
    case MEASURE_FACT:
    case MEASURE_ESTIMATE:
        return;
    case MEASURE_FAILURE:
    case MEASURE_RATIO:
        break;
    }
    if (cell->before && seen && !isnan(o->covariate))
        sums_add(cell->before, x->unit, &(struct term){o->covariate, 1, 0}, sign);
    count_sums(e, cell, x, o, metric, sign);
}

/* All memory that the event needs, before anything of it is counted. */
static int make_room(struct evidence *e, const struct exposure *x, const struct observation *o,
                     struct err *err)
{
    struct tally_term terms[COMPOUND_MAX_TERMS];
    int rc = 0;
    for (int m = 0; !rc && m < e->n_metrics; m++) {
        struct cell *cell = &e->steps[x->step].cells[m][x->arm];
        if (!evidence_cell_ready(e, cell, m))
            rc = err_set(err, -ENOMEM, "evidence: no memory for the sums of a metric");
        else if (cell->tally)
            rc = tally_room(cell->tally, terms, evidence_terms(e, o, m, terms), err);
    }
    return rc;
}

int evidence_observe(struct evidence *e, const struct exposure *x, const struct observation *o,
                     int sign, struct err *err)
{
    if (x->step < 0 || x->step >= e->n_steps)
        return err_set(err, -EINVAL, "evidence: step %d is not in 0..%d", x->step, e->n_steps - 1);
    if (x->crossover) {
        e->crossovers += o->stage == STAGE_PREDICTION && sign > 0;
        return 0;
    }
    if (x->arm >= N_ARMS)
        return 0;
    int rc = make_room(e, x, o, err);
    if (!rc && o->stage == STAGE_PREDICTION && sign > 0)
        rc = count_unit(e, x, o, err);
    if (rc)
        return rc;
    for (int m = 0; m < e->n_metrics; m++)
        count_cell(e, x, o, m, sign);
    return 0;
}

void evidence_set_threshold(struct evidence *e, int step, int metric, double threshold)
{
    e->steps[step].thresholds[metric] = threshold;
}

double evidence_threshold(const struct evidence *e, int step, int metric)
{
    return e->steps[step].thresholds[metric];
}

void evidence_tell(struct evidence *e, int metric, enum arm_served arm, double value)
{
    e->told[metric][arm] = value;
}

/* --- reading --- */

double evidence_told(const struct evidence *e, int metric, enum arm_served arm)
{
    return e->told[metric][arm];
}

struct arm_counts evidence_arm(const struct evidence *e, int step, enum arm_served arm)
{
    return e->steps[step].arms[arm];
}

enum arm_served evidence_arm_of(const struct evidence *e, int step, uint64_t hash)
{
    const struct unit *unit = units_find(&e->units, hash);
    if (!unit || !(unit->steps & STEPS & UINT32_C(1) << step))
        return N_ARMS;
    return unit->steps & TREATED_LAST ? ARM_TREATMENT : ARM_CONTROL;
}

int64_t evidence_crossovers(const struct evidence *e)
{
    return e->crossovers;
}

int64_t evidence_treated(const struct evidence *e)
{
    return e->treated;
}

double evidence_sampling(const struct evidence *e)
{
    return ldexp(1, -e->units.level);
}

struct rate_counts evidence_rate(const struct evidence *e, int step, int metric,
                                 enum failure_side side)
{
    return e->steps[step].rates[metric][side];
}

static struct ratio_estimate nothing(void)
{
    return (struct ratio_estimate){(double)NAN, (double)NAN, 0, 0, 0};
}

struct ratio_estimate evidence_adjusted(const struct evidence *e, int step, int metric,
                                        enum arm_served arm, double theta)
{
    const struct cell *cell = &e->steps[step].cells[metric][arm];
    if (!cell->sums)
        return nothing();
    return cell->before ? sums_adjusted(cell->sums, cell->before, theta)
                        : sums_estimate(cell->sums, theta);
}

struct ratio_estimate evidence_ratio(const struct evidence *e, int step, int metric,
                                     enum arm_served arm)
{
    return evidence_adjusted(e, step, metric, arm, 0);
}

struct ratio_estimate evidence_beyond_limit(const struct evidence *e, int step, int metric,
                                            enum arm_served arm)
{
    const struct sums *limit = e->steps[step].cells[metric][arm].limit;
    return limit ? sums_estimate(limit, 0) : nothing();
}

struct ratio_estimate evidence_auc(const struct evidence *e, int step, int metric,
                                   enum arm_served arm)
{
    const struct curve *curve = e->steps[step].cells[metric][arm].curve;
    return curve ? curve_area(curve) : nothing();
}

struct ratio_estimate evidence_tally(const struct evidence *e, int step, int metric,
                                     enum arm_served arm)
{
    const struct tally *tally = e->steps[step].cells[metric][arm].tally;
    struct tally_function function = compound_function(e->compounds[metric]);
    return tally ? tally_estimate(tally, &function) : nothing();
}

/* Seconds between the first and the last event of a step, in whichever arm. */
static double step_seconds(const struct step_evidence *step)
{
    int64_t first = INT64_MAX, last = 0;
    for (int a = 0; a < N_ARMS; a++) {
        const struct arm_counts *arm = &step->arms[a];
        first = arm->first_ts_ms > 0 && arm->first_ts_ms < first ? arm->first_ts_ms : first;
        last = arm->last_ts_ms > last ? arm->last_ts_ms : last;
    }
    return last > first ? (double)(last - first) / 1000 : 0;
}

/* An arm that loses events must not look less certain for it: n and buckets are what is expected of
   its share of both arms. */
struct ratio_estimate evidence_flow(const struct evidence *e, int step, int metric,
                                    enum arm_served arm, const double shares[N_ARMS])
{
    double weight = shares[arm] * step_seconds(&e->steps[step]);
    double expected = shares[arm] / (shares[ARM_CONTROL] + shares[ARM_TREATMENT]);
    double events = 0, buckets = 0;
    struct ratio_estimate out = nothing();
    for (int a = 0; a < N_ARMS; a++) {
        const struct sums *sums = e->steps[step].cells[metric][a].sums;
        struct ratio_estimate total =
            sums ? sums_total(sums) : (struct ratio_estimate){.variance = 0};
        events += total.n;
        buckets += total.buckets;
        if (a == (int)arm && weight > 0) {
            out.value = total.value / weight;
            out.variance = total.variance / (weight * weight);
        }
    }
    out.n = out.nonzero = weight > 0 ? events * expected : 0;
    out.buckets = (int)(buckets * expected);
    return out;
}

double evidence_theta(const struct evidence *e, int step, int metric)
{
    double cross = 0, squares = 0;
    if (!e->metrics[metric].covariate)
        return 0;
    for (int a = 0; a < N_ARMS; a++) {
        const struct cell *cell = &e->steps[step].cells[metric][a];
        if (cell->before)
            sums_covariance_apart(cell->sums, cell->before, &cross, &squares);
        else if (cell->sums)
            sums_covariance(cell->sums, &cross, &squares);
    }
    return squares > 0 ? cross / squares : 0;
}
