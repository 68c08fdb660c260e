/*
 * Whether a metric is a mean or a sum is not asked of a table but of the numbers: when the slices'
 * values, weighted by their predictions (or labels), give the whole's value in both windows, it is
 * one, and the split is exact. Custom formulas are thereby covered, too.
 */
#include "storage/explain_slices.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats/explain.h"
#include "storage/catalog.h"

enum {
    MAX_PARTS = 1000, /* of one key */
    MAX_KEYS = 64,
    MOST_TIMES = 16,   /* of the smaller number of a proportion */
    MOST_COPIES = 4096 /* of the larger */
};
#define MINUTE_MS INT64_C(60000)
#define HOUR_MS INT64_C(3600000)
#define NOT_OFF 1e-9       /* sums are exact, quotients are rounded */
#define ABOUT_THE_SAME 0.1 /* quantiles of the same values twice over move a little, sums by half */
#define ABOUT_AS_MANY 0.05

struct part {
    char *version, *slice; /* as in explained_slice */
    struct explained_window before, now;
    struct metric_value v0, v1;
};

struct partition {
    char *key; /* "country=", or "" for versions */
    struct part *parts;
    size_t n;
};

struct splitting {
    struct store *store;
    const struct explain_query *query;
    const struct metric_query *metric;
    struct explanation *about;
    struct partition partitions[MAX_KEYS];
    size_t n;
};

static void part_finish(struct part *part)
{
    free(part->version);
    free(part->slice);
    series_points_free(&part->before.points);
    series_points_free(&part->now.points);
}

static void splitting_finish(struct splitting *splitting)
{
    for (size_t p = 0; p < splitting->n; p++) {
        struct partition *partition = &splitting->partitions[p];
        for (size_t i = 0; i < partition->n; i++)
            part_finish(&partition->parts[i]);
        free(partition->parts);
        free(partition->key);
    }
}

int explain_states(struct store *store, const struct explain_window *window,
                   struct explanation *about, struct explained_window *out, struct err *err)
{
    int64_t length = window->to_ms - window->from_ms;
    int64_t step = length;
    if (window->from_ms % length)
        step = length > SERIES_MAX_WINDOW_STEPS * MINUTE_MS ? HOUR_MS : MINUTE_MS;
    struct series_query query = {
        .model = window->model,
        .version = window->version,
        .slice = window->slice,
        .from_ms = window->from_ms,
        .to_ms = window->to_ms,
        .window_ms = length,
        .step_ms = step,
        .estimates = window->estimates,
    };
    out->states = NULL;
    int rc = series_read(store, &query, &out->points, err);
    if (rc)
        return rc;
    about->n_damaged += out->points.n_damaged;
    for (size_t i = 0; i < out->points.n; i++) {
        about->partial |= out->points.points[i].partial;
        if (!out->states)
            out->states = out->points.points[i].states;
    }
    return 0;
}

/* --- which parts there are --- */

static int add_part(struct partition *partition, const char *version, const char *slice,
                    struct err *err)
{
    for (size_t i = 0; i < partition->n; i++) {
        const struct part *had = &partition->parts[i];
        if (version ? strcmp(had->version, version) == 0 : strcmp(had->slice, slice) == 0)
            return 0;
    }
    if (partition->n == MAX_PARTS)
        return err_set(err, ERR_USAGE, "more than %d values of %s cannot be explained", MAX_PARTS,
                       version ? "version" : slice);
    struct part *more = realloc(partition->parts, (partition->n + 1) * sizeof(*more));
    if (!more)
        return err_set(err, -ENOMEM, "explain: no memory");
    partition->parts = more;
    struct part *part = &more[partition->n++];
    *part = (struct part){.version = version ? strdup(version) : NULL,
                          .slice = slice ? strdup(slice) : NULL};
    return (version && !part->version) || (slice && !part->slice)
               ? err_set(err, -ENOMEM, "explain: no memory")
               : 0;
}

static struct partition *partition_of(struct splitting *splitting, const char *key, size_t n)
{
    for (size_t i = 0; i < splitting->n; i++) {
        if (strlen(splitting->partitions[i].key) == n &&
            memcmp(splitting->partitions[i].key, key, n) == 0)
            return &splitting->partitions[i];
    }
    if (splitting->n == MAX_KEYS)
        return NULL;
    char *copy = strndup(key, n);
    if (!copy)
        return NULL;
    splitting->partitions[splitting->n] = (struct partition){.key = copy};
    return &splitting->partitions[splitting->n++];
}

