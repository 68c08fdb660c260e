#include "stats/drift_window.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum {
    PRECISE_FEATURES = 50, /* with more of them an answer is quick rather than exact */
    KS_STEPS = 100000      /* a third of a millisecond for an exact p-value */
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
                                            .reference_id = reference->grids,
                                            .window = numbers_of(state, known->kind),
                                            .coarse = quick,
                                            .ks_steps = quick ? 0 : KS_STEPS};
        if (!input.window || input.window->n == 0) {
            out->why = "the window has no value of the reference's kind";
            return 0;
        }
        const struct mean_vector nothing = {0};
        if (known->kind == PROFILE_EMBEDDING)
            drift_embedding(known, state->embedding->vector ? state->embedding->vector : &nothing,
                            &out->embedding);
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

static struct drift_subject subject_of(const struct drift_question *q,
                                       const struct reference_feature *known,
                                       const struct feature_state *state,
                                       const struct drift_feature *out)
{
    return (struct drift_subject){
        .reference = known,
        .reference_id = q->reference->id,
        .numeric = out->is_numeric ? &out->numeric : NULL,
        .categorical = out->is_numeric ? NULL : &out->categorical,
        .numbers = out->is_numeric ? numbers_of(state, known->kind) : NULL,
        .categories = out->is_numeric ? NULL : state->categories,
    };
}

static bool has_two_tests(const struct drift_question *q, const struct reference_feature *known)
{
    return known->kind == PROFILE_EMBEDDING && q->rule->method != DRIFT_EVIDENTLY;
}

/* Whether there will be a verdict is known before any: the others share the level among them. */
static void begin(const struct drift_question *q, const struct reference_feature *known,
                  const struct feature_state *state, struct drift_feature *out)
{
    const struct drift_subject subject = subject_of(q, known, state, out);
    drift_begin(q->rule, &subject, &out->verdict);
    if (!out->verdict.why || !has_two_tests(q, known))
        return;
    struct drift_verdict mean;
    drift_embedding_begin(known, &out->embedding, &mean);
    if (!mean.why)
        out->verdict = mean;
}

static int judge(const struct drift_question *q, const struct reference_feature *known,
                 const struct feature_state *state, size_t n_judged, struct drift_feature *out)
{
    const struct drift_subject subject = subject_of(q, known, state, out);
    if (has_two_tests(q, known))
        return judge_embedding(q->nulls, q->rule, &subject, n_judged, out);
    return drift_judge(q->nulls, q->rule, &subject, n_judged, &out->verdict);
}

static bool is_judged(const struct drift_feature *feature)
{
    return !feature->why && !feature->verdict.why;
}

struct answering {
    const struct drift_question *q;
    struct drift_feature *out;
    size_t n_judged;
};

static int compare_one(void *context, size_t i, struct err *err)
{
    const struct answering *answering = context;
    const struct drift_question *q = answering->q;
    struct drift_feature *out = &answering->out[i];
    uint64_t name_id = q->window->layout->features[i].name_id;
    const struct reference_feature *known = reference_find(q->reference, name_id);
    (void)err;
    if (q->stopping && q->stopping(q->context))
        return -ECANCELED;
    *out = (struct drift_feature){
        .quality = profile_quality(q->window, (uint32_t)i, name_id == q->label_id),
        .verdict = {.statistic = (double)NAN,
                    .threshold = (double)NAN,
                    .p_value = (double)NAN,
                    .q_value = (double)NAN},
    };
    out->is_numeric = out->quality.kind != PROFILE_CATEGORICAL;
    if (!known) {
        out->why = q->reference ? "the reference does not have this feature"
                                : "the model has no reference";
        return 0;
    }
    const struct feature_state *state = &q->window->features[i];
    const int rc =
        compare(q->reference, known, state, q->window->n_features > PRECISE_FEATURES, out);
    if (!rc && !out->why)
        begin(q, known, state, out);
    return rc;
}

static int judge_one(void *context, size_t i, struct err *err)
{
    const struct answering *answering = context;
    const struct drift_question *q = answering->q;
    (void)err;
    if (q->stopping && q->stopping(q->context))
        return -ECANCELED;
    if (!is_judged(&answering->out[i]))
        return 0;
    return judge(q, reference_find(q->reference, q->window->layout->features[i].name_id),
                 &q->window->features[i], answering->n_judged, &answering->out[i]);
}

/* The verdicts together: q, and who drifted. */
static int judge_family(const struct drift_question *q, struct drift_feature *out,
                        struct drift_summary *summary)
{
    AUTO_FREE struct drift_verdict *verdicts = calloc(summary->n_judged + 1, sizeof(*verdicts));
    size_t n = 0;
    for (uint32_t i = 0; verdicts && i < q->window->n_features; i++)
        if (is_judged(&out[i]))
            verdicts[n++] = out[i].verdict;
    summary->n_judged = n;
    int rc = verdicts ? drift_family(verdicts, n, q->rule) : -ENOMEM;
    if (rc || !n)
        return rc;
    summary->share = drift_share(verdicts, n);
    n = 0;
    for (uint32_t i = 0; i < q->window->n_features; i++) {
        if (!is_judged(&out[i]))
            continue;
        out[i].verdict = verdicts[n++];
        summary->n_drifted += out[i].verdict.drifted;
    }
    return 0;
}

int drift_window(const struct drift_question *question, struct drift_feature *out,
                 struct drift_summary *summary)
{
    const uint32_t n = question->window->n_features;
    struct answering answering = {.q = question, .out = out};
    *summary = (struct drift_summary){.share = (double)NAN, .events = question->window->events};
    int rc = crew_each(question->crew, n, compare_one, &answering, NULL);
    for (uint32_t i = 0; !rc && i < n; i++)
        summary->n_judged += is_judged(&out[i]);
    if (rc || !question->reference)
        return rc;
    answering.n_judged = summary->n_judged;
    rc = crew_each(question->crew, n, judge_one, &answering, NULL);
    return rc ? rc : judge_family(question, out, summary);
}
