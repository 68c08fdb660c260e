/* The state of metric_estimated.h: sums of what was expected of each event as it came. */
#include <errno.h>

#include "stats/estimator.h"
#include "stats/looked.h"
#include "stats/metric_estimated.h"

enum {
    TAG = 16
};

static void expected_finish(void *state)
{
    struct expected_state *s = state;
    wide_finish(&s->absolute);
    wide_finish(&s->square);
}

static int expected_room(void *state, const struct sample *sample, enum fold fold)
{
    struct expected_state *s = state;
    if (fold != FOLD_PREDICTION || sample->failed || !sample->expected)
        return 0;
    return wide_room(&s->absolute, sample->expected_absolute) ||
                   wide_room(&s->square, sample->expected_square)
               ? -ENOMEM
               : 0;
}

/* The place of a model, made when new; NULL: it is beyond the lowest ids. What leaves counts as
   other, so that the state depends on the set of models alone. */
static struct reconstruction *place_of(struct expected_state *s, uint64_t model)
{
    int at = 0;
    while (at < EXPECTED_MODELS && s->models[at].model && s->models[at].model < model)
        at++;
    if (at == EXPECTED_MODELS)
        return NULL;
    if (s->models[at].model == model)
        return &s->models[at];
    s->others += s->models[EXPECTED_MODELS - 1].window.n;
    for (int i = EXPECTED_MODELS - 1; i > at; i--)
        s->models[i] = s->models[i - 1];
    s->models[at] = (struct reconstruction){.model = model};
    return &s->models[at];
}

static void expected_predict(void *state, const struct metric_setup *setup,
                             const struct sample *sample)
{
    (void)setup;
    struct expected_state *s = state;
    if (sample->failed || !sample->expected)
        return;
    s->n++;
    wide_add(&s->absolute, sample->expected_absolute, 1);
    wide_add(&s->square, sample->expected_square, 1);
}

static void expected_looked(void *state, const struct looked *looked)
{
    struct expected_state *s = state;
    struct reconstruction *place = place_of(s, looked->reference);
    if (place)
        multivariate_merge(&place->window, &looked->errors);
    else
        s->others += looked->errors.n;
}

static int expected_room_merge(void *into, const void *from)
{
    struct expected_state *a = into;
    const struct expected_state *b = from;
    return wide_room_merge(&a->absolute, &b->absolute) || wide_room_merge(&a->square, &b->square)
               ? -ENOMEM
               : 0;
}

static void expected_merge(void *into, const void *from)
{
    struct expected_state *a = into;
    const struct expected_state *b = from;
    a->n += b->n;
    wide_merge(&a->absolute, &b->absolute);
    wide_merge(&a->square, &b->square);
    a->others += b->others;
    for (int i = 0; i < EXPECTED_MODELS && b->models[i].model; i++) {
        struct reconstruction *place = place_of(a, b->models[i].model);
        if (!place) {
            a->others += b->models[i].window.n;
            continue;
        }
        multivariate_merge(&place->window, &b->models[i].window);
    }
}

/* n · [sums] · others · { model, window } … */
static void expected_save(const void *state, struct buf *out)
{
    const struct expected_state *s = state;
    if (!s->n && !s->models[0].model)
        return;
    buf_zigzag(out, s->n);
    if (s->n) {
        wide_save(&s->absolute, out);
        wide_save(&s->square, out);
    }
    buf_zigzag(out, s->others);
    for (int i = 0; i < EXPECTED_MODELS && s->models[i].model; i++) {
        buf_u64(out, s->models[i].model);
        multivariate_window_save(&s->models[i].window, out);
    }
}

static int expected_load(void *state, struct reader *in, struct err *err)
{
    struct expected_state *s = state;
    int rc = 0;
    s->n = reader_count(in);
    if (s->n)
        rc = wide_load(&s->absolute, in, err);
    if (!rc && s->n)
        rc = wide_load(&s->square, in, err);
    s->others = reader_count(in);
    for (int i = 0; !rc && reader_left(in); i++) {
        if (i == EXPECTED_MODELS)
            return err_set(err, ERR_CORRUPT, "state: more than %d references", EXPECTED_MODELS);
        struct reconstruction *model = &s->models[i];
        model->model = reader_u64(in);
        multivariate_window_load(&model->window, in);
        if (model->model == 0 || (i > 0 && model->model <= s->models[i - 1].model))
            return err_set(err, ERR_CORRUPT, "state: its references do not ascend");
    }
    return rc;
}

const struct state_kind expected_kind = {
    .name = "expected",
    .tag = TAG,
    .tasks = TASK_ANY,
    .size = sizeof(struct expected_state),
    .finish = expected_finish,
    .room = expected_room,
    .room_merge = expected_room_merge,
    .predict = expected_predict,
    .looked = expected_looked,
    .merge = expected_merge,
    .save = expected_save,
    .load = expected_load,
};

const struct multivariate_window *expected_reconstruction(const struct expected_state *state,
                                                          uint64_t model)
{
    for (int i = 0; i < EXPECTED_MODELS; i++)
        if (model && state->models[i].model == model)
            return &state->models[i].window;
    return NULL;
}

void expected_reconstruction_error(const struct metric_input *in, struct metric_value *out)
{
    const struct expected_state *s = in->state;
    const struct estimator *estimator = in->setup->estimator;
    const struct multivariate_window *window =
        estimator ? expected_reconstruction(s, estimator->reference) : NULL;
    if (!window)
        result_none(out, estimator ? "nothing was recorded under this reference"
                                   : "no reference; load one with `assay reference load`");
    else
        result_mean(out, fixed_result(&window->sum, MULTIVARIATE_SCALE),
                    fixed_result(&window->square, MULTIVARIATE_SCALE), window->n, "no predictions");
}
