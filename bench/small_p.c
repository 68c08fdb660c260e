#include "bench/small_p.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void small_p_init(struct small_p *s)
{
    if (drift_nulls_new(&s->nulls, NULL))
        exit(1);
    s->references = -SMALL_P_SCREENING;
    for (int i = 0; i < SMALL_P_METHODS; i++)
        s->screen[i] = (double)INFINITY;
}

void small_p_finish(struct small_p *s)
{
    drift_nulls_free(s->nulls);
}

static double statistic_of(enum drift_method method, const struct drift_subject *subject)
{
    const struct drift_numeric *n = subject->numeric;
    const struct drift_categorical *c = subject->categorical;
    switch (method) {
    case DRIFT_KS:
        return n->ks.value;
    case DRIFT_WASSERSTEIN_NORM:
        return n->wasserstein_norm.value;
    case DRIFT_PSI:
        return n ? n->psi.value : c->psi.value;
    case DRIFT_JS:
        return n ? n->js_distance.value : c->js_distance.value;
    case DRIFT_HELLINGER:
        return n ? n->hellinger.value : c->hellinger.value;
    case DRIFT_CHI2:
        return c->chi2.value;
    default:
        return c->l_infinity.value;
    }
}

static void take(struct small_p *s, int i, const struct drift_subject *subject)
{
    const struct drift_rule rule = {s->methods[i], s->levels[0], 0};
    struct drift_verdict verdict;
    if (drift_judge(s->nulls, &rule, subject, 1, &verdict))
        exit(1);
    if (s->references < 0)
        s->screen[i] = fmin(s->screen[i], 0.9 * verdict.threshold);
    for (int k = 0; k < SMALL_P_LEVELS; k++)
        s->small[i][k] += verdict.p_value <= s->counted * s->levels[k];
}

void small_p_window(struct small_p *s, const struct drift_subject *subject, bool always)
{
    s->windows++;
    for (int i = 0; i < SMALL_P_METHODS; i++) {
        if (always || s->references < 0 || statistic_of(s->methods[i], subject) >= s->screen[i])
            take(s, i, subject);
    }
}

void small_p_reference_ends(struct small_p *s)
{
    for (int i = 0; i < SMALL_P_METHODS && s->references >= 0; i++) {
        for (int k = 0; k < SMALL_P_LEVELS; k++) {
            const double share = (double)s->small[i][k] / (double)s->windows;
            s->sums[i][k] += share;
            s->squares[i][k] += share * share;
        }
    }
    memset(s->small, 0, sizeof(s->small));
    s->windows = 0;
    s->references++;
}

void small_p_report(const struct small_p *s, const char *name, int n, int m, long windows)
{
    const double all = (double)s->references;
    printf("| | n | m | windows | statistic |");
    for (int k = 0; k < SMALL_P_LEVELS; k++)
        printf(" of %g |", s->levels[k]);
    printf("\n|---|---|---|---|---|---|---|---|---|\n");
    for (int i = 0; i < SMALL_P_METHODS; i++) {
        printf("| %s | %d | %d | %ld | %s |", name, n, m, windows,
               drift_method_name(s->methods[i]));
        for (int k = 0; k < SMALL_P_LEVELS; k++) {
            const double mean = s->sums[i][k] / all;
            const double variance = fmax(s->squares[i][k] / all - mean * mean, 0);
            printf(" %.3f ± %.3f |", mean / s->levels[k], sqrt(variance / all) / s->levels[k]);
        }
        printf("\n");
    }
}
