/*
 * Predictions are folded as they come; what their label needs is kept beside, and the labels are
 * folded at the end, when the last of each id is known.
 */
#include "collector/reference_metrics.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/content.h"

#define MAX_KEPT_BYTES (SIZE_MAX >> 1)

struct kept {             /* one id */
    double number;        /* score or value */
    uint64_t predicted;   /* class; 0: none */
    uint64_t label_class; /* 0: none */
    double label_value;   /* NaN: none */
    size_t tail;          /* in `tails`: slices, then scores or items */
    size_t content;       /* in `tails`: the label of a ranking or a segmentation */
    uint32_t content_bytes;
    uint32_t n_scores, n_items;
    uint16_t n_slices;
    bool here, failed, labelled; /* here: its prediction has come */
};

struct reference_metrics {
    enum task task;
    struct metric_setup setup;
    struct models *models; /* of the configuration, for its slices; NULL: there are none */
    struct model *model;
    struct states **states; /* by slice; NULL: nothing in it */
    uint32_t n_states;
    struct id_set places; /* id → index in kept */
    struct kept *kept;
    uint32_t n, room;
    struct buf tails; /* every part begins at a multiple of 8 */
    _Alignas(8) unsigned char content[2 * CONTENT_MAX_BYTES]; /* packed, and what is kept of it */
};

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, "reference: no memory for its metrics");
}

int reference_metrics_new(struct reference_metrics **out, const struct reference_source *source,
                          enum task task, struct err *err)
{
    const struct config_model *config = source->config;
    AUTO(reference_metrics) struct reference_metrics *metrics = calloc(1, sizeof(*metrics));
    if (!metrics)
        return no_memory(err);
    const char *positive = config && config->positive ? config->positive : "1";
    buf_init(&metrics->tails, MAX_KEPT_BYTES);
    metrics->task = task;
    metrics->setup = (struct metric_setup){
        .task = task,
        .positive = class_id(positive, strlen(positive)),
        .threshold = config ? config->threshold : 0.5,
    };
    if (source->site) {
        int rc = models_new(&metrics->models, source->site, err);
        if (rc)
            return rc;
        metrics->model = models_find(metrics->models, view_of(source->model));
    }
    *out = metrics; /* the caller owns it now */
    metrics = NULL;
    return 0;
}

void reference_metrics_free(struct reference_metrics *metrics)
{
    if (!metrics)
        return;
    for (uint32_t i = 0; i < metrics->n_states; i++)
        states_free(metrics->states[i]);
    free(metrics->states);
    models_free(metrics->models);
    id_set_finish(&metrics->places);
    free(metrics->kept);
    buf_finish(&metrics->tails);
    free(metrics);
}

/* The place of an id, made when new. */
static int kept_of(struct reference_metrics *metrics, struct view text, struct kept **out,
                   struct err *err)
{
    const uint64_t id = class_id(text.data, text.size);
    uint32_t at = id_set_find(&metrics->places, id);
    if (at == ID_NONE) {
        if (metrics->n == metrics->room) {
            const uint32_t room = metrics->room ? metrics->room * 2 : 1024;
            struct kept *more = reallocarray(metrics->kept, room, sizeof(*more));
            if (!more)
                return no_memory(err);
            metrics->kept = more;
            metrics->room = room;
        }
        int rc = id_set_put(&metrics->places, id, metrics->n, err);
        if (rc)
            return rc;
        at = metrics->n++;
        metrics->kept[at] = (struct kept){.number = (double)NAN, .label_value = (double)NAN};
    }
    *out = &metrics->kept[at];
    return 0;
}

/* Puts bytes at the next multiple of 8; where they are. */
static size_t tail_put(struct buf *tails, const void *bytes, size_t n)
{
    static const unsigned char zeros[8];
    const size_t at = tails->size;
    buf_bytes(tails, bytes, n);
    buf_bytes(tails, zeros, -n & 7);
    return at;
}