static int add_series(void *context, const struct series_known *series, struct err *err)
{
    struct splitting *splitting = context;
    const struct explain_query *query = splitting->query;
    const char *asked = query->slice ? query->slice : "";
    if (series->first_ms >= query->to_ms || series->last_ms <= query->before_from_ms)
        return 0; /* nothing of it in either window */
    if (!query->version && strcmp(series->slice, asked) == 0) {
        struct partition *versions = partition_of(splitting, "", 0);
        int rc = versions ? add_part(versions, series->version, NULL, err) : 0;
        if (rc)
            return rc;
    }
    const char *equals = strchr(series->slice, '=');
    if (asked[0] || !equals)
        return 0;
    struct partition *partition =
        partition_of(splitting, series->slice, (size_t)(equals - series->slice) + 1);
    return partition ? add_part(partition, NULL, series->slice, err) : 0;
}

static int read_part(struct splitting *splitting, struct part *part, struct err *err)
{
    const struct explain_query *query = splitting->query;
    struct explain_window window = {
        .model = query->model,
        .version = part->version ? part->version : query->version,
        .slice = part->slice ? part->slice : query->slice,
        .from_ms = query->before_from_ms,
        .to_ms = query->before_to_ms,
        .estimates = metric_estimated(splitting->about->metric) != NULL,
    };
    int rc = explain_states(splitting->store, &window, splitting->about, &part->before, err);
    window.from_ms = query->from_ms;
    window.to_ms = query->to_ms;
    if (!rc)
        rc = explain_states(splitting->store, &window, splitting->about, &part->now, err);
    struct metric_value none = {.value = NAN, .lower = NAN, .upper = NAN};
    struct metric_value *values[] = {&part->v0, &part->v1};
    const struct states *states[] = {part->before.states, part->now.states};
    const int64_t lengths[] = {query->before_to_ms - query->before_from_ms,
                               query->to_ms - query->from_ms};
    for (int i = 0; i < 2; i++) {
        *values[i] = none;
        if (!states[i])
            continue;
        metric_evaluate(states[i], splitting->metric, lengths[i], values[i]);
        values[i]->n = states_count(states[i]);
        values[i]->labelled = states_labelled(states[i]);
    }
    return rc;
}

/* --- how the change is split --- */

enum weight {
    BY_LABELS,
    BY_PREDICTIONS,
    BY_NOTHING /* the values add up by themselves */
};

static double weight_of(const struct metric_value *value, enum weight by)
{
    if (isnan(value->value))
        return 0;
    return by == BY_LABELS ? (double)value->labelled : by == BY_PREDICTIONS ? (double)value->n : 1;
}

/* Do the parts' values make up the whole's? */
static bool adds_up(const struct partition *partition, const struct metric_value *whole,
                    bool is_now, enum weight by)
{
    double sum = 0, weights = 0, size = fabs(whole->value);
    for (size_t i = 0; i < partition->n; i++) {
        const struct part *part = &partition->parts[i];
        const struct metric_value *value = is_now ? &part->v1 : &part->v0;
        double w = weight_of(value, by);
        weights += w;
        sum += w > 0 ? w * value->value : 0;
        size = fmax(size, w > 0 ? fabs(value->value) : 0);
    }
    if (by != BY_NOTHING)
        sum /= weights;
    return fabs(sum - whole->value) <= NOT_OFF * size;
}

static int append(struct explanation *about, struct part *part, enum explain_split split,
                  struct explained_slice **out, struct err *err)
{
    struct explained_slice *more =
        realloc(about->slices, (about->n_slices + 1) * sizeof(*about->slices));
    if (!more)
        return err_set(err, -ENOMEM, "explain: no memory");
    about->slices = more;
    *out = &more[about->n_slices++];
    **out = (struct explained_slice){.version = part->version,
                                     .slice = part->slice,
                                     .before = part->v0,
                                     .now = part->v1,
                                     .split = split,
                                     .within = NAN,
                                     .between = NAN};
    part->version = part->slice = NULL; /* the explanation owns them now */
    return 0;
}

static int split_mean(struct explanation *about, struct partition *partition, enum weight by,
                      struct err *err)
{
    AUTO_FREE struct explain_slice *slices = calloc(partition->n, sizeof(*slices));
    if (!slices)
        return err_set(err, -ENOMEM, "explain: no memory");
    for (size_t i = 0; i < partition->n; i++) {
        const struct part *part = &partition->parts[i];
        double w0 = weight_of(&part->v0, by), w1 = weight_of(&part->v1, by);
        slices[i] = (struct explain_slice){
            .name = part->version ? part->version : part->slice,
            .n_before = w0,
            .sum_before = w0 > 0 ? w0 * part->v0.value : 0,
            .n_now = w1,
            .sum_now = w1 > 0 ? w1 * part->v1.value : 0,
        };
    }
    explain_slices(slices, partition->n);
    for (size_t i = 0; i < partition->n; i++) {
        struct part *part = partition->parts;
        while (slices[i].name != (part->version ? part->version : part->slice))
            part++;
        struct explained_slice *row;
        int rc = append(about, part, SPLIT_MEAN, &row, err);
        if (rc)
            return rc;
        row->within = slices[i].within;
        row->between = slices[i].between;
        row->contribution = slices[i].within + slices[i].between;
        slices[i].name = ""; /* given away: no other row may find it */
    }
    return 0;
}

