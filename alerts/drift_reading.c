#include "alerts/drift_reading.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "stats/interval.h"
#include "storage/drift_components.h"
#include "storage/drift_judged.h"
#include "storage/drift_model.h"
#include "storage/series.h"

/* A rule's answer for a window, which does not change any more. */
struct kept {
    const struct alert_rule *rule;
    struct reading reading;
};

struct drift_readings {
    const struct config *config;
    struct store *store;
    struct kept *kept;
    size_t n_kept;
};

int drift_readings_new(struct drift_readings **out, const struct config *config,
                       struct store *store, struct err *err)
{
    struct drift_readings *readings = calloc(1, sizeof(*readings));
    if (!readings)
        return err_set(err, -ENOMEM, "alerts: no memory");
    readings->config = config;
    readings->store = store;
    *out = readings; /* the caller owns it now */
    return 0;
}

void drift_readings_free(struct drift_readings *readings)
{
    if (!readings)
        return;
    free(readings->kept);
    free(readings);
}

struct judging {
    const struct alert_rule *rule;
    struct drift_rule how;
    const struct profile_model *model;
    struct reading *out;
    struct drift_cache *cache;
    struct drift_feature *features; /* of the window */
    struct drift_summary summary;
};

static struct drift_judging judging_of(const struct judging *judging)
{
    return (struct drift_judging){
        .cache = judging->cache,
        .rule = &judging->how,
        .model = judging->model,
    };
}

static bool window_known(void *context, uint64_t fingerprint)
{
    struct judging *judging = context;
    const struct drift_judging asked = judging_of(judging);
    return drift_judged_find(&asked, fingerprint, judging->features, &judging->summary);
}

/* What the model is given comes before what it made of it, if it drifted, too. */
static double weight(const char *name, const struct drift_verdict *verdict)
{
    const double effect = drift_effect(verdict);
    return verdict->drifted ? effect + (name[0] == '@' ? 1e9 : 2e9) : effect;
}

/* The strongest of the features that the rule looks at; -1: none has a verdict. */
static int strongest(const struct judging *judging)
{
    const struct drift_feature *features = judging->features;
    int best = -1;
    double most = 0;
    for (uint32_t i = 0; i < judging->model->n_features; i++) {
        const struct drift_verdict *verdict = &features[i].verdict;
        const char *wanted = judging->rule->feature;
        if (features[i].why || verdict->why ||
            (wanted && strcmp(judging->model->names[i], wanted) != 0))
            continue;
        double effect = weight(judging->model->names[i], verdict);
        if (best < 0 || effect > most) {
            best = (int)i;
            most = effect;
        }
    }
    return best;
}

/* "ks 0.179, threshold 0.0615"; "chi2 12.3, p 0.0021, threshold p 0.05". */
static void tell_statistic(const struct drift_verdict *verdict, char *out, size_t n)
{
    if (drift_by_p(verdict))
        snprintf(out, n, "%s %.4g, p %.2g, threshold p %.4g", verdict->method, verdict->statistic,
                 verdict->p_value, verdict->threshold);
    else
        snprintf(out, n, "%s %.4g, threshold %.4g", verdict->method, verdict->statistic,
                 verdict->threshold);
}

/* What a model is given moves what it makes of it, not the other way round. */
static void tell_cause(const struct judging *judging, int best)
{
    const struct drift_verdict *verdict = &judging->features[best].verdict;
    const char *name = judging->model->names[best];
    const bool made = name[0] == '@', alone = judging->rule->feature != NULL;
    snprintf(judging->out->cause, sizeof(judging->out->cause),
             "%s %.*s moved most: %s %.4g, %.1f times its threshold%s", made ? "feature" : "input",
             (int)text_fit(name, 80), name, verdict->method, verdict->statistic,
             drift_effect(verdict), made && !alone ? "; no input drifted" : "");
}

static void tell(const struct judging *judging, int best)
{
    struct reading *out = judging->out;
    const struct drift_summary *summary = &judging->summary;
    const struct drift_verdict *verdict = &judging->features[best].verdict;
    const char *name = judging->model->names[best];
    bool share = judging->rule->drift_share;
    bool bad = share ? summary->share > judging->rule->level : verdict->drifted;
    char statistic[120];
    out->sight = bad ? SIGHT_BAD : SIGHT_CLEAR;
    out->value = share ? summary->share : verdict->statistic;
    tell_statistic(verdict, statistic, sizeof(statistic));
    snprintf(out->why, sizeof(out->why), "%zu of %zu features drifted; the strongest%s is %.*s: %s",
             summary->n_drifted, summary->n_judged,
             verdict->drifted && name[0] != '@' ? " input" : "", (int)text_fit(name, 80), name,
             statistic);
    if (!isnan(verdict->q_value))
        snprintf(out->confidence, sizeof(out->confidence),
                 "q %.2g; of windows without drift %.3g are called drifted", verdict->q_value,
                 judging->how.false_alarm_rate);
    if (bad)
        tell_cause(judging, best);
}

