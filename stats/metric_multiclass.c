/*
 * The state: folding, merging, saving. What its numbers say is in multiclass_results.c.
 *
 * Memory is taken before anything changes: `room` puts the classes of an event into the list,
 * empty, and sees to a free row in each table. An empty class is neither saved nor counted, so
 * nobody sees it should the event then not come.
 */
#include "stats/metric_multiclass.h"

#include <errno.h>
#include <float.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum {
    TAG = 3,
    MAX_CLASSES = 256,
    SCALE = 80,
    CONFIDENCE_BITS = 9,
    THRIFT = 1, /* 512 scores a class exactly, then up to 2,048 bins */
};

static void multiclass_init(void *state, const struct metric_setup *setup)
{
    (void)setup;
    struct multiclass_state *s = state;
    histogram_init(&s->confidences, CONFIDENCE_BITS, false);
    bins_init(&s->cells, 1);
}

static void multiclass_finish(void *state)
{
    struct multiclass_state *s = state;
    for (uint32_t i = 0; i < s->n; i++)
        score_bins_finish(&s->classes[i].scores);
    free(s->classes);
    histogram_finish(&s->confidences);
    bins_finish(&s->cells);
}

uint64_t multiclass_cell(uint64_t label, uint64_t predicted)
{
    const uint64_t pair[] = {label, predicted};
    return XXH3_64bits(pair, sizeof(pair));
}

