#include "storage/explain_tell.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"

#define SHARE_MOVED 0.1 /* of the predictions: a smaller change of a slice's share is not told */

enum {
    SLICE_BYTES = 160,
    PART_BYTES = 320,
};

static double squared(double x)
{
    return x * x;
}

/* The square of a change's half width, from those of both ends; NaN: not known. */
static double change_width(const struct metric_value *before, const struct metric_value *now)
{
    const bool up = now->value > before->value;
    return squared(up ? now->value - now->lower : now->upper - now->value) +
           squared(up ? before->upper - before->value : before->value - before->lower);
}

/* Without intervals (counts) nothing is known against it. */
static bool beyond(double difference, double width)
{
    return isnan(width) || squared(difference) > width;
}

static double share_before(const struct explanation *e, const struct explained_slice *slice)
{
    return (double)slice->before.n / (double)e->before.n;
}

static double share_now(const struct explanation *e, const struct explained_slice *slice)
{
    return (double)slice->now.n / (double)e->now.n;
}

/*
 * Does the slice's own change differ from that of the others? It is part of the whole: with a share
 * w of the events it differs from the whole by 1 - w of what it differs from the others.
 */
static bool differs(const struct explanation *e, const struct explained_slice *slice)
{
    if (isnan(slice->before.value)) /* new: against what all were before */
        return beyond(slice->now.value - e->before.value, change_width(&e->before, &slice->now));
    const double others = 1 - (share_before(e, slice) + share_now(e, slice)) / 2;
    const double own = slice->now.value - slice->before.value;
    const double width =
        change_width(&slice->before, &slice->now) + change_width(&e->before, &e->now) / others;
    return beyond(own - e->change, squared(others) * width);
}

/* The slice that moved the metric, when it did so beyond its share of the traffic and chance. */
static const struct explained_slice *leading_slice(const struct explanation *e)
{
    if (!beyond(e->change, change_width(&e->before, &e->now)))
        return NULL;
    for (size_t i = 0; i < e->n_slices; i++) {
        const struct explained_slice *slice = &e->slices[i];
        const double traffic = (share_before(e, slice) + share_now(e, slice)) / 2;
        if (slice->share >= 0.5 && slice->share >= 1.5 * traffic && differs(e, slice))
            return slice;
    }
    return NULL;
}

/* How far a share moved; 0: no farther than chance may. */
static double share_change(const struct explanation *e, const struct explained_slice *slice)
{
    const double n0 = (double)e->before.n, n1 = (double)e->now.n;
    const double change = share_now(e, slice) - share_before(e, slice);
    const double pooled = (double)(slice->before.n + slice->now.n) / (n0 + n1);
    const double width = squared(1.96) * pooled * (1 - pooled) * (1 / n0 + 1 / n1);
    return beyond(change, width) ? change : 0;
}

/* The slice whose share of the predictions moved most; where two moved alike, that which grew. */
static const struct explained_slice *moved_slice(const struct explanation *e)
{
    const struct explained_slice *moved = NULL;
    double most = SHARE_MOVED;
    for (size_t i = 0; i < e->n_slices; i++) {
        const double change = share_change(e, &e->slices[i]);
        const double far = change > 0 ? change * 1.001 : -change;
        if (far > most) {
            most = far;
            moved = &e->slices[i];
        }
    }
    return moved;
}

/* "country:de", "version v4". */
static void name_slice(const struct explained_slice *slice, char out[SLICE_BYTES])
{
    const char *name = slice->version ? slice->version : slice->slice;
    const char *value = slice->version ? NULL : strchr(name, '=');
    const int key = value ? (int)(value - name) : 0;
    if (value)
        snprintf(out, SLICE_BYTES, "%.*s:%.80s", key > 60 ? 60 : key, name, value + 1);
    else
        snprintf(out, SLICE_BYTES, "version %.80s", name);
}

static void tell_leading(const struct explanation *e, const struct explained_slice *slice,
                         char *out, size_t n)
{
    char name[SLICE_BYTES], from[40] = "", had[40] = "";
    char share[40] = "more than twice"; /* of a change so small how often says nothing */
    name_slice(slice, name);
    if (slice->share <= 2)
        snprintf(share, sizeof(share), "%.0f%% of", 100 * slice->share);
    if (!isnan(slice->before.value))
        snprintf(from, sizeof(from), "%.3g to ", slice->before.value);
    const double w0 = share_before(e, slice), w1 = share_now(e, slice);
    if (fabs(w1 - w0) > SHARE_MOVED)
        snprintf(had, sizeof(had), ", %.0f%% before", 100 * w0);
    snprintf(out, n,
             "%s carries %s the change of %.60s (%s%.3g there, with %.0f%% of the predictions%s)",
             name, share, e->metric, from, slice->now.value, 100 * w1, had);
}

