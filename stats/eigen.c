#include "stats/eigen.h"

#include <math.h>

/* Turns axes p and q of the rows or (step k) columns of a matrix. */
static void turn(double *p, double *q, uint32_t step, uint32_t k, double c, double s)
{
    for (uint32_t i = 0; i < k; i++) {
        double x = p[i * step], y = q[i * step];
        p[i * step] = c * x - s * y;
        q[i * step] = s * x + c * y;
    }
}

/* Makes a[p][q] zero. */
static void rotate(double *a, double *v, uint32_t k, uint32_t p, uint32_t q)
{
    if (a[p * k + q] == 0)
        return;
    double theta = (a[q * k + q] - a[p * k + p]) / (2 * a[p * k + q]);
    double t = copysign(1, theta) / (fabs(theta) + sqrt(theta * theta + 1));
    double c = 1 / sqrt(t * t + 1), s = t * c;
    turn(a + p, a + q, k, k, c, s);
    turn(a + p * k, a + q * k, 1, k, c, s);
    turn(v + p, v + q, k, k, c, s);
}

static double off_diagonal(const double *a, uint32_t k)
{
    double off = 0;
    for (uint32_t i = 0; i < k; i++) {
        for (uint32_t j = i + 1; j < k; j++)
            off += a[i * k + j] * a[i * k + j];
    }
    return off;
}

void eigen_symmetric(double *a, double *v, uint32_t k)
{
    for (uint32_t i = 0; i < k * k; i++)
        v[i] = i / k == i % k;
    for (int sweep = 0; sweep < 60 && off_diagonal(a, k) >= 1e-28 * k; sweep++) {
        for (uint32_t p = 0; p < k; p++) {
            for (uint32_t q = p + 1; q < k; q++)
                rotate(a, v, k, p, q);
        }
    }
}
