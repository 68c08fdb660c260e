#include "stats/drift_cumulants.h"

#include <math.h>

#include "stats/distribution.h"

#define SHORTEST_LOG -80.0 /* for a probability of 0 */
#define LEAST_SKEWNESS 1e-3

void cumulants_add(struct cumulants *sum, const struct drift_part *part)
{
    sum->first += part->mean;
    sum->second += part->variance;
    sum->third += part->third;
}

void known_sum_add(struct known_sum *known, const struct drift_part *part, double along)
{
    const double c = part->quadratic;
    known->linear += sqrt(along) * part->linear;
    known->c1 += along * c;
    known->c2 += along * c * c;
    known->c3 += along * c * c * c;
}

void cumulants_take_known(struct cumulants *sum, const struct known_sum *known)
{
    const double c1 = known->c1, c2 = known->c2;
    sum->first -= c1;
    sum->second -= 2 * (2 * c2 - c1 * c1) + known->linear * known->linear;
    sum->third -= 8 * (3 * known->c3 - 3 * c2 * c1 + c1 * c1 * c1);
}

/*
 * Beside its own cumulants it has some in common with the others, by the same traces. Its z is that of
 * its own law, shorter by sqrt(1 - along).
 */
void cumulants_add_dominant(struct cumulants *sum, const struct known_sum *known,
                            const struct drift_part *part, double along)
{
    const double odds = along / (1 - along), c = part->quadratic, c1 = known->c1;
    sum->first += part->mean;
    sum->second +=
        part->variance + 4 * odds * c * c1 - 2 * sqrt(odds) * part->linear * known->linear;
    sum->third += part->third + 24 * odds * c * (known->c2 - c1 * c1 + c * c1);
}

void cumulants_survival(const struct cumulants *sum, double step, float *out)
{
    enum {
        APART = 4
    };
    const double second = sum->second;
    const double third = fmax(sum->third, LEAST_SKEWNESS * pow(fmax(second, 1e-300), 1.5));
    const double shape = 4 * pow(second, 3) / (third * third), scale = third / (2 * second);
    const double shift = sum->first - shape * scale;
    double last = 0;
    for (int i = 0; i <= LAW_POINTS; i += APART) {
        const double x = (i * step - shift) / scale;
        /* the sum is never below 0, wherever the law with these cumulants begins */
        const double here = i && x > 0 ? fmax(gamma_log_sf(x, shape, 1), SHORTEST_LOG) : 0;
        if (i < LAW_POINTS)
            out[i] = (float)here;
        for (int k = 1; i && k < APART; k++)
            out[i - APART + k] = (float)(last + (here - last) * k / APART);
        last = here;
    }
}
