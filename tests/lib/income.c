#include "tests/lib/income.h"

#include <math.h>
#include <stdlib.h>

#include "stats/sample.h"
#include "storage/references.h"
#include "tests/test.h"

struct income *income_new(void)
{
    struct err err = {0};
    struct income *income = calloc(1, sizeof(*income));
    assert_non_null(income);
    income->temp = temp_new();
    income->store = temp_store(income->temp, STORE_WRITE);
    income->series = temp_series(income->store, "credit", "v1", "");
    income->features[0] = (struct profile_feature){
        .name_id = class_id("income", 6), .min = (double)NAN, .max = (double)NAN};
    income->layout = (struct profile_layout){0, 1, income->features};
    must(commit_begin(income->store, &err), &err);
    must(commit_name(income->store, "credit", "feature", class_id("income", 6), view_of("income"),
                     &err),
         &err);
    must(commit_end(income->store, &err), &err);
    return income;
}

void income_free(struct income *income)
{
    if (!income)
        return;
    store_free(income->store);
    temp_free(income->temp);
    free(income);
}

struct profile *income_profile(const struct income *income, enum profile_level level, double first,
                               int n)
{
    struct profile *profile = NULL;
    struct err err = {0};
    must(profile_new(&profile, &income->layout, level, &err), &err);
    for (int i = 0; i < n; i++) {
        profile_event(profile, 1);
        assert_int_equal(profile_number(profile, 0, first + i, 1), 0);
    }
    return profile;
}

struct reference *income_reference(const struct income *income, double first, int n)
{
    AUTO(profile)
    struct profile *profile = income_profile(income, PROFILE_REFERENCE, first, n);
    struct reference *reference = NULL;
    struct err err = {0};
    must(reference_build(&reference, profile, 0, &err), &err);
    return reference;
}

void income_refer(struct income *income, const char *version, const struct reference *reference)
{
    struct err err = {0};
    must(commit_begin(income->store, &err), &err);
    must(commit_reference(income->store, "credit", version, reference, "file", 7, &err), &err);
    must(commit_end(income->store, &err), &err);
}
