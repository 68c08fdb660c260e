/*
 * Evidence as bytes, and parts of it that become one. Format 2 has the first event of each arm, the
 * facts and estimates that were told, tallies and covariates apart; format 3 the time from which a
 * threshold is known. Both older ones are read as well.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "abtest/evidence_inside.h"

enum {
    FORMAT = 3
};
/* Which parts of a cell follow. */
enum {
    HAS_SUMS = 1,
    HAS_LIMIT = 2,
    HAS_CURVE = 4,
    HAS_BEFORE = 8,
    HAS_TALLY = 16,
    HAS_MOVED_HARM = 32,
    HAS_MOVED_SAFE = 64,
    HAS_AREAS = 128
};

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
        if (ours->first_ts_ms == 0 ||
            (theirs->first_ts_ms != 0 && theirs->first_ts_ms < ours->first_ts_ms))
            ours->first_ts_ms = theirs->first_ts_ms;
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

static int merge_cell(struct cell *ours, const struct cell *theirs, struct err *err)
{
    if (theirs->sums)
        sums_merge(ours->sums, theirs->sums);
    if (theirs->limit)
        sums_merge(ours->limit, theirs->limit);
    if (theirs->before)
        sums_merge(ours->before, theirs->before);
    for (int side = 0; side < N_SIDES; side++)
        if (theirs->moved[side])
            sums_merge(ours->moved[side], theirs->moved[side]);
    if (theirs->curve)
        curve_merge(ours->curve, theirs->curve);
    if (theirs->areas)
        return areas_merge(ours->areas, theirs->areas, err);
    return theirs->tally ? tally_merge(ours->tally, theirs->tally, err) : 0;
}

static bool cell_empty(const struct cell *cell)
{
    return !cell->sums && !cell->curve && !cell->areas && !cell->tally;
}

