/*
 * The one file that knows Boost.Math (and, with the JSON decoder, one of two in C++).
 *
 * Every function checks its domain itself, so that Boost never meets an argument it would
 * complain about; its policy ignores every error class as well, so that nothing can throw over
 * the C boundary. Double is not promoted to long double: the same bits on every machine, and
 * three times the speed.
 */
#include "stats/distribution.h"

#include <cmath>
#include <limits>

#include <boost/math/distributions/beta.hpp>
#include <boost/math/distributions/chi_squared.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <boost/math/policies/policy.hpp>
#include <boost/math/special_functions/beta.hpp>
#include <boost/math/special_functions/erf.hpp>
#include <boost/math/special_functions/gamma.hpp>

namespace
{
namespace bm = boost::math;
namespace bp = boost::math::policies;

using quiet =
    bp::policy<bp::domain_error<bp::ignore_error>, bp::pole_error<bp::ignore_error>,
               bp::overflow_error<bp::ignore_error>, bp::underflow_error<bp::ignore_error>,
               bp::denorm_error<bp::ignore_error>, bp::rounding_error<bp::ignore_error>,
               bp::evaluation_error<bp::ignore_error>,
               bp::indeterminate_result_error<bp::ignore_error>, bp::promote_double<false>,
               bp::promote_float<false>>;

constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double tiny = 1e-290;        /* below this a plain value is taken for underflowing */
constexpr double nearly_normal = 1e12; /* t beyond these degrees of freedom is the normal */
constexpr double lentz_floor = 1e-300;
constexpr double epsilon = std::numeric_limits<double>::epsilon();
constexpr double log_2 = 0.69314718055994530942;
constexpr double log_2_pi = 1.8378770664093454836;
constexpr double sqrt_2 = 1.4142135623730950488;
constexpr double pi = 3.14159265358979323846;

/* Boost may still throw by way of an allocation or an assertion of its own: caught here. */
template <typename F> double guarded(F f) noexcept
{
    try {
        return f();
    } catch (...) {
        return nan_value;
    }
}

bool probability(double p)
{
    return p >= 0 && p <= 1;
}

bool positive(double x)
{
    return x > 0 && std::isfinite(x);
}

double clamp(double p)
{
    return p < 0 ? 0 : p > 1 ? 1 : p;
}

/* Not libm's, which writes the global signgam. */
double log_gamma(double z)
{
    return guarded([=] { return bm::lgamma(z, quiet()); });
}

/* lgamma(z) - (z - 1/2) ln z + z - ln(2 pi)/2, z >= 10: five terms are below 1e-16 there. */
double stirling_remainder(double z)
{
    double w = 1 / (z * z);
    double tail = w * (1.0 / 1260 - w * (1.0 / 1680 - w * (1.0 / 1188 - w * (691.0 / 360360))));
    return (1.0 / 12 - w * (1.0 / 360) + w * tail) / z;
}

/* The continued fraction of I_x(a, b) by modified Lentz (DLMF 8.17.22); x below a/(a + b). */
double beta_fraction(double x, double a, double b)
{
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (std::fabs(d) < lentz_floor ? lentz_floor : d);
    double h = d;
    double limit = 1000 + 20 * std::sqrt(a > b ? a : b);
    for (double m = 1; m < limit; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        d = 1 + even * d;
        c = 1 + even / c;
        d = 1 / (std::fabs(d) < lentz_floor ? lentz_floor : d);
        c = std::fabs(c) < lentz_floor ? lentz_floor : c;
        h *= d * c;
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 + odd * d;
        c = 1 + odd / c;
        d = 1 / (std::fabs(d) < lentz_floor ? lentz_floor : d);
        c = std::fabs(c) < lentz_floor ? lentz_floor : c;
        h *= d * c;
        if (std::fabs(d * c - 1) < epsilon)
            break;
    }
    return h;
}

/* ln I_x(a, b) with y = 1 - x handed in, exact when one of the two is tiny. */
double log_incomplete_beta(double x, double y, double a, double b)
{
    if (x <= 0)
        return -infinity;
    if (y <= 0)
        return 0;
    double value = y < x ? bm::ibetac(b, a, y, quiet()) : bm::ibeta(a, b, x, quiet());
    if (value > 0.5) {
        double rest = y < x ? bm::ibeta(b, a, y, quiet()) : bm::ibetac(a, b, x, quiet());
        return std::log1p(-clamp(rest));
    }
    if (value > tiny)
        return std::log(value);
    double log_x = y < 0.5 ? std::log1p(-y) : std::log(x);
    double log_y = x < 0.5 ? std::log1p(-x) : std::log(y);
    double front = a * log_x + b * log_y - std::log(a) - log_beta(a, b);
    return front + std::log(beta_fraction(x, a, b));
}

/* ln Q(a, x), upper incomplete gamma; Lentz on DLMF 8.9.2 where the value underflows. */
double log_gamma_q(double a, double x)
{
    if (x <= 0)
        return 0;
    if (std::isinf(x))
        return -infinity;
    double value = bm::gamma_q(a, x, quiet());
    if (value > 0.5)
        return std::log1p(-clamp(bm::gamma_p(a, x, quiet())));
    if (value > tiny)
        return std::log(value);
    double b = x + 1 - a, c = 1 / lentz_floor, d = 1 / b, h = d;
    double limit = 1000 + 20 * std::sqrt(a);
    for (double i = 1; i < limit; i++) {
        double an = -i * (i - a);
        b += 2;
        d = an * d + b;
        d = 1 / (std::fabs(d) < lentz_floor ? lentz_floor : d);
        c = b + an / c;
        c = std::fabs(c) < lentz_floor ? lentz_floor : c;
        h *= d * c;
        if (std::fabs(d * c - 1) < epsilon)
            break;
    }
    return a * std::log(x) - x - log_gamma(a) + std::log(h);
}

} // namespace

