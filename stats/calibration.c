#include "stats/calibration.h"

enum {
    SCALE = 80
};

void calibration_add(struct calibration *c, double p, bool positive, int sign)
{
    const int place = (int)(p * CALIBRATION_BINS);
    struct calibration_bin *bin = &c->bins[place < CALIBRATION_BINS ? place : CALIBRATION_BINS - 1];
    fixed_add(&bin->p, p, SCALE, sign);
    bin->n += sign;
    bin->positives += positive ? sign : 0;
}

void calibration_merge(struct calibration *into, const struct calibration *from)
{
    for (int i = 0; i < CALIBRATION_BINS; i++) {
        fixed_merge(&into->bins[i].p, &from->bins[i].p);
        into->bins[i].n += from->bins[i].n;
        into->bins[i].positives += from->bins[i].positives;
    }
}

int64_t calibration_count(const struct calibration *c)
{
    int64_t n = 0;
    for (int i = 0; i < CALIBRATION_BINS; i++)
        n += c->bins[i].n;
    return n;
}

double calibration_mean(const struct calibration_bin *bin)
{
    return bin->n > 0 ? fixed_result(&bin->p, SCALE) / (double)bin->n : (double)NAN;
}

void calibration_save(const struct calibration *c, struct buf *out)
{
    unsigned used = 0;
    for (int i = 0; i < CALIBRATION_BINS; i++)
        if (c->bins[i].n || c->bins[i].positives || c->bins[i].p.units)
            used |= 1u << i;
    buf_varint(out, used);
    for (int i = 0; i < CALIBRATION_BINS; i++)
        if (used >> i & 1) {
            fixed_save(&c->bins[i].p, out);
            buf_zigzag(out, c->bins[i].n);
            buf_zigzag(out, c->bins[i].positives);
        }
}

int calibration_load(struct calibration *c, struct reader *in, struct err *err)
{
    const uint64_t used = reader_varint(in);
    if (used >> CALIBRATION_BINS)
        return err_set(err, ERR_CORRUPT, "state: more than %d calibration bins", CALIBRATION_BINS);
    for (int i = 0; i < CALIBRATION_BINS; i++)
        if (used >> i & 1) {
            fixed_load(&c->bins[i].p, in);
            c->bins[i].n = reader_count(in);
            c->bins[i].positives = reader_count(in);
        }
    return 0;
}

/* The sum over bins is the mean of d, d = +-(p - y) with the sign of its bin, and the mean of d^2
   is that of (p - y)^2, which gives the variance by the delta method. */
void calibration_result(const struct calibration *c, double squares, const char *why,
                        struct metric_value *out)
{
    const int64_t n = calibration_count(c);
    if (n <= 0) {
        result_none(out, why);
        return;
    }
    double sum = 0;
    for (int i = 0; i < CALIBRATION_BINS; i++)
        sum += fabs(fixed_result(&c->bins[i].p, SCALE) - (double)c->bins[i].positives);
    const double variance = variance_of(sum, squares, n) / (double)n;
    result_exact(out, sum / (double)n, interval_normal(sum / (double)n, variance, 0, 1));
}
