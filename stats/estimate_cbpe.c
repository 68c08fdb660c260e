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

/* --- estimate --- */

struct scored {
    double probability, count;
    bool single;
};

/* AUC and average precision of expected positives along falling scores. */
static void ranks(const struct scored *bins, size_t n, double slack, struct cbpe_estimate *out)
{
    double positives = 0, negatives = 0, area = 0, precision = 0, ties = 0;
    for (size_t i = n; i-- > 0;) {
        double up = bins[i].probability * bins[i].count, down = bins[i].count - up;
        area += down * (positives + up / 2);
        ties += bins[i].single ? 0 : up * down / 2;
        positives += up;
        negatives += down;
        precision += positives > 0 ? up * positives / (positives + negatives) : 0;
    }
    const double pairs = positives * negatives, blur = slack * (out->n + slack);
    out->roc_auc = area / pairs;
    out->roc_auc_bound =
        pairs > blur ? (ties + blur * (1 + out->roc_auc)) / (pairs - blur) : (double)NAN;
    if (slack == 0 && ties == 0)
        out->roc_auc_bound = 0;
    out->pr_auc = precision / positives;
    out->pr_auc_bound = slack == 0 && ties == 0 ? 0 : (double)NAN;
}

/* a / b, where a is off by at most da and b by db. */
static double ratio_bound(double a, double b, double da, double db)
{
    if (da == 0 && db == 0)
        return 0;
    return b > db ? (da + a / b * db) / (b - db) : (double)NAN;
}

static void ratios(struct cbpe_estimate *e, double slack, double slack_flagged)
{
    const double flagged = e->tp + e->fp, negatives = e->n - e->positives;
    e->count_bound = slack;
    e->accuracy = (e->tp + e->tn) / e->n;
    e->accuracy_bound = slack / e->n;
    e->precision = e->tp / flagged;
    e->precision_bound = ratio_bound(e->tp, flagged, slack_flagged, 0);
    e->recall = e->tp / e->positives;
    e->recall_bound = ratio_bound(e->tp, e->positives, slack_flagged, slack);
    e->specificity = e->tn / negatives;
    e->specificity_bound = ratio_bound(e->tn, negatives, slack - slack_flagged, slack);
    e->f1 = 2 * e->tp / (flagged + e->positives);
    e->f1_bound = ratio_bound(2 * e->tp, flagged + e->positives, 2 * slack_flagged, slack);
}

int cbpe_estimate(const struct cbpe *cbpe, const struct score_bin *bins, size_t n_bins,
                  struct cbpe_estimate *out)
{
    AUTO_FREE struct scored *scored = malloc((n_bins + 1) * sizeof(*scored));
    *out = (struct cbpe_estimate){0};
    if (!scored)
        return -ENOMEM;
    double slack = 0, slack_flagged = 0;
    for (size_t i = 0; i < n_bins; i++) {
        const struct score_bin *bin = &bins[i];
        const bool single = bin->lo == bin->hi;
        const double p = cbpe_probability(cbpe, single ? bin->lo : bin->lo / 2 + bin->hi / 2);
        const double n = (double)bin->n, flagged = (double)bin->flagged;
        const double off =
            single ? 0
                   : fmax(p - cbpe_probability(cbpe, bin->lo), cbpe_probability(cbpe, bin->hi) - p);
        scored[i] = (struct scored){p, n, single};
        out->tp += p * flagged;
        out->fp += (1 - p) * flagged;
        out->fn += p * (n - flagged);
        out->tn += (1 - p) * (n - flagged);
        out->n += n;
        slack += off * n;
        slack_flagged += off * flagged;
    }
    out->positives = out->tp + out->fn;
    ratios(out, slack, slack_flagged);
    ranks(scored, n_bins, slack, out);
    return 0;
}
