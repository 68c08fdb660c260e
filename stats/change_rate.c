#include "stats/change_rate.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "stats/distribution.h"
#include "stats/run_length.h"

enum {
    N_LEVELS = 9, /* at which the run length is averaged, equally probable */
    FINE_STEPS = 8,
    COARSE_STEPS = 80, /* of the larger step, where the smaller one gets fewer than FINE_STEPS */
    MAX_LIMIT = 1 << 16,
    MIN_LEARN = 100,
    MAX_LEARN = 10000,
    RECHECK = 512 /* events after an alarm: back at the given level? */
};
static const double ENOUGH = 32; /* × the run of both sides: that of one alone */
static const double ODDS = 2;    /* the change of odds that is found soonest */
static const double CAUTION =
    1.08; /* limits are whole, levels are learned: rather late than early */
static const double RAREST = 1.0 / 1000; /* the chart of a rarer event is that of this one */

static double clamp(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

/* The log-likelihood ratio's steps for the odds of a hit doubled, as whole numbers. */
static void set_steps(struct rate_side *side, double p)
{
    side->hit = side->miss = 0;
    if (p > 1 - RAREST)
        return; /* it cannot be seen to go further there */
    p = fmax(p, RAREST);
    double changed = ODDS * p / (1 - p + ODDS * p);
    double hit = log(changed / p), miss = -log((1 - changed) / (1 - p));
    double larger = fmax(hit, miss), smaller = fmin(hit, miss);
    double unit = smaller / clamp(round(COARSE_STEPS * smaller / larger), 1, FINE_STEPS);
    side->hit = (uint32_t)lround(hit / unit);
    side->miss = (uint32_t)lround(miss / unit);
}

/* Run lengths by limit of one side, at each level that the true one may be. */
struct curves {
    double *memory;
    const double *at[N_LEVELS + 1]; /* the last: at the level itself */
    size_t n;
};

/* A side without steps never alarms: one limit, an endless run. */
static int fill_curves(struct curves *curves, const struct rate_side *side, const double *hits,
                       double enough, struct err *err)
{
    const size_t room = side->miss ? MAX_LIMIT : 1;
    double *at = malloc(sizeof(*at) * (N_LEVELS + 1) * room);
    curves->memory = at;
    curves->n = room;
    if (!at)
        return err_set(err, -ENOMEM, "change of a rate: no memory for its limits");
    int rc = 0;
    size_t filled;
    for (int i = N_LEVELS; !rc && i >= 0; i--, at += room) {
        bool is_level = i == N_LEVELS; /* decides how many limits come into question */
        at[0] = (double)INFINITY;
        if (side->miss)
            rc =
                run_length_curve(hits[i], side->hit, side->miss,
                                 is_level ? enough : (double)INFINITY, at, curves->n, &filled, err);
        if (is_level && side->miss)
            curves->n = filled;
        curves->at[i] = at;
    }
    return rc;
}

/* The first limit from which one side alone runs so long. */
static uint32_t limit_of(const double *curve, size_t n, double length)
{
    size_t low = 0, high = n - 1;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (curve[middle] < length)
            low = middle + 1;
        else
            high = middle;
    }
    return (uint32_t)low + 1;
}

/* The run of both sides together, averaged over the levels. */
static double length_of(const struct curves *up, const struct curves *down,
                        const struct change_rate *rate)
{
    double sum = 0;
    for (int i = 0; i < N_LEVELS; i++)
        sum += 1 / (1 / up->at[i][rate->up.limit - 1] + 1 / down->at[i][rate->down.limit - 1]);
    return sum / N_LEVELS;
}

/* Limits at which each side alone would run equally long at the level, both together `target`. */
static void search_limits(struct change_rate *rate, const struct curves *up,
                          const struct curves *down, double target)
{
    double low = log(target), high = log(ENOUGH * target);
    for (int i = 0; i < 50; i++) {
        double middle = (low + high) / 2, alone = exp(i < 49 ? middle : high);
        rate->up.limit = limit_of(up->at[N_LEVELS], up->n, alone);
        rate->down.limit = limit_of(down->at[N_LEVELS], down->n, alone);
        if (length_of(up, down, rate) < target)
            low = middle;
        else
            high = middle;
    }
}

/* `ones` of `n` events are what is known of the level. */
static int set_limits(struct change_rate *rate, double n, double ones, struct err *err)
{
    struct curves up = {0}, down = {0};
    double ups[N_LEVELS + 1], downs[N_LEVELS + 1];
    double target = CAUTION * rate->expected - (double)(rate->learn ? rate->learn : RECHECK);
    for (int i = 0; i < N_LEVELS; i++)
        ups[i] = beta_quantile((i + 0.5) / N_LEVELS, ones + 0.5, n - ones + 0.5);
    ups[N_LEVELS] = rate->level = (ones + 0.5) / (n + 1);
    for (int i = 0; i <= N_LEVELS; i++)
        downs[i] = 1 - ups[i];
    set_steps(&rate->up, rate->level);
    set_steps(&rate->down, 1 - rate->level);
    int rc = fill_curves(&up, &rate->up, ups, ENOUGH * target, err);
    if (!rc)
        rc = fill_curves(&down, &rate->down, downs, ENOUGH * target, err);
    if (!rc)
        search_limits(rate, &up, &down, target);
    free(up.memory);
    free(down.memory);
    return rc;
}

