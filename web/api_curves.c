/*
 * GET /models/M/curves: the ROC curve, precision and recall, calibration with the histogram of
 * scores, and the confusion matrix of one window, for each version or slice asked for.
 *
 * A curve has a point for each different score that the state keeps apart (exact up to 1,024 of
 * them), thinned to 200 points; the areas beside it are those of /metrics, from all of them.
 *
 * Source   sklearn.metrics.roc_curve, precision_recall_curve, sklearn.calibration
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/json_out.h"
#include "stats/calibration.h"
#include "stats/interval.h"
#include "stats/metric_binary.h"
#include "stats/metric_multiclass.h"
#include "storage/catalog.h"
#include "storage/series.h"
#include "web/handlers.h"
#include "web/pairs.h"

enum {
    MAX_CURVE_POINTS = 200,
    MAX_CLASSES = 64, /* of a matrix: more cannot be looked at */
};

struct curves {
    struct store *store;
    struct buf *out;
    const struct model_known *model;
    const struct pair *pair;
    const char *kind;
    struct series_query query;
};

/* What lies above a threshold, going down from the highest score. */
struct above {
    double tp, fp, threshold;
};

/* One point of a curve as an object; nothing where it has none. */
typedef void curve_point(struct buf *out, const struct above *above, const struct area *area);

static void roc_point(struct buf *out, const struct above *above, const struct area *area)
{
    out_open(out, '{');
    out_key_double(out, "fpr", above->fp / (double)area->negatives);
    out_key_double(out, "tpr", above->tp / (double)area->positives);
    out_key_double(out, "threshold", above->threshold);
    out_close(out, '}');
}

static void pr_point(struct buf *out, const struct above *above, const struct area *area)
{
    if (above->tp + above->fp == 0)
        return;
    out_open(out, '{');
    out_key_double(out, "recall", above->tp / (double)area->positives);
    out_key_double(out, "precision", above->tp / (above->tp + above->fp));
    out_key_double(out, "threshold", above->threshold);
    out_close(out, '}');
}

static void write_curve(struct buf *out, const struct score_bin *bins, size_t n,
                        const struct area *area, const struct interval *interval,
                        curve_point *write_point)
{
    out_key_double(out, "area", area->value);
    out_key_double(out, "lower", interval->lower);
    out_key_double(out, "upper", interval->upper);
    out_key_double(out, "error_bound", area->bound);
    out_key(out, "points");
    out_open(out, '[');
    struct above above = {0, 0, 0};
    size_t every = n / MAX_CURVE_POINTS + 1;
    for (size_t i = n; !isnan(area->value) && i-- > 0;) {
        above.tp += (double)bins[i].positives;
        above.fp += (double)bins[i].negatives;
        above.threshold = bins[i].lo;
        if ((n - 1 - i) % every == 0 || i == 0)
            write_point(out, &above, area);
    }
    out_close(out, ']');
}

static void write_roc(struct buf *out, const struct score_bin *bins, size_t n)
{
    struct area area = area_roc(bins, n);
    struct interval interval =
        interval_roc(area.value, area.variance, area.positives, area.negatives);
    write_curve(out, bins, n, &area, &interval, roc_point);
}

static void write_pr(struct buf *out, const struct score_bin *bins, size_t n)
{
    struct area area = area_precision_recall(bins, n);
    struct interval interval = interval_average_precision(area.value, area.positives);
    write_curve(out, bins, n, &area, &interval, pr_point);
}

static void write_calibration(struct buf *out, const struct calibration *calibration)
{
    out_key(out, "bins");
    out_open(out, '[');
    for (int i = 0; i < CALIBRATION_BINS; i++) {
        const struct calibration_bin *bin = &calibration->bins[i];
        double n = (double)bin->n, share = bin->n ? (double)bin->positives / n : (double)NAN;
        struct interval interval =
            bin->n ? interval_wilson((double)bin->positives, n) : interval_none;
        out_open(out, '{');
        out_key_double(out, "from", i / 10.0);
        out_key_double(out, "to", (i + 1) / 10.0);
        out_key_int(out, "n", bin->n);
        out_key_double(out, "predicted", calibration_mean(bin));
        out_key_double(out, "observed", share);
        out_key_double(out, "lower", interval.lower);
        out_key_double(out, "upper", interval.upper);
        out_close(out, '}');
    }
    out_close(out, ']');
}

