/*
 * One block of memory holds the states of a series' task, each behind its kind:
 *
 *   [struct states: setup, parts | state of the common kind | state of the task's kind | outcomes]
 *
 * Saved:  version u8 · { tag u8 · length varint · the state's own bytes } for each state that is
 *         not empty, by ascending tag · XXH64 of all before it, 8 bytes
 */
#include "stats/metric.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#include "stats/metric_common.h"

enum {
    VERSION = 1,
    MAX_PARTS = 8,
    ALIGN = 16, /* fixed_sum holds a 128-bit integer */
    HASH_BYTES = 8,
};

struct part {
    const struct state_kind *kind;
    void *state;
};

struct states {
    struct metric_setup setup;
    size_t n_parts;
    struct part parts[MAX_PARTS];   /* the first is the common one */
    struct part folding[MAX_PARTS]; /* of them, those that predictions and labels may change */
    size_t n_folding;
};

static size_t aligned(size_t n)
{
    return (n + ALIGN - 1) / ALIGN * ALIGN;
}

int states_new(struct states **out, const struct metric_setup *setup, struct err *err)
{
    if ((unsigned)setup->task >= N_TASKS)
        return err_set(err, -EINVAL, "states: task %d is unknown", (int)setup->task);
    size_t n_kinds, size = aligned(sizeof(struct states));
    const struct state_kind *const *kinds = metric_kinds(&n_kinds);
    for (size_t i = 0; i < n_kinds; i++)
        if (kinds[i]->tasks >> setup->task & 1)
            size += aligned(kinds[i]->size);
    struct states *states = calloc(1, size);
    if (!states)
        return err_set(err, -ENOMEM, "states: no memory for %zu bytes", size);

    states->setup = *setup;
    char *place = (char *)states + aligned(sizeof(*states));
    for (size_t i = 0; i < n_kinds; i++) {
        if (!(kinds[i]->tasks >> setup->task & 1))
            continue;
        assert(states->n_parts < MAX_PARTS);
        states->parts[states->n_parts++] = (struct part){kinds[i], place};
        if (kinds[i]->predict || kinds[i]->label)
            states->folding[states->n_folding++] = (struct part){kinds[i], place};
        if (kinds[i]->init)
            kinds[i]->init(place, setup);
        place += aligned(kinds[i]->size);
    }
    assert(states->parts[0].kind == &common_kind);
    *out = states; /* the caller owns it now */
    return 0;
}

void states_free(struct states *states)
{
    if (!states)
        return;
    for (size_t i = 0; i < states->n_parts; i++)
        if (states->parts[i].kind->finish)
            states->parts[i].kind->finish(states->parts[i].state);
    free(states);
}

static int room_for(struct states *states, const struct sample *sample, enum fold fold)
{
    for (size_t i = 0; i < states->n_folding; i++) {
        const struct part *part = &states->folding[i];
        if (part->kind->room && part->kind->room(part->state, sample, fold))
            return -ENOMEM;
    }
    return 0;
}

int states_predict(struct states *states, const struct sample *sample)
{
    if (room_for(states, sample, FOLD_PREDICTION))
        return -ENOMEM;
    for (size_t i = 0; i < states->n_folding; i++) {
        const struct part *part = &states->folding[i];
        if (part->kind->predict)
            part->kind->predict(part->state, &states->setup, sample);
    }
    return 0;
}

int states_label(struct states *states, const struct sample *sample, int sign)
{
    if (room_for(states, sample, FOLD_LABEL))
        return -ENOMEM;
    for (size_t i = 0; i < states->n_folding; i++) {
        const struct part *part = &states->folding[i];
        if (part->kind->label)
            part->kind->label(part->state, &states->setup, sample, sign);
    }
    return 0;
}

int states_looked(struct states *states, const struct looked *looked)
{
    for (size_t i = 0; i < states->n_parts; i++) {
        const struct part *part = &states->parts[i];
        if (part->kind->room_looked && part->kind->room_looked(part->state, looked))
            return -ENOMEM;
    }
    for (size_t i = 0; i < states->n_parts; i++) {
        const struct part *part = &states->parts[i];
        if (part->kind->looked)
            part->kind->looked(part->state, looked);
    }
    return 0;
}

int states_outcome(struct states *states, const struct outcome *outcome, int sign)
{
    for (size_t i = 0; i < states->n_parts; i++) {
        const struct part *part = &states->parts[i];
        if (!part->kind->outcome)
            continue;
        const int rc = part->kind->outcome(part->state, &states->setup, outcome, sign);
        if (rc)
            return rc; /* one kind keeps outcomes: nothing before it has changed */
    }
    return 0;
}

int states_system(struct states *states, const struct outcome *value, int sign)
{
    for (size_t i = 0; i < states->n_parts; i++) {
        const struct part *part = &states->parts[i];
        const int rc =
            part->kind->system ? part->kind->system(part->state, &states->setup, value, sign) : 0;
        if (rc)
            return rc; /* as above */
    }
    return 0;
}

static bool same_setup(const struct metric_setup *a, const struct metric_setup *b)
{
    const bool same_threshold =
        a->threshold == b->threshold || (isnan(a->threshold) && isnan(b->threshold));
    return a->task == b->task && a->positive == b->positive && same_threshold;
}

