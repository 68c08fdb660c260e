/*
 * How many events each category would bring if as many came once more, where only the largest of
 * many are looked at.
 *
 * Shape    a category is among the largest also because it happened to come often: of 300 alike the
 *          127 largest have 1.2 times as many events as they will have next time, which windows
 *          would be held against. So counts are taken as Poisson, their means as of a law that all
 *          categories have in common (the seen ones', zero excluded), and what is expected is the
 *          mean given the count. The law is the most probable one on a grid that is even in
 *          sqrt(mean), where a count's deviation is 1/2; steps of half of that. A count that stands
 *          apart keeps what it has, one in a crowd gets the crowd's
 * Units    events
 * Owner    the caller's memory
 * Errors   -ENOMEM
 * Threads  any
 * Source   Robbins 1956; the law of means by EM: Laird 1978, JASA 73
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* expected[i] of counts[i] (each at least 1, sorted from the smallest), n_all of them. */
int expected_counts(double *expected, const uint64_t *counts, size_t n_all);