static int split_sum(struct explanation *about, struct partition *partition, struct err *err)
{
    for (size_t i = 0; i < partition->n; i++) {
        struct explained_slice *row;
        int rc = append(about, &partition->parts[i], SPLIT_SUM, &row, err);
        if (rc)
            return rc;
        double v0 = isnan(row->before.value) ? 0 : row->before.value;
        row->contribution = (isnan(row->now.value) ? 0 : row->now.value) - v0;
    }
    return 0;
}

static int merge_all(struct states **into, const struct metric_setup *setup,
                     const struct states *const *from, size_t n, struct err *err)
{
    int rc = *into ? 0 : states_new(into, setup, err);
    for (size_t i = 0; !rc && i < n; i++) {
        if (from[i] && states_merge(*into, from[i]))
            rc = err_set(err, -ENOMEM, "explain: no memory to merge");
    }
    return rc;
}

/* The states so many times over, by doubling. */
static int merge_times(struct states **into, const struct metric_setup *setup,
                       const struct states *from, unsigned times, struct err *err)
{
    AUTO(states) struct states *power = NULL;
    int rc = merge_all(into, setup, &from, times & 1, err);
    if (!rc && times > 1)
        rc = merge_all(&power, setup, (const struct states *[]){from, from}, 2, err);
    for (unsigned left = times / 2; !rc && left; left /= 2) {
        AUTO(states) struct states *twice = NULL;
        const struct states *const both[] = {power, power};
        if (left & 1)
            rc = merge_all(into, setup, both, 1, err);
        if (!rc && left > 1)
            rc = merge_all(&twice, setup, both, 2, err);
        if (!rc && left > 1) {
            states_free(power);
            power = twice;
            twice = NULL; /* power is its owner now */
        }
    }
    return rc;
}

/* Does the metric only know shares of events, not how many there are? */
static int is_of_shares(const struct splitting *splitting, const struct metric_setup *setup,
                        const struct states *states, bool *out, struct err *err)
{
    AUTO(states) struct states *twice = NULL;
    const struct explanation *about = splitting->about;
    struct metric_value value = {.value = NAN};
    const int rc = merge_times(&twice, setup, states, 2, err);
    if (rc)
        return rc;
    metric_evaluate(twice, splitting->metric, about->to_ms - about->from_ms, &value);
    *out = fabs(value.value - about->now.value) <= ABOUT_THE_SAME * fabs(about->now.value);
    return 0;
}

/* How many events of before stand for one of now: the window before may be longer, and of the newest predictions fewer
   labels are in. In small whole numbers, 1 : 1 where they are about as many. */
struct proportion {
    unsigned before, now;
};

static struct proportion proportion_of(const struct explanation *about, const struct part *part)
{
    const struct metric_value *was = &part->v0, *is = &part->v1;
    double times = (double)about->now.n / (double)about->before.n;
    if (about->of_labels && was->labelled > 0) {
        const struct metric_value *rate = is->n > 0 ? is : &about->now;
        times *= (double)rate->labelled / (double)rate->n * (double)was->n / (double)was->labelled;
    }
    struct proportion best = {1, 1};
    if (!(times > 0) || !isfinite(times) || fabs(log(times)) < log1p(ABOUT_AS_MANY))
        return best;
    for (unsigned one = 1; one <= MOST_TIMES; one++) {
        const double other = times < 1 ? one / times : one * times;
        if (other > MOST_COPIES)
            break;
        const struct proportion next = {times < 1 ? one : (unsigned)lround(other),
                                        times < 1 ? (unsigned)lround(other) : one};
        if (one == 1 || fabs(log((double)next.before / next.now / times)) <
                            fabs(log((double)best.before / best.now / times)) - 1e-9)
            best = next;
    }
    if (best.before == 1 && best.now == 1) /* beyond all copies: as near as they come */
        best =
            times < 1 ? (struct proportion){1, MOST_COPIES} : (struct proportion){MOST_COPIES, 1};
    return best;
}

/* As now, but the one part as before: the parts ahead of it, those after it, and its own past, as many as there would be of
   it now. */
