#include "stats/drift_embedding.h"

#include <math.h>

#include "stats/chi2_sum.h"

enum {
    FEWEST_VECTORS = 30 /* of which a mean is about normal */
};

/* Why the two means cannot be compared; NULL: they can. */
static const char *obstacle(const struct reference_vector *reference,
                            const struct mean_vector *window)
{
    if (window->n == 0)
        return "the window has no mean vector";
    if (reference->n == 0)
        return "the reference has no mean vector: it was made before those were kept";
    if (window->shortest != window->longest)
        return "the window has vectors of different dimensions";
    if (reference->shortest != reference->longest)
        return "the reference has vectors of different dimensions";
    if (reference->longest != window->longest)
        return "the window's vectors have other dimensions than the reference's";
    return NULL;
}

static double total_of(const struct reference_vector *reference)
{
    double sum = 0;
    for (uint32_t i = 0; i < reference->n_variances; i++)
        sum += reference->variances[i];
    return sum;
}

void drift_embedding(const struct reference_feature *reference, const struct mean_vector *window,
                     struct drift_embedding *out)
{
    const struct reference_vector *known = &reference->vector;
    const char *why = obstacle(known, window);
    *out = (struct drift_embedding){.n = window->n, .dimensions = window->longest};
    out->mean_distance = out->mean_distance_norm = drift_none(why);
    if (why)
        return;
    double mean[PROJECTION_BUCKETS], square = 0;
    mean_vector_mean(window, mean);
    for (int b = 0; b < PROJECTION_BUCKETS; b++)
        square += (mean[b] - known->mean[b]) * (mean[b] - known->mean[b]);
    double distance = sqrt(square), std = sqrt(total_of(known));
    double bound = window->longest > PROJECTION_BUCKETS ? 2 * PROJECTION_ERROR : 0;
    out->mean_distance = drift_defined(distance, bound * distance);
    out->mean_distance_norm = std > 0 ? drift_defined(distance / std, bound * distance / std)
                                      : drift_none("all vectors of the reference are equal");
}

void drift_embedding_begin(const struct reference_feature *reference,
                           const struct drift_embedding *values, struct drift_verdict *out)
{
    *out = (struct drift_verdict){.method = "mean_distance_norm",
                                  .statistic = values->mean_distance_norm.value,
                                  .threshold = (double)NAN,
                                  .p_value = (double)NAN,
                                  .q_value = (double)NAN,
                                  .why = values->mean_distance_norm.why};
    if (!out->why && (values->n < FEWEST_VECTORS || reference->vector.n < FEWEST_VECTORS))
        out->why = "fewer than 30 vectors: the law of their mean is not known";
}

void drift_embedding_judge(const struct drift_rule *rule, const struct reference_feature *reference,
                           const struct drift_embedding *values, size_t n_features,
                           struct drift_verdict *out)
{
    const struct reference_vector *known = &reference->vector;
    drift_embedding_begin(reference, values, out);
    if (out->why)
        return;
    double scale = (1 / (double)values->n + 1 / (double)known->n) / total_of(known);
    double square = out->statistic * out->statistic / scale;
    double level = drift_level(rule, n_features);
    out->p_value = chi2_sum_sf(known->variances, known->n_variances, square);
    double most = chi2_sum_isf(known->variances, known->n_variances, level);
    out->threshold = fmax(sqrt(most * scale), rule->min_effect);
}
