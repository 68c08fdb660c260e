#include "stats/unseen_law.h"

#include <math.h>

#include "stats/drift.h"
#include "stats/drift_counts.h"

struct unseen_law unseen_law_of(const struct reference_feature *reference)
{
    const double m = (double)reference->valid;
    if (reference->bin_counts[category_bins_count(reference->bins)] == 0) {
        double once = 0;
        for (uint32_t i = 0; i < reference->n_categories; i++)
            once += reference->categories[i].count == 1;
        return (struct unseen_law){1 + once, m};
    }
    const double share = (reference->n_once + 1) / (m + 2), binomial = share * (1 - share);
    const double total = m * binomial / (binomial + 2 * reference->n_twice / m);
    return (struct unseen_law){total * share, total * (1 - share)};
}

double unseen_p(const struct unseen_law *law, double n, double unseen)
{
    const struct count_law count = {law->weight, law->weight + law->seen, law->seen, n};
    struct counts counts;
    counts_of(&counts, &count);
    double p = 0;
    for (int i = counts.n_values - 1; i >= 0; i--)
        p += counts.first + i * counts.stride + counts.stride > unseen ? counts.p[i] : 0;
    return fmin(p, 1);
}

double unseen_limit(const struct unseen_law *law, double n, double level)
{
    const struct count_law count = {law->weight, law->weight + law->seen, law->seen, n};
    struct counts counts;
    counts_of(&counts, &count);
    double p = 0, limit = n + 1;
    for (int i = counts.n_values - 1; i >= 0 && (p += counts.p[i]) <= level; i--)
        limit = counts.first + i * counts.stride;
    return limit;
}

double unseen_part(enum drift_method method, double share, double m, double n)
{
    const double known = 1 - share;
    switch (method) {
    case DRIFT_CHI2:
        return share * m + n * m * share * share / (m + n * known);
    case DRIFT_PSI:
        return share > PSI_FLOOR ? (share - PSI_FLOOR) * log(share / PSI_FLOOR) -
                                       share * log(fmax(known, PSI_FLOOR))
                                 : 0;
    case DRIFT_HELLINGER: /* its square */
        return 1 - sqrt(known);
    case DRIFT_L_INFINITY:
        return share;
    default: /* the square of js_distance */
        return (share + log2(2 / (1 + known)) +
                (known > 0 ? known * log2(2 * known / (1 + known)) : 0)) /
               2;
    }
}
