#include "bench/tilted_law.h"

#include <math.h>

enum {
    CELLS = 400000
};
#define TAIL 1e-9 /* of the law, that moments leave out to either side */

double tilted_law_deviation(const struct tilted_law *law, double x)
{
    return fmin(fmax((x - law->mean) / law->std, -TILTED_REACH), TILTED_REACH);
}

double tilted_law_log_ratio(const struct tilted_law *law, double x)
{
    return law->tilt * tilted_law_deviation(law, x) - law->log_norm;
}

/* Evenly in x, what lies in a cell as if it were in its middle. */
struct cells {
    double low, width, shares[CELLS];
};

static void cells_of(struct cells *cells, const struct value_law *law)
{
    double before = 0;
    cells->low = value_law_at(law, TAIL);
    cells->width = (value_law_at(law, 1 - TAIL) - cells->low) / CELLS;
    for (int i = 0; i < CELLS; i++) {
        const double upto = cells->low + cells->width * (i + 1);
        const double here = i + 1 < CELLS ? value_law_below(law, upto) : 1;
        cells->shares[i] = here - before;
        before = here;
    }
}

void tilted_law_init(struct tilted_law *out, const struct value_law *law, double tilt)
{
    static struct cells cells;
    double sum = 0, square = 0, norm = 0;
    cells_of(&cells, law);
    for (int i = 0; i < CELLS; i++) {
        const double x = cells.low + cells.width * (i + 0.5);
        sum += cells.shares[i] * x;
        square += cells.shares[i] * x * x;
    }
    *out =
        (struct tilted_law){.law = law, .mean = sum, .std = sqrt(square - sum * sum), .tilt = tilt};
    for (int i = 0; i < CELLS; i++) {
        const double x = cells.low + cells.width * (i + 0.5);
        norm += cells.shares[i] * exp(tilt * tilted_law_deviation(out, x));
    }
    out->log_norm = log(norm);
}

double tilted_law_draw(const struct tilted_law *law, struct rng *rng)
{
    const double most = fabs(law->tilt) * TILTED_REACH;
    for (;;) {
        const double x = value_law_draw(law->law, rng);
        const double log_share = law->tilt * tilted_law_deviation(law, x) - most;
        if (log_share > -1e-12 || rng_uniform(rng) < exp(log_share))
            return x;
    }
}
