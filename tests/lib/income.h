/*
 * A database of model "credit" whose predictions have one feature, the number "income", and
 * profiles and references of it.
 *
 * Owner    income_new gives, income_free takes the database with it; profiles borrow the layout
 * Errors   what cannot be made fails the test
 */
#pragma once

#include "stats/profile.h"
#include "stats/reference.h"
#include "tests/lib/temp_store.h"

struct income {
    struct temp *temp;
    struct store *store;
    int64_t series; /* of v1, overall */
    struct profile_feature features[1];
    struct profile_layout layout;
};

struct income *income_new(void);
void income_free(struct income *income);
DEFINE_FREEP(income)

/* Of n events: the values first, first + 1, … */
struct profile *income_profile(const struct income *income, enum profile_level level, double first,
                               int n);
/* … as a reference. */
struct reference *income_reference(const struct income *income, double first, int n);
/* Sets a version's reference ("": the model's), at 7 ms. */
void income_refer(struct income *income, const char *version, const struct reference *reference);