static uint32_t place_of(const struct multiclass_state *s, uint64_t id)
{
    uint32_t low = 0, high = s->n;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (s->classes[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint64_t kept_id(const struct multiclass_state *s, uint64_t id)
{
    return s->cutoff && id >= s->cutoff ? MULTICLASS_OTHER : id;
}

static struct class_counts *find(const struct multiclass_state *s, uint64_t id)
{
    id = kept_id(s, id);
    const uint32_t place = place_of(s, id);
    return place < s->n && s->classes[place].id == id ? &s->classes[place] : NULL;
}

const struct class_counts *multiclass_class(const struct multiclass_state *s, uint64_t id)
{
    return find(s, id);
}

int64_t multiclass_count(const struct multiclass_state *s, uint64_t label, uint64_t predicted)
{
    const int64_t *n = bins_find(&s->cells, multiclass_cell(label, predicted));
    return n ? *n : 0;
}

static int insert(struct multiclass_state *s, uint64_t id)
{
    if (s->n == s->capacity) {
        const uint32_t capacity = s->capacity ? 2 * s->capacity : 4;
        struct class_counts *classes = realloc(s->classes, capacity * sizeof(*classes));
        if (!classes)
            return -ENOMEM;
        s->classes = classes;
        s->capacity = capacity;
    }
    const uint32_t place = place_of(s, id);
    memmove(s->classes + place + 1, s->classes + place, (s->n - place) * sizeof(*s->classes));
    s->classes[place] = (struct class_counts){.id = id};
    score_bins_init(&s->classes[place].scores, THRIFT);
    s->n++;
    return 0;
}

static void move_cell(struct multiclass_state *s, uint64_t label, uint64_t predicted,
                      uint64_t to_label, uint64_t to_predicted)
{
    const uint64_t from = multiclass_cell(label, predicted);
    const int64_t *n = bins_find(&s->cells, from);
    if (!n || *n == 0)
        return;
    const int64_t moved = *n;
    *bins_at(&s->cells, from) = 0;
    *bins_at(&s->cells, multiclass_cell(to_label, to_predicted)) += moved;
}

/* The class of the highest id goes into MULTICLASS_OTHER, which is there and has room. */
static void give_up_last(struct multiclass_state *s)
{
    struct class_counts *last = &s->classes[s->n - 1];
    for (uint32_t i = 0; i + 1 < s->n; i++) {
        const uint64_t id = s->classes[i].id;
        move_cell(s, last->id, id, MULTICLASS_OTHER, id);
        move_cell(s, id, last->id, id, MULTICLASS_OTHER);
    }
    move_cell(s, last->id, last->id, MULTICLASS_OTHER, MULTICLASS_OTHER);
    s->classes[0].truth += last->truth;
    s->classes[0].predicted += last->predicted;
    s->classes[0].hit += last->hit;
    score_bins_finish(&last->scores);
    s->n--;
}

static int cut(struct multiclass_state *s, uint64_t cutoff)
{
    if (s->cutoff && cutoff >= s->cutoff)
        return 0;
    if ((s->n == 0 || s->classes[0].id != MULTICLASS_OTHER) && insert(s, MULTICLASS_OTHER))
        return -ENOMEM;
    while (s->n > 1 && s->classes[s->n - 1].id >= cutoff) {
        if (bins_room(&s->cells, 2 * s->n))
            return -ENOMEM;
        give_up_last(s);
    }
    s->cutoff = cutoff;
    return 0;
}

/* Puts a class into the list, where the limit allows it. */
static int admit(struct multiclass_state *s, uint64_t id)
{
    if (find(s, id))
        return 0;
    const uint32_t others = s->n && s->classes[0].id == MULTICLASS_OTHER;
    if (s->n - others < MAX_CLASSES || id == MULTICLASS_OTHER)
        return insert(s, id);
    const uint64_t last = s->classes[s->n - 1].id;
    const int rc = cut(s, last > id ? last : id);
    return rc || id >= s->cutoff ? rc : insert(s, id);
}

static int multiclass_room(void *state, const struct sample *sample, enum fold fold)
{
    struct multiclass_state *s = state;
    if (sample->failed)
        return 0;
    if (histogram_room(&s->confidences) || bins_room(&s->cells, 1))
        return -ENOMEM;
    if (fold == FOLD_LABEL && sample->label_class && admit(s, sample->label_class))
        return -ENOMEM;
    if (fold == FOLD_LABEL && sample->predicted && admit(s, sample->predicted))
        return -ENOMEM;
    for (uint32_t i = 0; i < sample->n_scores; i++)
        if (admit(s, sample->scores[i].class_id))
            return -ENOMEM;
    for (uint32_t i = 0; i < sample->n_scores; i++)
        if (score_bins_room(&find(s, sample->scores[i].class_id)->scores))
            return -ENOMEM;
    return 0;
}

struct scores { /* of one event */
    double sum; /* what to divide by */
    double top;
    uint64_t top_class; /* 0: no scores */
};

static struct scores scores_of(const struct sample *sample)
{
    struct scores scores = {0, 0, 0};
    for (uint32_t i = 0; i < sample->n_scores; i++) {
        scores.sum += sample->scores[i].score;
        if (scores.top_class == 0 || sample->scores[i].score > scores.top) {
            scores.top = sample->scores[i].score;
            scores.top_class = sample->scores[i].class_id;
        }
    }
    if (fabs(scores.sum - 1) < 1e-6 || !(scores.sum > 0))
        scores.sum = 1;
    scores.top = fmin(fmax(scores.top, 0), 1);
    return scores;
}

static void multiclass_predict(void *state, const struct metric_setup *setup,
                               const struct sample *sample)
{
    (void)setup;
    struct multiclass_state *s = state;
    if (sample->failed || sample->n_scores == 0)
        return;
    const struct scores scores = scores_of(sample);
    s->scored++;
    fixed_add(&s->confidence, scores.top, SCALE, 1);
    fixed_add(&s->confidence_squares, scores.top * scores.top, SCALE, 1);
    histogram_add(&s->confidences, scores.top, 1);
    const uint64_t predicted = sample->predicted ? sample->predicted : scores.top_class;
    for (uint32_t i = 0; i < sample->n_scores; i++) {
        const struct class_score *score = &sample->scores[i];
        struct class_counts *class = find(s, score->class_id);
        if (class->id != MULTICLASS_OTHER)
            score_bins_predict(&class->scores, score->score / scores.sum,
                               score->class_id == predicted);
    }
}

/* Is the label among the three highest scores? Of equal ones the higher id stands first. */
static bool in_top_3(const struct sample *sample, double own)
{
    uint32_t before = 0;
    for (uint32_t i = 0; i < sample->n_scores; i++) {
        const struct class_score *other = &sample->scores[i];
        before +=
            other->score > own || (other->score == own && other->class_id > sample->label_class);
    }
    return before < 3;
}

static void label_scores(struct multiclass_state *s, const struct sample *sample,
                         uint64_t predicted, int sign)
{
    const struct scores scores = scores_of(sample);
    double own = -1, squares = 0;
    for (uint32_t i = 0; i < sample->n_scores; i++) {
        const struct class_score *score = &sample->scores[i];
        const bool positive = score->class_id == sample->label_class;
        const double p = score->score / scores.sum, away = positive ? 1 - p : p;
        own = positive ? score->score : own;
        squares += away * away;
        struct class_counts *class = find(s, score->class_id);
        if (class->id != MULTICLASS_OTHER)
            score_bins_label(&class->scores, p, positive, sign);
    }
    if (own < 0)
        squares += 1; /* the label's class got no score at all */
    const double p = fmax(own, 0) / scores.sum;
    const double loss = -log(fmin(fmax(p, DBL_EPSILON), 1 - DBL_EPSILON));
    squares = fmin(squares, 0x1p20);
    s->judged_scored += sign;
    s->top_3 += own >= 0 && in_top_3(sample, own) ? sign : 0;
    fixed_add(&s->loss, loss, SCALE, sign);
    fixed_add(&s->loss_squares, loss * loss, SCALE, sign);
    fixed_add(&s->brier, squares, SCALE, sign);
    fixed_add(&s->brier_squares, squares * squares, SCALE, sign);
    const bool right = predicted == sample->label_class;
    const double gap = right ? 1 - scores.top : scores.top;
    fixed_add(&s->gap_squares, gap * gap, SCALE, sign);
    calibration_add(&s->calibration, scores.top, right, sign);
}

static void multiclass_label(void *state, const struct metric_setup *setup,
                             const struct sample *sample, int sign)
{
    (void)setup;
    struct multiclass_state *s = state;
    if (sample->failed || !sample->label_class)
        return;
    const uint64_t predicted = sample->predicted ? sample->predicted : scores_of(sample).top_class;
    if (!predicted)
        return;
    struct class_counts *of_label = find(s, sample->label_class),
                        *of_predicted = find(s, predicted);
    s->judged += sign;
    of_label->truth += sign;
    of_predicted->predicted += sign;
    of_label->hit += sample->label_class == predicted ? sign : 0;
    *bins_at(&s->cells, multiclass_cell(of_label->id, of_predicted->id)) += sign;
    if (sample->n_scores)
        label_scores(s, sample, predicted, sign);
}

static int multiclass_room_merge(void *into, const void *from)
{
    struct multiclass_state *a = into;
    const struct multiclass_state *b = from;
    if (histogram_room_merge(&a->confidences, &b->confidences))
        return -ENOMEM;
    if (b->cutoff && cut(a, b->cutoff))
        return -ENOMEM;
    for (uint32_t i = 0; i < b->n; i++)
        if (admit(a, b->classes[i].id))
            return -ENOMEM;
    for (uint32_t i = 0; i < b->n; i++)
        if (score_bins_room_merge(&find(a, b->classes[i].id)->scores, &b->classes[i].scores))
            return -ENOMEM;
    return bins_room(&a->cells, b->cells.n);
}

static void merge_cells(struct multiclass_state *a, const struct multiclass_state *b)
{
    if (!a->cutoff) {
        bins_merge(&a->cells, &b->cells);
        return;
    }
    for (uint32_t i = 0; i < b->n; i++)
        for (uint32_t j = 0; j < b->n; j++) {
            const uint64_t label = b->classes[i].id, predicted = b->classes[j].id;
            const int64_t n = multiclass_count(b, label, predicted);
            if (n)
                *bins_at(&a->cells, multiclass_cell(kept_id(a, label), kept_id(a, predicted))) += n;
        }
}

static void multiclass_merge(void *into, const void *from)
{
    struct multiclass_state *a = into;
    const struct multiclass_state *b = from;
    fixed_merge(&a->confidence, &b->confidence);
    fixed_merge(&a->confidence_squares, &b->confidence_squares);
    fixed_merge(&a->loss, &b->loss);
    fixed_merge(&a->loss_squares, &b->loss_squares);
    fixed_merge(&a->brier, &b->brier);
    fixed_merge(&a->brier_squares, &b->brier_squares);
    fixed_merge(&a->gap_squares, &b->gap_squares);
    a->scored += b->scored;
    histogram_merge(&a->confidences, &b->confidences);
    a->judged += b->judged;
    a->judged_scored += b->judged_scored;
    a->top_3 += b->top_3;
    calibration_merge(&a->calibration, &b->calibration);
    for (uint32_t i = 0; i < b->n; i++) {
        struct class_counts *class = find(a, b->classes[i].id);
        class->truth += b->classes[i].truth;
        class->predicted += b->classes[i].predicted;
        class->hit += b->classes[i].hit;
        if (class->id != MULTICLASS_OTHER)
            score_bins_merge(&class->scores, &b->classes[i].scores);
    }
    merge_cells(a, b);
}

#define SUMS_OF(s)                                                                               \
    {                                                                                            \
        &(s)->confidence, &(s)->confidence_squares, &(s)->loss, &(s)->loss_squares, &(s)->brier, \
            &(s)->brier_squares, &(s)->gap_squares                                               \
    }

static bool is_empty(const struct class_counts *class)
{
    struct bins_row *rows;
    size_t n = 0;
    if (class->truth || class->predicted || class->hit)
        return false;
    if (class->scores.bins.n == 0)
        return true;
    if (bins_sorted(&class->scores.bins, &rows, &n))
        return false;
    free(rows);
    return n == 0;
}

/* counts · [sums · confidences] · cutoff · n classes { id step, counts, scores } · cells */
static void multiclass_save(const void *state, struct buf *out)
{
    const struct multiclass_state *s = state;
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n; i++)
        n += !is_empty(&s->classes[i]);
    if (n == 0 && !s->scored && !s->judged)
        return;
    buf_zigzag(out, s->scored);
    buf_zigzag(out, s->judged);
    buf_zigzag(out, s->judged_scored);
    buf_zigzag(out, s->top_3);
    if (s->scored || s->judged_scored) {
        const struct fixed_sum *sums[] = SUMS_OF(s);
        for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++)
            fixed_save(sums[i], out);
        calibration_save(&s->calibration, out);
        histogram_save(&s->confidences, out);
    }
    buf_varint(out, s->cutoff);
    buf_varint(out, n);
    uint64_t before = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        const struct class_counts *class = &s->classes[i];
        if (is_empty(class))
            continue;
        buf_varint(out, class->id - before);
        before = class->id;
        buf_zigzag(out, class->truth);
        buf_zigzag(out, class->predicted);
        buf_zigzag(out, class->hit);
        score_bins_save(&class->scores, out);
    }
    bins_save(&s->cells, out);
}

