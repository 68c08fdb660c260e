#include "bench/keep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <xxhash.h>

struct record {
    uint64_t plan, seed;
    struct simulate_result result;
};

/* Open addressing by (plan, seed); a seed of 0 is an empty place. */
struct keep {
    FILE *file; /* NULL: nothing is kept */
    struct record *places;
    size_t n, n_places;
    time_t until; /* 0: no limit */
};

static struct record *place_of(const struct keep *keep, uint64_t plan, uint64_t seed)
{
    size_t i = (size_t)((plan ^ seed * UINT64_C(0x9e3779b97f4a7c15)) % keep->n_places);
    while (keep->places[i].seed != 0 &&
           (keep->places[i].plan != plan || keep->places[i].seed != seed))
        i = (i + 1) % keep->n_places;
    return &keep->places[i];
}

static bool remember(struct keep *keep, const struct record *record)
{
    if (2 * (keep->n + 1) > keep->n_places) {
        struct keep larger = *keep;
        larger.n_places = keep->n_places ? 2 * keep->n_places : 1024;
        larger.places = calloc(larger.n_places, sizeof(*larger.places));
        if (!larger.places)
            return false;
        for (size_t i = 0; i < keep->n_places; i++)
            if (keep->places[i].seed != 0)
                *place_of(&larger, keep->places[i].plan, keep->places[i].seed) = keep->places[i];
        free(keep->places);
        *keep = larger;
    }
    struct record *place = place_of(keep, record->plan, record->seed);
    keep->n += place->seed == 0;
    *place = *record;
    return true;
}

struct keep *keep_open(const char *path, int seconds)
{
    struct keep *keep = calloc(1, sizeof(*keep));
    struct record record;
    if (!keep)
        return NULL;
    keep->until = seconds > 0 ? time(NULL) + seconds : 0;
    if (path && !(keep->file = fopen(path, "a+b"))) {
        perror(path);
        keep_close(keep);
        return NULL;
    }
    while (path && fread(&record, sizeof(record), 1, keep->file) == 1)
        if (!remember(keep, &record)) {
            fprintf(stderr, "%s: no memory\n", path);
            keep_close(keep);
            return NULL;
        }
    return keep;
}

void keep_close(struct keep *keep)
{
    if (!keep)
        return;
    if (keep->file)
        fclose(keep->file);
    free(keep->places);
    free(keep);
}

static uint64_t plan_hash(const struct simulate_plan *plan)
{
    struct simulate_plan numbers;
    memset(&numbers, 0, sizeof(numbers)); /* what lies between the members, too */
    memcpy(numbers.rate_a, plan->rate_a, sizeof(numbers.rate_a));
    memcpy(numbers.rate_b, plan->rate_b, sizeof(numbers.rate_b));
    numbers.events_per_second = plan->events_per_second;
    numbers.seconds = plan->seconds;
    numbers.users = plan->users;
    numbers.icc = plan->icc;
    numbers.labels = plan->labels;
    numbers.split_off = plan->split_off;
    return XXH64(plan->experiment, strlen(plan->experiment),
                 XXH64(&numbers, sizeof(numbers), DECIDE_ENGINE));
}

bool keep_play(struct keep *keep, struct simulation *simulation, const struct simulate_plan *plan,
               uint64_t seed, struct simulate_result *out)
{
    uint64_t hash = plan_hash(plan);
    const struct record *known = keep->n_places > 0 ? place_of(keep, hash, seed) : NULL;
    if (known && known->seed == seed) {
        *out = known->result;
        return true;
    }
    if (keep->until != 0 && time(NULL) >= keep->until)
        return false;
    *out = simulate_run(simulation, seed);
    if (!keep->file)
        return true;
    struct record record;
    memset(&record, 0, sizeof(record));
    record.plan = hash;
    record.seed = seed;
    record.result = *out;
    if (fwrite(&record, sizeof(record), 1, keep->file) != 1)
        perror("bench: a result is not kept");
    return true;
}
