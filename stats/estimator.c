#include "stats/estimator.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    VERSION = 1
};

const char *estimator_why(enum estimator_state state)
{
    static const char *const words[N_ESTIMATOR_STATES] = {
        [ESTIMATOR_NO_LABELS] = "the reference has no labels; load a file of predictions and "
                                "labels with `assay reference load`",
        [ESTIMATOR_FEW_LABELS] = "the reference has fewer than 30 labelled predictions",
        [ESTIMATOR_ONE_CLASS] = "the reference has labels of one class only",
        [ESTIMATOR_NO_SCORES] = "the reference has no scores",
        [ESTIMATOR_TASK] = "nothing is estimated for models of this task",
        [ESTIMATOR_DAMAGED] = "what was fitted on the reference is damaged; load it again with "
                              "`assay reference load`",
        [ESTIMATOR_ROWS] = "expected errors are learned from rows, and a reference made of stored "
                           "panes has none; load a file with `assay reference load`",
    };
    return words[state];
}

void estimator_free(struct estimator *estimator)
{
    if (!estimator)
        return;
    for (uint32_t i = 0; estimator->classes && i < estimator->n_classes; i++)
        cbpe_finish(&estimator->classes[i].cbpe);
    free(estimator->classes);
    free(estimator);
}

const struct estimator_class *estimator_class(const struct estimator *estimator, uint64_t id)
{
    for (uint32_t i = 0; i < estimator->n_classes; i++)
        if (estimator->classes[i].id == id)
            return estimator->classes[i].usable ? &estimator->classes[i] : NULL;
    return NULL;
}

/* --- spreads --- */

/* Of 0 and 1 over the events that count: `hits` of `of`, which are so many of all n. */
struct spread spread_of_share(double hits, double of, double n)
{
    const double share = hits / of;
    return (struct spread){share * (1 - share), of / n};
}

static int by_score(const void *a, const void *b)
{
    const struct cbpe_sample *x = (const struct cbpe_sample *)a;
    const struct cbpe_sample *y = (const struct cbpe_sample *)b;
    return x->score < y->score ? -1 : x->score > y->score;
}

/* The variance of where the rarer class stands among the others, 0 lowest to 1 highest. */
static struct spread spread_of_area(struct cbpe_sample *all, size_t n)
{
    double positives = 0;
    for (size_t i = 0; i < n; i++)
        positives += all[i].label;
    const bool flip = positives > (double)n / 2; /* the same area, by the rarer class */
    const double rare = flip ? (double)n - positives : positives, others = (double)n - rare;
    double below = 0, sum = 0, squares = 0;
    qsort(all, n, sizeof(*all), by_score);
    for (size_t i = 0, j; i < n; i = j) {
        double here = 0, beside = 0;
        for (j = i; j < n && all[j].score == all[i].score; j++)
            *(all[j].label != flip ? &here : &beside) += 1;
        const double place = (below + beside / 2) / others;
        sum += here * place;
        squares += here * place * place;
        below += beside;
    }
    const double mean = sum / rare;
    return (struct spread){fmax(squares / rare - mean * mean, 0), rare / (double)n};
}

static void class_spreads(struct estimator_class *class,
                          const struct estimator_confusion *confusion)
{
    const double tp = confusion->tp, fp = confusion->fp, fn = confusion->fn, tn = confusion->tn;
    const double total = tp + fp + fn + tn;
    class->spreads[SPREAD_ACCURACY] = spread_of_share(tp + tn, total, total);
    class->spreads[SPREAD_PRECISION] = spread_of_share(tp, tp + fp, total);
    class->spreads[SPREAD_RECALL] = spread_of_share(tp, tp + fn, total);
    class->spreads[SPREAD_SPECIFICITY] = spread_of_share(tn, tn + fp, total);
    struct spread f1 = spread_of_share(tp, tp + fp + fn, total);
    const double factor = (tp + fp + fn) / (tp + (fp + fn) / 2); /* from Jaccard's index to f1 */
    f1.variance *= factor * factor;
    class->spreads[SPREAD_F1] = f1;
}