int states_merge(struct states *into, const struct states *from)
{
    if (!same_setup(&into->setup, &from->setup))
        return -EINVAL;
    for (size_t i = 0; i < into->n_parts; i++) {
        const struct part *part = &into->parts[i];
        if (part->kind->room_merge && part->kind->room_merge(part->state, from->parts[i].state))
            return -ENOMEM;
    }
    for (size_t i = 0; i < into->n_parts; i++)
        into->parts[i].kind->merge(into->parts[i].state, from->parts[i].state);
    return 0;
}

int states_coarsen(struct states *states)
{
    for (size_t i = 0; i < states->n_parts; i++)
        if (states->parts[i].kind->coarsen)
            states->parts[i].kind->coarsen(states->parts[i].state);
    return 0;
}

/* A state's bytes behind their length, which is known only afterwards. */
static void save_part(const struct part *part, struct buf *out, struct buf *scratch)
{
    buf_clear(scratch);
    part->kind->save(part->state, scratch);
    if (buf_failed(scratch))
        out->failed = true;
    if (buf_failed(out) || scratch->size == 0)
        return;
    buf_u8(out, part->kind->tag);
    buf_string(out, (const char *)scratch->data, scratch->size);
}

void states_save(const struct states *states, struct buf *out)
{
    const size_t start = out->size;
    buf_u8(out, VERSION);
    struct buf scratch;
    buf_init(&scratch, out->limit);
    /* metric_kinds lists them by ascending tag. */
    for (size_t i = 0; i < states->n_parts; i++)
        save_part(&states->parts[i], out, &scratch);
    buf_finish(&scratch);
    if (!buf_failed(out))
        buf_u64(out, XXH64(out->data + start, out->size - start, 0));
}

static int load_part(struct states *states, struct reader *in, uint8_t *last_tag, struct err *err)
{
    const uint8_t tag = reader_u8(in);
    size_t size;
    const char *bytes = reader_string(in, &size);
    if (reader_failed(in) || size == 0)
        return err_set(err, ERR_CORRUPT, "state: cut short");
    if (tag <= *last_tag)
        return err_set(err, ERR_CORRUPT, "state: tag %d twice or out of order", tag);
    *last_tag = tag;
    for (size_t i = 0; i < states->n_parts; i++) {
        const struct part *part = &states->parts[i];
        if (part->kind->tag != tag)
            continue;
        struct reader own = reader_of(bytes, size);
        const int rc = part->kind->load(part->state, &own, err);
        if (rc)
            return rc;
        if (reader_failed(&own) || reader_left(&own))
            return err_set(err, ERR_CORRUPT, "state: %s has %s bytes", part->kind->name,
                           reader_failed(&own) ? "too few" : "too many");
        return 0;
    }
    return err_set(err, ERR_NEWER,
                   "state: tag %d is unknown for %s models: written by a newer version, or for "
                   "another task",
                   tag, task_name(states->setup.task));
}

int states_load(struct states **out, const struct metric_setup *setup, const void *bytes, size_t n,
                struct err *err)
{
    if (n < 1 + HASH_BYTES)
        return err_set(err, ERR_CORRUPT, "state: %zu bytes are too few", n);
    const unsigned char *start = bytes;
    struct reader hash = reader_of(start + n - HASH_BYTES, HASH_BYTES);
    if (XXH64(start, n - HASH_BYTES, 0) != reader_u64(&hash))
        return err_set(err, ERR_CORRUPT, "state: the checksum of its %zu bytes is wrong", n);
    struct reader in = reader_of(start, n - HASH_BYTES);
    const uint8_t version = reader_u8(&in);
    if (version != VERSION)
        return err_set(err, ERR_NEWER, "state: version %d, this program reads %d", version,
                       VERSION);

    AUTO(states) struct states *states = NULL;
    int rc = states_new(&states, setup, err);
    uint8_t last_tag = 0;
    while (rc == 0 && reader_left(&in))
        rc = load_part(states, &in, &last_tag, err);
    if (rc)
        return rc;
    *out = states; /* the caller owns it now */
    states = NULL;
    return 0;
}

const void *states_get(const struct states *states, const struct state_kind *kind)
{
    for (size_t i = 0; i < states->n_parts; i++)
        if (states->parts[i].kind == kind)
            return states->parts[i].state;
    return NULL;
}

const struct metric_setup *states_setup(const struct states *states)
{
    return &states->setup;
}

int64_t states_count(const struct states *states)
{
    return ((const struct common_state *)states->parts[0].state)->count;
}

int64_t states_unlabelled(const struct states *states)
{
    const struct common_state *common = states->parts[0].state;
    return common->count - common->failed - common->labelled;
}

int64_t states_labelled(const struct states *states)
{
    return ((const struct common_state *)states->parts[0].state)->labelled;
}

/* An interval about a mean is symmetric and knows no end of the scale. A value beyond the scale, as
   a host may tell of itself, keeps its own. */
static void keep_in_range(const struct metric_def *def, struct metric_value *out)
{
    double least, most;
    metric_range(def, &least, &most);
    if (out->value >= least && out->lower < least)
        out->lower = least;
    if (out->value <= most && out->upper > most)
        out->upper = most;
}

void metric_result(const struct states *states, const struct metric_ref *metric, int64_t window_ms,
                   struct metric_value *out)
{
    const double none = (double)NAN;
    *out = (struct metric_value){
        none, none, none, none, states_count(states), states_labelled(states), NULL};
    const struct metric_input in = {states_get(states, metric->def->state), &states->setup,
                                    metric->argument, window_ms};
    if (!in.state) {
        out->why = "this task does not keep it";
        return;
    }
    metric->def->result(&in, out);
    keep_in_range(metric->def, out);
}