int evidence_merge(struct evidence *into, const struct evidence *from, struct err *err)
{
    if (into->n_steps != from->n_steps || into->n_metrics != from->n_metrics)
        return err_set(err, ERR_DATA, "evidence: the parts are of different experiments");
    for (int s = 0; s < into->n_steps; s++)
        for (int m = 0; m < into->n_metrics; m++)
            for (int a = 0; a < N_ARMS; a++)
                if (!cell_empty(&from->steps[s].cells[m][a]) &&
                    !evidence_cell_ready(into, &into->steps[s].cells[m][a], m, (enum arm_served)a))
                    return err_set(err, -ENOMEM, "evidence: no memory to merge");
    int rc = merge_units(into, from, err);
    if (rc)
        return rc;
    into->crossovers += from->crossovers;
    into->treated += from->treated;
    for (int m = 0; m < into->n_metrics; m++)
        for (int a = 0; a < N_ARMS; a++)
            if (isnan(into->told[m][a]))
                into->told[m][a] = from->told[m][a];
    for (int s = 0; s < into->n_steps; s++) {
        merge_counts(&into->steps[s], &from->steps[s], into->n_metrics);
        for (int m = 0; m < into->n_metrics; m++)
            for (int a = 0; a < N_ARMS && !rc; a++)
                rc = merge_cell(&into->steps[s].cells[m][a], &from->steps[s].cells[m][a], err);
    }
    return rc;
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

static uint8_t parts_of(const struct cell *cell)
{
    return (uint8_t)((cell->sums ? HAS_SUMS : 0) | (cell->limit ? HAS_LIMIT : 0) |
                     (cell->curve ? HAS_CURVE : 0) | (cell->before ? HAS_BEFORE : 0) |
                     (cell->tally ? HAS_TALLY : 0) | (cell->moved[SIDE_HARM] ? HAS_MOVED_HARM : 0) |
                     (cell->moved[SIDE_SAFE] ? HAS_MOVED_SAFE : 0) | (cell->areas ? HAS_AREAS : 0));
}

static void save_cell(const struct cell *cell, struct buf *out)
{
    buf_u8(out, parts_of(cell));
    if (cell->sums)
        sums_save(cell->sums, out);
    if (cell->limit)
        sums_save(cell->limit, out);
    if (cell->before)
        sums_save(cell->before, out);
    for (int side = 0; side < N_SIDES; side++)
        if (cell->moved[side])
            sums_save(cell->moved[side], out);
    if (cell->curve)
        curve_save(cell->curve, out);
    if (cell->areas)
        areas_save(cell->areas, out);
    if (cell->tally)
        tally_save(cell->tally, out);
}

static void save_step(const struct evidence *e, const struct step_evidence *step, struct buf *out)
{
    for (int a = 0; a < N_ARMS; a++) {
        buf_zigzag(out, step->arms[a].units);
        buf_zigzag(out, step->arms[a].new_units);
        buf_zigzag(out, step->arms[a].events);
        buf_zigzag(out, step->arms[a].last_ts_ms);
        buf_zigzag(out, step->arms[a].first_ts_ms);
    }
    for (int m = 0; m < e->n_metrics; m++) {
        buf_double(out, step->thresholds[m]);
        buf_zigzag(out, step->known_ms[m]);
        for (int side = 0; side < N_SIDES; side++) {
            const struct rate_counts *rate = &step->rates[m][side];
            buf_zigzag(out, rate->failures.treatment);
            buf_zigzag(out, rate->failures.control);
            buf_zigzag(out, rate->trials_treatment);
            buf_zigzag(out, rate->trials_control);
        }
        for (int a = 0; a < N_ARMS; a++)
            save_cell(&step->cells[m][a], out);
    }
}

static int load_cell(const struct evidence *e, struct cell *cell, int metric, enum arm_served arm,
                     struct reader *in, struct err *err)
{
    uint8_t has = reader_u8(in);
    if (has == 0)
        return 0;
    if (!evidence_cell_ready(e, cell, metric, arm))
        return err_set(err, -ENOMEM, "evidence: no memory for the sums of a metric");
    if (has != parts_of(cell))
        return err_set(err, ERR_CORRUPT, "evidence: metric %d was another one", metric);
    int rc = cell->sums ? sums_load(cell->sums, in, err) : 0;
    if (rc == 0 && cell->limit)
        rc = sums_load(cell->limit, in, err);
    if (rc == 0 && cell->before)
        rc = sums_load(cell->before, in, err);
    for (int side = 0; rc == 0 && side < N_SIDES; side++)
        if (cell->moved[side])
            rc = sums_load(cell->moved[side], in, err);
    if (rc == 0 && cell->curve)
        rc = curve_load(cell->curve, in, err);
    if (rc == 0 && cell->areas)
        rc = areas_load(cell->areas, in, err);
    if (rc == 0 && cell->tally)
        rc = tally_load(cell->tally, in, err);
    return rc;
}

static int load_step(const struct evidence *e, struct step_evidence *step, int format,
                     struct reader *in, struct err *err)
{
    for (int a = 0; a < N_ARMS; a++) {
        step->arms[a].units = reader_zigzag(in);
        step->arms[a].new_units = reader_zigzag(in);
        step->arms[a].events = reader_zigzag(in);
        step->arms[a].last_ts_ms = reader_zigzag(in);
        step->arms[a].first_ts_ms = format > 1 ? reader_zigzag(in) : 0;
    }
    for (int m = 0; m < e->n_metrics; m++) {
        step->thresholds[m] = reader_double(in);
        step->known_ms[m] = format > 2 ? reader_zigzag(in) : 0;
        for (int side = 0; side < N_SIDES; side++) {
            struct rate_counts *rate = &step->rates[m][side];
            rate->failures.treatment = reader_zigzag(in);
            rate->failures.control = reader_zigzag(in);
            rate->trials_treatment = reader_zigzag(in);
            rate->trials_control = reader_zigzag(in);
        }
        for (int a = 0; a < N_ARMS; a++) {
            int rc = load_cell(e, &step->cells[m][a], m, (enum arm_served)a, in, err);
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
    for (int m = 0; m < e->n_metrics; m++)
        for (int a = 0; a < N_ARMS; a++)
            buf_double(out, e->told[m][a]);
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
    for (int m = 0; format > 1 && m < e->n_metrics; m++)
        for (int a = 0; a < N_ARMS; a++)
            e->told[m][a] = reader_double(in);
    int rc = load_units(&e->units, in, err);
    for (int s = 0; rc == 0 && s < e->n_steps; s++)
        rc = load_step(e, &e->steps[s], format, in, err);
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
