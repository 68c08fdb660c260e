#include "stats/metric_domain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stats/looked.h"

enum {
    TAG = 17
};

static void domain_finish(void *state)
{
    struct domain_state *s = state;
    for (int i = 0; i < DOMAIN_MODELS; i++)
        free(s->models[i].sums);
    for (uint32_t i = 0; i < s->n_spare; i++)
        free(s->spare[i]);
}

const struct domain_sums *domain_sums_of(const struct domain_state *state, uint64_t model)
{
    for (int i = 0; i < DOMAIN_MODELS; i++)
        if (model && state->models[i].model == model)
            return &state->models[i];
    return NULL;
}

static int make_spare(struct domain_state *s, uint32_t n)
{
    while (s->n_spare < n) {
        int64_t *sums = malloc(DOMAIN_TERMS * sizeof(*sums));
        if (!sums)
            return -ENOMEM;
        s->spare[s->n_spare++] = sums;
    }
    return 0;
}

static int domain_room(void *state, const struct looked *looked)
{
    return looked->n_terms && !domain_sums_of(state, looked->domain) ? make_spare(state, 1) : 0;
}

/* The place of a model, made of spare memory when new; NULL: it is beyond the lowest ids. */
static struct domain_sums *place_of(struct domain_state *s, uint64_t model)
{
    struct domain_sums *at = s->models, *last = &s->models[DOMAIN_MODELS - 1];
    while (at <= last && at->model && at->model < model)
        at++;
    if (at > last)
        return NULL;
    if (at->model == model)
        return at;
    int64_t *sums = last->model ? last->sums : s->spare[--s->n_spare];
    memmove(at + 1, at, (size_t)(last - at) * sizeof(*at));
    memset(sums, 0, DOMAIN_TERMS * sizeof(*sums));
    *at = (struct domain_sums){.model = model, .sums = sums};
    return at;
}

static void domain_looked(void *state, const struct looked *looked)
{
    struct domain_sums *place = looked->n_terms ? place_of(state, looked->domain) : NULL;
    if (!place)
        return;
    place->n += looked->errors.n;
    place->n_terms = looked->n_terms > place->n_terms ? looked->n_terms : place->n_terms;
    for (uint32_t i = 0; i < looked->n_terms; i++)
        place->sums[i] += looked->terms[i];
}

static int domain_room_merge(void *into, const void *from)
{
    const struct domain_state *b = from;
    uint32_t n = 0;
    for (int i = 0; i < DOMAIN_MODELS && b->models[i].model; i++)
        n += domain_sums_of(into, b->models[i].model) == NULL;
    return make_spare(into, n);
}

static void domain_merge(void *into, const void *from)
{
    const struct domain_state *b = from;
    for (int i = 0; i < DOMAIN_MODELS && b->models[i].model; i++) {
        struct domain_sums *place = place_of(into, b->models[i].model);
        if (!place)
            return; /* those that follow are beyond, too */
        place->n += b->models[i].n;
        if (b->models[i].n_terms > place->n_terms)
            place->n_terms = b->models[i].n_terms;
        for (uint32_t t = 0; t < b->models[i].n_terms; t++)
            place->sums[t] = (int64_t)((uint64_t)place->sums[t] + (uint64_t)b->models[i].sums[t]);
    }
}

/* { model · n · how many terms · their sums } … */
static void domain_state_save(const void *state, struct buf *out)
{
    const struct domain_state *s = state;
    for (int i = 0; i < DOMAIN_MODELS && s->models[i].model; i++) {
        const struct domain_sums *sums = &s->models[i];
        buf_u64(out, sums->model);
        buf_zigzag(out, sums->n);
        buf_varint(out, sums->n_terms);
        for (uint32_t t = 0; t < sums->n_terms; t++)
            buf_zigzag(out, sums->sums[t]);
    }
}

static int domain_state_load(void *state, struct reader *in, struct err *err)
{
    struct domain_state *s = state;
    for (int i = 0; reader_left(in); i++) {
        if (i == DOMAIN_MODELS)
            return err_set(err, ERR_CORRUPT, "state: more than %d references", DOMAIN_MODELS);
        struct domain_sums *sums = &s->models[i];
        const uint64_t model = reader_u64(in);
        const int64_t n = reader_count(in);
        const uint64_t n_terms = reader_varint(in);
        if (model == 0 || (i > 0 && model <= s->models[i - 1].model))
            return err_set(err, ERR_CORRUPT, "state: its references do not ascend");
        if (n_terms > DOMAIN_TERMS)
            return err_set(err, ERR_CORRUPT, "state: %d terms at most", DOMAIN_TERMS);
        *sums = (struct domain_sums){
            .n = n, .n_terms = (uint32_t)n_terms, .sums = calloc(DOMAIN_TERMS, sizeof(int64_t))};
        if (!sums->sums)
            return err_set(err, -ENOMEM, "state: no memory");
        sums->model = model;
        for (uint64_t t = 0; t < n_terms; t++)
            sums->sums[t] = reader_zigzag(in);
    }
    return 0;
}

const struct state_kind domain_kind = {
    .name = "domain",
    .tag = TAG,
    .tasks = TASK_ANY,
    .size = sizeof(struct domain_state),
    .finish = domain_finish,
    .room_looked = domain_room,
    .room_merge = domain_room_merge,
    .looked = domain_looked,
    .merge = domain_merge,
    .save = domain_state_save,
    .load = domain_state_load,
};
