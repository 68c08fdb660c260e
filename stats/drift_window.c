#include "stats/drift_window.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum {
    PRECISE_FEATURES = 50 /* with more of them an answer is quick rather than exact */
};

static const struct numbers *numbers_of(const struct feature_state *state, enum profile_kind kind)
{
    if (kind == PROFILE_EMBEDDING)
        return state->embedding ? &state->embedding->norm : NULL;
    return state->numeric;
}

/* Statistics of one feature; why: they cannot be computed. */
static int compare(const struct reference *reference, const struct reference_feature *known,
                   const struct feature_state *state, bool quick, struct drift_feature *out)
{
    out->is_numeric = known->kind != PROFILE_CATEGORICAL;
    if (out->is_numeric) {
        struct drift_numeric_input input = {.reference = known,
                                            .reference_id = reference->id,
                                            .window = numbers_of(state, known->kind),
                                            .coarse = quick,
                                            .ks_steps = quick ? 0 : 1};
        if (!input.window || input.window->n == 0) {
            out->why = "the window has no value of the reference's kind";
            return 0;
        }
        if (known->kind == PROFILE_EMBEDDING)
            drift_embedding(known, &state->embedding->vector, &out->embedding);
        return drift_numeric(&input, &out->numeric);
    }
    if (!state->categories || state->categories->n == 0) {
        out->why = "the window has no value of the reference's kind";
        return 0;
    }
    return drift_categorical(known, reference->id, state->categories, &out->categorical);
}

/* Which of two verdicts speaks. */
static bool speaks_louder(const struct drift_verdict *a, const struct drift_verdict *b,
                          double min_effect)
{
    bool a_matters = a->statistic >= min_effect, b_matters = b->statistic >= min_effect;
    return a_matters == b_matters ? a->p_value < b->p_value : a_matters;
}

/* The norm and the mean vector: two tests at half the level each, where both can be made. */
static int judge_embedding(struct drift_nulls *nulls, const struct drift_rule *rule,
                           const struct drift_subject *subject, size_t n_judged,
                           struct drift_feature *out)
{
    struct drift_verdict mean, *norm = &out->verdict;
    drift_embedding_judge(rule, subject->reference, &out->embedding, 2 * n_judged, &mean);
    int rc = drift_judge(nulls, rule, subject, mean.why ? n_judged : 2 * n_judged, norm);
    if (rc || mean.why)
        return rc;
    if (norm->why) {
        drift_embedding_judge(rule, subject->reference, &out->embedding, n_judged, norm);
        return 0;
    }
    if (speaks_louder(&mean, norm, rule->min_effect))
        *norm = mean;
    norm->p_value = fmin(2 * norm->p_value, 1);
    return 0;
}

static int judge(struct drift_nulls *nulls, const struct drift_rule *rule,
                 const struct reference *reference, const struct reference_feature *known,
                 const struct feature_state *state, size_t n_judged, struct drift_feature *out)
{
    struct drift_subject subject = {
        .reference = known,
        .reference_id = reference->id,
        .numeric = out->is_numeric ? &out->numeric : NULL,
        .categorical = out->is_numeric ? NULL : &out->categorical,
        .numbers = out->is_numeric ? numbers_of(state, known->kind) : NULL,
        .categories = out->is_numeric ? NULL : state->categories,
    };
    if (known->kind == PROFILE_EMBEDDING && rule->method != DRIFT_EVIDENTLY)
        return judge_embedding(nulls, rule, &subject, n_judged, out);
    return drift_judge(nulls, rule, &subject, n_judged, &out->verdict);
}

static int judge_all(struct drift_nulls *nulls, const struct drift_rule *rule,
                     const struct reference *reference, const struct profile *window,
                     struct drift_feature *out, struct drift_summary *summary)
{
    AUTO_FREE struct drift_verdict *verdicts = calloc(window->n_features + 1, sizeof(*verdicts));
    AUTO_FREE uint32_t *features = calloc(window->n_features + 1, sizeof(*features));
    size_t n = 0;
    int rc = verdicts && features ? 0 : -ENOMEM;
    for (uint32_t i = 0; !rc && i < window->n_features; i++) {
        if (out[i].why)
            continue;
        const struct reference_feature *known =
            reference_find(reference, window->layout->features[i].name_id);
        rc = judge(nulls, rule, reference, known, &window->features[i], summary->n_judged, &out[i]);
        verdicts[n] = out[i].verdict;
        features[n++] = i;
    }
    if (!rc)
        rc = drift_family(verdicts, n, rule);
    for (size_t i = 0; !rc && i < n; i++) {
        out[features[i]].verdict = verdicts[i];
        summary->n_drifted += verdicts[i].drifted;
    }
    if (!rc && n)
        summary->share = drift_share(verdicts, n);
    return rc;
}

int drift_window(struct drift_nulls *nulls, const struct drift_rule *rule,
                 const struct reference *reference, const struct profile *window, uint64_t label_id,
                 struct drift_feature *out, struct drift_summary *summary)
{
    *summary = (struct drift_summary){.share = (double)NAN};
    for (uint32_t i = 0; i < window->n_features; i++) {
        uint64_t name_id = window->layout->features[i].name_id;
        const struct reference_feature *known = reference_find(reference, name_id);
        out[i] = (struct drift_feature){
            .quality = profile_quality(window, i, name_id == label_id),
            .verdict = {.statistic = (double)NAN,
                        .threshold = (double)NAN,
                        .p_value = (double)NAN,
                        .q_value = (double)NAN},
        };
        out[i].is_numeric = out[i].quality.kind != PROFILE_CATEGORICAL;
        if (!known) {
            out[i].why = reference ? "the reference does not have this feature"
                                   : "the model has no reference";
            continue;
        }
        int rc = compare(reference, known, &window->features[i],
                         window->n_features > PRECISE_FEATURES, &out[i]);
        if (rc)
            return rc;
        summary->n_judged += !out[i].why;
    }
    return reference ? judge_all(nulls, rule, reference, window, out, summary) : 0;
}
