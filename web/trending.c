#include "web/trending.h"

#include <errno.h>

#include "common/json_out.h"
#include "stats/trend.h"

void trending_add(struct trending *trending, double value)
{
    trending->values[trending->n++ % TRENDING_MOST] = value;
}

int trending_write(const struct trending *trending, struct buf *out, struct err *err)
{
    double times[TRENDING_MOST], values[TRENDING_MOST];
    size_t n = trending->n < TRENDING_MOST ? trending->n : TRENDING_MOST;
    for (size_t i = 0; i < n; i++) {
        times[i] = (double)i;
        values[i] = trending->values[(trending->n - n + i) % TRENDING_MOST];
    }
    struct trend trend;
    if (trend_of(times, values, n, &trend))
        return err_set(err, -ENOMEM, "no memory for a trend");
    out_key(out, "trend");
    if (trend.n < 3) {
        out_null(out);
        return 0;
    }
    out_open(out, '{');
    out_key_int(out, "n", (int64_t)trend.n);
    out_key_double(out, "slope", trend.slope);
    out_key_double(out, "lower", trend.lower);
    out_key_double(out, "upper", trend.upper);
    out_key_double(out, "p_value", trend.p_value);
    out_key_int(out, "declines", (int64_t)trend.declines);
    out_close(out, '}');
    return 0;
}