static double bad_values(const struct profile_quality *quality, enum rule_quality wanted)
{
    switch (wanted) {
    case QUALITY_MISSING:
        return (double)quality->missing;
    case QUALITY_INVALID:
        return (double)quality->n_invalid;
    default:
        return (double)quality->invalid[INVALID_TYPE + (wanted - QUALITY_TYPE)];
    }
}

/* The feature whose interval lies highest; a rule on one feature looks at that one alone. */
static void judge_quality(struct judging *judging, const struct profile *profile)
{
    static const char *const words[] = {"are missing",
                                        "are invalid",
                                        "are of another type",
                                        "are out of range",
                                        "are of no allowed category",
                                        "are not finite"};
    struct reading *out = judging->out;
    const struct alert_rule *rule = judging->rule;
    const char *worst = NULL;
    for (uint32_t i = 0; i < judging->model->n_features; i++) {
        const char *name = judging->model->names[i];
        if (rule->feature ? strcmp(name, rule->feature) != 0 : name[0] == '@')
            continue;
        struct profile_quality quality = profile_quality(profile, i, false);
        double bad = bad_values(&quality, rule->quality), n = (double)quality.n;
        struct interval interval = interval_wilson(bad, n);
        if (n < 1 || (worst && interval.lower <= out->lower))
            continue;
        worst = name;
        out->value = bad / n;
        out->lower = interval.lower;
        out->upper = interval.upper;
        out->n = (int64_t)quality.n;
    }
    if (!worst) {
        snprintf(out->why, sizeof(out->why), "no such feature was seen in the window");
        return;
    }
    out->sight = reading_judge(rule, out->value, out->lower, out->upper);
    int n = (int)text_fit(worst, 80);
    snprintf(out->why, sizeof(out->why),
             "%.4g%% of the values of %.*s %s, %.4g%% are allowed, n %" PRId64, 100.0 * out->value,
             n, worst, words[rule->quality], 100.0 * rule->level, out->n);
    if (out->sight == SIGHT_BAD)
        snprintf(out->cause, sizeof(out->cause), "feature %.*s: %.4g%% of its values %s", n, worst,
                 100.0 * out->value, words[rule->quality]);
}

static bool too_few(const struct judging *judging, uint64_t events)
{
    struct reading *out = judging->out;
    out->n = (int64_t)events;
    if (out->n >= judging->rule->min_count)
        return false;
    snprintf(out->why, sizeof(out->why), "%" PRId64 " predictions, %" PRId64 " are needed", out->n,
             judging->rule->min_count);
    return true;
}

/* Why the first of the features that the rule looks at has no verdict. */
static void tell_none(const struct judging *judging)
{
    const char *wanted = judging->rule->feature;
    char text[DRIFT_WHY_BYTES];
    for (uint32_t i = 0; i < judging->model->n_features; i++) {
        const struct drift_feature *feature = &judging->features[i];
        const char *name = judging->model->names[i];
        const char *why = feature->why ? feature->why : drift_why(&feature->verdict, text);
        if (!why || (wanted && strcmp(name, wanted) != 0))
            continue;
        snprintf(judging->out->why, sizeof(judging->out->why),
                 "no feature of the window can be judged; %.*s: %s", (int)text_fit(name, 80), name,
                 why);
        return;
    }
    snprintf(judging->out->why, sizeof(judging->out->why),
             "no feature of the window can be compared");
}

static int judge_drift(struct judging *judging, const struct profile_point *point, struct err *err)
{
    const struct drift_judging asked = judging_of(judging);
    if (too_few(judging, point->known ? judging->summary.events : point->profile->events))
        return 0;
    int rc = point->known
                 ? 0
                 : drift_judged_make(&asked, point, judging->features, &judging->summary, err);
    if (rc)
        return rc;
    int best = strongest(judging);
    if (best < 0)
        tell_none(judging);
    else
        tell(judging, best);
    return 0;
}

static void name_reference(const struct profile_model *model, struct reading_reference *out)
{
    const struct reference_row *row = &model->reference;
    if (!row->reference)
        return;
    out->of_slice = model->slice != NULL;
    out->n = (int64_t)row->reference->events;
    snprintf(out->id, sizeof(out->id), "%s", row->id);
    snprintf(out->source, sizeof(out->source), "%s", row->source);
}

static int judge(void *context, const struct profile_point *point, struct err *err)
{
    struct judging *judging = context;
    struct reading *out = judging->out;
    bool quality = judging->rule->kind == RULE_QUALITY;
    bool any = point->profile || point->known;
    if (!any || (!quality && !judging->model->reference.reference)) {
        const char *lack = judging->model->no_reference;
        snprintf(out->why, sizeof(out->why), "%s",
                 !any      ? (point->partial ? SERIES_KEPT_LONGER : "no event in the window")
                 : lack[0] ? lack
                           : "the model has no reference");
        return 0;
    }
    if (!quality)
        return judge_drift(judging, point, err);
    if (!too_few(judging, point->profile->events))
        judge_quality(judging, point->profile);
    return 0;
}

