/*
 * Both orders of arrival must end in the same place. Where the label comes second, its partition's
 * newest ts is at hand; where it comes first, that ts is kept with the waiting label and judged
 * against the prediction when that comes. A prediction that lies further back in its own log than
 * any label may wait is not remembered at all, in either order.
 */
#include "collector/join.h"

#include <errno.h>
#include <stdlib.h>

struct join_model {
    uint64_t hash;
    int64_t horizon_ms;
};

struct join {
    struct pending *pending;
    struct join_model *models; /* by series */
    size_t n_models;
    int64_t longest_ms;
};

int64_t join_slack_ms(int64_t label_horizon_ms)
{
    const int64_t hour = 3600000;
    return label_horizon_ms / 8 > hour ? label_horizon_ms / 8 : hour;
}

int join_new(struct join **out, struct pending *pending, struct err *err)
{
    struct join *join = calloc(1, sizeof(*join));
    if (!join)
        return err_set(err, -ENOMEM, "join: no memory");
    join->pending = pending;
    *out = join; /* the caller owns it now */
    return 0;
}

void join_free(struct join *join)
{
    if (!join)
        return;
    free(join->models);
    free(join);
}

int join_series(struct join *join, uint32_t series, uint64_t model_hash, int64_t label_horizon_ms,
                struct err *err)
{
    if (series >= join->n_models) {
        size_t wanted = join->n_models ? join->n_models * 2 : 64;
        while (wanted <= series)
            wanted *= 2;
        struct join_model *models = realloc(join->models, wanted * sizeof(*models));
        if (!models)
            return err_set(err, -ENOMEM, "join: no memory for %zu series", wanted);
        for (size_t i = join->n_models; i < wanted; i++)
            models[i] = (struct join_model){0};
        join->models = models;
        join->n_models = wanted;
    }
    join->models[series] = (struct join_model){model_hash, label_horizon_ms};
    if (label_horizon_ms > join->longest_ms)
        join->longest_ms = label_horizon_ms;
    return 0;
}

void join_longest_horizon(struct join *join, int64_t label_horizon_ms)
{
    if (label_horizon_ms > join->longest_ms)
        join->longest_ms = label_horizon_ms;
}

static struct join_model model_of(const struct join *join, uint32_t series)
{
    return series < join->n_models ? join->models[series] : (struct join_model){0};
}

/* Saturating, for ts of any value. */
static int64_t later(int64_t ts_ms, int64_t by_ms)
{
    int64_t sum;
    return __builtin_add_overflow(ts_ms, by_ms, &sum) ? INT64_MAX : sum;
}

static int64_t life_of(int64_t horizon_ms)
{
    return later(horizon_ms, join_slack_ms(horizon_ms));
}

static bool alive(int64_t ts_ms, int64_t horizon_ms, int64_t newest_ts_ms)
{
    return newest_ts_ms <= later(ts_ms, life_of(horizon_ms));
}

static bool in_time(int64_t label_ts_ms, int64_t ts_ms, int64_t horizon_ms)
{
    return label_ts_ms <= later(ts_ms, horizon_ms);
}

int join_prediction(struct join *join, struct record_spec *spec, int64_t newest_ts_ms,
                    struct record **out, bool *has_waiting, struct err *err)
{
    struct join_model model = model_of(join, spec->series);
    uint32_t position = UINT32_MAX;
    struct record *record;
    int rc;
    *has_waiting = false;
    if (!alive(spec->ts_ms, model.horizon_ms, newest_ts_ms))
        return JOIN_STRAGGLER;
    while ((rc = pending_next(join->pending, spec->id, &position, &record, err)) == 0) {
        if (record->kind != RECORD_PREDICTION)
            *has_waiting = true;
        else if (model_of(join, record->series).hash == model.hash &&
                 alive(record->ts_ms, model.horizon_ms, newest_ts_ms))
            return JOIN_DUPLICATE;
    }
    if (rc != PENDING_NONE)
        return rc;
    spec->kind = RECORD_PREDICTION;
    spec->life_ms = life_of(model.horizon_ms);
    spec->expires_ms = later(spec->ts_ms, spec->life_ms);
    return pending_add(join->pending, spec, NULL, out, err);
}

static enum waiting_end judge_waiting(const struct record *prediction, const struct record *waiting,
                                      int64_t horizon_ms)
{
    if (!in_time(waiting->ts_ms, prediction->ts_ms, horizon_ms) ||
        !alive(prediction->ts_ms, horizon_ms, record_newest_ts(waiting)))
        return WAITING_ORPHANED;
    return WAITING_APPLIES;
}

