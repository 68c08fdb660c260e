#include "stats/metric_result.h"

#include "common/cleanup.h"

void result_none(struct metric_value *out, const char *why)
{
    out->value = out->lower = out->upper = out->error_bound = (double)NAN;
    out->why = why;
}

void result_exact(struct metric_value *out, double value, struct interval interval)
{
    if (!isfinite(value)) {
        result_none(out, isnan(value) ? "not defined" : "beyond the range of numbers");
        return;
    }
    const bool both = isfinite(interval.lower) && isfinite(interval.upper);
    out->value = value;
    out->lower = both ? interval.lower : (double)NAN;
    out->upper = both ? interval.upper : (double)NAN;
    out->error_bound = 0;
}

void result_share(struct metric_value *out, int64_t a, int64_t n, const char *why)
{
    if (n <= 0)
        result_none(out, why);
    else
        result_exact(out, (double)a / (double)n, interval_wilson((double)a, (double)n));
}

void result_mean(struct metric_value *out, double sum, double squares, int64_t n, const char *why)
{
    if (n <= 0) {
        result_none(out, why);
        return;
    }
    const double mean = sum / (double)n;
    result_exact(out, mean, interval_mean(mean, variance_of(sum, squares, n), n));
}

void result_quantile(struct metric_value *out, struct quantile quantile, const char *why)
{
    if (isnan(quantile.value)) {
        result_none(out, why);
        return;
    }
    result_exact(out, quantile.value, (struct interval){quantile.lower, quantile.upper});
    out->error_bound = quantile.bound;
}

void result_histogram(struct metric_value *out, const struct histogram *h, double q,
                      const char *why)
{
    AUTO_FREE struct span *spans = NULL;
    size_t n;
    if (histogram_spans(h, &spans, &n))
        result_none(out, "out of memory");
    else
        result_quantile(out, quantile_of(spans, n, q), why);
}
