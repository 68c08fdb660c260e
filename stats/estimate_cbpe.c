#include "stats/estimate_cbpe.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/rng.h"

enum {
    SPLITS = 10,
    BINS = 10
};

static int by_score(const void *a, const void *b)
{
    const struct cbpe_sample *x = (const struct cbpe_sample *)a;
    const struct cbpe_sample *y = (const struct cbpe_sample *)b;
    return x->score < y->score ? -1 : x->score > y->score;
}

/* Expected calibration error over 10 bins of equal mass; map NULL: the scores themselves. */
static double calibration_error(struct cbpe_sample *samples, size_t n, const struct isotonic *map)
{
    double error = 0;
    qsort(samples, n, sizeof(*samples), by_score);
    for (size_t b = 0; b < BINS; b++) {
        size_t from = n * b / BINS, to = n * (b + 1) / BINS;
        double gap = 0;
        for (size_t i = from; i < to; i++) {
            double p = map ? isotonic_at(map, samples[i].score) : samples[i].score;
            gap += p - samples[i].label;
        }
        error += fabs(gap) / (double)n;
    }
    return error;
}

/* The Mann–Whitney AUC of sorted samples. */
static double auc_of(const struct cbpe_sample *sorted, size_t n)
{
    double positives = 0, area = 0, negatives = 0;
    for (size_t i = 0; i < n;) {
        double ups = 0, downs = 0;
        size_t j = i;
        for (; j < n && sorted[j].score == sorted[i].score; j++) {
            ups += sorted[j].label;
            downs += !sorted[j].label;
        }
        area += ups * (negatives + downs / 2);
        positives += ups;
        negatives += downs;
        i = j;
    }
    return area / (positives * negatives);
}

static int fit_map(struct isotonic *map, const struct cbpe_sample *samples, size_t n,
                   struct err *err)
{
    AUTO_FREE struct isotonic_point *points = malloc(n * sizeof(*points));
    if (!points)
        return err_set(err, -ENOMEM, "cbpe: no memory for %zu samples", n);
    for (size_t i = 0; i < n; i++)
        points[i] = (struct isotonic_point){samples[i].score, samples[i].label, 1};
    return isotonic_fit(map, points, n, err);
}

/* Whether the map is better than the scores on what it did not see. 1: yes. */
static int calibration_helps(struct cbpe_sample *shuffled, size_t n, struct err *err)
{
    size_t held = n / 10;
    double raw = 0, mapped = 0;
    struct rng rng = rng_of(42);
    if (held < BINS)
        return 1; /* too few to tell: a monotone map does no harm */
    for (int s = 0; s < SPLITS; s++) {
        for (size_t i = n - 1; i > 0; i--) {
            size_t j = rng_below(&rng, i + 1);
            struct cbpe_sample keep = shuffled[i];
            shuffled[i] = shuffled[j];
            shuffled[j] = keep;
        }
        struct isotonic map;
        int rc = fit_map(&map, shuffled + held, n - held, err);
        if (rc)
            return rc;
        raw += calibration_error(shuffled, held, NULL);
        mapped += calibration_error(shuffled, held, &map);
        isotonic_finish(&map);
    }
    return mapped < raw;
}

int cbpe_fit(struct cbpe *out, const struct cbpe_sample *samples, size_t n, struct err *err)
{
    *out = (struct cbpe){0};
    size_t positives = 0;
    for (size_t i = 0; i < n; i++)
        positives += samples[i].label;
    if (positives == 0 || positives == n)
        return err_set(err, ERR_DATA, "cbpe: %zu of %zu labelled samples are positive, need both",
                       positives, n);
    AUTO_FREE struct cbpe_sample *copy = malloc(n * sizeof(*copy));
    if (!copy)
        return err_set(err, -ENOMEM, "cbpe: no memory for %zu samples", n);
    memcpy(copy, samples, n * sizeof(*copy));
    qsort(copy, n, sizeof(*copy), by_score);
    if (auc_of(copy, n) > 0.999)
        return 0;
    int helps = calibration_helps(copy, n, err);
    if (helps <= 0)
        return helps;
    out->calibrated = true;
    return fit_map(&out->map, samples, n, err);
}

void cbpe_finish(struct cbpe *cbpe)
{
    isotonic_finish(&cbpe->map);
    cbpe->calibrated = false;
}

double cbpe_probability(const struct cbpe *cbpe, double score)
{
    double p = cbpe->calibrated ? isotonic_at(&cbpe->map, score) : score;
    return p < 0 ? 0 : p > 1 ? 1 : p;
}

void cbpe_save(const struct cbpe *cbpe, struct buf *out)
{
    buf_u8(out, cbpe->calibrated);
    if (cbpe->calibrated)
        isotonic_save(&cbpe->map, out);
}

int cbpe_load(struct cbpe *out, struct reader *in, struct err *err)
{
    *out = (struct cbpe){.calibrated = reader_u8(in) != 0};
    if (reader_failed(in))
        return err_set(err, ERR_CORRUPT, "cbpe: the bytes end early");
    return out->calibrated ? isotonic_load(&out->map, in, err) : 0;
}

/* --- windows --- */

void cbpe_window_init(struct cbpe_window *window, uint32_t limit)
{
    cells_init(&window->positive, limit);
    cells_init(&window->negative, limit);
}

