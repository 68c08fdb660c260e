#include "collector/expect.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "storage/estimates.h"
#include "storage/references.h"

enum {
    /* An event's components may cost so many multiplications; beyond, every second one is looked
       at, and so on. Measured: docs/performance.md, "Estimates, and what is fitted on a
       reference" */
    MOST_MULTIPLICATIONS = 128,
    MOST_ASKED = 16, /* features that the expected error may ask about; beyond, likewise */
    MOST_SHARE = 6,
};

/* The columns of one fitted model. */
struct columns {
    const uint64_t *names;
    uint32_t n;
    uint32_t *of_slot; /* COLUMN_NONE: not in the model */
    uint32_t n_slots;
};
#define COLUMN_NONE UINT32_MAX

struct expecting {
    char *version; /* "": all without one of their own */
    struct fitted *fitted;
    uint64_t *names;
    struct columns components, loss;
    uint32_t prediction; /* column of the predicted value in the loss; COLUMN_NONE: none */
    unsigned share, loss_share;
    double *room;                       /* of the components: the event at hand */
    struct row_value *missing, *values; /* of the loss: the event at hand, and one without values */
};

static void expecting_free(struct expecting *expecting)
{
    if (!expecting)
        return;
    free(expecting->components.of_slot);
    free(expecting->loss.of_slot);
    fitted_free(expecting->fitted);
    free(expecting->names);
    free(expecting->version);
    free(expecting->room);
    free(expecting->missing);
    free(expecting->values);
    free(expecting);
}
DEFINE_FREEP(expecting)

void expectations_finish(struct expectations *expectations)
{
    for (size_t i = 0; i < expectations->n; i++)
        expecting_free(expectations->all[i]);
    free(expectations->all);
    expectations->all = NULL;
    expectations->n = 0;
}

static unsigned share_of(uint64_t cost, uint64_t most)
{
    unsigned share = 0;
    while (share < MOST_SHARE && cost >> share > most)
        share++;
    return share;
}

unsigned expect_share(const struct multivariate *components)
{
    return share_of((uint64_t)components->n_features * (components->n_components + 1),
                    MOST_MULTIPLICATIONS);
}

static bool is_in_share(uint64_t id, unsigned share)
{
    return (id & ((UINT64_C(1) << share) - 1)) == 0;
}

static int expecting_new(struct expecting **out, const char *version, struct fitted *fitted,
                         struct err *err)
{
    AUTO(expecting) struct expecting *expecting = calloc(1, sizeof(*expecting));
    if (!expecting) {
        fitted_free(fitted);
        return err_set(err, -ENOMEM, "collector: no memory for a reference");
    }
    const struct multivariate *components = fitted->components;
    const struct dle *loss = fitted->loss;
    const uint32_t n_components = components ? components->n_features : 0;
    const uint32_t n_loss = loss ? loss->n_features : 0;
    const uint64_t prediction = class_id("@prediction", 11);
    expecting->fitted = fitted;
    expecting->prediction = COLUMN_NONE;
    expecting->version = strdup(version);
    expecting->names = malloc((n_components + n_loss + 1) * sizeof(*expecting->names));
    expecting->room = malloc((n_components + 1) * sizeof(*expecting->room));
    expecting->missing = calloc(n_loss + 1, sizeof(*expecting->missing));
    expecting->values = calloc(n_loss + 1, sizeof(*expecting->values));
    if (!expecting->version || !expecting->names || !expecting->room || !expecting->missing ||
        !expecting->values)
        return err_set(err, -ENOMEM, "collector: no memory for a reference");
    for (uint32_t i = 0; i < n_components; i++)
        expecting->names[i] = components->features[i].name_id;
    for (uint32_t i = 0; i < n_loss; i++) {
        expecting->names[n_components + i] = loss->features[i].name_id;
        expecting->missing[i].number = (double)NAN;
        if (loss->features[i].name_id == prediction)
            expecting->prediction = i;
    }
    expecting->components = (struct columns){.names = expecting->names, .n = n_components};
    expecting->loss = (struct columns){.names = expecting->names + n_components, .n = n_loss};
    expecting->share = components ? expect_share(components) : 0;
    expecting->loss_share = loss ? share_of(loss->n_asked, MOST_ASKED) : 0;
    *out = expecting;
    expecting = NULL; /* the caller owns it now */
    return 0;
}

struct reading {
    struct expectations *expectations;
    struct store *store;
    const char *model;
};