/* Rows: the label; columns: the prediction. */
static void write_cells(struct buf *out, const int64_t *cells, size_t n)
{
    out_key(out, "matrix");
    out_open(out, '[');
    for (size_t row = 0; row < n; row++) {
        out_open(out, '[');
        for (size_t column = 0; column < n; column++)
            out_int(out, cells[row * n + column]);
        out_close(out, ']');
    }
    out_close(out, ']');
}

static int write_matrix(struct curves *c, const struct multiclass_state *state, struct err *err)
{
    size_t n = state->n < MAX_CLASSES ? state->n : MAX_CLASSES;
    AUTO_FREE int64_t *cells = calloc(n * n + 1, sizeof(*cells));
    if (!cells)
        return err_set(err, -ENOMEM, "no memory for a confusion matrix");
    out_key(c->out, "classes");
    out_open(c->out, '[');
    for (size_t i = 0; i < n; i++) {
        AUTO_FREE char *text = NULL;
        uint64_t id = state->classes[i].id;
        int rc = id == MULTICLASS_OTHER
                     ? 0
                     : name_read(c->store, c->model->row.name, "class", id, &text, err);
        if (rc < 0)
            return rc;
        out_string(c->out, text ? text : "__other__");
        for (size_t k = 0; k < n; k++)
            cells[i * n + k] = multiclass_count(state, id, state->classes[k].id);
    }
    out_close(c->out, ']');
    write_cells(c->out, cells, n);
    return 0;
}

static int write_binary(struct curves *c, const struct binary_state *state, struct err *err)
{
    if (strcmp(c->kind, "calibration") == 0) {
        write_calibration(c->out, &state->calibration);
        return 0;
    }
    if (strcmp(c->kind, "confusion") == 0) {
        const int64_t cells[4] = {state->tp, state->fn, state->fp, state->tn};
        out_key(c->out, "classes");
        out_open(c->out, '[');
        out_string(c->out, c->model->row.positive);
        out_string(c->out, "__rest__");
        out_close(c->out, ']');
        write_cells(c->out, cells, 2);
        return 0;
    }
    AUTO_FREE struct score_bin *bins = NULL;
    size_t n = 0;
    if (score_bins_list(&state->scores, &bins, &n))
        return err_set(err, -ENOMEM, "no memory for a curve");
    if (strcmp(c->kind, "roc") == 0)
        write_roc(c->out, bins, n);
    else
        write_pr(c->out, bins, n);
    return 0;
}

static int write_window(void *context, const struct series_point *point, struct err *err)
{
    struct curves *c = context;
    char segment[SEGMENT_BYTES];
    if (point->end_ms != c->query.to_ms || point->start_ms != c->query.from_ms)
        return 0;
    AUTO(states) struct states *empty = NULL;
    if (!point->states) {
        int rc = states_new(&empty, &c->model->setup, err);
        if (rc)
            return rc;
    }
    const struct states *states = point->states ? point->states : empty;
    pair_segment(c->pair, segment);
    out_open(c->out, '{');
    out_key_string(c->out, "version", c->pair->version);
    out_key_string(c->out, "segment", segment[0] ? segment : NULL);
    out_key_int(c->out, "n", states_count(states));
    out_key_int(c->out, "labelled", states_labelled(states));
    const struct multiclass_state *many = states_get(states, &multiclass_kind);
    const struct binary_state *two = states_get(states, &binary_kind);
    int rc = 0;
    if (two)
        rc = write_binary(c, two, err);
    else if (strcmp(c->kind, "confusion") == 0)
        rc = write_matrix(c, many, err);
    else
        write_calibration(c->out, &many->calibration);
    out_close(c->out, '}');
    return rc;
}

