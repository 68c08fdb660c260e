/*
 * What the models fitted on a reference expect of an event, before it is folded: how large its
 * error will be, and how badly the reference's components rebuild its features.
 *
 * Shape    a model of ours has one `expecting` for each version that has a reference of its own,
 *          and one for all others. An event's features come as profile items, by slot; which
 *          column of the fitted models a slot is, is looked up once
 * Share    what costs much is looked at for a share of the events only: those whose id's hash ends
 *          in `share` 0 bits, so that order, crashes and replays change nothing
 * Owner    expectations_read gives, expectations_finish takes
 * Errors   -ENOMEM; what storage gives
 * Threads  one
 */
#pragma once

#include "collector/profiling.h"
#include "stats/fitted.h"
#include "storage/store.h"

struct expecting;

struct expectations {
    struct expecting **all;
    size_t n;
    uint32_t generation; /* grows with each read: what was found before is void */
};

int expectations_read(struct expectations *expectations, struct store *store, const char *model,
                      struct err *err);
void expectations_finish(struct expectations *expectations);
/* That of the version, else that of all; NULL: nothing is expected. Valid until the next read. */
struct expecting *expectations_of(const struct expectations *expectations, const char *version);

/* An event as a reference's components see it; looked at later, with others (stats/looked.h). */
struct row {
    const struct multivariate *components; /* NULL: they do not look at it */
    uint64_t reference;                    /* its id */
    const double *values;                  /* one a feature as it came; of the last event */
};

/* Fills in expected_* of the sample, and the row; `id` is the hash of the event's id. */
int expect_event(struct expecting *expecting, const struct profiling *profiling,
                 const struct profile_item *items, size_t n, uint64_t id, struct sample *sample,
                 struct row *row, struct err *err);

/* How many 0 bits a hash must end in, for a model of so many multiplications an event. */
unsigned expect_share(const struct multivariate *components);