/* The outcome of that name in a prediction's chain, or NULL. */
static int find_outcome(struct join *join, const struct record *prediction, uint64_t name_id,
                        struct record **there, struct err *err)
{
    uint32_t chain = prediction->chain;
    int rc;
    while ((rc = join_next_outcome(join, prediction, &chain, there, err)) == 0)
        if ((*there)->label.hash == name_id)
            return 0;
    *there = NULL;
    return rc == PENDING_NONE ? 0 : rc;
}

/* One waiting record meets its prediction. Newest first: an older one finds its place taken. */
static int settle_one(struct join *join, struct record *prediction, struct record *waiting,
                      bool *labelled, enum waiting_end *end, struct err *err)
{
    struct join_model model = model_of(join, prediction->series);
    *end = judge_waiting(prediction, waiting, model.horizon_ms);
    waiting->flags &= (uint8_t)~RECORD_WAITING;
    if (waiting->kind == RECORD_LABEL) {
        waiting->flags |= RECORD_DEAD;
        if (*end == WAITING_APPLIES && *labelled)
            *end = WAITING_SUPERSEDED;
        *labelled |= *end == WAITING_APPLIES;
        return 0;
    }
    struct view name = record_text(waiting);
    waiting->label.hash = class_id(name.data, name.size);
    if (*end == WAITING_APPLIES) {
        struct record *there;
        int rc = find_outcome(join, prediction, waiting->label.hash, &there, err);
        if (rc)
            return rc;
        if (there)
            *end = WAITING_SUPERSEDED;
    }
    if (*end != WAITING_APPLIES)
        waiting->flags |= RECORD_DEAD;
    return 0;
}

int join_take_waiting(struct join *join, struct record *prediction,
                      int (*each)(void *context, struct record *prediction,
                                  const struct record *waiting, enum waiting_end end,
                                  struct err *err),
                      void *context, struct err *err)
{
    uint64_t model_hash = model_of(join, prediction->series).hash;
    bool labelled = false;
    bool again = true;
    while (again) { /* each settled outcome joins the chain before the next is judged */
        uint32_t position = UINT32_MAX;
        struct record *waiting = NULL;
        int rc;
        again = false;
        while ((rc = pending_next(join->pending, prediction->id, &position, &waiting, err)) == 0)
            if (waiting->kind != RECORD_PREDICTION)
                break;
        while (rc == 0 && !again) {
            if ((waiting->flags & RECORD_WAITING) &&
                (waiting->label.hash == 0 || waiting->label.hash == model_hash)) {
                enum waiting_end end;
                rc = settle_one(join, prediction, waiting, &labelled, &end, err);
                if (!rc)
                    rc = each(context, prediction, waiting, end, err);
                if (!rc)
                    rc = pending_settle(join->pending, prediction->id, prediction, err);
                again = true;
            } else {
                rc = pending_chain(join->pending, prediction->id, waiting->chain, &waiting, err);
            }
        }
        if (rc && rc != PENDING_NONE)
            return rc;
    }
    return 0;
}

/* The prediction that a label or outcome belongs to. */
static int find_prediction(struct join *join, const struct join_event *event, struct record **out,
                           struct err *err)
{
    uint32_t position = UINT32_MAX;
    struct record *record;
    bool expired = false;
    int rc;
    while ((rc = pending_next(join->pending, event->id, &position, &record, err)) == 0) {
        if (record->kind != RECORD_PREDICTION)
            continue;
        struct join_model model = model_of(join, record->series);
        if (event->model_hash && event->model_hash != model.hash)
            continue;
        if (alive(record->ts_ms, model.horizon_ms, event->newest_ts_ms) &&
            in_time(event->ts_ms, record->ts_ms, model.horizon_ms)) {
            *out = record;
            return JOIN_MATCHED;
        }
        expired = true;
    }
    if (rc != PENDING_NONE)
        return rc;
    return expired ? JOIN_ORPHAN : JOIN_WAITS;
}

static int put_aside(struct join *join, const struct join_event *event, enum record_kind kind,
                     struct err *err)
{
    /* Whatever came so late in its log meets no prediction that is still remembered. */
    if (!alive(event->ts_ms, join->longest_ms, event->newest_ts_ms))
        return JOIN_ORPHAN;
    int64_t life_ms = life_of(join->longest_ms);
    struct record_spec spec = {
        .kind = kind,
        .flags = (uint8_t)(RECORD_WAITING | (event->is_content ? RECORD_CONTENT : 0)),
        .id = event->id,
        .ts_ms = event->ts_ms,
        .life_ms = life_ms,
        .expires_ms = later(event->ts_ms, life_ms),
        .number = event->number,
        .label_hash = event->model_hash,
        .series = event->partition,
        .newest_ts_ms = event->newest_ts_ms,
        .text = event->text,
    };
    struct record *record;
    int rc = pending_add(join->pending, &spec, NULL, &record, err);
    return rc ? rc : JOIN_WAITS;
}

