#include "stats/drift_threshold.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "stats/distribution.h"
#include "stats/drift_counts.h"
#include "stats/drift_evidently.h"
#include "stats/drift_weights.h"
#include "stats/fdr.h"
#include "stats/kolmogorov.h"
#include "stats/unseen_law.h"

static const char *const method_names[N_DRIFT_METHODS] = {
    "auto",      "evidently", "ks",         "psi", "js_distance", "wasserstein_norm",
    "hellinger", "chi2",      "l_infinity",
};

const char *drift_method_name(enum drift_method method)
{
    return method < N_DRIFT_METHODS ? method_names[method] : NULL;
}

int drift_method_parse(const char *name)
{
    for (int i = 0; i < N_DRIFT_METHODS; i++) {
        if (strcmp(method_names[i], name) == 0)
            return i;
    }
    return -1;
}

static enum drift_method method_for(enum drift_method method, bool numeric)
{
    if (numeric)
        return method == DRIFT_AUTO || method == DRIFT_CHI2 || method == DRIFT_L_INFINITY ? DRIFT_KS
                                                                                          : method;
    return method == DRIFT_AUTO || method == DRIFT_KS || method == DRIFT_WASSERSTEIN_NORM ? DRIFT_JS
                                                                                          : method;
}

static struct drift_value value_of(enum drift_method method, const struct drift_subject *subject)
{
    const struct drift_numeric *n = subject->numeric;
    const struct drift_categorical *c = subject->categorical;
    switch (method) {
    case DRIFT_KS:
        return n->ks;
    case DRIFT_PSI:
        return n ? n->psi : c->psi;
    case DRIFT_JS:
        return n ? n->js_distance : c->js_distance;
    case DRIFT_WASSERSTEIN_NORM:
        return n->wasserstein_norm;
    case DRIFT_HELLINGER:
        return n ? n->hellinger : c->hellinger;
    case DRIFT_CHI2:
        return c->chi2;
    case DRIFT_L_INFINITY:
        return c->l_infinity;
    default:
        return drift_none("no such statistic");
    }
}

#define KEPT_BACK 0.85 /* of the promise; the rest is for what approximations leave open */
#define ROUNDED 1e-9   /* what is left of a sum that is all unseen */
#define FEW_VALUES 50.0
#define FAR_LARGER 35.0 /* times the reference: a window that sees more than its law knows */
#define OFTEN 0.3       /* the power by which it is called more often, */
#define STEEPER 0.03    /* and by which the more often the rarer; */
#define ORDINARY 0.01   /* from this p on */
#define OFF 0.04        /* standard deviations of a sum over categories */
#define RARE 40         /* events of a category */

/* --- ks --- */

/*
 * What a grid hides of the largest gap: between two of its cells a path of many events wanders, that of
 * a few, who leave most cells empty, goes straight on. Added whole, p of two events against 50,000
 * values was below 0.0002 five times as often as that.
 */
static double hidden(const struct drift_subject *subject, double root)
{
    if (subject->numeric->ks.error_bound == 0)
        return 0;
    const double share = subject->reference->cell_share;
    double few = (double)subject->reference->n_cells; /* each value its own cell: nothing hidden */
    return few * 2 < GRID_MAX_CELLS && !subject->reference->part
               ? 0
               : fmin(0.5 * sqrt(share) / root, (double)subject->numeric->n * share * share);
}

static void judge_ks(const struct drift_subject *subject, double level, struct drift_verdict *out)
{
    double n = (double)subject->numeric->n, m = (double)subject->reference->valid;
    double root = sqrt(n / (n + m) * m), more = hidden(subject, root);
    /* at nm / (n + m) itself: rounded as in ks_p it is up to 10% too small for n = 50 */
    out->p_value = ks_one_sample_sf_quick(out->statistic + more, root * root);
    if (more == 0)
        out->p_value = fmax(out->p_value, subject->numeric->ks_p);
    /* Maag, Dicaire 1971, solved for d: 2 exp(-(6 e d + 1)² / (18 e)) = level */
    double e = fmax(root * root, 1);
    double d = (sqrt(18 * e * log(2 / level)) - 1) / (6 * e);
    out->threshold = fmin(fmax(d - more, 0), 1);
}