/* All features together: `feature: "@multivariate"` is how they are rebuilt from the reference's
   components, `"@domain_classifier"` whether they can be told from the reference's. */
static void tell_components(const struct multivariate_drift *drift, struct reading *out)
{
    out->value = drift->reconstruction_error;
    snprintf(out->why, sizeof(out->why),
             "all features together: reconstruction_error %.4g, %s %.4g to %.4g", out->value,
             drift->drifted ? "not in" : "in", drift->lower, drift->threshold);
}

static void tell_domain(const struct domain_drift *drift, struct reading *out)
{
    out->value = drift->auc;
    snprintf(out->why, sizeof(out->why),
             "all features together: domain classifier auc %.4g, threshold %.4g", out->value,
             drift->threshold);
}

static int judge_components(void *context, const struct components_point *point, struct err *err)
{
    (void)err;
    struct judging *judging = context;
    struct reading *out = judging->out;
    const bool domain = strcmp(judging->rule->feature, DOMAIN_FEATURE) == 0;
    const char *why = point->why || !domain ? point->why : point->domain.why;
    out->n = point->n;
    if (why || point->n < judging->rule->min_count) {
        snprintf(out->why, sizeof(out->why), "%s", why ? why : "too few events were looked at");
        return 0;
    }
    out->sight = (domain ? point->domain.drifted : point->drift.drifted) ? SIGHT_BAD : SIGHT_CLEAR;
    if (domain)
        tell_domain(&point->domain, out);
    else
        tell_components(&point->drift, out);
    snprintf(out->confidence, sizeof(out->confidence),
             "p %.2g; of windows without drift %.3g are called drifted",
             domain ? point->domain.p_value : point->drift.p_value, judging->how.false_alarm_rate);
    return 0;
}

static int read_components(struct drift_readings *readings, const struct alert_rule *rule,
                           struct reading *out, struct err *err)
{
    struct judging judging = {
        .rule = rule, .how = drift_rule_of(readings->config, rule->model), .out = out};
    const struct series_query query = {
        .model = rule->model,
        .version = rule->version,
        .slice = rule->slice,
        .from_ms = out->start_ms,
        .to_ms = out->end_ms,
        .window_ms = rule->window_ms,
    };
    char why[200];
    int rc = components_each(readings->store, &query, judging.how.false_alarm_rate,
                             judge_components, &judging, why, err);
    if (!rc && why[0])
        snprintf(out->why, sizeof(out->why), "%.199s", why);
    return rc;
}

static int read_window(struct drift_readings *readings, const struct alert_rule *rule,
                       struct reading *out, struct err *err)
{
    struct profile_model model;
    size_t n_damaged;
    if (is_of_components(rule->feature))
        return read_components(readings, rule, out, err);
    const struct profile_span window = {out->start_ms, out->end_ms};
    const struct drift_slice of = {rule->model, rule->version, rule->slice};
    int rc = drift_model_read(readings->store, readings->config, &of, &window, &model, err);
    if (rc)
        return rc;
    AUTO_FREE struct drift_feature *features = calloc(model.n_features + 1, sizeof(*features));
    struct judging judging = {
        .rule = rule,
        .how = drift_rule_of(readings->config, rule->model),
        .model = &model,
        .out = out,
        .features = features,
    };
    struct profile_query query = {
        .model = rule->model,
        .version = rule->version,
        .slice = rule->slice,
        .from_ms = out->start_ms,
        .to_ms = out->end_ms,
        .window_ms = rule->window_ms,
        .level = PROFILE_HOUR,
        .known = rule->kind == RULE_QUALITY ? NULL : window_known,
    };
    if (rule->kind == RULE_DRIFT)
        name_reference(&model, &out->reference);
    rc = features ? store_drift_cache(readings->store, &judging.cache, err)
                  : err_set(err, -ENOMEM, "alerts: no memory");
    if (!rc)
        rc = profiles_each(readings->store, &model, &query, judge, &judging, &n_damaged, err);
    profile_model_finish(&model);
    return rc;
}

int drift_reading(struct drift_readings *readings, const struct alert_rule *rule, int64_t now_ms,
                  struct reading *out, struct err *err)
{
    out->end_ms = now_ms / rule->window_ms * rule->window_ms;
    out->start_ms = out->end_ms - rule->window_ms;
    size_t at = 0;
    while (at < readings->n_kept && readings->kept[at].rule != rule)
        at++;
    if (at < readings->n_kept && readings->kept[at].reading.end_ms == out->end_ms) {
        *out = readings->kept[at].reading;
        return 0;
    }
    int rc = out->start_ms < 0 ? 0 : read_window(readings, rule, out, err);
    if (rc)
        return rc;
    if (at == readings->n_kept) {
        struct kept *more = realloc(readings->kept, (at + 1) * sizeof(*more));
        if (!more)
            return err_set(err, -ENOMEM, "alerts: no memory");
        readings->kept = more;
        readings->n_kept++;
    }
    readings->kept[at] = (struct kept){rule, *out};
    return 0;
}
