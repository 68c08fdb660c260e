/*
 * Exact sums of one metric in one arm and step by key (a class, a part of a formula), kept apart by
 * variance bucket: for metrics that are a function of several sums, such as a macro F1.
 *
 * Shape    columns of (key, part), made when first named; 256 buckets of exact integers of 2^-48
 * Rules    the order of events, their split over parts and a label that is taken back leave no
 *          trace; with more columns than TALLY_MAX_COLUMNS the value is not known any more
 * Owner    tally_new gives, tally_free takes
 * Errors   -ENOMEM from tally_room and tally_merge, with nothing added · ERR_CORRUPT on load ·
 *          NULL from tally_new without memory
 * Threads  one at a time
 * Source   variance by the jackknife over buckets of units: Efron, Stein 1981; for smooth functions
 *          of sums it is the delta method's
 */
#pragma once

#include "abtest/sums.h"

enum {
    TALLY_BUCKETS = 256,
    TALLY_MAX_COLUMNS = 192
};

struct tally;

struct tally *tally_new(void);
void tally_free(struct tally *tally);

struct tally_term {
    uint64_t key;
    uint8_t part;
    double value;
};
/* Sees to it that the tally_add of these terms finds its columns. */
int tally_room(struct tally *tally, const struct tally_term *terms, size_t n, struct err *err);
void tally_add(struct tally *tally, uint64_t unit, const struct tally_term *terms, size_t n,
               int sign);
int tally_merge(struct tally *into, const struct tally *from, struct err *err);
void tally_save(const struct tally *tally, struct buf *out);
int tally_load(struct tally *tally, struct reader *in, struct err *err);

/* Totals by ascending key, then part; their value, and how often the rarest thing it hangs on was
   seen. NaN: not defined. */
struct tally_function {
    double (*value)(const void *context, const struct tally_term *totals, size_t n);
    double (*rarest)(const void *context, const struct tally_term *totals, size_t n);
    const void *context;
};
/* n: events added; nonzero: the rarest. */
struct ratio_estimate tally_estimate(const struct tally *tally,
                                     const struct tally_function *function);