/* --- laws given the reference --- */

static struct drift_null null_of(enum drift_method method, const struct drift_subject *subject,
                                 struct drift_weights *memory)
{
    static const enum drift_statistic statistics[N_DRIFT_METHODS] = {
        [DRIFT_PSI] = LAW_PSI,
        [DRIFT_JS] = LAW_JS,
        [DRIFT_WASSERSTEIN_NORM] = LAW_WASSERSTEIN,
        [DRIFT_HELLINGER] = LAW_HELLINGER,
        [DRIFT_CHI2] = LAW_CHI2,
        [DRIFT_L_INFINITY] = LAW_L_INFINITY,
    };
    return drift_weights_of(memory, statistics[method], subject->reference, subject->reference_id,
                            subject->categorical != NULL);
}

/* --- all of it --- */

/* Values near the ends of the doubles leave bins without a width, and those are empty. */
static bool holds_anything(const struct drift_null *null)
{
    double all = 0;
    for (size_t i = 0; i < null->n_bins; i++)
        all += null->counts[i];
    return all > 0;
}

/*
 * The part of wasserstein_norm that lies beyond the reference's smallest and largest value. No law
 * can be known there, so it is not counted as evidence: values count as if they lay at the end.
 */
static double beyond_of(const struct drift_subject *subject)
{
    return subject->numeric->wasserstein_beyond / subject->reference->moments.std;
}

/*
 * How many times as often as a law says Doane's bins are so far off: given the reference's counts is
 * not given their shares. `times` of any p, and of a rare one by the power `steeper` more often.
 * Measured: with 200 values and 1,000 events 1.1 to 1.2 times the promise, 1.3 to 1.4 times the law;
 * 50,000 exponential ones against 1,000 1.14 times p = 0.0085, 1.35 times 0.0000425, 100,000 1.29
 * and 1.45 times; up to 40 times the reference nothing of the kind.
 */
struct understated {
    double times, steeper;
};

static struct understated understated_by(enum drift_method method, double m, double n)
{
    if (method != DRIFT_JS && method != DRIFT_HELLINGER)
        return (struct understated){1, 0};
    const double larger = n / (FAR_LARGER * m);
    return (struct understated){
        .times = (1 + FEW_VALUES * n / (m * (n + m))) * pow(fmax(larger, 1), OFTEN),
        .steeper = larger > 1 ? STEEPER : 0,
    };
}

static double p_of_law(struct understated by, double p)
{
    if (!(p > 0))
        return p; /* NaN: want of memory */
    const double more = by.times * p * (p < ORDINARY ? pow(ORDINARY / p, by.steeper) : 1);
    return more > 1 ? 1 : more;
}

/* The law's p that counts as `level`. */
static double p_by_law(struct understated by, double level)
{
    const double p = level / by.times;
    return p < ORDINARY ? ORDINARY * pow(p / ORDINARY, 1 / (1 - by.steeper)) : p;
}

static double known_of(enum drift_method method, const struct drift_categorical *categorical)
{
    const struct drift_known *known = &categorical->known;
    if (!known->judged)
        return (double)NAN;
    switch (method) {
    case DRIFT_PSI:
        return known->psi;
    case DRIFT_JS:
        return known->js_distance;
    case DRIFT_HELLINGER:
        return known->hellinger;
    case DRIFT_L_INFINITY:
        return known->l_infinity;
    default:
        return known->chi2;
    }
}

/*
 * Unseen events and the rest are two tests, which share the level 1 : 9; the smaller p counts. In
 * one law the chance of a single unseen event would decide the tail: in chi2 it is worth m / n.
 */