static int load_class(struct multiclass_state *s, uint64_t id, struct reader *in, struct err *err)
{
    if (insert(s, id))
        return err_set(err, -ENOMEM, "state: no memory for a class");
    struct class_counts *class = &s->classes[s->n - 1];
    class->truth = reader_count(in);
    class->predicted = reader_count(in);
    class->hit = reader_count(in);
    return score_bins_load(&class->scores, in, err);
}

static int multiclass_load(void *state, struct reader *in, struct err *err)
{
    struct multiclass_state *s = state;
    int rc = 0;
    s->scored = reader_count(in);
    s->judged = reader_count(in);
    s->judged_scored = reader_count(in);
    s->top_3 = reader_count(in);
    if (s->scored || s->judged_scored) {
        struct fixed_sum *sums[] = SUMS_OF(s);
        for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++)
            fixed_load(sums[i], in);
        rc = calibration_load(&s->calibration, in, err);
        if (rc == 0)
            rc = histogram_load(&s->confidences, in, err);
    }
    s->cutoff = reader_varint(in);
    const uint64_t n = reader_varint(in);
    if (rc == 0 && (reader_failed(in) || n > MAX_CLASSES + 1))
        rc = err_set(err, ERR_CORRUPT, "state: more than %d classes", MAX_CLASSES);
    uint64_t id = 0;
    for (uint64_t i = 0; rc == 0 && i < n; i++) {
        const uint64_t step = reader_varint(in);
        if ((i > 0 && step == 0) || id + step < id || kept_id(s, id + step) != id + step)
            return err_set(err, ERR_CORRUPT, "state: the classes do not ascend");
        id += step;
        rc = load_class(s, id, in, err);
    }
    /* Whoever has a cutoff has an other class to count into. */
    if (rc == 0 && s->cutoff && admit(s, MULTICLASS_OTHER))
        rc = err_set(err, -ENOMEM, "state: no memory for a class");
    return rc ? rc : bins_load(&s->cells, 1, in, err);
}

const struct state_kind multiclass_kind = {
    .name = "multiclass",
    .tag = TAG,
    .tasks = 1 << TASK_MULTICLASS,
    .size = sizeof(struct multiclass_state),
    .init = multiclass_init,
    .finish = multiclass_finish,
    .room = multiclass_room,
    .room_merge = multiclass_room_merge,
    .predict = multiclass_predict,
    .label = multiclass_label,
    .merge = multiclass_merge,
    .save = multiclass_save,
    .load = multiclass_load,
};
