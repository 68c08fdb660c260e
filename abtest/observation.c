#include "abtest/observation.h"

#include <math.h>

enum { /* two classes are told apart by their side alone: a threshold knows no name of theirs */
    POSITIVE = 1,
    NEGATIVE
};

struct observation observation_nothing(void)
{
    double none = (double)NAN;
    return (struct observation){.latency_ms = none,
                                .score = none,
                                .value = none,
                                .label_value = none,
                                .log_loss = none,
                                .brier = none,
                                .confidence = none,
                                .named_value = none,
                                .covariate = none};
}

/* The scores of a multiclass prediction, seen together. */
struct scores {
    double sum, top;
    uint64_t top_class;
    double own;  /* of the label; NaN: it has none */
    int before;  /* classes that stand before the label */
    double away; /* squared distance of the shares from the label */
};

static struct scores scores_of(const struct sample *sample)
{
    struct scores s = {.own = (double)NAN};
    for (uint32_t i = 0; i < sample->n_scores; i++) {
        const struct class_score *score = &sample->scores[i];
        s.sum += score->score;
        if (s.top_class == 0 || score->score > s.top) {
            s.top = score->score;
            s.top_class = score->class_id;
        }
        if (score->class_id == sample->label_class)
            s.own = score->score;
    }
    if (fabs(s.sum - 1) < 1e-6 || !(s.sum > 0))
        s.sum = 1;
    for (uint32_t i = 0; i < sample->n_scores; i++) {
        const struct class_score *score = &sample->scores[i];
        bool is = score->class_id == sample->label_class;
        double away = score->score / s.sum - is;
        s.away += away * away;
        s.before += score->score > s.own ||
                    (score->score == s.own && score->class_id > sample->label_class);
    }
    s.top = fmin(fmax(s.top, 0), 1);
    return s;
}

/* As scikit-learn: minus the logarithm of the probability that was given to the true class. */
static double log_loss_of(double p)
{
    return -log(fmin(fmax(p, 0x1p-52), 1 - 0x1p-52));
}

void observation_of_prediction(struct observation *out, const struct metric_setup *setup,
                               const struct sample *sample)
{
    bool binary = setup->task == TASK_BINARY;
    bool by_threshold = binary && sample->predicted == 0 && !isnan(sample->score);
    out->stage = STAGE_PREDICTION;
    out->failed = sample->failed;
    out->latency_ms = sample->latency_ms;
    out->score = sample->score;
    out->value = sample->value;
    out->has_predicted = sample->predicted != 0 || by_threshold;
    out->predicted = by_threshold ? sample->score >= setup->threshold
                                  : binary && sample->predicted == setup->positive;
    if (binary)
        out->confidence = fmax(sample->score, 1 - sample->score); /* NaN without a score */
    else if (setup->task == TASK_MULTICLASS && sample->n_scores > 0)
        out->confidence = scores_of(sample).top;
}

static void take_binary(struct observation *out, const struct metric_setup *setup,
                        const struct sample *sample)
{
    double target = sample->label_class == setup->positive;
    out->positive = sample->label_class == setup->positive;
    out->correct = out->predicted == out->positive;
    if (!isnan(sample->score)) {
        out->log_loss = log_loss_of(out->positive ? sample->score : 1 - sample->score);
        out->brier = (sample->score - target) * (sample->score - target);
    }
    if (!out->has_predicted)
        return;
    out->predicted_class = out->predicted ? POSITIVE : NEGATIVE;
    out->label_class = out->positive ? POSITIVE : NEGATIVE;
}

static void take_multiclass(struct observation *out, const struct sample *sample)
{
    struct scores scores = scores_of(sample);
    out->predicted_class = sample->predicted ? sample->predicted : scores.top_class;
    out->label_class = sample->label_class;
    out->has_predicted = out->predicted_class != 0;
    out->correct = out->predicted_class == out->label_class;
    if (sample->n_scores == 0)
        return;
    out->content = sample;
    out->brier = scores.away + (isnan(scores.own) ? 1 : 0);
    out->log_loss = log_loss_of(isnan(scores.own) ? 0 : fmax(scores.own, 0) / scores.sum);
    out->in_top_3 = !isnan(scores.own) && scores.before < 3;
}

bool observation_of_label(struct observation *out, const struct metric_setup *setup,
                          const struct sample *sample)
{
    if (sample->failed)
        return false;
    observation_of_prediction(out, setup, sample);
    out->stage = STAGE_LABEL;
    if (setup->task > TASK_REGRESSION) {
        out->content = sample;
        return true;
    }
    out->label_value = sample->label_value;
    if (setup->task == TASK_BINARY)
        take_binary(out, setup, sample);
    else if (setup->task == TASK_MULTICLASS)
        take_multiclass(out, sample);
    return true;
}