static void judge_categories(struct drift_nulls *nulls, struct drift_null *null,
                             const struct drift_subject *subject, enum drift_method method,
                             double level, struct drift_verdict *out)
{
    double n = (double)subject->categorical->n, m = (double)subject->reference->valid;
    bool squared = method == DRIFT_JS || method == DRIFT_HELLINGER;
    const bool tells_unseen = null->unseen > 0;
    double share = tells_unseen ? subject->categorical->unseen_rate.value : 0;
    double seen_level = 0.9 * level, beside = unseen_part(method, share, m, n);
    const struct unseen_law unseen_law = unseen_law_of(subject->reference);
    double p = share > 0 ? unseen_p(&unseen_law, n, rint(share * n)) : 1;
    double limit = unseen_limit(&unseen_law, n, 0.1 * level);
    double all = squared ? out->statistic * out->statistic : out->statistic;
    const double known = known_of(method, subject->categorical);
    if (!isnan(known))
        beside = fmax(all - (squared ? known * known : known), 0);
    double seen = all - beside > ROUNDED * all ? all - beside : 0;
    null->unseen = 0;
    out->p_value = drift_null_p(nulls, null, n, squared ? sqrt(seen) : seen);
    out->p_value = fmin(fmin(out->p_value / 0.9, p / 0.1), 1);
    double most = drift_null_threshold(nulls, null, n, seen_level);
    most = (squared ? most * most : most) + beside;
    if (p <= 0.1 * level) /* this many were enough, however many came */
        most = fmin(most, unseen_part(method, limit / n, m, n));
    out->threshold = squared ? sqrt(most) : most;
}

/* Whether unseen events are a test of their own. */
static bool is_of_two(const struct drift_null *null, enum drift_method method,
                      const struct drift_categorical *categorical)
{
    return !isnan(known_of(method, categorical)) ||
           (null->unseen > 0 && method != DRIFT_L_INFINITY);
}

/*
 * A law takes a category's share to be as likely somewhat above its count as below. Where all shares
 * are the same, or fall evenly, that is not so: a large window sees what they are, and was called
 * drifted up to 24 times as often as promised. Of K categories' sum, which varies by sqrt(2 K), one
 * of r events is off by about 1 / r: a few that are rare among many events move it by next to nothing.
 */
static bool has_rare_categories(const struct reference_feature *ref)
{
    const size_t n = category_bins_count(ref->bins);
    double n_rare = 0, known = 0, off = 0;
    if (ref->bin_counts[n] > 0)
        return false; /* rare ones are judged together */
    for (size_t i = 0; i < n; i++) {
        const double r = (double)ref->bin_counts[i];
        n_rare += r > 0 && r < RARE;
        known += r > 0;
        off += r > 0 ? 1 / r : 0;
    }
    return n_rare > 1 && off > OFF * sqrt(2 * known);
}

double drift_level(const struct drift_rule *rule, size_t n_features)
{
    return KEPT_BACK * rule->false_alarm_rate / (double)(n_features ? n_features : 1);
}

uint64_t drift_least_values(enum drift_method method, bool numeric, bool part)
{
    enum {
        OF_CATEGORIES = 20,
        OF_PART = 100 /* by bins of numbers */
    };
    static const uint64_t of_numbers[N_DRIFT_METHODS] = {
        [DRIFT_KS] = 10, [DRIFT_WASSERSTEIN_NORM] = 200, [DRIFT_PSI] = 50,
        [DRIFT_JS] = 30, [DRIFT_HELLINGER] = 30,
    };
    method = method_for(method, numeric);
    if (method == DRIFT_EVIDENTLY)
        return 1; /* promises nothing */
    if (!numeric)
        return OF_CATEGORIES;
    const bool by_bins = method == DRIFT_PSI || method == DRIFT_JS || method == DRIFT_HELLINGER;
    return part && by_bins ? OF_PART : of_numbers[method];
}

const char *drift_why(const struct drift_verdict *verdict, char out[DRIFT_WHY_BYTES])
{
    if (!verdict->needed)
        return verdict->why;
    snprintf(out, DRIFT_WHY_BYTES,
             "the reference holds %" PRIu64 " value%s, %" PRIu64 " are needed to judge by %s",
             verdict->held, verdict->held == 1 ? "" : "s", verdict->needed, verdict->method);
    return out;
}

