#include "stats/change_point.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "common/cleanup.h"

enum {
    STATES = 160, /* of the Markov chain */
    DEFAULT_LEARN = 500
};

double change_arl_normal(double k, double h)
{
    double b = h + 1.166, d = -k; /* drift of the sum while nothing changed */
    if (k == 0)
        return b * b;
    return (exp(-2 * d * b) + 2 * d * b - 1) / (2 * d * d);
}

/*
 * Expected steps to leave [0, h] from 0: the sum on a lattice of `STATES` cells. Steps that are
 * not a multiple of the cell are split between its two neighbours, which keeps their mean.
 */
double change_arl_rate(double rate, double step_up, double step_down, double h)
{
    double cell = h / STATES;
    AUTO_FREE double *a = calloc(STATES * STATES, sizeof(double));
    double b[STATES];
    if (!a)
        return (double)NAN;
    for (int i = 0; i < STATES; i++) {
        double steps[2] = {step_up / cell, -step_down / cell}, p[2] = {rate, 1 - rate};
        a[i * STATES + i] += 1;
        b[i] = 1;
        for (int s = 0; s < 2; s++) {
            double to = fmax(i + steps[s], 0), low = floor(to), part = to - low;
            if (low < STATES)
                a[i * STATES + (int)low] -= p[s] * (1 - part);
            if (low + 1 < STATES)
                a[i * STATES + (int)low + 1] -= p[s] * part;
        }
    }
    for (int c = 0; c < STATES; c++) { /* diagonally dominant: no pivoting needed */
        for (int r = c + 1; r < STATES; r++) {
            double factor = a[r * STATES + c] / a[c * STATES + c];
            if (factor == 0)
                continue;
            for (int j = c; j < STATES; j++)
                a[r * STATES + j] -= factor * a[c * STATES + j];
            b[r] -= factor * b[c];
        }
    }
    for (int c = STATES - 1; c >= 0; c--) {
        for (int j = c + 1; j < STATES; j++)
            b[c] -= a[c * STATES + j] * b[j];
        b[c] /= a[c * STATES + c];
    }
    return b[0];
}

/* The log-likelihood ratio's steps for rate → shifted, scaled so that the larger one is 1. */
struct steps {
    double up, down;
};

static struct steps steps_for(double rate, double shifted)
{
    double one = log(shifted / rate), zero = -log((1 - shifted) / (1 - rate));
    return (struct steps){one, zero}; /* shifted > rate: both > 0; below: both < 0 */
}

/* Both sides together have ARL: each gets twice as long (Siegmund: 1/ARL adds up). */
static double limit_for_rate(double rate, double shifted, double arl)
{
    struct steps s = steps_for(rate, shifted);
    bool rising = shifted > rate;
    double up = rising ? s.up : -s.down, down = rising ? s.down : -s.up;
    double hit = rising ? rate : 1 - rate, low = 0.1, high = 40;
    for (int i = 0; i < 30; i++) {
        double h = (low + high) / 2;
        if (change_arl_rate(hit, up, down, h) < 2 * arl)
            low = h;
        else
            high = h;
    }
    return high;
}

static double limit_for_mean(double k, double arl)
{
    double low = 0, high = 200;
    for (int i = 0; i < 60; i++) {
        double h = (low + high) / 2;
        if (change_arl_normal(k, h) < 2 * arl)
            low = h;
        else
            high = h;
    }
    return high;
}

int change_init(struct change_detector *detector, const struct change_plan *plan, struct err *err)
{
    *detector = (struct change_detector){.plan = *plan};
    if (!(plan->arl >= 10))
        return err_set(err, -EINVAL,
                       "change point: a run of %g events between false alarms is "
                       "too short, 10 at least",
                       plan->arl);
    if (!(plan->shift > 0))
        return err_set(err, -EINVAL, "change point: the shift %g must be above 0", plan->shift);
    if (plan->kind == CHANGE_RATE) {
        if (!(plan->level > 0) || !(plan->level < 1))
            return err_set(err, -EINVAL, "change point: the rate %g is not between 0 and 1",
                           plan->level);
        double above = fmin(plan->level + plan->shift, (1 + plan->level) / 2);
        double below = fmax(plan->level - plan->shift, plan->level / 2);
        detector->limit_up = limit_for_rate(plan->level, above, plan->arl);
        detector->limit_down = limit_for_rate(plan->level, below, plan->arl);
        return 0;
    }
    if (plan->kind == CHANGE_MEAN && !(plan->spread > 0))
        return err_set(err, -EINVAL, "change point: the standard deviation %g must be above 0",
                       plan->spread);
    if (plan->kind == CHANGE_PAGE_HINKLEY && plan->learn == 0)
        detector->plan.learn = DEFAULT_LEARN;
    /* a learned mean is off by about spread / sqrt(learn): the limit allows for that */
    double k = plan->shift / 2;
    if (plan->kind == CHANGE_PAGE_HINKLEY)
        k = fmax(k - 1.2 / sqrt(detector->plan.learn), k / 4);
    detector->limit_up = detector->limit_down = limit_for_mean(k, plan->arl);
    return 0;
}

