/*
 * A cell is one metric in one step and arm; its sums are made when the first event comes, so that
 * a metric without labels costs nothing. All memory an event needs is taken before anything of it
 * is counted.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "abtest/evidence_inside.h"

static bool has_terms(const struct evidence *e, int metric)
{
    return e->measures[metric].kind == MEASURE_TALLY || e->measures[metric].kind == MEASURE_AREAS;
}

static bool is_by_unit(const struct evidence *e, int metric)
{
    const struct compound *compound = e->compounds[metric];
    return e->measures[metric].per_unit || (compound && compound_counts_units(compound));
}

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
        if (!rc && has_terms(e, m))
            rc = compound_new(&e->compounds[m], &e->measures[m], e->metrics[m].expr, err);
        if (rc)
            return rc;
        e->counts_units |= is_by_unit(e, m);
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
                for (int side = 0; side < N_SIDES; side++)
                    sums_free(cell->moved[side]);
                curve_free(cell->curve);
                areas_free(cell->areas);
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
    return !isnan(e->measures[metric].quantile) && !isnan(e->metrics[metric].hard_limit);
}

/* Does the treatment's quantile move for this question? */
static bool is_moved(const struct evidence *e, int metric, enum failure_side side)
{
    const struct experiment_metric *m = &e->metrics[metric];
    if (e->measures[metric].kind != MEASURE_TAIL)
        return false;
    return side == SIDE_HARM ? m->harm_margin > 0 || m->harm_margin_relative > 0
                             : m->margin > 0 || m->margin_relative > 0;
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

static bool tail_ready(const struct evidence *e, struct cell *cell, int metric, enum arm_served arm)
{
    bool ready = sums_ready(&cell->sums, true) && sums_ready(&cell->limit, has_limit(e, metric));
    for (int side = 0; side < N_SIDES; side++)
        ready = ready &&
                sums_ready(&cell->moved[side],
                           arm == ARM_TREATMENT && is_moved(e, metric, (enum failure_side)side));
    return ready;
}

bool evidence_cell_ready(const struct evidence *e, struct cell *cell, int metric,
                         enum arm_served arm)
{
    switch (e->measures[metric].kind) {
    case MEASURE_AUC:
        if (!cell->curve)
            cell->curve = curve_new();
        return cell->curve != NULL;
    case MEASURE_AREAS:
        if (!cell->areas)
            cell->areas = areas_new();
        return cell->areas != NULL;
    case MEASURE_TALLY:
        if (!cell->tally)
            cell->tally = tally_new();
        return cell->tally != NULL;
    case MEASURE_TAIL:
        return tail_ready(e, cell, metric, arm);
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

/* q for control; for the treatment q moved towards its bad side by the margin in question. */
static double threshold_of(const struct evidence *e, int step, int metric, enum failure_side side,
                           enum arm_served arm)
{
    const struct experiment_metric *m = &e->metrics[metric];
    double q = e->steps[step].thresholds[metric], worse = m->lower_is_better ? 1 : -1;
    if (arm == ARM_CONTROL || side == SIDE_NONE)
        return q;
    double absolute = side == SIDE_HARM ? m->harm_margin : m->margin;
    double relative = side == SIDE_HARM ? m->harm_margin_relative : m->margin_relative;
    return q +
           worse * (fabs(q) * (isnan(relative) ? 0 : relative) + (isnan(absolute) ? 0 : absolute));
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
    if (!has_terms(e, metric))
        return 0;
    if (!o->n_terms)
        return compound_terms(e->compounds[metric], o, out);
    for (int m = 0; m < metric; m++)
        before += o->n_terms[m];
    for (size_t i = 0; i < o->n_terms[metric]; i++)
        out[i] = o->terms[before + i];
    return o->n_terms[metric];
}

/* The terms as they are counted: half of the units may have keys of their own. */
static size_t terms_of(const struct evidence *e, const struct exposure *x,
                       const struct observation *o, int metric, struct tally_term *out)
{
    size_t n = evidence_terms(e, o, metric, out);
    for (size_t i = 0; i < n && compound_halved(e->compounds[metric]); i++)
        out[i].key = 2 * out[i].key + (x->unit >> 32 & 1); /* of whole buckets */
    return n;
}

/* Is the value on the bad side of the threshold? */
static bool beyond(const struct evidence *e, int metric, double value, double threshold)
{
    return e->metrics[metric].lower_is_better ? value > threshold : value < threshold;
}

static void count_beyond(struct sums *sums, const struct exposure *x, bool is, int sign)
{
    sums_add(sums, x->unit, &(struct term){is, 1, 0}, sign);
}

/* By the time of the prediction, never by that of its label: a label that is corrected after the
   threshold was found takes out only what it had brought. */
static void count_tail(struct evidence *e, struct cell *cell, const struct exposure *x,
                       const struct observation *o, int metric, int sign)
{
    const struct step_evidence *step = &e->steps[x->step];
    double value = measure_value(&e->measures[metric], o);
    if (isnan(value))
        return;
    if (cell->limit)
        count_beyond(cell->limit, x, beyond(e, metric, value, e->metrics[metric].hard_limit), sign);
    if (isnan(step->thresholds[metric]) || x->ts_ms <= step->known_ms[metric])
        return;
    for (int side = 0; side <= SIDE_NONE; side++) {
        struct sums *sums = side == SIDE_NONE ? cell->sums : cell->moved[side];
        double q = threshold_of(e, x->step, metric, (enum failure_side)side, x->arm);
        if (sums)
            count_beyond(sums, x, beyond(e, metric, value, q), sign);
    }
}

static void count_sums(struct evidence *e, struct cell *cell, const struct exposure *x,
                       const struct observation *o, int metric, int sign)
{
    struct term term = {0, 0, 0};
    if (!contributes(&e->measures[metric], o, metric, &term))
        return;
    term.covariate = cell->before || isnan(o->covariate) ? 0 : o->covariate;
    sums_add(cell->sums, x->unit, &term, sign);
    if (cell->limit)
        count_beyond(cell->limit, x, o->latency_ms > e->metrics[metric].hard_limit, sign);
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
    case MEASURE_AREAS:
        areas_add(cell->areas, x->unit, terms, terms_of(e, x, o, metric, terms), sign);
        return;
    case MEASURE_TALLY: {
        size_t n = terms_of(e, x, o, metric, terms);
        if (n > 0)
            tally_add(cell->tally, x->unit, terms, n, sign);
        return;
    }
    case MEASURE_TAIL:
        count_tail(e, cell, x, o, metric, sign);
        return;
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
        if (!evidence_cell_ready(e, cell, m, x->arm))
            rc = err_set(err, -ENOMEM, "evidence: no memory for the sums of a metric");
        else if (cell->tally)
            rc = tally_room(cell->tally, terms, terms_of(e, x, o, m, terms), err);
        else if (cell->areas)
            rc = areas_room(cell->areas, terms, terms_of(e, x, o, m, terms), err);
    }
    return rc;
}

static bool is_new(const struct evidence *e, const struct exposure *x)
{
    const struct unit *unit = units_find(&e->units, x->unit);
    return !(unit && unit->steps & UINT32_C(1) << x->step);
}

int evidence_observe(struct evidence *e, const struct exposure *x, const struct observation *o,
                     int sign, struct err *err)
{
    struct observation seen;
    if (x->step < 0 || x->step >= e->n_steps)
        return err_set(err, -EINVAL, "evidence: step %d is not in 0..%d", x->step, e->n_steps - 1);
    if (x->crossover) {
        e->crossovers += o->stage == STAGE_PREDICTION && sign > 0;
        return 0;
    }
    if (x->arm >= N_ARMS)
        return 0;
    if (e->counts_units && o->stage == STAGE_PREDICTION && sign > 0) {
        seen = *o;
        seen.new_unit = is_new(e, x);
        o = &seen;
    }
    int rc = make_room(e, x, o, err);
    if (!rc && o->stage == STAGE_PREDICTION && sign > 0)
        rc = count_unit(e, x, o, err);
    if (rc)
        return rc;
    for (int m = 0; m < e->n_metrics; m++)
        count_cell(e, x, o, m, sign);
    return 0;
}

void evidence_set_threshold(struct evidence *e, int step, int metric, double threshold,
                            int64_t known_ms)
{
    e->steps[step].thresholds[metric] = threshold;
    e->steps[step].known_ms[metric] = known_ms;
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

struct ratio_estimate evidence_tail(const struct evidence *e, int step, int metric,
                                    enum arm_served arm, enum failure_side side)
{
    const struct cell *cell = &e->steps[step].cells[metric][arm];
    bool moved = side != SIDE_NONE && cell->moved[side];
    const struct sums *sums = moved ? cell->moved[side] : cell->sums;
    return sums ? sums_estimate(sums, 0) : nothing();
}

bool evidence_complete(const struct evidence *e, int metric)
{
    return e->units.level == 0 || !is_by_unit(e, metric);
}

struct ratio_estimate evidence_auc(const struct evidence *e, int step, int metric,
                                   enum arm_served arm)
{
    const struct cell *cell = &e->steps[step].cells[metric][arm];
    if (cell->areas)
        return areas_mean(cell->areas, e->measures[metric].compound == COMPOUND_AREA_WEIGHTED);
    if (!cell->curve)
        return nothing();
    return e->measures[metric].average_precision ? curve_precision(cell->curve)
                                                 : curve_area(cell->curve);
}

struct ratio_estimate evidence_tally(const struct evidence *e, int step, int metric,
                                     enum arm_served arm, enum failure_side side)
{
    const struct tally *tally = e->steps[step].cells[metric][arm].tally;
    bool below =
        (side == SIDE_HARM && arm == ARM_TREATMENT) || (side == SIDE_SAFE && arm == ARM_CONTROL);
    struct tally_function function =
        compound_function(e->compounds[metric], below ? BOUND_LOWER : BOUND_UPPER);
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
    double seconds = e->measures[metric].per_second ? step_seconds(&e->steps[step]) : 1;
    double weight = shares[arm] * seconds;
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