void cbpe_window_finish(struct cbpe_window *window)
{
    cells_finish(&window->positive);
    cells_finish(&window->negative);
}

int cbpe_window_update(struct cbpe_window *window, double score, bool predicted)
{
    return isfinite(score)
               ? cells_update(predicted ? &window->positive : &window->negative, score, 1)
               : 0;
}

int cbpe_window_merge(struct cbpe_window *into, const struct cbpe_window *from)
{
    int rc = cells_merge(&into->positive, &from->positive);
    return rc ? rc : cells_merge(&into->negative, &from->negative);
}

void cbpe_window_save(const struct cbpe_window *window, struct buf *out)
{
    cells_save(&window->positive, out);
    cells_save(&window->negative, out);
}

int cbpe_window_load(struct cbpe_window *window, struct reader *in, struct err *err)
{
    int rc = cells_load(&window->positive, in, err);
    return rc ? rc : cells_load(&window->negative, in, err);
}

/* --- estimate --- */

struct scored {
    double score, probability, count;
    bool single;
};

static int by_falling_score(const void *a, const void *b)
{
    const struct scored *x = (const struct scored *)a, *y = (const struct scored *)b;
    return x->score > y->score ? -1 : x->score < y->score;
}

static size_t read_scores(const struct cbpe *cbpe, const struct cells *cells, struct cell *room,
                          struct scored *out)
{
    uint32_t n = cells_read(cells, room);
    for (uint32_t i = 0; i < n; i++) {
        double middle =
            room[i].low == room[i].high ? room[i].low : room[i].low / 2 + room[i].high / 2;
        out[i] = (struct scored){middle, cbpe_probability(cbpe, middle), (double)room[i].count,
                                 room[i].low == room[i].high};
    }
    return n;
}

/* AUC and average precision of expected positives along falling scores. */
static void ranks(struct scored *all, size_t n, struct cbpe_estimate *out)
{
    qsort(all, n, sizeof(*all), by_falling_score);
    double positives = 0, negatives = 0, area = 0, precision = 0, ties = 0;
    for (size_t i = 0; i < n;) {
        double up = 0, down = 0;
        bool single = true;
        size_t j = i;
        for (; j < n && all[j].score == all[i].score; j++) {
            up += all[j].probability * all[j].count;
            down += (1 - all[j].probability) * all[j].count;
            single = single && all[j].single;
        }
        area += down * (positives + up / 2);
        ties += single ? 0 : up * down / 2;
        positives += up;
        negatives += down;
        precision += positives > 0 ? up * positives / (positives + negatives) : 0;
        i = j;
    }
    out->roc_auc = area / (positives * negatives);
    out->roc_auc_bound = ties / (positives * negatives);
    out->pr_auc = precision / positives;
}

static void ratios(struct cbpe_estimate *e)
{
    e->accuracy = (e->tp + e->tn) / e->n;
    e->precision = e->tp / (e->tp + e->fp);
    e->recall = e->tp / (e->tp + e->fn);
    e->specificity = e->tn / (e->tn + e->fp);
    e->f1 = 2 * e->tp / (2 * e->tp + e->fp + e->fn);
}

int cbpe_estimate(const struct cbpe *cbpe, const struct cbpe_window *window,
                  struct cbpe_estimate *out)
{
    size_t room = window->positive.n_cells + window->negative.n_cells + 1;
    AUTO_FREE struct scored *all = malloc(room * sizeof(*all));
    AUTO_FREE struct cell *cells = malloc(room * sizeof(*cells));
    *out = (struct cbpe_estimate){0};
    if (!all || !cells)
        return -ENOMEM;
    double variance = 0;
    size_t n_positive = read_scores(cbpe, &window->positive, cells, all);
    size_t n = n_positive + read_scores(cbpe, &window->negative, cells, all + n_positive);
    for (size_t i = 0; i < n; i++) {
        double p = all[i].probability, count = all[i].count;
        *(i < n_positive ? &out->tp : &out->fn) += p * count;
        *(i < n_positive ? &out->fp : &out->tn) += (1 - p) * count;
        variance += p * (1 - p) * count;
        out->n += count;
    }
    out->sampling_error = sqrt(variance) / out->n;
    ratios(out);
    ranks(all, n, out);
    return 0;
}

struct cbpe_estimate cbpe_macro(const struct cbpe_estimate *classes, size_t n_classes)
{
    struct cbpe_estimate out = {0};
    double k = (double)n_classes;
    for (size_t i = 0; i < n_classes; i++) {
        out.n = classes[i].n;
        out.tp += classes[i].tp;
        out.fp += classes[i].fp;
        out.fn += classes[i].fn;
        out.tn += classes[i].tn;
        out.roc_auc += classes[i].roc_auc / k;
        out.pr_auc += classes[i].pr_auc / k;
        out.roc_auc_bound += classes[i].roc_auc_bound / k;
        out.f1 += classes[i].f1 / k;
        out.precision += classes[i].precision / k;
        out.recall += classes[i].recall / k;
        out.specificity += classes[i].specificity / k;
    }
    out.accuracy = out.tp / out.n;
    out.sampling_error = sqrt(out.accuracy * (1 - out.accuracy) / out.n);
    return out;
}