/* One step of both sums; the alarm, if one came. */
static int step(struct change_detector *d, double up, double down, uint64_t *ago)
{
    d->up = fmax(d->up + up, 0);
    d->down = fmax(d->down + down, 0);
    d->up_since = d->up > 0 ? d->up_since + 1 : 0;
    d->down_since = d->down > 0 ? d->down_since + 1 : 0;
    int found = d->up > d->limit_up ? CHANGE_UP : d->down > d->limit_down ? CHANGE_DOWN : 0;
    if (!found)
        return 0;
    if (ago)
        *ago = found == CHANGE_UP ? d->up_since : d->down_since;
    d->up = d->down = 0;
    d->up_since = d->down_since = 0;
    d->learned = 0;
    d->mean = d->m2 = 0;
    d->alarms++;
    return found;
}

int change_update(struct change_detector *d, double value, uint64_t *ago)
{
    const struct change_plan *plan = &d->plan;
    if (!isfinite(value))
        return 0;
    d->events++;
    if (plan->kind == CHANGE_RATE) {
        double above = fmin(plan->level + plan->shift, (1 + plan->level) / 2);
        double below = fmax(plan->level - plan->shift, plan->level / 2);
        struct steps a = steps_for(plan->level, above), b = steps_for(plan->level, below);
        return value > 0.5 ? step(d, a.up, b.up, ago) : step(d, -a.down, -b.down, ago);
    }
    double mean = plan->level, spread = plan->spread;
    if (plan->kind == CHANGE_PAGE_HINKLEY) {
        if (d->learned < plan->learn) { /* Welford */
            d->learned++;
            double off = value - d->mean;
            d->mean += off / (double)d->learned;
            d->m2 += off * (value - d->mean);
            return 0;
        }
        mean = d->mean;
        spread = sqrt(d->m2 / (double)(d->learned - 1));
        if (!(spread > 0))
            spread = 1e-9 + fabs(mean) * 1e-9; /* a constant so far: any change is one */
    }
    double z = (value - mean) / spread;
    z = z > 8 ? 8 : z < -8 ? -8 : z; /* one outlier alone is no change */
    return step(d, z - plan->shift / 2, -z - plan->shift / 2, ago);
}

double change_measured_arl(const struct change_detector *detector)
{
    return detector->alarms ? (double)detector->events / (double)detector->alarms : (double)NAN;
}

void change_save(const struct change_detector *d, struct buf *out)
{
    buf_u8(out, (uint8_t)d->plan.kind);
    const double numbers[] = {d->plan.level, d->plan.spread, d->plan.shift, d->plan.arl,
                              d->limit_up,   d->limit_down,  d->up,         d->down,
                              d->mean,       d->m2};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        buf_double(out, numbers[i]);
    const uint64_t counts[] = {d->plan.learn, d->events,     d->learned,
                               d->up_since,   d->down_since, d->alarms};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        buf_varint(out, counts[i]);
}

int change_load(struct change_detector *d, struct reader *in, struct err *err)
{
    *d = (struct change_detector){0};
    unsigned kind = reader_u8(in);
    double *numbers[] = {&d->plan.level, &d->plan.spread, &d->plan.shift, &d->plan.arl,
                         &d->limit_up,   &d->limit_down,  &d->up,         &d->down,
                         &d->mean,       &d->m2};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        *numbers[i] = reader_double(in);
    d->plan.learn = (uint32_t)reader_varint(in);
    d->events = reader_varint(in);
    d->learned = reader_varint(in);
    d->up_since = reader_varint(in);
    d->down_since = reader_varint(in);
    d->alarms = reader_varint(in);
    if (reader_failed(in) || kind > CHANGE_PAGE_HINKLEY)
        return err_set(err, ERR_CORRUPT, "change point: the bytes are damaged");
    d->plan.kind = (enum change_kind)kind;
    return 0;
}
