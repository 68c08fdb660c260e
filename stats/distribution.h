/*
 * Distribution functions: normal, t, chi-squared, beta, gamma, binomial, Kolmogorov; with
 * logarithms where the plain value would underflow.
 *
 * Shape    _cdf: P(X <= x) · _sf: P(X > x), computed as such, never as 1 - cdf · _log_sf: its
 *          natural logarithm, right where _sf is already 0 · _quantile(p): the x with cdf = p ·
 *          _isf(q): the x with sf = q, exact for tiny q
 * Errors   an argument outside its domain (NaN, dof <= 0, p outside 0..1 …) gives NaN; nothing
 *          else does. Infinities are answered by their limits. Nothing throws, nothing sets errno.
 *          Ends of the range: quantile(0) and quantile(1) are the ends of the support, -INFINITY
 *          and INFINITY where it has none
 * Threads  any
 * Source   Boost.Math (relative error about 1e-13); where its value underflows, our own continued
 *          fractions in logarithms: incomplete beta DLMF 8.17.22, incomplete gamma DLMF 8.9.2,
 *          normal tail DLMF 7.9.2; Stirling's remainder DLMF 5.11.1; Kolmogorov: both series of
 *          Kolmogorov 1933 / Feller 1948
 */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

double normal_pdf(double x);
double normal_cdf(double x);
double normal_sf(double x);
double normal_log_sf(double x);
double normal_quantile(double p);
double normal_isf(double q);

/* Student's t; dof is real and > 0, INFINITY is the normal. */
double t_cdf(double t, double dof);
double t_sf(double t, double dof);
double t_log_sf(double t, double dof);
double t_quantile(double p, double dof);
double t_isf(double q, double dof);

/* dof > 0; x <= 0 has cdf 0. */
double chi2_cdf(double x, double dof);
double chi2_sf(double x, double dof);
double chi2_log_sf(double x, double dof);
double chi2_quantile(double p, double dof);

/* shape > 0, scale > 0; mean = shape * scale. */
double gamma_cdf(double x, double shape, double scale);
double gamma_sf(double x, double shape, double scale);
double gamma_log_sf(double x, double shape, double scale);
double gamma_quantile(double p, double shape, double scale);

/* a > 0, b > 0. beta_cdf is the regularised incomplete beta function I_x(a, b). */
double beta_cdf(double x, double a, double b);
double beta_sf(double x, double a, double b);
double beta_log_cdf(double x, double a, double b); /* ln I_x(a, b): right far below 1e-308 */
double beta_log_sf(double x, double a, double b);
double beta_quantile(double p, double a, double b);

/* X = successes in n trials of probability p; 0 <= p <= 1, n >= 0. */
double binomial_cdf(int64_t k, int64_t n, double p); /* P(X <= k) */
double binomial_sf(int64_t k, int64_t n, double p);  /* P(X > k) */
double binomial_log_pmf(int64_t k, int64_t n, double p);

/* ln B(a, b) without the cancellation of three lgammas. */
double log_beta(double a, double b);
/* ln(e^x + e^y), and ln(1 - e^x) for x <= 0. */
double log_sum(double x, double y);
double log_complement(double x);

/* P(sqrt(n) D > x) of the one-sample statistic, n → ∞; x <= 0 gives 1. */
double kolmogorov_sf(double x);
/* Asymptotic two-sided p of the two-sample statistic d with n and m values; n or m 0 gives 1. */
double ks_two_sample_p(double d, double n, double m);

#ifdef __cplusplus
}
#endif
