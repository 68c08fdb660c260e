/*
 * A cell is one metric in one step and arm; its sums are made when the first event comes, so that
 * a metric without labels costs nothing. All memory an event needs is taken before anything of it
 * is counted.
 */
#include "abtest/evidence.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "abtest/curve.h"
#include "abtest/units.h"

enum {
    FORMAT = 1
};
/* In unit.steps, above every step: treatment has served it; it served it first in the step it came
   to last. */
#define TREATED (UINT32_C(1) << 31)
#define TREATED_LAST (UINT32_C(1) << 30)
#define STEPS (UNIT_TOUCHED - 1)
#define SAVED (~UNIT_TOUCHED)

struct cell {
    struct sums *sums;
    struct sums *limit; /* latency quantile with a hard limit: events beyond it */
    struct curve *curve;
};

struct step_evidence {
    struct arm_counts arms[N_ARMS];
    double thresholds[EXPERIMENT_MAX_METRICS];
    struct rate_counts rates[EXPERIMENT_MAX_METRICS][N_SIDES];
    struct cell cells[EXPERIMENT_MAX_METRICS][N_ARMS];
};

struct evidence {
    int n_steps, n_metrics;
    int64_t crossovers, treated;
    struct units units;
    struct measure measures[EXPERIMENT_MAX_METRICS];
    struct experiment_metric metrics[EXPERIMENT_MAX_METRICS]; /* borrowed texts */
    struct step_evidence *steps;
};

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
        int rc = measure_resolve(&e->measures[m], experiment->metrics[m].metric, err);
        if (rc)
            return rc;
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
                curve_free(cell->curve);
            }
    units_finish(&e->units);
    free(e->steps);
    free(e);
}

static bool has_limit(const struct evidence *e, int metric)
{
    return e->measures[metric].kind == MEASURE_FAILURE && !isnan(e->measures[metric].quantile) &&
           !isnan(e->metrics[metric].hard_limit);
}

