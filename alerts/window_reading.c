#include "alerts/window_reading.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MINUTE_MS INT64_C(60000)

/* An answer; its texts are those of a rule set, which lives longer. */
struct window_set {
    bool kept;
    const char *model, *version, *slice;
    int64_t window_ms, end_ms, n;
    bool estimates;
    struct series_points points;
};

struct window_reader {
    struct store *store;
    struct window_set sets[WINDOW_SETS]; /* [0]: of several windows */
    size_t next;                         /* of the others: the place of the next one */

    struct metric_query metric; /* what `name` is of `customs` and `task`; name NULL: nothing */
    const char *name;
    const struct custom_set *customs;
    enum task task;
};

int window_reader_new(struct window_reader **out, struct store *store, struct err *err)
{
    *out = calloc(1, sizeof(**out));
    if (!*out)
        return err_set(err, -ENOMEM, "alerts: no memory");
    (*out)->store = store;
    return 0;
}

static void forget(struct window_set *set)
{
    if (set->kept)
        series_points_free(&set->points);
    set->kept = false;
}

void window_reader_start(struct window_reader *reader)
{
    for (size_t i = 0; i < WINDOW_SETS; i++)
        forget(&reader->sets[i]);
}

void window_reader_free(struct window_reader *reader)
{
    if (!reader)
        return;
    window_reader_start(reader);
    free(reader);
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool is_same(const struct window_set *set, const struct window_set *wanted)
{
    return set->kept && set->end_ms == wanted->end_ms && set->n == wanted->n &&
           set->window_ms == wanted->window_ms && set->estimates == wanted->estimates &&
           same_text(set->model, wanted->model) && same_text(set->version, wanted->version) &&
           same_text(set->slice, wanted->slice);
}

static struct window_set wanted_by(const struct alert_rule *rule, int64_t end_ms, int64_t n)
{
    return (struct window_set){
        .kept = true,
        .model = rule->model,
        .version = rule->version,
        .slice = rule->slice,
        .window_ms = rule->window_ms,
        .end_ms = end_ms,
        .n = n,
        .estimates = rule->metric && metric_estimated(rule->metric),
    };
}

static int read_set(struct window_reader *reader, struct window_set *wanted, int64_t step_ms,
                    const struct series_points **out, struct err *err)
{
    for (size_t i = 0; i < WINDOW_SETS; i++) {
        *out = &reader->sets[i].points;
        if (is_same(&reader->sets[i], wanted))
            return 0;
    }
    struct window_set *set =
        &reader->sets[wanted->n > 1 ? 0 : 1 + reader->next++ % (WINDOW_SETS - 1)];
    forget(set);
    const struct series_query query = {
        .model = wanted->model,
        .version = wanted->version,
        .slice = wanted->slice,
        .from_ms = wanted->end_ms - wanted->n * wanted->window_ms,
        .to_ms = wanted->end_ms,
        .window_ms = wanted->window_ms,
        .step_ms = step_ms,
        .estimates = wanted->estimates,
    };
    int rc = series_read(reader->store, &query, &wanted->points, err);
    if (!rc)
        *set = *wanted; /* the reader owns its points now */
    *out = rc ? NULL : &set->points;
    return rc;
}

int windows_read(struct window_reader *reader, const struct alert_rule *rule, int64_t end_ms,
                 int64_t n, const struct series_points **out, struct err *err)
{
    struct window_set wanted = wanted_by(rule, end_ms, n);
    return read_set(reader, &wanted, n == 1 ? MINUTE_MS : rule->window_ms, out, err);
}

int windows_read_whole(struct window_reader *reader, const struct alert_rule *rule, int64_t end_ms,
                       const struct series_points **out, struct err *err)
{
    struct window_set wanted = wanted_by(rule, end_ms, 1);
    return read_set(reader, &wanted, rule->window_ms, out, err);
}

/* Rules side by side mostly ask for the same metric: its name is looked up once. */
static int resolve(struct window_reader *reader, const char *name, const struct custom_set *customs,
                   enum task task, struct err *err)
{
    if (reader->name && reader->customs == customs && reader->task == task &&
        strcmp(reader->name, name) == 0)
        return 0;
    reader->name = NULL;
    int rc = metric_resolve(&reader->metric, customs, task, name, err);
    if (rc)
        return rc;
    reader->name = name;
    reader->customs = customs;
    reader->task = task;
    return 0;
}

bool window_is_cut(const struct series_points *points, int64_t end_ms)
{
    for (size_t i = 0; i < points->n; i++)
        if (points->points[i].end_ms == end_ms)
            return points->points[i].partial;
    return false;
}

int window_value(struct window_reader *reader, const struct alert_rule *rule,
                 const struct custom_set *customs, const struct series_points *points,
                 int64_t end_ms, struct metric_value *out, struct err *err)
{
    *out = (struct metric_value){.value = NAN, .lower = NAN, .upper = NAN};
    for (size_t i = 0; i < points->n; i++) {
        const struct series_point *point = &points->points[i];
        if (point->end_ms == end_ms && !point->states && point->partial)
            out->why = SERIES_KEPT_LONGER;
        if (point->end_ms != end_ms || !point->states)
            continue;
        int rc = resolve(reader, rule->metric, customs, points->setup.task, err);
        if (rc)
            return rc;
        const struct metric_query metric = reader->metric;
        metric_evaluate(point->states, &metric, rule->window_ms, out);
        out->n = states_count(point->states);
        out->labelled = states_labelled(point->states);
        return 0;
    }
    return 0;
}

bool window_awaits_labels(const struct window_reader *reader, const struct series_points *points,
                          int64_t end_ms)
{
    if (!reader->name || (reader->metric.custom < 0 && strcmp(reader->metric.unit, "count") != 0))
        return false;
    for (size_t i = 0; i < points->n; i++)
        if (points->points[i].end_ms == end_ms && points->points[i].states)
            return states_unlabelled(points->points[i].states) > 0;
    return false;
}