static int read_version(void *context, const char *version, struct err *err)
{
    struct reading *reading = context;
    struct expectations *expectations = reading->expectations;
    struct fitted *fitted = NULL;
    int rc = fitted_read(reading->store, reading->model, version[0] ? version : NULL, &fitted, err);
    if (rc)
        return rc;
    if (!fitted && !(fitted = calloc(1, sizeof(*fitted)))) /* it expects nothing */
        return err_set(err, -ENOMEM, "collector: no memory for a reference");
    struct expecting **more =
        realloc(expectations->all, (expectations->n + 1) * sizeof(struct expecting *));
    if (!more) {
        fitted_free(fitted);
        return err_set(err, -ENOMEM, "collector: no memory for a reference");
    }
    expectations->all = more;
    rc = expecting_new(&more[expectations->n], version, fitted, err);
    expectations->n += rc == 0;
    return rc;
}

int expectations_read(struct expectations *expectations, struct store *store, const char *model,
                      struct err *err)
{
    struct reading reading = {expectations, store, model};
    expectations_finish(expectations);
    expectations->generation++;
    return reference_versions_each(store, model, read_version, &reading, err);
}

struct expecting *expectations_of(const struct expectations *expectations, const char *version)
{
    struct expecting *of_all = NULL;
    for (size_t i = 0; i < expectations->n; i++) {
        if (strcmp(expectations->all[i]->version, version) == 0)
            return expectations->all[i];
        if (!expectations->all[i]->version[0])
            of_all = expectations->all[i];
    }
    return of_all;
}

/* --- an event --- */

static int learn_slots(struct columns *columns, const struct profiling *profiling, struct err *err)
{
    const uint32_t n = profiling->layout.n_features;
    if (columns->n_slots == n)
        return 0;
    uint32_t *of_slot = realloc(columns->of_slot, n * sizeof(*of_slot));
    if (!of_slot)
        return err_set(err, -ENOMEM, "collector: no memory for %u features", n);
    columns->of_slot = of_slot;
    for (; columns->n_slots < n; columns->n_slots++) {
        of_slot[columns->n_slots] = COLUMN_NONE;
        for (uint32_t i = 0; i < columns->n && columns->n_slots >= N_OWN_SLOTS; i++)
            if (columns->names[i] == profiling->features[columns->n_slots].name_id)
                of_slot[columns->n_slots] = i;
    }
    return 0;
}

static inline struct row_value value_of(const struct profile_item *item)
{
    switch (item->kind) {
    case VALUE_NUMBER:
        return (struct row_value){.number = item->number};
    case VALUE_TEXT:
    case VALUE_BOOL:
        return (struct row_value){.number = (double)NAN, .category = item->category};
    default:
        return (struct row_value){.number = (double)NAN};
    }
}

static void fill_row(struct expecting *expecting, const struct profile_item *items, size_t n)
{
    const struct multivariate *model = expecting->fitted->components;
    multivariate_start(model, expecting->room);
    for (size_t i = 0; i < n; i++) {
        const uint32_t at = expecting->components.of_slot[items[i].slot];
        if (at != COLUMN_NONE)
            multivariate_put(model, at, value_of(&items[i]), expecting->room);
    }
}

static void expect_loss(struct expecting *expecting, const struct profile_item *items, size_t n,
                        struct sample *sample)
{
    struct row_value *values = expecting->values;
    memcpy(values, expecting->missing, expecting->loss.n * sizeof(*values));
    for (size_t i = 0; i < n; i++) {
        const uint32_t at = expecting->loss.of_slot[items[i].slot];
        if (at != COLUMN_NONE)
            values[at] = value_of(&items[i]);
    }
    if (expecting->prediction != COLUMN_NONE)
        values[expecting->prediction].number = sample->value;
    dle_expect(expecting->fitted->loss, values, &sample->expected_absolute,
               &sample->expected_square);
    sample->expected = true;
}

int expect_event(struct expecting *expecting, const struct profiling *profiling,
                 const struct profile_item *items, size_t n, uint64_t id, struct sample *sample,
                 struct row *row, struct err *err)
{
    const struct fitted *fitted = expecting->fitted;
    int rc = 0;
    if (sample->failed)
        return 0;
    if (fitted->components && is_in_share(id, expecting->share)) {
        rc = learn_slots(&expecting->components, profiling, err);
        if (rc)
            return rc;
        fill_row(expecting, items, n);
        *row = (struct row){fitted->components, fitted->estimator->reference, expecting->room};
    }
    if (fitted->loss && isfinite(sample->value) && is_in_share(id, expecting->loss_share)) {
        rc = learn_slots(&expecting->loss, profiling, err);
        if (rc)
            return rc;
        expect_loss(expecting, items, n, sample);
    }
    return rc;
}