void drift_begin(const struct drift_rule *rule, const struct drift_subject *subject,
                 struct drift_verdict *out)
{
    const bool numeric = subject->numeric != NULL;
    const enum drift_method method = method_for(rule->method, numeric);
    const struct drift_value value =
        value_of(method == DRIFT_EVIDENTLY ? (numeric ? DRIFT_KS : DRIFT_JS) : method, subject);
    const uint64_t least =
        subject->however_few ? 1 : drift_least_values(method, numeric, subject->reference->part);
    *out = (struct drift_verdict){.method = method_names[method],
                                  .statistic = value.value,
                                  .threshold = (double)NAN,
                                  .p_value = (double)NAN,
                                  .q_value = (double)NAN,
                                  .why = value.why};
    if (value.why || subject->reference->valid >= least)
        return;
    out->why = "the reference holds too few values";
    out->held = subject->reference->valid;
    out->needed = least;
}

int drift_judge(struct drift_nulls *nulls, const struct drift_rule *rule,
                const struct drift_subject *subject, size_t n_features, struct drift_verdict *out)
{
    const bool numeric = subject->numeric != NULL;
    const enum drift_method method = method_for(rule->method, numeric);
    drift_begin(rule, subject, out);
    if (out->why)
        return 0;
    if (method == DRIFT_EVIDENTLY)
        return drift_evidently_judge(subject, out);
    double level = drift_level(rule, n_features);
    if (method == DRIFT_KS) {
        judge_ks(subject, level, out);
    } else {
        struct drift_weights memory = {0};
        struct drift_null null = null_of(method, subject, &memory);
        double n = numeric ? (double)subject->numeric->n : (double)subject->categorical->n;
        double beyond = method == DRIFT_WASSERSTEIN_NORM ? beyond_of(subject) : 0;
        if (!holds_anything(&null)) {
            out->why = "the reference's values lie in no bin that a law could be made of";
            return 0;
        }
        if (!numeric && is_of_two(&null, method, subject->categorical)) {
            judge_categories(nulls, &null, subject, method, level, out);
        } else {
            double m = (double)subject->reference->valid;
            struct understated by = {1, 0};
            if (numeric)
                by = understated_by(method, m, n);
            out->p_value = p_of_law(by, drift_null_p(nulls, &null, n, out->statistic - beyond));
            out->threshold = drift_null_threshold(nulls, &null, n, p_by_law(by, level)) + beyond;
        }
        if (isnan(out->p_value))
            return -ENOMEM;
        if (!numeric && has_rare_categories(subject->reference))
            out->p_value = fmax(out->p_value, subject->categorical->same_shares_p);
    }
    out->threshold = fmax(out->threshold, rule->min_effect);
    return 0;
}

int drift_family(struct drift_verdict *verdicts, size_t n, const struct drift_rule *rule)
{
    AUTO_FREE double *p = calloc(n + 1, sizeof(*p));
    if (!p)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        p[i] = verdicts[i].fixed ? (double)NAN : verdicts[i].p_value;
    int rc = fdr_adjust(p, n, FDR_BENJAMINI_HOCHBERG, p);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        if (verdicts[i].fixed)
            continue;
        verdicts[i].q_value = p[i];
        verdicts[i].drifted =
            p[i] <= KEPT_BACK * rule->false_alarm_rate && verdicts[i].statistic >= rule->min_effect;
    }
    return rc;
}

bool drift_by_p(const struct drift_verdict *verdict)
{
    return verdict->fixed && !isnan(verdict->p_value);
}

double drift_effect(const struct drift_verdict *verdict)
{
    if (drift_by_p(verdict))
        return log(fmax(verdict->p_value, 1e-300)) / log(verdict->threshold);
    return verdict->threshold > 0 ? verdict->statistic / verdict->threshold : (double)NAN;
}

double drift_share(const struct drift_verdict *verdicts, size_t n)
{
    size_t drifted = 0, all = 0;
    for (size_t i = 0; i < n; i++) {
        all += !verdicts[i].why;
        drifted += verdicts[i].drifted;
    }
    return all ? (double)drifted / (double)all : 0;
}