extern "C" {

double log_sum(double x, double y)
{
    double high = x > y ? x : y, low = x > y ? y : x;
    if (std::isinf(high) || std::isinf(low))
        return high;
    return high + std::log1p(std::exp(low - high));
}

double log_complement(double x)
{
    if (!(x <= 0))
        return nan_value;
    return x > -log_2 ? std::log(-std::expm1(x)) : std::log1p(-std::exp(x));
}

double log_beta(double a, double b)
{
    if (!positive(a) || !positive(b))
        return nan_value;
    double small = a < b ? a : b, large = a < b ? b : a, total = a + b;
    if (small >= 10) {
        double rest =
            stirling_remainder(small) + stirling_remainder(large) - stirling_remainder(total);
        return 0.5 * (log_2_pi - std::log(small)) + small * std::log(small / total) -
               (large - 0.5) * std::log1p(small / large) + rest;
    }
    if (large >= 10) {
        /* lgamma(large) - lgamma(large + small), both near each other, by Stirling's series */
        double rest = stirling_remainder(large) - stirling_remainder(total);
        return log_gamma(small) + rest + small - small * std::log(total) -
               (large - 0.5) * std::log1p(small / large);
    }
    return log_gamma(a) + log_gamma(b) - log_gamma(total);
}

double normal_pdf(double x)
{
    return std::exp(-0.5 * (x * x + log_2_pi));
}

double normal_sf(double x)
{
    return 0.5 * std::erfc(x / sqrt_2);
}

double normal_cdf(double x)
{
    return normal_sf(-x);
}

double normal_log_sf(double x)
{
    if (x < -1)
        return std::log1p(-normal_sf(-x));
    if (x < 10)
        return std::log(normal_sf(x));
    if (std::isinf(x))
        return -infinity;
    double fraction = x; /* x + 1/(x + 2/(x + …)), from the far end: 60 levels suffice from 10 on */
    for (int k = 60; k > 0; k--)
        fraction = x + k / fraction;
    return -0.5 * (x * x + log_2_pi) - std::log(fraction);
}

double normal_isf(double q)
{
    if (!probability(q))
        return nan_value;
    if (q == 0)
        return infinity;
    if (q == 1)
        return -infinity;
    return guarded([=] { return sqrt_2 * bm::erfc_inv(2 * q, quiet()); });
}

double normal_quantile(double p)
{
    return -normal_isf(p);
}

double t_log_sf(double t, double dof)
{
    if (std::isnan(t) || !(dof > 0))
        return nan_value;
    if (dof > nearly_normal)
        return normal_log_sf(t);
    if (t < 0)
        return std::log1p(-t_sf(-t, dof));
    if (std::isinf(t))
        return -infinity;
    double ratio = t / dof * t;
    return guarded([=] {
        if (std::isinf(ratio)) /* x = dof/t² and the fraction is 1 */
            return 0.5 * dof * (std::log(dof) - 2 * std::log(t)) - std::log(dof) -
                   log_beta(0.5 * dof, 0.5);
        return log_incomplete_beta(1 / (1 + ratio), ratio / (1 + ratio), 0.5 * dof, 0.5) - log_2;
    });
}

double t_sf(double t, double dof)
{
    if (std::isnan(t) || !(dof > 0))
        return nan_value;
    if (dof > nearly_normal)
        return normal_sf(t);
    if (t < 0)
        return 1 - t_sf(-t, dof);
    return std::exp(t_log_sf(t, dof));
}

double t_cdf(double t, double dof)
{
    return t_sf(-t, dof);
}

double t_isf(double q, double dof)
{
    if (!probability(q) || !(dof > 0))
        return nan_value;
    if (q == 0)
        return infinity;
    if (q == 1)
        return -infinity;
    if (q == 0.5)
        return 0;
    if (dof > nearly_normal)
        return normal_isf(q);
    return guarded([=] {
        return bm::quantile(bm::complement(bm::students_t_distribution<double, quiet>(dof), q));
    });
}

double t_quantile(double p, double dof)
{
    return -t_isf(p, dof);
}

double gamma_log_sf(double x, double shape, double scale)
{
    if (std::isnan(x) || !positive(shape) || !positive(scale))
        return nan_value;
    return guarded([=] { return log_gamma_q(shape, x / scale); });
}

double gamma_sf(double x, double shape, double scale)
{
    if (std::isnan(x) || !positive(shape) || !positive(scale))
        return nan_value;
    if (x <= 0)
        return 1;
    if (std::isinf(x))
        return 0;
    return guarded([=] { return clamp(bm::gamma_q(shape, x / scale, quiet())); });
}

double gamma_cdf(double x, double shape, double scale)
{
    if (std::isnan(x) || !positive(shape) || !positive(scale))
        return nan_value;
    if (x <= 0)
        return 0;
    if (std::isinf(x))
        return 1;
    return guarded([=] { return clamp(bm::gamma_p(shape, x / scale, quiet())); });
}

double gamma_quantile(double p, double shape, double scale)
{
    if (!probability(p) || !positive(shape) || !positive(scale))
        return nan_value;
    if (p == 0)
        return 0;
    if (p == 1)
        return infinity;
    return guarded([=] { return scale * bm::gamma_p_inv(shape, p, quiet()); });
}

double chi2_cdf(double x, double dof)
{
    return gamma_cdf(x, 0.5 * dof, 2);
}

double chi2_sf(double x, double dof)
{
    return gamma_sf(x, 0.5 * dof, 2);
}

double chi2_log_sf(double x, double dof)
{
    return gamma_log_sf(x, 0.5 * dof, 2);
}

double chi2_quantile(double p, double dof)
{
    return gamma_quantile(p, 0.5 * dof, 2);
}

double beta_cdf(double x, double a, double b)
{
    if (std::isnan(x) || !positive(a) || !positive(b))
        return nan_value;
    if (x <= 0)
        return 0;
    if (x >= 1)
        return 1;
    return guarded([=] { return clamp(bm::ibeta(a, b, x, quiet())); });
}

double beta_sf(double x, double a, double b)
{
    if (std::isnan(x) || !positive(a) || !positive(b))
        return nan_value;
    if (x <= 0)
        return 1;
    if (x >= 1)
        return 0;
    return guarded([=] { return clamp(bm::ibetac(a, b, x, quiet())); });
}

double beta_log_cdf(double x, double a, double b)
{
    if (std::isnan(x) || !positive(a) || !positive(b))
        return nan_value;
    return guarded([=] { return log_incomplete_beta(x, 1 - x, a, b); });
}

double beta_log_sf(double x, double a, double b)
{
    if (std::isnan(x) || !positive(a) || !positive(b))
        return nan_value;
    return guarded([=] { return log_incomplete_beta(1 - x, x, b, a); });
}

double beta_quantile(double p, double a, double b)
{
    if (!probability(p) || !positive(a) || !positive(b))
        return nan_value;
    if (p == 0)
        return 0;
    if (p == 1)
        return 1;
    return guarded([=] { return bm::quantile(bm::beta_distribution<double, quiet>(a, b), p); });
}

double binomial_cdf(int64_t k, int64_t n, double p)
{
    if (n < 0 || !probability(p))
        return nan_value;
    if (k < 0)
        return 0;
    if (k >= n)
        return 1;
    return beta_sf(p, static_cast<double>(k) + 1, static_cast<double>(n - k));
}

double binomial_sf(int64_t k, int64_t n, double p)
{
    if (n < 0 || !probability(p))
        return nan_value;
    if (k < 0)
        return 1;
    if (k >= n)
        return 0;
    return beta_cdf(p, static_cast<double>(k) + 1, static_cast<double>(n - k));
}

double binomial_log_pmf(int64_t k, int64_t n, double p)
{
    if (n < 0 || !probability(p))
        return nan_value;
    if (k < 0 || k > n)
        return -infinity;
    double x = static_cast<double>(k), rest = static_cast<double>(n - k);
    double choose = -std::log1p(static_cast<double>(n)) - log_beta(x + 1, rest + 1);
    double hits = k == 0 ? 0 : x * std::log(p);
    double misses = k == n ? 0 : rest * std::log1p(-p);
    return choose + hits + misses;
}

double kolmogorov_sf(double x)
{
    if (std::isnan(x))
        return nan_value;
    if (x <= 0)
        return 1;
    if (x < 1) {
        double sum = 0;
        for (int k = 1; k <= 9; k += 2)
            sum += std::exp(-(k * k * pi * pi) / (8 * x * x));
        return clamp(1 - std::sqrt(2 * pi) / x * sum);
    }
    double sum = 0;
    for (int k = 1; k <= 6; k++)
        sum += (k % 2 ? 1 : -1) * std::exp(-2.0 * k * k * x * x);
    return clamp(2 * sum);
}

double ks_two_sample_p(double d, double n, double m)
{
    if (std::isnan(d) || !(n >= 0) || !(m >= 0))
        return nan_value;
    if (n == 0 || m == 0)
        return 1;
    return kolmogorov_sf(d * std::sqrt(n / (n + m) * m));
}

} // extern "C"