/* --- fit --- */

int estimator_fit_class(struct estimator_class *out, struct cbpe_sample *samples, size_t n,
                        const struct estimator_confusion *confusion, struct err *err)
{
    const int rc = n ? cbpe_fit(&out->cbpe, samples, n, err) : ERR_DATA;
    out->usable = rc == 0;
    if (rc)
        return rc;
    class_spreads(out, confusion);
    out->spreads[SPREAD_ROC_AUC] = spread_of_area(samples, n);
    return 0;
}

/* The samples of one class; returns how many have a score. */
static size_t take_class(const struct estimator_pairs *pairs, uint32_t class,
                         struct cbpe_sample *samples, struct estimator_confusion *confusion)
{
    size_t n = 0;
    *confusion = (struct estimator_confusion){0};
    for (size_t i = 0; i < pairs->n; i++) {
        const double score = pairs->scores[i * pairs->n_classes + class];
        if (isnan(score))
            continue;
        const bool positive = pairs->labels[i] == pairs->classes[class];
        const bool flagged = pairs->predicted[i] == pairs->classes[class];
        samples[n++] = (struct cbpe_sample){score, positive};
        *(flagged ? (positive ? &confusion->tp : &confusion->fp)
                  : (positive ? &confusion->fn : &confusion->tn)) += 1;
    }
    return n;
}

static int fit_classes(struct estimator *estimator, const struct estimator_pairs *pairs,
                       struct err *err)
{
    AUTO_FREE struct cbpe_sample *samples = malloc((pairs->n + 1) * sizeof(*samples));
    estimator->classes = calloc(pairs->n_classes + 1, sizeof(*estimator->classes));
    if (!samples || !estimator->classes)
        return err_set(err, -ENOMEM, "reference: no memory to fit %zu labels", pairs->n);
    bool any_scores = false, any_usable = false;
    double hits = 0;
    for (uint32_t c = 0; c < pairs->n_classes; c++) {
        struct estimator_class *class = &estimator->classes[estimator->n_classes++];
        class->id = pairs->classes[c];
        struct estimator_confusion confusion;
        const size_t n = take_class(pairs, c, samples, &confusion);
        const int rc = estimator_fit_class(class, samples, n, &confusion, err);
        if (rc && rc != ERR_DATA)
            return rc;
        any_scores |= n > 0;
        any_usable |= class->usable;
    }
    for (size_t i = 0; i < pairs->n; i++)
        hits += pairs->predicted[i] == pairs->labels[i];
    estimator->accuracy = spread_of_share(hits, (double)pairs->n, (double)pairs->n);
    if (!any_usable)
        estimator->state = any_scores ? ESTIMATOR_ONE_CLASS : ESTIMATOR_NO_SCORES;
    return 0;
}

static struct spread spread_of_values(const double *errors, size_t n, int power)
{
    double mean = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        const double loss = power == 1 ? fabs(errors[i]) : errors[i] * errors[i];
        const double step = loss - mean;
        mean += step / (double)(i + 1);
        squares += step * (loss - mean);
    }
    return (struct spread){squares / (double)n, 1};
}

int estimator_fit(struct estimator **out, const struct estimator_pairs *pairs, struct err *err)
{
    AUTO(estimator) struct estimator *estimator = calloc(1, sizeof(*estimator));
    if (!estimator)
        return err_set(err, -ENOMEM, "reference: no memory to fit labels");
    const struct spread none = {(double)NAN, (double)NAN};
    estimator->task = pairs->task;
    estimator->reference = pairs->reference;
    estimator->labelled = (int64_t)pairs->n;
    estimator->accuracy = estimator->absolute = estimator->square = none;
    int rc = 0;
    if (pairs->task > TASK_REGRESSION) {
        estimator->state = ESTIMATOR_TASK;
    } else if (pairs->n < ESTIMATOR_MIN_LABELLED) {
        estimator->state = pairs->n ? ESTIMATOR_FEW_LABELS : ESTIMATOR_NO_LABELS;
    } else if (pairs->task == TASK_REGRESSION) {
        estimator->absolute = spread_of_values(pairs->errors, pairs->n, 1);
        estimator->square = spread_of_values(pairs->errors, pairs->n, 2);
    } else {
        rc = fit_classes(estimator, pairs, err);
    }
    if (rc)
        return rc;
    *out = estimator;
    estimator = NULL; /* the caller owns it now */
    return 0;
}

