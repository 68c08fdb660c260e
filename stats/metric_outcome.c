#include "stats/metric_outcome.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    TAG = 5,
    MAX_NAMES = 256
};

static void outcome_finish(void *state)
{
    struct outcome_state *s = state;
    for (uint32_t i = 0; i < s->n; i++) {
        wide_finish(&s->names[i].sum);
        wide_finish(&s->names[i].squares);
    }
    free(s->names);
    *s = (struct outcome_state){0};
}

static uint32_t place_of(const struct outcome_state *s, uint64_t name_id)
{
    uint32_t low = 0, high = s->n;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (s->names[middle].name_id < name_id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct outcome_sums *outcome_find(const struct outcome_state *s, uint64_t name_id)
{
    const uint32_t place = place_of(s, name_id);
    return place < s->n && s->names[place].name_id == name_id ? &s->names[place] : NULL;
}

/* Leaves out the names from `cutoff` on. */
static void cut(struct outcome_state *s, uint64_t cutoff)
{
    if (s->cutoff && cutoff >= s->cutoff)
        return;
    s->cutoff = cutoff;
    while (s->n && s->names[s->n - 1].name_id >= cutoff) {
        s->n--;
        wide_finish(&s->names[s->n].sum);
        wide_finish(&s->names[s->n].squares);
    }
}

/* The sums of a name, new ones empty. *out is NULL when the name is one of those left out. */
static int sums_of(struct outcome_state *s, uint64_t name_id, struct outcome_sums **out)
{
    *out = NULL;
    if (s->cutoff && name_id >= s->cutoff)
        return 0;
    uint32_t place = place_of(s, name_id);
    if (place < s->n && s->names[place].name_id == name_id) {
        *out = &s->names[place];
        return 0;
    }
    if (s->n == MAX_NAMES) {
        cut(s, place < s->n ? s->names[s->n - 1].name_id : name_id);
        if (place > s->n || name_id >= s->cutoff)
            return 0;
    }
    if (s->n == s->capacity) {
        const uint32_t capacity = s->capacity ? 2 * s->capacity : 2;
        struct outcome_sums *names = realloc(s->names, capacity * sizeof(*names));
        if (!names)
            return -ENOMEM;
        s->names = names;
        s->capacity = capacity;
    }
    memmove(s->names + place + 1, s->names + place, (s->n - place) * sizeof(*s->names));
    s->names[place] = (struct outcome_sums){.name_id = name_id};
    s->n++;
    *out = &s->names[place];
    return 0;
}

static int outcome_outcome(void *state, const struct metric_setup *setup,
                           const struct outcome *outcome, int sign)
{
    (void)setup;
    const double value = outcome->value;
    if (!isfinite(value))
        return 0;
    struct outcome_sums *sums;
    const int rc = sums_of(state, outcome->name_id, &sums);
    if (rc || !sums)
        return rc;
    if (wide_room(&sums->sum, value) || wide_room(&sums->squares, value * value))
        return -ENOMEM;
    sums->n += sign;
    sums->n_not_zero += value != 0 ? sign : 0;
    wide_add(&sums->sum, value, sign);
    wide_add(&sums->squares, value * value, sign);
    return 0;
}

/* Puts every name of `from` into place, empty, so that the merge cannot fail. */
static int outcome_room_merge(void *into, const void *from)
{
    const struct outcome_state *b = from;
    for (uint32_t i = 0; i < b->n; i++) {
        struct outcome_sums *sums;
        if (sums_of(into, b->names[i].name_id, &sums))
            return -ENOMEM;
        if (sums && (wide_room_merge(&sums->sum, &b->names[i].sum) ||
                     wide_room_merge(&sums->squares, &b->names[i].squares)))
            return -ENOMEM;
    }
    return 0;
}

static void outcome_merge(void *into, const void *from)
{
    struct outcome_state *a = into;
    const struct outcome_state *b = from;
    if (b->cutoff)
        cut(a, b->cutoff);
    for (uint32_t i = 0; i < b->n; i++) {
        const uint32_t place = place_of(a, b->names[i].name_id);
        if (place == a->n || a->names[place].name_id != b->names[i].name_id)
            continue;
        struct outcome_sums *sums = &a->names[place];
        sums->n += b->names[i].n;
        sums->n_not_zero += b->names[i].n_not_zero;
        wide_merge(&sums->sum, &b->names[i].sum);
        wide_merge(&sums->squares, &b->names[i].squares);
    }
}

/* varint cutoff · { varint id - the one before, n, not zero, sum, squares } of names in use. */
static void outcome_save(const void *state, struct buf *out)
{
    const struct outcome_state *s = state;
    uint64_t before = 0;
    bool any = s->cutoff != 0;
    for (uint32_t i = 0; i < s->n; i++)
        any |= s->names[i].n != 0;
    if (!any)
        return;
    buf_varint(out, s->cutoff);
    for (uint32_t i = 0; i < s->n; i++) {
        const struct outcome_sums *sums = &s->names[i];
        if (!sums->n)
            continue;
        buf_varint(out, sums->name_id - before);
        before = sums->name_id;
        buf_zigzag(out, sums->n);
        buf_zigzag(out, sums->n_not_zero);
        wide_save(&sums->sum, out);
        wide_save(&sums->squares, out);
    }
}

static int outcome_load(void *state, struct reader *in, struct err *err)
{
    struct outcome_state *s = state;
    s->cutoff = reader_varint(in);
    uint64_t id = 0;
    while (reader_left(in) && !reader_failed(in)) {
        const uint64_t step = reader_varint(in);
        if (step == 0 || id + step < id || s->n == MAX_NAMES)
            return err_set(err, ERR_CORRUPT, "state: the outcomes' names do not ascend");
        id += step;
        struct outcome_sums *sums;
        if (sums_of(s, id, &sums))
            return err_set(err, -ENOMEM, "state: no memory for outcomes");
        if (!sums)
            return err_set(err, ERR_CORRUPT, "state: an outcome that should be left out");
        sums->n = reader_zigzag(in);
        sums->n_not_zero = reader_zigzag(in);
        int rc = wide_load(&sums->sum, in, err);
        if (rc == 0)
            rc = wide_load(&sums->squares, in, err);
        if (rc)
            return rc;
    }
    return 0;
}

const struct state_kind outcome_kind = {
    .name = "outcome",
    .tag = TAG,
    .tasks = TASK_ANY,
    .size = sizeof(struct outcome_state),
    .finish = outcome_finish,
    .room_merge = outcome_room_merge,
    .outcome = outcome_outcome,
    .merge = outcome_merge,
    .save = outcome_save,
    .load = outcome_load,
};

void outcome_rate(const struct metric_input *in, struct metric_value *out)
{
    const struct outcome_sums *sums = outcome_find(in->state, in->argument);
    result_share(out, sums ? sums->n_not_zero : 0, out->n, "no predictions");
}

void outcome_mean(const struct metric_input *in, struct metric_value *out)
{
    const struct outcome_sums *sums = outcome_find(in->state, in->argument);
    if (!sums)
        result_none(out, "no outcomes of that name");
    else
        result_mean(out, wide_result(&sums->sum), wide_result(&sums->squares), sums->n,
                    "no outcomes of that name");
}
