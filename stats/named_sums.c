#include "stats/named_sums.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_NAMES = 256
};

void named_sums_finish(void *state)
{
    struct named_sums *s = state;
    for (uint32_t i = 0; i < s->n; i++) {
        wide_finish(&s->names[i].sum);
        wide_finish(&s->names[i].squares);
    }
    free(s->names);
    *s = (struct named_sums){0};
}

static uint32_t place_of(const struct named_sums *s, uint64_t name_id)
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

const struct named_sum *named_sums_find(const struct named_sums *s, uint64_t name_id)
{
    const uint32_t place = place_of(s, name_id);
    return place < s->n && s->names[place].name_id == name_id ? &s->names[place] : NULL;
}

/* Leaves out the names from `cutoff` on. */
static void cut(struct named_sums *s, uint64_t cutoff)
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
static int sums_of(struct named_sums *s, uint64_t name_id, struct named_sum **out)
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
        struct named_sum *names = realloc(s->names, capacity * sizeof(*names));
        if (!names)
            return -ENOMEM;
        s->names = names;
        s->capacity = capacity;
    }
    memmove(s->names + place + 1, s->names + place, (s->n - place) * sizeof(*s->names));
    s->names[place] = (struct named_sum){.name_id = name_id};
    s->n++;
    *out = &s->names[place];
    return 0;
}

int named_sums_add(struct named_sums *s, uint64_t name_id, double value, int sign)
{
    if (!isfinite(value))
        return 0;
    struct named_sum *sums;
    const int rc = sums_of(s, name_id, &sums);
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
int named_sums_room_merge(void *into, const void *from)
{
    const struct named_sums *b = from;
    for (uint32_t i = 0; i < b->n; i++) {
        struct named_sum *sums;
        if (sums_of(into, b->names[i].name_id, &sums))
            return -ENOMEM;
        if (sums && (wide_room_merge(&sums->sum, &b->names[i].sum) ||
                     wide_room_merge(&sums->squares, &b->names[i].squares)))
            return -ENOMEM;
    }
    return 0;
}

void named_sums_merge(void *into, const void *from)
{
    struct named_sums *a = into;
    const struct named_sums *b = from;
    if (b->cutoff)
        cut(a, b->cutoff);
    for (uint32_t i = 0; i < b->n; i++) {
        const uint32_t place = place_of(a, b->names[i].name_id);
        if (place == a->n || a->names[place].name_id != b->names[i].name_id)
            continue;
        struct named_sum *sums = &a->names[place];
        sums->n += b->names[i].n;
        sums->n_not_zero += b->names[i].n_not_zero;
        wide_merge(&sums->sum, &b->names[i].sum);
        wide_merge(&sums->squares, &b->names[i].squares);
    }
}

/* varint cutoff · { varint id - the one before, n, not zero, sum, squares } of names in use. */
void named_sums_save(const void *state, struct buf *out)
{
    const struct named_sums *s = state;
    uint64_t before = 0;
    bool any = s->cutoff != 0;
    for (uint32_t i = 0; i < s->n; i++)
        any |= s->names[i].n != 0;
    if (!any)
        return;
    buf_varint(out, s->cutoff);
    for (uint32_t i = 0; i < s->n; i++) {
        const struct named_sum *sums = &s->names[i];
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

int named_sums_load(void *state, struct reader *in, struct err *err)
{
    struct named_sums *s = state;
    s->cutoff = reader_varint(in);
    uint64_t id = 0;
    while (reader_left(in) && !reader_failed(in)) {
        const uint64_t step = reader_varint(in);
        if (step == 0 || id + step < id || s->n == MAX_NAMES)
            return err_set(err, ERR_CORRUPT, "state: the names do not ascend");
        id += step;
        struct named_sum *sums;
        if (sums_of(s, id, &sums))
            return err_set(err, -ENOMEM, "state: no memory for named sums");
        if (!sums)
            return err_set(err, ERR_CORRUPT, "state: a name that should be left out");
        sums->n = reader_count(in);
        sums->n_not_zero = reader_count(in);
        int rc = wide_load(&sums->sum, in, err);
        if (rc == 0)
            rc = wide_load(&sums->squares, in, err);
        if (rc)
            return rc;
    }
    return 0;
}
