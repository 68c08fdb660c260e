/*
 * A sum of many bins' parts by its first three cumulants, when the number of all events is known.
 *
 * Shape    bins are independent until their sum is known, which takes away one direction of what they
 *          vary in. For a sum of c z² over normals whose weighted sum is known, with projection P,
 *          cumulants are traces of powers of PCP instead of C; what of a part goes with its count,
 *          goes with the sum
 * Units    those of the scaled statistic (stats/drift_law.h); `along`: a bin's share of the sum's
 *          variance, that is of all weight
 * Owner    plain
 * Threads  any
 * Source   Pearson type III: Johnson, Kotz, Balakrishnan 1994, ch. 17.2
 */
#pragma once

#include "stats/drift_part.h"

struct cumulants {
    double first, second, third;
};
/* One bin's part more, as if it were independent. */
void cumulants_add(struct cumulants *sum, const struct drift_part *part);

/* What a known sum takes from the parts. */
struct known_sum {
    double linear, c1, c2, c3; /* Σ along × linear, quadratic, its square, its cube */
};
void known_sum_add(struct known_sum *known, const struct drift_part *part, double along);

void cumulants_take_known(struct cumulants *sum, const struct known_sum *known);
/* A bin whose law is made with the sum known, and which has more than half of it, `along`: the others
   are those of `known`. */
void cumulants_add_dominant(struct cumulants *sum, const struct known_sum *known,
                            const struct drift_part *part, double along);

/* ln P(sum >= i step) of the Pearson III law at LAW_POINTS points, every 4th computed. */
void cumulants_survival(const struct cumulants *sum, double step, float *out);