static void tell_moved(const struct explanation *e, const struct explained_slice *slice, char *out,
                       size_t n)
{
    char name[SLICE_BYTES];
    name_slice(slice, name);
    snprintf(out, n, "%s is %.0f%% of the predictions, %.0f%% before", name,
             100 * share_now(e, slice), 100 * share_before(e, slice));
}

/* --- features --- */

static bool is_input(const struct explained_feature *feature)
{
    return feature->name[0] != '@';
}

static bool stands_out(const struct explained_feature *feature)
{
    return feature->by == BY_DRIFT ? feature->drift.verdict.drifted : feature->effect >= 1;
}

/* Effects come first to last: the strongest input that stands out, else what the model made. */
static const struct explained_feature *leading_feature(const struct explanation *e)
{
    const struct explained_feature *made = NULL;
    for (size_t i = 0; i < e->n_features; i++) {
        const struct explained_feature *feature = &e->features[i];
        if (!stands_out(feature))
            continue;
        if (is_input(feature))
            return feature;
        made = made ? made : feature;
    }
    return made;
}

/* Incomes and amounts as people write them, not as 6.71e+04. */
static const char *mean_text(char out[24], double mean)
{
    const bool plain = fabs(mean) >= 1000 && fabs(mean) < 1e6;
    snprintf(out, 24, plain ? "%.0f" : "%.3g", mean);
    return out;
}

/* A unit that was changed upstream shows in the mean at once. */
static void tell_means(const struct explained_feature *feature, char *out, size_t n)
{
    const struct reference_feature *known = feature->known;
    out[0] = '\0';
    if (!known || !feature->drift.is_numeric || !isfinite(feature->drift.numeric.mean) ||
        !isfinite(known->moments.mean))
        return;
    char now[24], before[24];
    snprintf(out, n, ", mean %s, %s in the reference", mean_text(now, feature->drift.numeric.mean),
             mean_text(before, known->moments.mean));
}

void explanation_tell_feature(const struct explanation *e, char *out, size_t n)
{
    const struct explained_feature *f = leading_feature(e);
    if (!f)
        return;
    const struct drift_verdict *verdict = &f->drift.verdict;
    char threshold[40] = "", means[80];
    const int name = (int)text_fit(f->name, 80);
    if (f->by != BY_DRIFT) {
        const struct rate_change *rate = f->by == BY_MISSING ? &f->missing : &f->invalid;
        snprintf(out, n, "%.*s is %s in %.3g%%, %.3g%% in the reference", name, f->name,
                 explain_by_name(f->by), 100 * rate->now, 100 * rate->before);
        return;
    }
    if (isfinite(verdict->threshold))
        snprintf(threshold, sizeof(threshold), ", threshold %s%.3g",
                 drift_by_p(verdict) ? "p " : "", verdict->threshold);
    tell_means(f, means, sizeof(means));
    snprintf(out, n, "%.*s drifted most%s: %s %.3g%s%s", name, f->name,
             is_input(f) ? "" : ", though no input did", verdict->method, verdict->statistic,
             threshold, means);
}

/* --- labels --- */

/* A metric of few of the window's labels is of those that come first. */
static void tell_labels(const struct explanation *e, char *out, size_t n)
{
    const double before = (double)e->before.labelled / (double)e->before.n;
    const double now = (double)e->now.labelled / (double)e->now.n;
    if (e->of_labels && now < before / 2)
        snprintf(out, n, "of the labels %.0f%% are in, %.0f%% before", 100 * now, 100 * before);
}

/* One part of the sentence more, if it fits as a whole. */
static void append(struct explanation *e, const char *part)
{
    const size_t used = strlen(e->cause), room = sizeof(e->cause) - used;
    if (part[0] && strlen(part) + 2 < room)
        snprintf(e->cause + used, room, "%s%s", used ? "; " : "", part);
}

void explanation_tell(struct explanation *e)
{
    char changes[sizeof(e->cause)] = "", lead[2 * PART_BYTES] = "", share[PART_BYTES] = "";
    char feature[PART_BYTES] = "", labels[80] = "";
    const struct explained_slice *leading = leading_slice(e), *moved = moved_slice(e);
    explained_changes_tell(&e->changes, changes, sizeof(changes));
    if (leading)
        tell_leading(e, leading, lead, sizeof(lead));
    if (moved && moved != leading)
        tell_moved(e, moved, share, sizeof(share));
    explanation_tell_feature(e, feature, sizeof(feature));
    tell_labels(e, labels, sizeof(labels));
    append(e, changes);
    append(e, lead);
    append(e, share);
    append(e, feature);
    append(e, labels);
}