static int states_of(struct reference_metrics *metrics, uint32_t slice, struct states **out,
                     struct err *err)
{
    if (slice >= metrics->n_states) {
        const uint32_t n = slice + 1;
        struct states **more = reallocarray(metrics->states, n, sizeof(struct states *));
        if (!more)
            return no_memory(err);
        for (uint32_t i = metrics->n_states; i < n; i++)
            more[i] = NULL;
        metrics->states = more;
        metrics->n_states = n;
    }
    int rc = metrics->states[slice] ? 0 : states_new(&metrics->states[slice], &metrics->setup, err);
    *out = metrics->states[slice];
    return rc;
}

int reference_metrics_slices(struct reference_metrics *metrics, const struct event *event,
                             struct reference_slicing *out, struct err *err)
{
    out->n = 0;
    return metrics->model
               ? model_slices(metrics->models, metrics->model, event, out->numbers, &out->n, err)
               : 0;
}

struct reference_slice_names reference_metrics_names(const struct reference_metrics *metrics)
{
    const struct model *model = metrics->model;
    struct reference_slice_names out = {.slices = model ? model->slices : NULL};
    for (uint32_t i = 0; model && i < model->n_keys; i++)
        out.keys[out.n_keys++] = model->keys[i].name;
    return out;
}

int reference_metrics_prediction(struct reference_metrics *metrics, const struct event *event,
                                 const struct reference_slicing *slicing,
                                 const struct sample *sample, struct err *err)
{
    const uint16_t *slices = slicing->numbers;
    const uint32_t n_slices = slicing->n;
    struct kept *kept;
    int rc = kept_of(metrics, event->id, &kept, err);
    if (rc || kept->here)
        return rc;
    for (uint32_t i = 0; !rc && i <= n_slices; i++) {
        struct states *states = NULL;
        rc = states_of(metrics, i ? slices[i - 1] : 0, &states, err);
        if (!rc && states_predict(states, sample))
            return no_memory(err);
    }
    if (rc)
        return rc;
    kept->here = true;
    kept->failed = sample->failed;
    kept->number = metrics->task == TASK_REGRESSION ? sample->value : sample->score;
    kept->predicted = sample->predicted;
    kept->n_slices = (uint16_t)n_slices;
    kept->n_scores = sample->n_scores;
    kept->n_items = sample->n_items;
    kept->tail = tail_put(&metrics->tails, slices, n_slices * sizeof(slices[0]));
    tail_put(&metrics->tails, sample->scores, sample->n_scores * sizeof(*sample->scores));
    tail_put(&metrics->tails, sample->items, sample->n_items * sizeof(*sample->items));
    return buf_failed(&metrics->tails) ? no_memory(err) : 0;
}

/* What a ranking or a segmentation is worth, into the kept label; false: it says nothing of it. */
static bool take_content(struct reference_metrics *metrics, const struct event *event,
                         struct kept *kept)
{
    unsigned char *packed = metrics->content, *bytes = packed + CONTENT_MAX_BYTES;
    uint64_t classes[EVENT_MAX_KEYS];
    struct content content;
    uint32_t n;
    const bool ranking = metrics->task == TASK_RANKING;
    if (!(ranking ? event->is_relevance : event->is_confusion) || content_pack(event, packed, &n) ||
        !content_read((struct view){(const char *)packed, n}, &content))
        return false;
    for (uint32_t i = 0; i < content.n_pixels; i++)
        classes[i] = content.pixels[i].class_id;
    kept->content_bytes = ranking ? content_keep_relevances(&content, bytes)
                                  : content_keep_pixels(&content, classes, bytes);
    kept->content = tail_put(&metrics->tails, bytes, kept->content_bytes);
    return true;
}