/* The memory of one cell, whatever its metric needs. */
static bool cell_ready(const struct evidence *e, struct cell *cell, int metric)
{
    if (e->measures[metric].kind == MEASURE_AUC) {
        if (!cell->curve)
            cell->curve = curve_new();
        return cell->curve != NULL;
    }
    if (!cell->sums)
        cell->sums = sums_new();
    if (has_limit(e, metric) && !cell->limit)
        cell->limit = sums_new();
    return cell->sums && (!has_limit(e, metric) || cell->limit);
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

static void count_cell(struct evidence *e, const struct exposure *x, const struct observation *o,
                       int metric, int sign)
{
    const struct measure *measure = &e->measures[metric];
    struct cell *cell = &e->steps[x->step].cells[metric][x->arm];
    if (measure->kind == MEASURE_AUC) {
        if (o->stage == STAGE_LABEL && !o->failed && o->score >= 0 && o->score <= 1)
            curve_add(cell->curve, x->unit, o->score, o->positive, sign);
        return;
    }
    struct term term = {0, 0, 0};
    if (contributes(measure, o, metric, &term)) {
        term.covariate = isnan(o->covariate) ? 0 : o->covariate;
        sums_add(cell->sums, x->unit, &term, sign);
        if (cell->limit) {
            struct term beyond = {o->latency_ms > e->metrics[metric].hard_limit, 1, 0};
            sums_add(cell->limit, x->unit, &beyond, sign);
        }
    }
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
    for (int m = 0; m < e->n_metrics; m++)
        if (!cell_ready(e, &e->steps[x->step].cells[m][x->arm], m))
            return err_set(err, -ENOMEM, "evidence: no memory for the sums of a metric");
    if (o->stage == STAGE_PREDICTION && sign > 0) {
        int rc = count_unit(e, x, o, err);
        if (rc)
            return rc;
    }
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

/* --- reading --- */

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
    const struct sums *sums = e->steps[step].cells[metric][arm].sums;
    return sums ? sums_estimate(sums, theta) : nothing();
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

double evidence_theta(const struct evidence *e, int step, int metric)
{
    double cross = 0, squares = 0;
    if (!e->metrics[metric].covariate)
        return 0;
    for (int a = 0; a < N_ARMS; a++)
        if (e->steps[step].cells[metric][a].sums)
            sums_covariance(e->steps[step].cells[metric][a].sums, &cross, &squares);
    return squares > 0 ? cross / squares : 0;
}

/* --- merge, save, load --- */

static int merge_units(struct evidence *into, const struct evidence *from, struct err *err)
{
    if (into->units.level != from->units.level)
        return err_set(err, ERR_DATA, "evidence: parts with different samples cannot be merged");
    for (size_t i = 0; i < from->units.n_places; i++) {
        const struct unit *theirs = &from->units.places[i];
        if (theirs->hash == 0)
            continue;
        struct unit *ours = units_take(&into->units, theirs->hash);
        if (!ours && units_sampled(&into->units, theirs->hash))
            return err_set(err, -ENOMEM, "evidence: no memory to merge units");
        if (ours && ours->steps != 0)
            return err_set(err, ERR_DATA,
                           "evidence: both parts saw unit %016" PRIx64
                           "; parts must be split by unit",
                           theirs->hash);
        if (ours) {
            *ours = *theirs;
            ours->steps &= SAVED;
            units_touch(&into->units, ours);
        }
    }
    return 0;
}

static void merge_counts(struct step_evidence *into, const struct step_evidence *from, int metrics)
{
    for (int a = 0; a < N_ARMS; a++) {
        struct arm_counts *ours = &into->arms[a];
        const struct arm_counts *theirs = &from->arms[a];
        ours->units += theirs->units;
        ours->new_units += theirs->new_units;
        ours->events += theirs->events;
        if (theirs->last_ts_ms > ours->last_ts_ms)
            ours->last_ts_ms = theirs->last_ts_ms;
    }
    for (int m = 0; m < metrics; m++)
        for (int side = 0; side < N_SIDES; side++) {
            struct rate_counts *ours = &into->rates[m][side];
            const struct rate_counts *theirs = &from->rates[m][side];
            ours->failures.control += theirs->failures.control;
            ours->failures.treatment += theirs->failures.treatment;
            ours->trials_control += theirs->trials_control;
            ours->trials_treatment += theirs->trials_treatment;
        }
}

int evidence_merge(struct evidence *into, const struct evidence *from, struct err *err)
{
    if (into->n_steps != from->n_steps || into->n_metrics != from->n_metrics)
        return err_set(err, ERR_DATA, "evidence: the parts are of different experiments");
    for (int s = 0; s < into->n_steps; s++)
        for (int m = 0; m < into->n_metrics; m++)
            for (int a = 0; a < N_ARMS; a++) {
                const struct cell *theirs = &from->steps[s].cells[m][a];
                if ((theirs->sums || theirs->curve) &&
                    !cell_ready(into, &into->steps[s].cells[m][a], m))
                    return err_set(err, -ENOMEM, "evidence: no memory to merge");
            }
    int rc = merge_units(into, from, err);
    if (rc)
        return rc;
    into->crossovers += from->crossovers;
    into->treated += from->treated;
    for (int s = 0; s < into->n_steps; s++) {
        merge_counts(&into->steps[s], &from->steps[s], into->n_metrics);
        for (int m = 0; m < into->n_metrics; m++)
            for (int a = 0; a < N_ARMS; a++) {
                struct cell *ours = &into->steps[s].cells[m][a];
                const struct cell *theirs = &from->steps[s].cells[m][a];
                if (theirs->sums)
                    sums_merge(ours->sums, theirs->sums);
                if (theirs->limit)
                    sums_merge(ours->limit, theirs->limit);
                if (theirs->curve)
                    curve_merge(ours->curve, theirs->curve);
            }
    }
    return 0;
}

static void save_units(const struct units *units, struct buf *out)
{
    AUTO_FREE struct unit *sorted = units_sorted(units);
    if (units->n && !sorted) {
        out->failed = true;
        return;
    }
    buf_varint(out, units->limit);
    buf_varint(out, (uint64_t)units->level);
    buf_varint(out, units->n);
    for (size_t i = 0; i < units->n; i++) {
        buf_u64(out, sorted[i].hash);
        buf_varint(out, sorted[i].steps & SAVED);
        buf_varint(out, sorted[i].failed);
    }
}

static void save_unit(const struct unit *unit, struct buf *out)
{
    buf_u64(out, unit->hash);
    buf_varint(out, unit->steps & SAVED);
    buf_varint(out, unit->failed);
}

size_t evidence_save_units(struct evidence *e, bool *whole, struct buf *out)
{
    struct units *units = &e->units;
    size_t n = 0;
    *whole = *whole || units->all_touched;
    if (*whole) {
        for (size_t i = 0; i < units->n_places; i++)
            if (units->places[i].hash != 0) {
                save_unit(&units->places[i], out);
                n++;
            }
    } else {
        for (; n < units->n_touched; n++)
            save_unit(units_find(units, units->touched[n]), out); /* it is there: none goes alone */
    }
    units_settle(units);
    return n;
}

int evidence_load_units(struct evidence *e, const void *bytes, size_t n, struct err *err)
{
    struct reader in = reader_of(bytes, n);
    while (reader_left(&in) > 0) {
        uint64_t hash = reader_u64(&in);
        uint32_t steps = (uint32_t)reader_varint(&in), failed = (uint32_t)reader_varint(&in);
        if (reader_failed(&in) || hash == 0)
            return err_set(err, ERR_CORRUPT, "evidence: a segment of units is damaged");
        struct unit *unit = units_take(&e->units, hash);
        if (!unit && units_sampled(&e->units, hash))
            return err_set(err, -ENOMEM, "evidence: no memory for its units");
        if (!unit)
            continue;
        unit->steps = steps & SAVED;
        unit->failed = failed;
    }
    return 0;
}

size_t evidence_units(const struct evidence *e)
{
    return e->units.n;
}

static int load_units(struct units *units, struct reader *in, struct err *err)
{
    uint64_t limit = reader_varint(in), level = reader_varint(in), n = reader_varint(in);
    if (reader_failed(in) || level > 63 || n > reader_left(in))
        return err_set(err, ERR_CORRUPT, "evidence: the set of units is damaged");
    units_init(units, (size_t)limit);
    units->level = (int)level;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t hash = reader_u64(in);
        uint32_t steps = (uint32_t)reader_varint(in), failed = (uint32_t)reader_varint(in);
        if (reader_failed(in) || hash == 0 || !units_sampled(units, hash))
            return err_set(err, ERR_CORRUPT, "evidence: unit %" PRIu64 " is damaged", i);
        struct unit *unit = units_take(units, hash);
        if (!unit)
            return err_set(err, -ENOMEM, "evidence: no memory for %" PRIu64 " units", n);
        unit->steps = steps & SAVED;
        unit->failed = failed;
    }
    units->all_touched = n > 0; /* of before there were segments: the next save takes all */
    return 0;
}

static void save_step(const struct evidence *e, const struct step_evidence *step, struct buf *out)
{
    for (int a = 0; a < N_ARMS; a++) {
        buf_zigzag(out, step->arms[a].units);
        buf_zigzag(out, step->arms[a].new_units);
        buf_zigzag(out, step->arms[a].events);
        buf_zigzag(out, step->arms[a].last_ts_ms);
    }
    for (int m = 0; m < e->n_metrics; m++) {
        buf_double(out, step->thresholds[m]);
        for (int side = 0; side < N_SIDES; side++) {
            const struct rate_counts *rate = &step->rates[m][side];
            buf_zigzag(out, rate->failures.treatment);
            buf_zigzag(out, rate->failures.control);
            buf_zigzag(out, rate->trials_treatment);
            buf_zigzag(out, rate->trials_control);
        }
        for (int a = 0; a < N_ARMS; a++) {
            const struct cell *cell = &step->cells[m][a];
            buf_u8(out, (uint8_t)((cell->sums != NULL) | (cell->limit != NULL) << 1 |
                                  (cell->curve != NULL) << 2));
            if (cell->sums)
                sums_save(cell->sums, out);
            if (cell->limit)
                sums_save(cell->limit, out);
            if (cell->curve)
                curve_save(cell->curve, out);
        }
    }
}

static int load_cell(const struct evidence *e, struct cell *cell, int metric, struct reader *in,
                     struct err *err)
{
    uint8_t has = reader_u8(in);
    if (has == 0)
        return 0;
    if (!cell_ready(e, cell, metric))
        return err_set(err, -ENOMEM, "evidence: no memory for the sums of a metric");
    uint8_t wanted =
        (uint8_t)((cell->sums != NULL) | (cell->limit != NULL) << 1 | (cell->curve != NULL) << 2);
    if (has != wanted)
        return err_set(err, ERR_CORRUPT, "evidence: metric %d was another one", metric);
    int rc = cell->sums ? sums_load(cell->sums, in, err) : 0;
    if (rc == 0 && cell->limit)
        rc = sums_load(cell->limit, in, err);
    if (rc == 0 && cell->curve)
        rc = curve_load(cell->curve, in, err);
    return rc;
}

static int load_step(const struct evidence *e, struct step_evidence *step, struct reader *in,
                     struct err *err)
{
    for (int a = 0; a < N_ARMS; a++) {
        step->arms[a].units = reader_zigzag(in);
        step->arms[a].new_units = reader_zigzag(in);
        step->arms[a].events = reader_zigzag(in);
        step->arms[a].last_ts_ms = reader_zigzag(in);
    }
    for (int m = 0; m < e->n_metrics; m++) {
        step->thresholds[m] = reader_double(in);
        for (int side = 0; side < N_SIDES; side++) {
            struct rate_counts *rate = &step->rates[m][side];
            rate->failures.treatment = reader_zigzag(in);
            rate->failures.control = reader_zigzag(in);
            rate->trials_treatment = reader_zigzag(in);
            rate->trials_control = reader_zigzag(in);
        }
        for (int a = 0; a < N_ARMS; a++) {
            int rc = load_cell(e, &step->cells[m][a], m, in, err);
            if (rc)
                return rc;
        }
    }
    return 0;
}

static void save_with(const struct evidence *e, const struct units *units, struct buf *out)
{
    buf_u8(out, FORMAT);
    buf_varint(out, (uint64_t)e->n_steps);
    buf_varint(out, (uint64_t)e->n_metrics);
    buf_zigzag(out, e->crossovers);
    buf_zigzag(out, e->treated);
    save_units(units, out);
    for (int s = 0; s < e->n_steps; s++)
        save_step(e, &e->steps[s], out);
}

void evidence_save(const struct evidence *e, struct buf *out)
{
    save_with(e, &e->units, out);
}

void evidence_save_counts(const struct evidence *e, struct buf *out)
{
    struct units none = {.limit = e->units.limit, .level = e->units.level};
    save_with(e, &none, out);
}

static int evidence_read(struct evidence *e, const char *name, struct reader *in, struct err *err)
{
    uint8_t format = reader_u8(in);
    if (format > FORMAT)
        return err_set(err, ERR_NEWER, "evidence of %s: format %d is of a newer version", name,
                       format);
    uint64_t n_steps = reader_varint(in), n_metrics = reader_varint(in);
    if (n_steps != (uint64_t)e->n_steps || n_metrics != (uint64_t)e->n_metrics)
        return err_set(err, ERR_CORRUPT, "evidence of %s: belongs to another experiment", name);
    e->crossovers = reader_zigzag(in);
    e->treated = reader_zigzag(in);
    int rc = load_units(&e->units, in, err);
    for (int s = 0; rc == 0 && s < e->n_steps; s++)
        rc = load_step(e, &e->steps[s], in, err);
    if (rc)
        return rc;
    if (reader_failed(in) || reader_left(in) != 0)
        return err_set(err, ERR_CORRUPT, "evidence of %s: %s", name,
                       reader_failed(in) ? "ends too early" : "has bytes behind its end");
    return 0;
}

int evidence_load(struct evidence **out, const struct experiment *experiment, const void *bytes,
                  size_t n, struct err *err)
{
    int rc = evidence_new(out, experiment, 0, err);
    if (rc || !*out)
        return rc;
    struct reader in = reader_of(bytes, n);
    rc = evidence_read(*out, experiment->name, &in, err);
    if (rc) {
        evidence_free(*out);
        *out = NULL;
    }
    return rc;
}