static int split_replace(struct splitting *splitting, struct partition *partition, struct err *err)
{
    struct explanation *about = splitting->about;
    const struct metric_setup *setup = NULL;
    size_t n = partition->n;
    bool of_shares = false;
    for (size_t i = 0; i < n && !setup; i++)
        setup =
            partition->parts[i].now.states ? states_setup(partition->parts[i].now.states) : NULL;
    AUTO_FREE struct states **ahead = calloc(n + 1, sizeof(struct states *));
    if (!ahead)
        return err_set(err, -ENOMEM, "explain: no memory");
    AUTO(states) struct states *after = NULL;
    int rc = setup ? merge_all(&after, setup, NULL, 0, err) : 0;
    for (size_t i = 0; setup && !rc && i < n; i++) {
        const struct states *both[] = {i ? ahead[i - 1] : NULL,
                                       i ? partition->parts[i - 1].now.states : NULL};
        rc = merge_all(&ahead[i], setup, both, 2, err);
    }
    if (setup && !rc) {
        AUTO(states) struct states *all = NULL;
        const struct states *both[] = {ahead[n - 1], partition->parts[n - 1].now.states};
        rc = merge_all(&all, setup, both, 2, err);
        if (!rc)
            rc = is_of_shares(splitting, setup, all, &of_shares, err);
    }
    for (size_t i = n; setup && !rc && i-- > 0;) {
        struct part *part = &partition->parts[i];
        const struct states *others[] = {ahead[i], after};
        AUTO(states) struct states *rest = NULL, *as_now = NULL;
        struct metric_value value = {.value = NAN};
        struct explained_slice *row;
        const struct proportion times =
            of_shares ? proportion_of(about, part) : (struct proportion){1, 1};
        rc = merge_all(&as_now, setup, others, 2, err);
        if (!rc)
            rc = merge_times(&rest, setup, as_now, times.now, err);
        if (!rc)
            rc = merge_times(&rest, setup, part->before.states, times.before, err);
        if (!rc)
            rc = merge_all(&after, setup, &part->now.states, 1, err);
        if (!rc)
            rc = append(about, part, SPLIT_REPLACE, &row, err);
        if (rc)
            break;
        metric_evaluate(rest, splitting->metric, about->to_ms - about->from_ms, &value);
        row->contribution = about->now.value - value.value;
    }
    for (size_t i = 0; i < n; i++)
        states_free(ahead[i]);
    return rc;
}

static int split(struct splitting *splitting, struct partition *partition, struct err *err)
{
    static const struct {
        enum weight by;
        enum explain_split split;
    } ways[] = {{BY_LABELS, SPLIT_MEAN}, {BY_PREDICTIONS, SPLIT_MEAN}, {BY_NOTHING, SPLIT_SUM}};
    struct explanation *about = splitting->about;
    for (size_t i = 0; i < 3; i++) {
        if (!adds_up(partition, &about->before, false, ways[i].by) ||
            !adds_up(partition, &about->now, true, ways[i].by))
            continue;
        return ways[i].split == SPLIT_MEAN ? split_mean(about, partition, ways[i].by, err)
                                           : split_sum(about, partition, err);
    }
    return split_replace(splitting, partition, err);
}

static int by_contribution(const void *a, const void *b)
{
    const struct explained_slice *x = a, *y = b;
    double p = isnan(x->contribution) ? -1 : fabs(x->contribution);
    double q = isnan(y->contribution) ? -1 : fabs(y->contribution);
    if (p != q)
        return p > q ? -1 : 1;
    int slices = strcmp(x->slice ? x->slice : "", y->slice ? y->slice : "");
    return slices ? slices : strcmp(x->version ? x->version : "", y->version ? y->version : "");
}

int explain_split_slices(struct store *store, const struct explain_query *query,
                         const struct metric_query *metric, struct explanation *about,
                         struct err *err)
{
    if (isnan(about->change))
        return 0;
    struct splitting splitting = {.store = store, .query = query, .metric = metric, .about = about};
    int rc = series_list(store, query->model, query->version, NULL, add_series, &splitting, err);
    for (size_t p = 0; !rc && p < splitting.n; p++) {
        struct partition *partition = &splitting.partitions[p];
        if (partition->n < 2)
            continue; /* one value alone is the whole */
        for (size_t i = 0; !rc && i < partition->n; i++)
            rc = read_part(&splitting, &partition->parts[i], err);
        if (!rc)
            rc = split(&splitting, partition, err);
    }
    splitting_finish(&splitting);
    for (size_t i = 0; i < about->n_slices; i++)
        about->slices[i].share =
            about->change != 0 ? about->slices[i].contribution / about->change : (double)NAN;
    if (about->n_slices)
        qsort(about->slices, about->n_slices, sizeof(*about->slices), by_contribution);
    return rc;
}
