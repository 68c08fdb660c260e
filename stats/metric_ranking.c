#include "stats/metric_ranking.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

enum {
    TAG = 6,
    SCALE = 80
};

static void ranking_init(void *state, const struct metric_setup *setup)
{
    (void)setup;
    bins_init(&((struct ranking_state *)state)->first_hits, 1);
}

static void ranking_finish(void *state)
{
    struct ranking_state *s = state;
    bins_finish(&s->first_hits);
    free(s->steps);
}

static int room_for(struct ranking_state *s, uint32_t n)
{
    n = n < RANKING_MAX_K ? n : RANKING_MAX_K;
    if (n > s->capacity) {
        struct ranking_step *steps = NULL;
        if (posix_memalign((void **)&steps, _Alignof(struct ranking_step), n * sizeof(*steps)))
            return -ENOMEM;
        memset(steps, 0, n * sizeof(*steps));
        if (s->n)
            memcpy(steps, s->steps, s->n * sizeof(*steps));
        free(s->steps);
        s->steps = steps;
        s->capacity = n;
    }
    s->n = n > s->n ? n : s->n;
    return 0;
}

/* Nothing changes beyond the end of the list and beyond the last relevant item. */
static uint32_t places_of(const struct sample *sample)
{
    return sample->n_items > sample->n_relevances ? sample->n_items : sample->n_relevances;
}

static int ranking_room(void *state, const struct sample *sample, enum fold fold)
{
    struct ranking_state *s = state;
    if (fold != FOLD_LABEL || sample->failed)
        return 0;
    return bins_room(&s->first_hits, 1) ? -ENOMEM : room_for(s, places_of(sample));
}

static int ranking_room_merge(void *into, const void *from)
{
    struct ranking_state *a = into;
    const struct ranking_state *b = from;
    return bins_room(&a->first_hits, b->first_hits.n) ? -ENOMEM : room_for(a, b->n);
}

static double worth(double relevance)
{
    return relevance > 0 && isfinite(relevance) ? relevance : 0;
}

static double relevance_of(const struct sample *sample, uint64_t item)
{
    uint32_t low = 0, high = sample->n_relevances;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (sample->relevances[middle].item < item)
            low = middle + 1;
        else
            high = middle;
    }
    const bool there = low < sample->n_relevances && sample->relevances[low].item == item;
    return there ? worth(sample->relevances[low].relevance) : 0;
}

/* The highest relevances, descending: the best possible order. Returns the relevant items. */
static uint32_t best_order(const struct sample *sample, double best[RANKING_MAX_K])
{
    uint32_t relevant = 0, n = 0;
    for (uint32_t i = 0; i < sample->n_relevances; i++) {
        const double relevance = worth(sample->relevances[i].relevance);
        relevant += relevance > 0;
        if (n == RANKING_MAX_K && relevance <= best[n - 1])
            continue;
        uint32_t place = n < RANKING_MAX_K ? n++ : n - 1;
        for (; place > 0 && best[place - 1] < relevance; place--)
            best[place] = best[place - 1];
        best[place] = relevance;
    }
    for (; n < RANKING_MAX_K; n++)
        best[n] = 0;
    return relevant;
}

static uint32_t first_hit(const struct sample *sample)
{
    for (uint32_t i = 0; i < sample->n_items; i++)
        if (relevance_of(sample, sample->items[i]) > 0)
            return i + 1;
    return 0;
}

static void step_to(struct fixed_sum *sum, double now, double before, int sign)
{
    const unsigned __int128 units = fixed_units(now, SCALE) - fixed_units(before, SCALE);
    sum->units += sign > 0 ? units : -units;
}

/* One list, walked down place by place: its values when only those so far are looked at. */
struct walk {
    const struct sample *sample;
    double best[RANKING_MAX_K];
    double unit; /* one scale for both sums: 1e308 would overflow them */
    uint32_t relevant;
    double gain, ideal, precisions, hits;
    double ndcg, map;
};