void change_rate_init(struct change_rate *rate, double expected)
{
    *rate = (struct change_rate){.expected = expected,
                                 .learn = (uint64_t)clamp(expected / 10, MIN_LEARN, MAX_LEARN)};
}

int change_rate_init_level(struct change_rate *rate, double expected, double n, double ones,
                           struct err *err)
{
    *rate = (struct change_rate){.expected = expected, .given_n = n, .given_ones = ones};
    return set_limits(rate, n, ones, err);
}

static void step(struct rate_side *side, int64_t ts_ms, bool hit, bool one)
{
    if (side->sum == 0)
        side->since_ms = ts_ms;
    side->sum = hit ? side->sum + side->hit : side->sum > side->miss ? side->sum - side->miss : 0;
    side->n = side->sum ? side->n + 1 : 0;
    side->ones = side->sum ? side->ones + one : 0;
}

static double share(uint64_t ones, uint64_t n)
{
    return (double)ones / (double)n;
}

static void tell(const struct change_rate *rate, const struct rate_side *side,
                 struct change_found *found)
{
    *found = (struct change_found){
        .direction = side == &rate->up ? CHANGE_UP : CHANGE_DOWN,
        .run = rate->n,
        .n_after = side->n,
        .began_ms = side->since_ms,
        .after = share(side->ones, side->n),
        .before =
            rate->n > side->n ? share(rate->ones - side->ones, rate->n - side->n) : rate->level,
        .statistic = side->sum,
        .limit = side->limit,
        .learned = rate->learned,
    };
}

/* Everything but what was asked for, and a level that was given: events that stay away from that
   are still the same change. */
static void start_anew(struct change_rate *rate)
{
    rate->changed = rate->learn == 0;
    rate->n = rate->ones = 0;
    rate->up.sum = rate->down.sum = 0;
    rate->up.n = rate->down.n = rate->up.ones = rate->down.ones = 0;
    if (rate->learn)
        rate->up.limit = rate->down.limit = 0;
    rate->learned = (struct change_learned){0};
}

/* Back at the given level, as far as the events since the last question can tell? */
static void recheck(struct change_rate *rate, bool one)
{
    rate->n++;
    rate->ones += one;
    if (rate->n < RECHECK)
        return;
    double error = sqrt(rate->level * (1 - rate->level) / RECHECK);
    rate->changed = fabs(share(rate->ones, rate->n) - rate->level) > 2 * error;
    rate->n = rate->ones = 0;
}

int change_rate_update(struct change_rate *rate, int64_t ts_ms, bool one,
                       struct change_found *found, struct err *err)
{
    if (rate->changed) {
        recheck(rate, one);
        return 0;
    }
    if (rate->up.limit == 0 && rate->n == rate->learn) { /* learned */
        int rc = set_limits(rate, (double)rate->n, (double)rate->ones, err);
        if (rc)
            return rc;
    }
    rate->n++;
    rate->ones += one;
    if (rate->up.limit == 0) {
        change_learn(&rate->learned, ts_ms);
        return 0;
    }
    step(&rate->up, ts_ms, one, one);
    step(&rate->down, ts_ms, !one, one);
    const struct rate_side *side = NULL;
    if (rate->down.miss && rate->down.sum >= rate->down.limit)
        side = &rate->down;
    if (rate->up.miss && rate->up.sum >= rate->up.limit)
        side = &rate->up;
    if (!side)
        return 0;
    tell(rate, side, found);
    start_anew(rate);
    return 1;
}

static void save_side(const struct rate_side *side, struct buf *out)
{
    const uint64_t numbers[] = {side->hit, side->miss, side->limit, side->sum, side->n, side->ones};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        buf_varint(out, numbers[i]);
    buf_zigzag(out, side->since_ms);
}

static void load_side(struct rate_side *side, struct reader *in)
{
    side->hit = (uint32_t)reader_varint(in);
    side->miss = (uint32_t)reader_varint(in);
    side->limit = (uint32_t)reader_varint(in);
    side->sum = (uint32_t)reader_varint(in);
    side->n = reader_varint(in);
    side->ones = reader_varint(in);
    side->since_ms = reader_zigzag(in);
}

void change_rate_save(const struct change_rate *rate, struct buf *out)
{
    buf_double(out, rate->expected);
    buf_double(out, rate->given_n);
    buf_double(out, rate->given_ones);
    buf_double(out, rate->level);
    buf_varint(out, rate->learn);
    buf_varint(out, rate->n);
    buf_varint(out, rate->ones);
    buf_u8(out, rate->changed);
    save_side(&rate->up, out);
    save_side(&rate->down, out);
    change_learned_save(&rate->learned, out);
}

int change_rate_load(struct change_rate *rate, struct reader *in, struct err *err)
{
    *rate = (struct change_rate){.expected = reader_double(in),
                                 .given_n = reader_double(in),
                                 .given_ones = reader_double(in),
                                 .level = reader_double(in)};
    rate->learn = reader_varint(in);
    rate->n = reader_varint(in);
    rate->ones = reader_varint(in);
    rate->changed = reader_u8(in);
    load_side(&rate->up, in);
    load_side(&rate->down, in);
    rate->learned = change_learned_load(in, rate->n < rate->learn ? rate->n : rate->learn);
    return reader_failed(in) || rate->ones > rate->n
               ? err_set(err, ERR_CORRUPT, "change of a rate: the bytes are damaged")
               : 0;
}
