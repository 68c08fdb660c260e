#include "abtest/units.h"

#include <stdlib.h>

#include "common/grow.h"

enum {
    FIRST_PLACES = 1024
};

void units_init(struct units *units, size_t limit)
{
    *units = (struct units){.limit = limit < FIRST_PLACES ? FIRST_PLACES : limit};
}

void units_finish(struct units *units)
{
    free(units->places);
    free(units->touched);
    units->places = NULL;
    units->touched = NULL;
}

bool units_sampled(const struct units *units, uint64_t hash)
{
    return units->level == 0 || hash >> (64 - units->level) == 0;
}

/* The low bits choose the place, the high ones the sample: a shrunken sample still spreads. */
static struct unit *find(struct unit *places, size_t n_places, uint64_t hash)
{
    size_t mask = n_places - 1, at = (size_t)hash & mask;
    while (places[at].hash != 0 && places[at].hash != hash)
        at = (at + 1) & mask;
    return &places[at];
}

/* Into a table of n_places, leaving out what the sample no longer keeps. */
static bool rebuild(struct units *units, size_t n_places)
{
    struct unit *places = calloc(n_places, sizeof(*places));
    if (!places)
        return false;
    units->n = 0;
    for (size_t i = 0; i < units->n_places; i++) {
        const struct unit *unit = &units->places[i];
        if (unit->hash == 0 || !units_sampled(units, unit->hash))
            continue;
        *find(places, n_places, unit->hash) = *unit;
        units->n++;
    }
    free(units->places);
    units->places = places;
    units->n_places = n_places;
    return true;
}

struct unit *units_take(struct units *units, uint64_t hash)
{
    if (!units_sampled(units, hash))
        return NULL;
    if (units->n_places == 0 && !rebuild(units, FIRST_PLACES))
        return NULL;
    struct unit *unit = find(units->places, units->n_places, hash);
    if (unit->hash == hash)
        return unit;
    if (units->n >= units->limit) {
        units->level++;
        units->all_touched = true;
        if (!rebuild(units, units->n_places)) {
            units->level--;
            return NULL;
        }
        return units_take(units, hash);
    }
    if ((units->n + 1) * 4 > units->n_places * 3) {
        if (!rebuild(units, units->n_places * 2))
            return NULL;
        unit = find(units->places, units->n_places, hash);
    }
    *unit = (struct unit){.hash = hash};
    units->n++;
    return unit;
}

const struct unit *units_find(const struct units *units, uint64_t hash)
{
    if (units->n_places == 0 || !units_sampled(units, hash))
        return NULL;
    const struct unit *unit = find(units->places, units->n_places, hash);
    return unit->hash == hash ? unit : NULL;
}

void units_touch(struct units *units, struct unit *unit)
{
    if (units->all_touched || unit->steps & UNIT_TOUCHED)
        return;
    if (grow(&units->touched, &units->touched_capacity, units->n_touched + 1,
             sizeof(*units->touched), "units", NULL)) {
        units->all_touched = true; /* dearer, but nothing is forgotten */
        return;
    }
    units->touched[units->n_touched++] = unit->hash;
    unit->steps |= UNIT_TOUCHED;
}

void units_settle(struct units *units)
{
    for (size_t i = 0; i < units->n_touched; i++) {
        struct unit *unit =
            units->n_places ? find(units->places, units->n_places, units->touched[i]) : NULL;
        if (unit)
            unit->steps &= ~UNIT_TOUCHED;
    }
    units->n_touched = 0;
    units->all_touched = false;
}

static int by_hash(const void *a, const void *b)
{
    const struct unit *x = (const struct unit *)a, *y = (const struct unit *)b;
    return x->hash < y->hash ? -1 : x->hash > y->hash;
}

struct unit *units_sorted(const struct units *units)
{
    struct unit *sorted = units->n ? malloc(units->n * sizeof(*sorted)) : NULL;
    if (!sorted)
        return NULL;
    size_t n = 0;
    for (size_t i = 0; i < units->n_places; i++)
        if (units->places[i].hash != 0)
            sorted[n++] = units->places[i];
    qsort(sorted, n, sizeof(*sorted), by_hash);
    return sorted;
}
