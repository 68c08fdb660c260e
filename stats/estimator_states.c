#include <errno.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "stats/estimator.h"
#include "stats/metric_binary.h"
#include "stats/metric_multiclass.h"

/* How many of the first `all` samples are taken when `keep` of `of` are. */
static size_t share_of(int64_t all, double keep)
{
    return (size_t)((double)all * keep + 1e-9);
}

static int64_t labels_of(const struct score_bin *bins, size_t n)
{
    int64_t labels = 0;
    for (size_t i = 0; i < n; i++)
        labels += bins[i].positives + bins[i].negatives;
    return labels;
}

/* Bins as samples, with the same share of each kind up to any score. Returns how many. */
static size_t samples_of(const struct score_bin *bins, size_t n, struct cbpe_sample *out)
{
    const int64_t all = labels_of(bins, n);
    const double keep = all > ESTIMATOR_PANE_SAMPLES ? ESTIMATOR_PANE_SAMPLES / (double)all : 1;
    int64_t seen[2] = {0, 0};
    size_t n_out = 0;
    for (size_t i = 0; i < n; i++) {
        const double score = bins[i].lo + (bins[i].hi - bins[i].lo) / 2;
        const int64_t counts[2] = {bins[i].negatives, bins[i].positives};
        for (int label = 0; label < 2; label++) {
            const size_t before = share_of(seen[label], keep);
            seen[label] += counts[label];
            const size_t more = share_of(seen[label], keep) - before;
            for (size_t k = 0; k < more; k++)
                out[n_out++] = (struct cbpe_sample){score, label == 1};
        }
    }
    return n_out;
}

/* One class from its bins; *labels: of how many. */
static int fit_bins(struct estimator_class *out, const struct score_bins *scores,
                    const struct estimator_confusion *confusion, int64_t *labels, struct err *err)
{
    AUTO_FREE struct score_bin *bins = NULL;
    AUTO_FREE struct cbpe_sample *samples = malloc((ESTIMATOR_PANE_SAMPLES + 2) * sizeof(*samples));
    size_t n_bins;
    if (!samples || score_bins_list(scores, &bins, &n_bins))
        return err_set(err, -ENOMEM, "reference: no memory to fit scores");
    *labels = labels_of(bins, n_bins);
    const size_t n = samples_of(bins, n_bins, samples);
    return estimator_fit_class(out, samples, n, confusion, err);
}

static enum estimator_state state_of(int64_t labelled, bool any_usable)
{
    return labelled == 0                       ? ESTIMATOR_NO_LABELS
           : labelled < ESTIMATOR_MIN_LABELLED ? ESTIMATOR_FEW_LABELS
           : any_usable                        ? ESTIMATOR_READY
                                               : ESTIMATOR_ONE_CLASS;
}

static int fit_binary(struct estimator *out, const struct binary_state *s,
                      const struct metric_setup *setup, struct err *err)
{
    const struct estimator_confusion confusion = {(double)s->tp, (double)s->fp, (double)s->fn,
                                                  (double)s->tn};
    const double judged = (double)(s->tp + s->fp + s->fn + s->tn);
    out->classes = calloc(1, sizeof(*out->classes));
    if (!out->classes)
        return err_set(err, -ENOMEM, "reference: no memory to fit scores");
    out->n_classes = 1;
    out->classes[0].id = setup->positive;
    int rc = fit_bins(&out->classes[0], &s->scores, &confusion, &out->labelled, err);
    if (rc && rc != ERR_DATA)
        return rc;
    out->accuracy = spread_of_share((double)(s->tp + s->tn), judged, judged);
    out->state = state_of(out->labelled, out->classes[0].usable);
    return 0;
}

static int fit_multiclass(struct estimator *out, const struct multiclass_state *s, struct err *err)
{
    const double judged = (double)s->judged;
    double hits = 0;
    bool any_usable = false;
    out->classes = calloc(s->n + 1, sizeof(*out->classes));
    if (!out->classes)
        return err_set(err, -ENOMEM, "reference: no memory to fit scores");
    for (uint32_t i = 0; i < s->n && out->n_classes < ESTIMATOR_CLASSES; i++) {
        const struct class_counts *c = &s->classes[i];
        hits += (double)c->hit;
        if (c->id == MULTICLASS_OTHER)
            continue;
        struct estimator_confusion confusion = {
            .tp = (double)c->hit,
            .fp = (double)(c->predicted - c->hit),
            .fn = (double)(c->truth - c->hit),
        };
        confusion.tn = judged - confusion.tp - confusion.fp - confusion.fn;
        struct estimator_class *class = &out->classes[out->n_classes++];
        int64_t labels;
        class->id = c->id;
        const int rc = fit_bins(class, &c->scores, &confusion, &labels, err);
        if (rc && rc != ERR_DATA)
            return rc;
        any_usable |= class->usable;
    }
    out->labelled = s->judged;
    out->accuracy = spread_of_share(hits, judged, judged);
    out->state = state_of(out->labelled, any_usable);
    return 0;
}

int estimator_of_states(struct estimator **out, const struct states *states, uint64_t reference,
                        struct err *err)
{
    AUTO(estimator) struct estimator *estimator = calloc(1, sizeof(*estimator));
    if (!estimator)
        return err_set(err, -ENOMEM, "reference: no memory to fit labels");
    const struct spread none = {(double)NAN, (double)NAN};
    const struct metric_setup *setup = states_setup(states);
    estimator->task = setup->task;
    estimator->reference = reference;
    estimator->accuracy = estimator->absolute = estimator->square = none;
    int rc = 0;
    if (setup->task == TASK_BINARY)
        rc = fit_binary(estimator, states_get(states, &binary_kind), setup, err);
    else if (setup->task == TASK_MULTICLASS)
        rc = fit_multiclass(estimator, states_get(states, &multiclass_kind), err);
    else
        estimator->state = setup->task == TASK_REGRESSION ? ESTIMATOR_ROWS : ESTIMATOR_TASK;
    if (rc)
        return rc;
    *out = estimator;
    estimator = NULL; /* the caller owns it now */
    return 0;
}
