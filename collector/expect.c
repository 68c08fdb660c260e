#include "collector/expect.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "storage/estimates.h"
#include "storage/references.h"

enum {
    /* An event's components may cost so many multiplications; beyond, every second one is looked
       at, and so on. Measured: docs/statistics.md, "What it costs" */
    MOST_MULTIPLICATIONS = 128,
    MOST_ASKED = 16, /* features that the expected error may ask about; beyond, likewise */
    MOST_SHARE = 6,
};

/* The columns of one fitted model, and the values of the event at hand. */
struct columns {
    const uint64_t *names;
    uint32_t n;
    uint32_t *of_slot; /* COLUMN_NONE: not in the model */
    uint32_t n_slots;
    struct row_value *missing, *values;
};
#define COLUMN_NONE UINT32_MAX

struct expecting {
    char *version; /* "": all without one of their own */
    struct fitted *fitted;
    uint64_t *names;
    struct columns components, loss;
    uint32_t prediction; /* column of the predicted value in the loss; COLUMN_NONE: none */
    unsigned share, loss_share;
    double *room;
    int32_t domain_terms[DOMAIN_TERMS]; /* of the event at hand */
};

static void columns_finish(struct columns *columns)
{
    free(columns->of_slot);
    free(columns->missing);
    free(columns->values);
}

static void expecting_free(struct expecting *expecting)
{
    if (!expecting)
        return;
    columns_finish(&expecting->components);
    columns_finish(&expecting->loss);
    fitted_free(expecting->fitted);
    free(expecting->names);
    free(expecting->version);
    free(expecting->room);
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

static int columns_new(struct columns *columns, const uint64_t *names, uint32_t n)
{
    columns->names = names;
    columns->n = n;
    columns->missing = calloc(n + 1, sizeof(*columns->missing));
    columns->values = calloc(n + 1, sizeof(*columns->values));
    if (!columns->missing || !columns->values)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++)
        columns->missing[i].number = (double)NAN;
    return 0;
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
    if (!expecting->version || !expecting->names || !expecting->room)
        return err_set(err, -ENOMEM, "collector: no memory for a reference");
    for (uint32_t i = 0; i < n_components; i++)
        expecting->names[i] = components->features[i].name_id;
    for (uint32_t i = 0; i < n_loss; i++) {
        expecting->names[n_components + i] = loss->features[i].name_id;
        if (loss->features[i].name_id == prediction)
            expecting->prediction = i;
    }
    if (columns_new(&expecting->components, expecting->names, n_components) ||
        columns_new(&expecting->loss, expecting->names + n_components, n_loss))
        return err_set(err, -ENOMEM, "collector: no memory for a reference");
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

static int take_values(struct columns *columns, const struct profiling *profiling,
                       const struct profile_item *items, size_t n, struct err *err)
{
    if (columns->n_slots < profiling->layout.n_features) {
        int rc = learn_slots(columns, profiling, err);
        if (rc)
            return rc;
    }
    memcpy(columns->values, columns->missing, columns->n * sizeof(*columns->values));
    for (size_t i = 0; i < n; i++) {
        const uint32_t at = columns->of_slot[items[i].slot];
        if (at == COLUMN_NONE)
            continue;
        if (items[i].kind == VALUE_NUMBER)
            columns->values[at].number = items[i].number;
        else if (items[i].kind == VALUE_TEXT || items[i].kind == VALUE_BOOL)
            columns->values[at].category = items[i].category;
    }
    return 0;
}

static void expect_domain(struct expecting *expecting, struct sample *sample)
{
    const struct multivariate *components = expecting->fitted->components;
    double coordinates[DOMAIN_COORDINATES];
    if (!components->domain)
        return;
    multivariate_coordinates(components, expecting->room, sample->reconstruction_error,
                             coordinates);
    domain_terms(components->domain, coordinates, expecting->domain_terms);
    sample->domain_terms = expecting->domain_terms;
    sample->n_domain_terms = components->domain->n_terms;
}

int expect_event(struct expecting *expecting, const struct profiling *profiling,
                 const struct profile_item *items, size_t n, uint64_t id, struct sample *sample,
                 struct err *err)
{
    const struct fitted *fitted = expecting->fitted;
    int rc = 0;
    if (sample->failed)
        return 0;
    if (fitted->components && is_in_share(id, expecting->share)) {
        rc = take_values(&expecting->components, profiling, items, n, err);
        if (rc)
            return rc;
        sample->reconstruction_model = fitted->estimator->reference;
        sample->reconstruction_error = fmin(
            multivariate_error(fitted->components, expecting->components.values, expecting->room),
            MULTIVARIATE_FARTHEST);
        expect_domain(expecting, sample);
    }
    if (fitted->loss && isfinite(sample->value) && is_in_share(id, expecting->loss_share)) {
        rc = take_values(&expecting->loss, profiling, items, n, err);
        if (rc)
            return rc;
        if (expecting->prediction != COLUMN_NONE)
            expecting->loss.values[expecting->prediction].number = sample->value;
        dle_expect(fitted->loss, expecting->loss.values, &sample->expected_absolute,
                   &sample->expected_square);
        sample->expected = true;
    }
    return rc;
}
