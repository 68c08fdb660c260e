/*
 * Scores of every class against the rest, of one arm and step: the mean of the areas under their
 * ROC curves with its variance between units.
 *
 * Shape    one curve (curve.h) a class, AREAS_MAX_CLASSES at most
 * Rules    the order of events, their split over parts and a label that is taken back leave no
 *          trace; with more classes the value is not known any more
 * Owner    areas_new gives, areas_free takes
 * Errors   -ENOMEM from areas_room and areas_merge, with nothing added · ERR_CORRUPT on load · NULL
 *          from areas_new without memory
 * Threads  one at a time
 * Source   mean of one-versus-rest areas: Provost, Domingos 2000 (weighted), Hand, Till 2001;
 *          variance: the influence of each bucket on every area, summed before it is squared
 */
#pragma once

#include "abtest/curve.h"
#include "abtest/tally.h"

enum {
    AREAS_MAX_CLASSES = 16
};

struct areas;

struct areas *areas_new(void);
void areas_free(struct areas *areas);
/* Of one event: a term a class, key the class, part 1 where it is the label, value its score. */
int areas_room(struct areas *areas, const struct tally_term *terms, size_t n, struct err *err);
void areas_add(struct areas *areas, uint64_t unit, const struct tally_term *terms, size_t n,
               int sign);
int areas_merge(struct areas *into, const struct areas *from, struct err *err);
void areas_save(const struct areas *areas, struct buf *out);
int areas_load(struct areas *areas, struct reader *in, struct err *err);

/* n: events with scores and a label; nonzero: labels of the rarest class. By `weighted` each class
   counts by its labels. NaN while a class has no label. */
struct ratio_estimate areas_mean(const struct areas *areas, bool weighted);