int reference_metrics_label(struct reference_metrics *metrics, const struct event *event,
                            const struct sample *sample, struct err *err)
{
    struct kept *kept;
    int rc = kept_of(metrics, event->id, &kept, err);
    if (rc)
        return rc;
    switch (metrics->task) {
    case TASK_RANKING:
    case TASK_SEGMENTATION:
        kept->labelled |= take_content(metrics, event, kept);
        return buf_failed(&metrics->tails) ? no_memory(err) : 0;
    case TASK_REGRESSION:
        if (isnan(sample->label_value))
            return 0;
        break;
    default:
        if (!sample->label_class)
            return 0;
    }
    kept->label_class = sample->label_class;
    kept->label_value = sample->label_value;
    kept->labelled = true;
    return 0;
}

static void sample_of_kept(const struct reference_metrics *metrics, const struct kept *kept,
                           struct sample *out)
{
    const unsigned char *tail = metrics->tails.data + kept->tail;
    const bool regression = metrics->task == TASK_REGRESSION;
    struct content content;
    tail += (kept->n_slices * sizeof(uint16_t) + 7) & ~(size_t)7;
    *out = (struct sample){
        .latency_ms = (double)NAN,
        .score = regression ? (double)NAN : kept->number,
        .value = regression ? kept->number : (double)NAN,
        .predicted = kept->predicted,
        .failed = kept->failed,
        .label_class = kept->label_class,
        .label_value = kept->label_value,
        .scores = (const struct class_score *)(const void *)tail,
        .n_scores = kept->n_scores,
        .items = (const uint64_t *)(const void *)tail,
        .n_items = kept->n_items,
    };
    if (!kept->content_bytes)
        return;
    (void)content_read(
        (struct view){(const char *)metrics->tails.data + kept->content, kept->content_bytes},
        &content);
    out->relevances = content.relevances;
    out->n_relevances = content.n_relevances;
    out->pixels = content.pixels;
    out->n_pixels = content.n_pixels;
}

/* The label's own value into the slices of its prediction. */
static int fold_value(const struct reference_metrics *metrics, const struct sample *sample,
                      const uint16_t *numbers, uint32_t n, struct reference_slices *slices,
                      struct err *err)
{
    struct profile_item item;
    int rc = 0;
    if (!profile_label_items(metrics->task, sample, &item))
        return 0;
    for (uint32_t i = 0; !rc && i < n; i++)
        rc = reference_slices_label(slices, numbers[i], &item, err);
    return rc;
}

static int fold_labels(struct reference_metrics *metrics, struct reference_slices *values,
                       struct err *err)
{
    int rc = 0;
    for (uint32_t i = 0; !rc && i < metrics->n; i++) {
        const struct kept *kept = &metrics->kept[i];
        struct sample sample;
        if (!kept->here || !kept->labelled)
            continue;
        const uint16_t *slices = (const uint16_t *)(const void *)(metrics->tails.data + kept->tail);
        sample_of_kept(metrics, kept, &sample);
        for (uint32_t s = 0; s <= kept->n_slices; s++)
            if (states_label(metrics->states[s ? slices[s - 1] : 0], &sample, 1))
                return no_memory(err);
        rc = fold_value(metrics, &sample, slices, kept->n_slices, values, err);
    }
    return rc;
}

int reference_metrics_finish(struct reference_metrics *metrics, struct reference_slices *slices,
                             struct fitted *fitted, struct err *err)
{
    int rc = fold_labels(metrics, slices, err);
    if (rc)
        return rc;
    fitted->metrics = calloc(metrics->n_states + 1, sizeof(*fitted->metrics));
    if (!fitted->metrics)
        return no_memory(err);
    for (uint32_t i = 0; i < metrics->n_states; i++) {
        if (!metrics->states[i])
            continue;
        char *slice = strdup(i ? metrics->model->slices[i] : "");
        if (!slice)
            return no_memory(err);
        fitted->metrics[fitted->n_metrics++] = (struct slice_states){slice, metrics->states[i]};
        metrics->states[i] = NULL; /* fitted owns it now */
    }
    return 0;
}
