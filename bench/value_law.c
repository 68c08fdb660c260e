#include "bench/value_law.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static double draw_exponential(struct rng *rng)
{
    return rng_exponential(rng, 1);
}

static double below_exponential(double x)
{
    return x > 0 ? -expm1(-x) : 0;
}

static double below_normal(double x)
{
    return erfc(-x * M_SQRT1_2) / 2;
}

static double draw_lognormal(struct rng *rng)
{
    return exp(rng_normal(rng));
}

static double below_lognormal(double x)
{
    return x > 0 ? below_normal(log(x)) : 0;
}

static double draw_gamma3(struct rng *rng)
{
    return rng_exponential(rng, 1) + rng_exponential(rng, 1) + rng_exponential(rng, 1);
}

static double below_gamma3(double x)
{
    return x > 0 ? 1 - exp(-x) * (1 + x + x * x / 2) : 0;
}

static double below_uniform(double x)
{
    return fmin(fmax(x, 0), 1);
}

static double draw_student3(struct rng *rng)
{
    double z = rng_normal(rng), a = rng_normal(rng), b = rng_normal(rng), c = rng_normal(rng);
    return z / sqrt((a * a + b * b + c * c) / 3);
}

static double below_student3(double x)
{
    double u = x / sqrt(3);
    return 0.5 + (u / (1 + u * u) + atan(u)) * M_1_PI;
}

static double draw_two_normals(struct rng *rng)
{
    return rng_normal(rng) + (rng_u64(rng) & 1 ? 3 : -3);
}

static double below_two_normals(double x)
{
    return (below_normal(x - 3) + below_normal(x + 3)) / 2;
}

static double draw_eight(struct rng *rng)
{
    return rng_exponential(rng, 8);
}

static double below_eight(double x)
{
    return below_exponential(x / 8);
}

static const struct value_law laws[] = {
    {"exponential", 0, draw_exponential, below_exponential},
    {"normal", 0, rng_normal, below_normal},
    {"lognormal", 0, draw_lognormal, below_lognormal},
    {"gamma3", 0, draw_gamma3, below_gamma3},
    {"uniform", 0, rng_uniform, below_uniform},
    {"student3", 0, draw_student3, below_student3},
    {"two_normals", 0, draw_two_normals, below_two_normals},
    {"normal_2_decimals", 0.01, rng_normal, below_normal},
    {"lognormal_2_decimals", 0.01, draw_lognormal, below_lognormal},
    {"whole_numbers", 1, draw_eight, below_eight},
    {"few_whole_numbers", 1, draw_gamma3, below_gamma3},
};
enum {
    N_LAWS = sizeof(laws) / sizeof(laws[0])
};

const struct value_law *value_law_find(const char *name)
{
    for (int i = 0; i < N_LAWS; i++) {
        if (strcmp(laws[i].name, name) == 0)
            return &laws[i];
    }
    return NULL;
}

void value_law_names(char *out, size_t size)
{
    size_t used = 0;
    for (int i = 0; i < N_LAWS && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i ? "|" : "", laws[i].name);
}

double value_law_draw(const struct value_law *law, struct rng *rng)
{
    double x = law->draw(rng);
    return law->grain > 0 ? rint(x / law->grain) * law->grain : x;
}

double value_law_below(const struct value_law *law, double x)
{
    if (!(law->grain > 0))
        return law->below(x);
    double k =
        rint(x / law->grain); /* of the first grain that is not below x: half a grain before */
    k += k * law->grain < x;
    return law->below((k - 0.5) * law->grain);
}

double value_law_at(const struct value_law *law, double share)
{
    double low = -1e8, high = 1e8;
    for (int i = 0; i < 100; i++) {
        const double middle = (low + high) / 2;
        *(value_law_below(law, middle) < share ? &low : &high) = middle;
    }
    return high;
}
