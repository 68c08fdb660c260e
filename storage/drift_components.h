/*
 * Drift of all features together, judged: how badly the reference's principal components rebuild the
 * events of a window, and whether a domain classifier can tell them from the reference's. Web and
 * alerts both ask here, so that they agree.
 *
 * Shape    windows as storage/series.h gives them; an event counts under the reference that was
 *          there when it came, so a window from before the reference was loaded has no value
 * Slices   what was fitted on the reference's rows is of all of them, and so are its laws: by them a
 *          slice that always differs would have drifted for ever. A slice's points have the numbers
 *          and no verdict, and `why` says so
 * Owner    points are borrowed until `point` returns
 * Errors   as in storage/series.h
 * Threads  that of the store
 */
#pragma once

#include <string.h>

#include "stats/drift_multivariate.h"
#include "storage/series.h"

/* What alert rules call the two. */
#define COMPONENTS_FEATURE "@multivariate"
#define DOMAIN_FEATURE "@domain_classifier"
static inline bool is_of_components(const char *feature)
{
    return feature &&
           (strcmp(feature, COMPONENTS_FEATURE) == 0 || strcmp(feature, DOMAIN_FEATURE) == 0);
}

struct components_point {
    int64_t start_ms, end_ms;
    int64_t n;          /* events that were looked at */
    uint64_t reference; /* id of the one that they came under; 0: none */
    struct multivariate_drift drift;
    struct domain_drift domain; /* of as many events */
    bool partial;
    const char *why; /* NULL, or why there is no verdict; valid until `point` returns */
};

/* query->step_ms is set to the window. A reference without components calls nobody: *why (of 200
   bytes) then says why. */
int components_each(struct store *store, const struct series_query *query, double false_alarm_rate,
                    int (*point)(void *context, const struct components_point *point,
                                 struct err *err),
                    void *context, char *why, struct err *err);