static void walk_start(struct walk *walk, const struct sample *sample)
{
    walk->sample = sample;
    walk->relevant = best_order(sample, walk->best);
    walk->unit = walk->best[0] > 0 ? walk->best[0] : 1;
    walk->gain = walk->ideal = walk->precisions = walk->hits = walk->ndcg = walk->map = 0;
}

static void walk_step(struct walk *walk, uint32_t i)
{
    const struct sample *sample = walk->sample;
    const double discount = 1 / log2(i + 2.0);
    const double relevance =
        i < sample->n_items ? relevance_of(sample, sample->items[i]) / walk->unit : 0;
    walk->gain += relevance * discount;
    walk->ideal += walk->best[i] / walk->unit * discount;
    if (relevance > 0) {
        walk->hits++;
        walk->precisions += walk->hits / (i + 1.0);
    }
    const double most = walk->relevant < i + 1 ? walk->relevant : i + 1;
    walk->ndcg = walk->ideal > 0 ? fmin(1, walk->gain / walk->ideal) : 0;
    walk->map = most > 0 ? fmin(1, walk->precisions / most) : 0;
}

/* Each step's sums get what that place adds to the event's values. */
static void add_steps(struct ranking_state *s, const struct sample *sample, int sign)
{
    struct walk walk;
    const uint32_t places = places_of(sample);
    walk_start(&walk, sample);
    for (uint32_t i = 0; i < places && i < RANKING_MAX_K; i++) {
        const double ndcg = walk.ndcg, map = walk.map;
        walk_step(&walk, i);
        step_to(&s->steps[i].ndcg, walk.ndcg, ndcg, sign);
        step_to(&s->steps[i].ndcg_squares, walk.ndcg * walk.ndcg, ndcg * ndcg, sign);
        step_to(&s->steps[i].map, walk.map, map, sign);
        step_to(&s->steps[i].map_squares, walk.map * walk.map, map * map, sign);
    }
}

double ranking_of_list(const struct sample *sample, enum ranking_value value, uint32_t k)
{
    const uint32_t first = first_hit(sample), places = places_of(sample);
    struct walk walk;
    if (value == RANKING_MRR)
        return first ? 1.0 / first : 0;
    if (value == RANKING_HIT_RATE)
        return first && first <= k;
    if (k > RANKING_MAX_K)
        return (double)NAN;
    walk_start(&walk, sample);
    for (uint32_t i = 0; i < places && i < k; i++)
        walk_step(&walk, i);
    return value == RANKING_NDCG ? walk.ndcg : walk.map;
}

static void ranking_label(void *state, const struct metric_setup *setup,
                          const struct sample *sample, int sign)
{
    (void)setup;
    struct ranking_state *s = state;
    if (sample->failed)
        return;
    const uint32_t first = first_hit(sample);
    s->judged += sign;
    if (first)
        *bins_at(&s->first_hits, first) += sign;
    add_steps(s, sample, sign);
}

static void ranking_merge(void *into, const void *from)
{
    struct ranking_state *a = into;
    const struct ranking_state *b = from;
    a->judged += b->judged;
    bins_merge(&a->first_hits, &b->first_hits);
    for (uint32_t i = 0; i < b->n; i++) {
        fixed_merge(&a->steps[i].ndcg, &b->steps[i].ndcg);
        fixed_merge(&a->steps[i].ndcg_squares, &b->steps[i].ndcg_squares);
        fixed_merge(&a->steps[i].map, &b->steps[i].map);
        fixed_merge(&a->steps[i].map_squares, &b->steps[i].map_squares);
    }
}

static bool is_nothing(const struct ranking_step *step)
{
    return !step->ndcg.units && !step->ndcg_squares.units && !step->map.units &&
           !step->map_squares.units;
}

static void ranking_save(const void *state, struct buf *out)
{
    const struct ranking_state *s = state;
    uint32_t n = s->n;
    while (n > 0 && is_nothing(&s->steps[n - 1]))
        n--;
    if (!s->judged && n == 0)
        return;
    buf_zigzag(out, s->judged);
    bins_save(&s->first_hits, out);
    buf_varint(out, n);
    for (uint32_t i = 0; i < n; i++) {
        fixed_save(&s->steps[i].ndcg, out);
        fixed_save(&s->steps[i].ndcg_squares, out);
        fixed_save(&s->steps[i].map, out);
        fixed_save(&s->steps[i].map_squares, out);
    }
}

