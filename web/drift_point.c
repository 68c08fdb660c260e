#include "web/drift_point.h"

#include <math.h>
#include <stdlib.h>

#include "common/json_out.h"
#include "stats/drift_quality.h"
#include "stats/drift_threshold.h"
#include "web/handlers.h"

static double rate(uint64_t part, uint64_t all)
{
    return all ? (double)part / (double)all : (double)NAN;
}

/* The largest bound of what the point shows; 0: all exact. */
static double bound_of(const struct drift_feature *feature)
{
    const struct drift_numeric *n = &feature->numeric;
    const struct drift_categorical *c = &feature->categorical;
    const struct drift_value *numeric[] = {&n->psi, &n->js_distance, &n->ks, &n->wasserstein_norm,
                                           &n->hellinger};
    const struct drift_value *categorical[] = {&c->psi, &c->js_distance, &c->hellinger,
                                               &c->l_infinity, &c->unseen_rate};
    const struct drift_value *distance = &feature->embedding.mean_distance_norm;
    bool embedding = !feature->why && feature->quality.kind == PROFILE_EMBEDDING;
    double bound = embedding && !distance->why ? distance->error_bound : 0;
    /* of a constant reference the distance has the feature's unit alone */
    if (!feature->why && feature->is_numeric && n->wasserstein_norm.why && !n->wasserstein.why)
        bound = fmax(bound, n->wasserstein.error_bound);
    for (int i = 0; !feature->why && i < 5; i++) {
        const struct drift_value *value = feature->is_numeric ? numeric[i] : categorical[i];
        if (!value->why)
            bound = fmax(bound, value->error_bound);
    }
    return bound;
}

/* What only embeddings have. */
static void write_distance(struct buf *out, const struct drift_feature *feature)
{
    const struct drift_embedding *e = &feature->embedding;
    const char *why = feature->why ? feature->why : e->mean_distance_norm.why;
    out_key_double(out, "mean_distance", feature->why ? (double)NAN : e->mean_distance.value);
    out_key_double(out, "mean_distance_norm",
                   feature->why ? (double)NAN : e->mean_distance_norm.value);
    if (why)
        out_key_string(out, "mean_distance_why", why);
}

static void write_statistics(struct buf *out, const struct drift_feature *feature)
{
    double none = (double)NAN;
    bool number = !feature->why && feature->is_numeric;
    bool category = !feature->why && !feature->is_numeric;
    const struct drift_numeric *n = &feature->numeric;
    const struct drift_categorical *c = &feature->categorical;
    out_key_double(out, "unseen_rate", category ? c->unseen_rate.value : none);
    out_key_double(out, "outside_rate", number ? n->outside_rate : none);
    out_key_double(out, "psi", number ? n->psi.value : category ? c->psi.value : none);
    out_key_double(out, "js_distance",
                   number     ? n->js_distance.value
                   : category ? c->js_distance.value
                              : none);
    out_key_double(out, "ks", number ? n->ks.value : none);
    out_key_double(out, "ks_p", number ? n->ks_p : none);
    out_key_double(out, "wasserstein", number ? n->wasserstein.value : none);
    out_key_double(out, "wasserstein_norm", number ? n->wasserstein_norm.value : none);
    out_key_double(out, "hellinger",
                   number     ? n->hellinger.value
                   : category ? c->hellinger.value
                              : none);
    out_key_double(out, "chi2", category ? c->chi2.value : none);
    out_key_double(out, "chi2_p", category ? c->chi2_p : none);
    out_key_double(out, "l_infinity", category ? c->l_infinity.value : none);
    out_key_double(out, "mean", number ? n->mean : none);
    out_key_double(out, "std", number ? n->std : none);
}

static void write_invalid(struct buf *out, const struct profile_quality *quality)
{
    out_key(out, "invalid");
    out_open(out, '{');
    for (int i = 0; i < N_INVALID; i++)
        if (quality->invalid[i])
            out_key_int(out, profile_invalid_name((enum profile_invalid)i),
                        (int64_t)quality->invalid[i]);
    out_close(out, '}');
}

/* How rates changed since the reference; those that are 0 on both sides are left out. */
static void write_changes(struct buf *out, const struct reference_feature *known,
                          const struct drift_feature *feature)
{
    const struct profile_quality *now = &feature->quality;
    double outside = feature->is_numeric && !feature->why ? feature->numeric.outside_rate : 0;
    struct rate_change missing = rate_change(known->missing, known->n, now->missing, now->n);
    struct rate_change invalid = rate_change(known->n_invalid, known->n, now->n_invalid, now->n);
    struct rate_change beyond =
        rate_change(0, known->valid,
                    outside > 0 ? (uint64_t)llrint(outside * (double)now->valid) : 0, now->valid);
    out_key(out, "changes");
    out_open(out, '{');
    if (known->missing || now->missing)
        write_rate_change(out, "missing", &missing);
    if (known->n_invalid || now->n_invalid)
        write_rate_change(out, "invalid", &invalid);
    if (outside > 0)
        write_rate_change(out, "outside", &beyond);
    out_close(out, '}');
}

void drift_point_write(struct buf *out, const struct profile_point *point,
                       const struct reference_feature *known, const struct drift_feature *feature)
{
    const struct profile_quality *quality = &feature->quality;
    const struct drift_verdict *verdict = &feature->verdict;
    char why[DRIFT_WHY_BYTES];
    out_open(out, '{');
    out_key_int(out, "start", point->start_ms);
    out_key_int(out, "end", point->end_ms);
    out_key_int(out, "n", (int64_t)quality->valid);
    out_key_double(out, "missing_rate", rate(quality->missing, quality->n));
    out_key_double(out, "invalid_rate", rate(quality->n_invalid, quality->n));
    write_invalid(out, quality);
    if (known && quality->n)
        write_changes(out, known, feature);
    write_statistics(out, feature);
    if (quality->kind == PROFILE_EMBEDDING)
        write_distance(out, feature);
    out_key_double(out, "error_bound", bound_of(feature));
    out_key_string(out, "method", verdict->method);
    out_key_double(out, "statistic", verdict->statistic);
    out_key_double(out, "threshold", verdict->threshold);
    out_key_double(out, "p_value", verdict->p_value);
    out_key_double(out, "q_value", verdict->q_value);
    out_key_double(out, "effect", drift_effect(verdict));
    if (drift_by_p(verdict))
        out_key_string(out, "threshold_of", "p_value");
    out_key_bool(out, "drifted", verdict->drifted);
    if (point->partial)
        out_key_bool(out, "partial", true);
    if (feature->why || verdict->why)
        out_key_string(out, "why", feature->why ? feature->why : drift_why(verdict, why));
    out_close(out, '}');
}