/* --- bytes --- */

static void save_spread(const struct spread *spread, struct buf *out)
{
    buf_double(out, spread->variance);
    buf_double(out, spread->share);
}

static void load_spread(struct spread *spread, struct reader *in)
{
    spread->variance = reader_double(in);
    spread->share = reader_double(in);
}

void estimator_save(const struct estimator *estimator, struct buf *out)
{
    buf_u8(out, VERSION);
    buf_u8(out, (uint8_t)estimator->task);
    buf_u8(out, (uint8_t)estimator->state);
    buf_u64(out, estimator->reference);
    buf_zigzag(out, estimator->labelled);
    save_spread(&estimator->accuracy, out);
    save_spread(&estimator->absolute, out);
    save_spread(&estimator->square, out);
    buf_varint(out, estimator->n_classes);
    for (uint32_t i = 0; i < estimator->n_classes; i++) {
        const struct estimator_class *class = &estimator->classes[i];
        buf_u64(out, class->id);
        buf_u8(out, class->usable);
        if (!class->usable)
            continue;
        cbpe_save(&class->cbpe, out);
        for (int k = 0; k < N_ESTIMATOR_SPREADS; k++)
            save_spread(&class->spreads[k], out);
    }
}

static int load_classes(struct estimator *estimator, struct reader *in, struct err *err)
{
    const uint64_t n = reader_varint(in);
    if (reader_failed(in) || n > ESTIMATOR_CLASSES)
        return err_set(err, ERR_CORRUPT, "estimator: its classes are damaged");
    estimator->classes = calloc(n + 1, sizeof(*estimator->classes));
    if (!estimator->classes)
        return err_set(err, -ENOMEM, "estimator: no memory for %u classes", (unsigned)n);
    for (uint64_t i = 0; i < n; i++) {
        struct estimator_class *class = &estimator->classes[estimator->n_classes++];
        class->id = reader_u64(in);
        class->usable = reader_u8(in) != 0;
        if (!class->usable)
            continue;
        const int rc = cbpe_load(&class->cbpe, in, err);
        if (rc)
            return rc;
        for (int k = 0; k < N_ESTIMATOR_SPREADS; k++)
            load_spread(&class->spreads[k], in);
    }
    return 0;
}

int estimator_load(struct estimator **out, const void *bytes, size_t n, struct err *err)
{
    struct reader in = reader_of(bytes, n);
    AUTO(estimator) struct estimator *estimator = calloc(1, sizeof(*estimator));
    if (!estimator)
        return err_set(err, -ENOMEM, "estimator: no memory");
    const uint8_t version = reader_u8(&in), task = reader_u8(&in), state = reader_u8(&in);
    if (version != VERSION)
        return err_set(err, ERR_NEWER, "estimator: version %d, this program reads %d", version,
                       VERSION);
    if (task >= N_TASKS || state >= N_ESTIMATOR_STATES)
        return err_set(err, ERR_CORRUPT, "estimator: its head is damaged");
    estimator->task = (enum task)task;
    estimator->state = (enum estimator_state)state;
    estimator->reference = reader_u64(&in);
    estimator->labelled = reader_count(&in);
    load_spread(&estimator->accuracy, &in);
    load_spread(&estimator->absolute, &in);
    load_spread(&estimator->square, &in);
    int rc = load_classes(estimator, &in, err);
    if (!rc && (reader_failed(&in) || reader_left(&in)))
        rc = err_set(err, ERR_CORRUPT, "estimator: it has too %s bytes",
                     reader_failed(&in) ? "few" : "many");
    if (rc)
        return rc;
    *out = estimator;
    estimator = NULL; /* the caller owns it now */
    return 0;
}