/* Which kinds a task has: others are refused by name. */
static int check_kind(const char *kind, const struct model_known *model, struct api_answer *answer,
                      struct err *err)
{
    enum task task = model->setup.task;
    bool curve = strcmp(kind, "roc") == 0 || strcmp(kind, "pr") == 0;
    if (task == TASK_BINARY || (task == TASK_MULTICLASS && !curve))
        return 0;
    return api_refuse(answer, err, "kind", task == TASK_MULTICLASS ? "calibration\nconfusion" : "",
                      "a %s model has no such curve", model->row.task);
}

/* One window of whole steps: from and to as asked, else the last day. */
static int find_window(struct curves *c, const struct api_input *input, int64_t newest_ms,
                       struct api_answer *answer, struct err *err)
{
    const int64_t hour = 3600000;
    int64_t to = input_time(input, "to", newest_ms + 1);
    int64_t from = input_time(input, "from", to > 24 * hour ? to - 24 * hour : 0);
    if (from >= to)
        return api_refuse(answer, err, "from", "a time before `to`",
                          "%" PRId64 " is not before to (%" PRId64 ")", from, to);
    /* Beyond a day by the hour: a week of minutes is what a window may have of steps. */
    int64_t step = to - from > 24 * hour ? hour : 60000;
    c->query.from_ms = from / step * step;
    c->query.to_ms = (to + step - 1) / step * step;
    c->query.window_ms = c->query.to_ms - c->query.from_ms;
    c->query.step_ms = step;
    return 0;
}

static int write_all(struct curves *c, const struct pairs *pairs, struct err *err)
{
    int rc = 0;
    out_open(c->out, '{');
    out_key_string(c->out, "model", c->model->row.name);
    out_key_string(c->out, "kind", c->kind);
    out_key_int(c->out, "from", c->query.from_ms);
    out_key_int(c->out, "to", c->query.to_ms);
    out_key(c->out, "series");
    out_open(c->out, '[');
    for (size_t i = 0; rc == 0 && i < pairs->n; i++) {
        struct series_points about;
        c->pair = &pairs->items[i];
        c->query.version = c->pair->version;
        c->query.slice = c->pair->slice;
        rc = series_each(c->store, &c->query, write_window, c, &about, err);
    }
    out_close(c->out, ']');
    int64_t complete = -1, labels = -1;
    if (rc == 0)
        rc = series_complete(c->store, c->model->row.name, &complete, &labels, err);
    out_key_time(c->out, "complete_up_to", complete);
    out_key_time(c->out, "labels_complete_up_to", labels);
    out_close(c->out, '}');
    return rc;
}

int api_curves(struct api_context *context, const struct api_input *input,
               struct api_answer *answer, struct err *err)
{
    struct curves c = {.out = &answer->body};
    struct model_known model;
    struct pairs pairs = {0};
    const char *kind = input_param(input, "kind");
    int64_t complete = -1, labels = -1;
    c.kind = kind ? kind : "roc";
    c.model = &model;
    int rc = context_store(context, &c.store, err);
    if (rc == 0)
        rc = model_read(c.store, input_capture(input, "model"), &model, err);
    if (rc)
        return rc;
    c.query.model = model.row.name;
    rc = check_kind(c.kind, &model, answer, err);
    if (rc == 0)
        rc = series_complete(c.store, model.row.name, &complete, &labels, err);
    if (rc == 0)
        rc = find_window(&c, input, complete < 0 ? clock_wall_ms(context->clock) : complete, answer,
                         err);
    if (rc == 0)
        rc = pairs_find(&pairs, c.store, input, answer, err);
    if (rc == 0)
        rc = write_all(&c, &pairs, err);
    pairs_finish(&pairs);
    model_finish(&model);
    return rc;
}