static int ranking_load(void *state, struct reader *in, struct err *err)
{
    struct ranking_state *s = state;
    s->judged = reader_count(in);
    const int rc = bins_load(&s->first_hits, 1, in, err);
    if (rc)
        return rc;
    const uint64_t n = reader_varint(in);
    if (n > RANKING_MAX_K)
        return err_set(err, ERR_CORRUPT, "state: more than %d places", RANKING_MAX_K);
    if (room_for(s, (uint32_t)n))
        return err_set(err, -ENOMEM, "state: no memory for places");
    for (uint32_t i = 0; i < n; i++) {
        fixed_load(&s->steps[i].ndcg, in);
        fixed_load(&s->steps[i].ndcg_squares, in);
        fixed_load(&s->steps[i].map, in);
        fixed_load(&s->steps[i].map_squares, in);
    }
    return 0;
}

const struct state_kind ranking_kind = {
    .name = "ranking",
    .tag = TAG,
    .tasks = 1 << TASK_RANKING,
    .size = sizeof(struct ranking_state),
    .init = ranking_init,
    .finish = ranking_finish,
    .room = ranking_room,
    .room_merge = ranking_room_merge,
    .label = ranking_label,
    .merge = ranking_merge,
    .save = ranking_save,
    .load = ranking_load,
};

static const char *const no_labels = "no labelled predictions";
static const char *const too_deep = "k above 100 is not kept";

/* A mean over lists of what their first k places add. */
static void mean_to_k(const struct metric_input *in, const struct fixed_sum *sum,
                      const struct fixed_sum *squares, struct metric_value *out)
{
    const struct ranking_state *s = in->state;
    if (in->argument > RANKING_MAX_K)
        result_none(out, too_deep);
    else
        result_mean(out, fixed_result(sum, SCALE), fixed_result(squares, SCALE), s->judged,
                    no_labels);
}

void ranking_ndcg(const struct metric_input *in, struct metric_value *out)
{
    const struct ranking_state *s = in->state;
    struct fixed_sum sum = {0}, squares = {0};
    for (uint32_t i = 0; i < s->n && i < in->argument; i++) {
        fixed_merge(&sum, &s->steps[i].ndcg);
        fixed_merge(&squares, &s->steps[i].ndcg_squares);
    }
    mean_to_k(in, &sum, &squares, out);
}

void ranking_map(const struct metric_input *in, struct metric_value *out)
{
    const struct ranking_state *s = in->state;
    struct fixed_sum sum = {0}, squares = {0};
    for (uint32_t i = 0; i < s->n && i < in->argument; i++) {
        fixed_merge(&sum, &s->steps[i].map);
        fixed_merge(&squares, &s->steps[i].map_squares);
    }
    mean_to_k(in, &sum, &squares, out);
}

void ranking_mrr(const struct metric_input *in, struct metric_value *out)
{
    const struct ranking_state *s = in->state;
    AUTO_FREE struct bins_row *rows = NULL;
    size_t n;
    if (bins_sorted(&s->first_hits, &rows, &n)) {
        result_none(out, "out of memory");
        return;
    }
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        const double reciprocal = 1 / (double)rows[i].key, events = (double)rows[i].columns[0];
        sum += events * reciprocal;
        squares += events * reciprocal * reciprocal;
    }
    result_mean(out, sum, squares, s->judged, no_labels);
}

void ranking_hit_rate(const struct metric_input *in, struct metric_value *out)
{
    const struct ranking_state *s = in->state;
    AUTO_FREE struct bins_row *rows = NULL;
    size_t n;
    if (bins_sorted(&s->first_hits, &rows, &n)) {
        result_none(out, "out of memory");
        return;
    }
    int64_t hits = 0;
    for (size_t i = 0; i < n && rows[i].key <= in->argument; i++)
        hits += rows[i].columns[0];
    result_share(out, hits, s->judged, no_labels);
}
