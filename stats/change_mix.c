/*
 * L learned events leave L + 1 gaps, and the next one falls into each with equal probability while
 * nothing changed: its equals are in an order that nobody knows, and it is as likely first as last
 * among them. Places are an order of categories like any other.
 */
#include "stats/change_mix.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum {
    MIN_LEARN = SHAPE_MIN_REFERENCE,
    MAX_LEARN = SHAPE_MIN_REFERENCE_LONG
};

/* It looks when it has learned. */
static void start(struct change_mix *mix)
{
    const double rest = fmax(mix->expected - mix->learn, CHANGE_MIN_EXPECTED);
    *mix = (struct change_mix){.expected = mix->expected, .learn = mix->learn};
    change_shape_init(&mix->shape, rest, mix->learn, (double)NAN);
}

int change_mix_new(struct change_mix **out, double expected, struct err *err)
{
    struct change_mix *mix = malloc(sizeof(*mix));
    if (!mix)
        return err_set(err, -ENOMEM, "change of a mixture: no memory");
    mix->expected = expected;
    mix->learn = (uint32_t)fmin(fmax(expected / 10, MIN_LEARN), MAX_LEARN);
    start(mix);
    *out = mix; /* the caller owns it now */
    return 0;
}

void change_mix_free(struct change_mix *mix)
{
    free(mix);
}

static void learn(struct change_mix *mix, int64_t ts_ms, unsigned place)
{
    mix->below[place]++;
    change_learn(&mix->learned, ts_ms);
    if (change_mix_learns(mix))
        return;
    uint16_t below = 0;
    for (unsigned i = 0; i < MIX_PLACES; i++) {
        const uint16_t here = mix->below[i];
        mix->below[i] = below;
        below = (uint16_t)(below + here);
    }
}

static unsigned bin_of(const struct change_mix *mix, unsigned place, double tie)
{
    const uint32_t first = mix->below[place];
    const uint32_t last = place + 1 < MIX_PLACES ? mix->below[place + 1] : mix->learn; /* gaps */
    const double gap = first + tie * (last + 1 - first);
    const unsigned bin = (unsigned)(gap / (mix->learn + 1) * SHAPE_BINS);
    return bin < SHAPE_BINS ? bin : SHAPE_BINS - 1;
}

int change_mix_update(struct change_mix *mix, int64_t ts_ms, unsigned place, double tie,
                      struct change_found *found)
{
    if (change_mix_learns(mix)) {
        learn(mix, ts_ms, place);
        return 0;
    }
    if (!change_shape_update(&mix->shape, ts_ms, bin_of(mix, place, tie), 0, found))
        return 0;
    found->run += mix->learn;
    found->learned = mix->learned;
    start(mix);
    return 1;
}

/* --- bytes --- */

void change_mix_save(const struct change_mix *mix, struct buf *out)
{
    buf_double(out, mix->expected);
    change_learned_save(&mix->learned, out);
    for (unsigned i = 0; i < MIX_PLACES; i++)
        buf_varint(out, mix->below[i]);
    if (!change_mix_learns(mix))
        change_shape_save(&mix->shape, out);
}

static bool stands(const struct change_mix *mix)
{
    const bool learns = change_mix_learns(mix);
    uint64_t sum = 0;
    bool rises = true;
    for (unsigned i = 0; i < MIX_PLACES; i++) {
        rises &= mix->below[i] <= mix->learn && (i == 0 || mix->below[i - 1] <= mix->below[i]);
        sum += mix->below[i];
    }
    return learns ? sum == mix->learned.n : rises && mix->learned.n == mix->learn;
}

int change_mix_load(struct change_mix **out, struct reader *in, struct err *err)
{
    static const char damaged[] = "change of a mixture: the bytes are damaged";
    struct change_mix *mix = NULL;
    const double expected = reader_double(in);
    if (!(expected >= 1 && expected <= CHANGE_MAX_EXPECTED))
        return err_set(err, ERR_CORRUPT, "%s", damaged);
    int rc = change_mix_new(&mix, expected, err);
    if (rc)
        return rc;
    mix->learned = change_learned_load(in, 0);
    for (unsigned i = 0; i < MIX_PLACES; i++)
        mix->below[i] = (uint16_t)reader_varint(in);
    if (reader_failed(in) || !stands(mix))
        rc = err_set(err, ERR_CORRUPT, "%s", damaged);
    if (!rc && !change_mix_learns(mix))
        rc = change_shape_load(&mix->shape, in, err);
    if (rc) {
        change_mix_free(mix);
        return rc;
    }
    *out = mix; /* the caller owns it now */
    return 0;
}
