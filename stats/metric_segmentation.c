#include "stats/metric_segmentation.h"

#include "common/cleanup.h"

enum {
    TAG = 7,
    COLUMNS = 3
};

static void segmentation_init(void *state, const struct metric_setup *setup)
{
    (void)setup;
    bins_init(&((struct segmentation_state *)state)->classes, COLUMNS);
}

static void segmentation_finish(void *state)
{
    bins_finish(&((struct segmentation_state *)state)->classes);
}

static int segmentation_room(void *state, const struct sample *sample, enum fold fold)
{
    struct segmentation_state *s = state;
    return fold == FOLD_LABEL ? bins_room(&s->classes, sample->n_pixels) : 0;
}

static int segmentation_room_merge(void *into, const void *from)
{
    return bins_room(&((struct segmentation_state *)into)->classes,
                     ((const struct segmentation_state *)from)->classes.n);
}

static int64_t pixels(double n)
{
    return n > 0 ? (int64_t)fmin(n, 0x1p52) : 0;
}

static void segmentation_label(void *state, const struct metric_setup *setup,
                               const struct sample *sample, int sign)
{
    (void)setup;
    struct segmentation_state *s = state;
    if (sample->failed)
        return;
    for (uint32_t i = 0; i < sample->n_pixels; i++) {
        const struct class_pixels *class = &sample->pixels[i];
        int64_t *columns = bins_at(&s->classes, class->class_id);
        columns[0] += sign * pixels(class->tp);
        columns[1] += sign * pixels(class->fp);
        columns[2] += sign * pixels(class->fn);
    }
}

static void segmentation_merge(void *into, const void *from)
{
    bins_merge(&((struct segmentation_state *)into)->classes,
               &((const struct segmentation_state *)from)->classes);
}

static void segmentation_save(const void *state, struct buf *out)
{
    const struct segmentation_state *s = state;
    const size_t start = out->size;
    bins_save(&s->classes, out);
    /* No class: nothing at all, not even the 0 that says so. */
    if (!buf_failed(out) && out->size == start + 1 && out->data[start] == 0)
        out->size = start;
}

static int segmentation_load(void *state, struct reader *in, struct err *err)
{
    return bins_load(&((struct segmentation_state *)state)->classes, COLUMNS, in, err);
}

const struct state_kind segmentation_kind = {
    .name = "segmentation",
    .tag = TAG,
    .tasks = 1 << TASK_SEGMENTATION,
    .size = sizeof(struct segmentation_state),
    .init = segmentation_init,
    .finish = segmentation_finish,
    .room = segmentation_room,
    .room_merge = segmentation_room_merge,
    .label = segmentation_label,
    .merge = segmentation_merge,
    .save = segmentation_save,
    .load = segmentation_load,
};

static const char *const no_labels = "no labelled predictions";

/* tp counts `weight` times above and below: 1 for IoU, 2 for Dice. NaN: the class does not occur.
 */
static double overlap(const int64_t *columns, double weight)
{
    const double tp = weight * (double)columns[0];
    const double all = tp + (double)columns[1] + (double)columns[2];
    return all > 0 ? tp / all : (double)NAN;
}

static void mean_overlap(const struct metric_input *in, double weight, struct metric_value *out)
{
    const struct segmentation_state *s = in->state;
    AUTO_FREE struct bins_row *rows = NULL;
    size_t n;
    double sum = 0, classes = 0;
    if (bins_sorted(&s->classes, &rows, &n)) {
        result_none(out, "out of memory");
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const double one = overlap(rows[i].columns, weight);
        if (!isnan(one)) {
            sum += one;
            classes++;
        }
    }
    if (classes > 0)
        result_exact(out, sum / classes, interval_none);
    else
        result_none(out, no_labels);
}

void segmentation_mean_iou(const struct metric_input *in, struct metric_value *out)
{
    mean_overlap(in, 1, out);
}

void segmentation_dice(const struct metric_input *in, struct metric_value *out)
{
    mean_overlap(in, 2, out);
}

static void class_overlap(const struct metric_input *in, double weight, struct metric_value *out)
{
    const struct segmentation_state *s = in->state;
    const int64_t *columns = bins_find(&s->classes, in->argument);
    const double one = columns ? overlap(columns, weight) : (double)NAN;
    if (isnan(one))
        result_none(out, "no pixels of this class");
    else
        result_exact(out, one, interval_none);
}

void segmentation_class_iou(const struct metric_input *in, struct metric_value *out)
{
    class_overlap(in, 1, out);
}

void segmentation_class_dice(const struct metric_input *in, struct metric_value *out)
{
    class_overlap(in, 2, out);
}
