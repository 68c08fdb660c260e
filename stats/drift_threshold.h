/*
 * From statistics to alarms: which statistic speaks for a feature, how improbable it is when
 * nothing drifted, and whether that is an alarm among all features of the model.
 *
 * Shape    drift_judge gives one verdict a feature with its p-value; drift_family then q-values
 *          over all of them (Benjamini–Hochberg) and `drifted` = q <= 0.85 false_alarm_rate
 *          and statistic >= min_effect (the rest is kept back for what approximations leave
 *          open). When nothing drifted, the share of windows with any feature drifted is at most
 *          false_alarm_rate, for 5 features or 200
 * Methods  auto: ks for numbers and embeddings, js_distance for categories. A statistic that a
 *          kind does not have gives way to auto's. evidently: Evidently's choice of test and its
 *          fixed thresholds, without q-values
 * Units    min_effect is in the unit of the method's statistic; threshold: the value at which this
 *          feature alone would be an alarm, p = 0.85 false_alarm_rate / features, or min_effect
 *          where that is larger (categories: if two samples of the same shares differ so seldom)
 * Laws     ks: stats/kolmogorov.h; read off a grid, the steps between its cells can hide part of
 *          the largest gap: 0.5 sqrt(share of a cell) / sqrt(n m / (n + m)) is added (Broadie,
 *          Glasserman, Kou 1997 have 0.58) · others: stats/drift_null.h. What wasserstein_norm owes
 *          to values beyond the reference's range is in the statistic and in the threshold, not in
 *          p: of what no reference value tells there is no law · unseen categories and the others
 *          are two tests, which share the level 1 : 9 (l_infinity: one), and p is not below that of
 *          two samples of any same shares (stats/same_shares.h)
 * Few      of a reference with fewer values than drift_least_values no law holds: the statistic
 *          stays, and there is no verdict
 * Errors   no value: p NaN, not drifted, `why` says why
 * Threads  any (the cache locks itself)
 * Source   Evidently's rules: stats/drift_evidently.h
 */
#pragma once

#include <stdbool.h>

#include "stats/drift_categorical.h"
#include "stats/drift_null.h"
#include "stats/drift_numeric.h"

enum drift_method {
    DRIFT_AUTO,
    DRIFT_EVIDENTLY,
    DRIFT_KS,
    DRIFT_PSI,
    DRIFT_JS,
    DRIFT_WASSERSTEIN_NORM,
    DRIFT_HELLINGER,
    DRIFT_CHI2,
    DRIFT_L_INFINITY,
    N_DRIFT_METHODS
};
/* "auto" … "l_infinity", as in the configuration; drift_method_parse: -1 when unknown. */
const char *drift_method_name(enum drift_method method);
int drift_method_parse(const char *name);

struct drift_rule {
    enum drift_method method;
    double false_alarm_rate; /* 0.01 */
    double min_effect;       /* 0.05 */
};

/* One feature's window as computed by drift_numeric or drift_categorical (the other is NULL). */
struct drift_subject {
    const struct reference_feature *reference;
    uint64_t reference_id;
    const struct drift_numeric *numeric;
    const struct drift_categorical *categorical;
    /* the window itself, which only evidently's rules look into */
    const struct numbers *numbers;
    const struct categories *categories;
    bool however_few; /* simulations: judged where no law holds, too */
};

struct drift_verdict {
    const char *method; /* the statistic that spoke: "ks", "js_distance" … */
    double statistic, threshold;
    double p_value, q_value; /* NaN: none */
    bool fixed;              /* evidently: `drifted` was decided by its fixed threshold */
    bool drifted;
    const char *why;       /* why there is no p; NULL */
    uint64_t held, needed; /* values of the reference, where they are too few; else 0 */
};
enum {
    DRIFT_WHY_BYTES = 128
};
/* `why` with its numbers; NULL: there is a verdict. Lies in `out` or is static. */
const char *drift_why(const struct drift_verdict *verdict, char out[DRIFT_WHY_BYTES]);

/* Some of Evidently's tests have a threshold of p, not of the statistic. */
bool drift_by_p(const struct drift_verdict *verdict);
/* 1 is just an alarm: statistic / threshold, of a threshold of p the logarithms'. NaN: none. */
double drift_effect(const struct drift_verdict *verdict);

/*
 * How many values of a feature a reference must hold for a verdict: from there on the promise was
 * measured to hold (docs/false-alarms.md, "Few values"). `part`: bins of a slice's part lie on the
 * cells of the whole, which may itself be small.
 */
uint64_t drift_least_values(enum drift_method method, bool numeric, bool part);

/* A verdict's method and statistic, and why there will be no other: what drift_judge begins with. */
void drift_begin(const struct drift_rule *rule, const struct drift_subject *subject,
                 struct drift_verdict *out);

int drift_judge(struct drift_nulls *nulls, const struct drift_rule *rule,
                const struct drift_subject *subject, size_t n_features, struct drift_verdict *out);

/* The p at which one of n_features alone is an alarm. */
double drift_level(const struct drift_rule *rule, size_t n_features);
/* q-values and `drifted` over all features of one window; returns -ENOMEM or 0. */
int drift_family(struct drift_verdict *verdicts, size_t n, const struct drift_rule *rule);
/* Share of the features with a verdict that drifted; 0 without any. */
double drift_share(const struct drift_verdict *verdicts, size_t n);