int join_label(struct join *join, const struct join_event *event, struct record **out,
               struct err *err)
{
    int rc = find_prediction(join, event, out, err);
    return rc == JOIN_WAITS ? put_aside(join, event, RECORD_LABEL, err) : rc;
}

int join_outcome(struct join *join, const struct join_event *event, struct record **out,
                 struct record **there, struct err *err)
{
    *there = NULL;
    int rc = find_prediction(join, event, out, err);
    if (rc == JOIN_WAITS)
        return put_aside(join, event, RECORD_OUTCOME, err);
    if (rc != JOIN_MATCHED)
        return rc;
    return find_outcome(join, *out, class_id(event->text.data, event->text.size), there, err);
}

int join_set_label(struct join *join, struct record *prediction, bool is_value, double value,
                   uint64_t class_id_of_label, struct err *err)
{
    uint32_t handle = 0;
    int rc = 0;
    if (!is_value)
        rc = pending_class_handle(join->pending, class_id_of_label, &handle, err);
    if (!rc)
        rc = pending_changed(join->pending, prediction, err);
    if (rc)
        return rc;
    prediction->flags |= RECORD_LABELLED;
    prediction->label.hash = 0;
    if (is_value) {
        prediction->flags |= RECORD_LABEL_VALUE;
        prediction->label.value = value;
    } else {
        prediction->flags &= (uint8_t)~RECORD_LABEL_VALUE;
        prediction->label.class = handle;
    }
    return 0;
}

/* A record in the prediction's chain: it must not go before the prediction, which names it. */
static int add_owned(struct join *join, struct record *prediction, struct record_spec *spec,
                     struct err *err)
{
    int64_t from_ms = spec->ts_ms > prediction->ts_ms ? spec->ts_ms : prediction->ts_ms;
    struct record *record;
    spec->id = prediction->id;
    spec->life_ms = life_of(model_of(join, prediction->series).horizon_ms);
    spec->expires_ms = later(from_ms, spec->life_ms);
    return pending_add(join->pending, spec, prediction, &record, err);
}

int join_set_outcome(struct join *join, struct record *prediction, struct record *there,
                     const struct join_event *event, struct err *err)
{
    if (there) {
        there->number = event->number;
        return pending_changed(join->pending, there, err);
    }
    struct record_spec spec = {
        .kind = RECORD_OUTCOME,
        .ts_ms = event->ts_ms,
        .number = event->number,
        .label_hash = class_id(event->text.data, event->text.size),
        .series = event->partition,
    };
    return add_owned(join, prediction, &spec, err);
}

/* The record with the content of a prediction's label, or PENDING_NONE. */
static int find_content(struct join *join, const struct record *prediction, struct record **out,
                        struct err *err)
{
    uint32_t chain = prediction->chain;
    int rc;
    while ((rc = pending_chain(join->pending, prediction->id, chain, out, err)) == 0) {
        chain = (*out)->chain;
        if ((*out)->kind == RECORD_LABEL && !((*out)->flags & (RECORD_DEAD | RECORD_WAITING)))
            return 0;
    }
    return rc;
}

int join_content(struct join *join, const struct record *prediction, struct view *out,
                 struct err *err)
{
    struct record *record;
    int rc = find_content(join, prediction, &record, err);
    if (!rc)
        *out = record_text(record);
    return rc;
}

int join_set_content(struct join *join, struct record *prediction, const struct join_event *event,
                     struct err *err)
{
    struct record *old;
    int rc = find_content(join, prediction, &old, err);
    if (rc == 0) {
        rc = pending_changed(join->pending, old, err);
        if (!rc)
            old->flags |= RECORD_DEAD;
    }
    if (rc && rc != PENDING_NONE)
        return rc;
    struct record_spec spec = {
        .kind = RECORD_LABEL,
        .flags = RECORD_CONTENT,
        .ts_ms = event->ts_ms,
        .number = NAN,
        .series = event->partition,
        .text = event->text,
    };
    rc = add_owned(join, prediction, &spec, err);
    return rc ? rc : join_set_label(join, prediction, false, 0, 0, err);
}

int join_next_outcome(struct join *join, const struct record *prediction, uint32_t *chain,
                      struct record **out, struct err *err)
{
    int rc;
    while ((rc = pending_chain(join->pending, prediction->id, *chain, out, err)) == 0) {
        *chain = (*out)->chain;
        if ((*out)->kind == RECORD_OUTCOME && !((*out)->flags & (RECORD_DEAD | RECORD_WAITING)))
            return 0;
    }
    return rc;
}
