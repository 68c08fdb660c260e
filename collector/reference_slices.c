#include "collector/reference_slices.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct part {
    struct profile *features, *label; /* NULL: nothing in it */
};

struct reference_slices {
    const struct profiling *profiling;
    struct part *parts; /* by number */
    uint32_t n;
};

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, "reference: no memory for its slices");
}

int reference_slices_new(struct reference_slices **out, const struct profiling *profiling,
                         struct err *err)
{
    *out = calloc(1, sizeof(**out));
    if (!*out)
        return no_memory(err);
    (*out)->profiling = profiling;
    return 0;
}

void reference_slices_free(struct reference_slices *slices)
{
    if (!slices)
        return;
    for (uint32_t i = 0; i < slices->n; i++) {
        profile_free(slices->parts[i].features);
        profile_free(slices->parts[i].label);
    }
    free(slices->parts);
    free(slices);
}

static int part_of(struct reference_slices *slices, uint32_t number, struct part **out,
                   struct err *err)
{
    if (number >= slices->n) {
        const uint32_t n = number + 1 > 2 * slices->n ? number + 1 : 2 * slices->n;
        struct part *more = reallocarray(slices->parts, n, sizeof(*more));
        if (!more)
            return no_memory(err);
        memset(more + slices->n, 0, (n - slices->n) * sizeof(*more));
        slices->parts = more;
        slices->n = n;
    }
    *out = &slices->parts[number];
    return 0;
}

int reference_slices_prediction(struct reference_slices *slices, const uint16_t *numbers,
                                uint32_t n, const struct profile_item *items, size_t n_items,
                                struct err *err)
{
    for (uint32_t i = 0; i < n; i++) {
        struct part *part = NULL;
        int rc = part_of(slices, numbers[i], &part, err);
        if (!rc && !part->features)
            rc = profile_new(&part->features, &slices->profiling->layout, PROFILE_REFERENCE, err);
        if (rc)
            return rc;
        if (profile_fit(part->features))
            return no_memory(err);
        profile_event(part->features, 1);
        if (profile_take(part->features, items, n_items, 1))
            return no_memory(err);
    }
    return 0;
}

int reference_slices_label(struct reference_slices *slices, uint32_t number,
                           const struct profile_item *item, struct err *err)
{
    struct part *part = NULL;
    int rc = part_of(slices, number, &part, err);
    if (!rc && !part->label)
        rc = profile_new(&part->label, &slices->profiling->label_layout, PROFILE_REFERENCE, err);
    if (rc)
        return rc;
    return profile_take(part->label, item, 1, 1) ? no_memory(err) : 0;
}

/* --- parts of the whole --- */

struct finishing {
    const struct reference *whole;
    struct profile_layout all; /* features and @label, of the whole's kinds */
    struct profile_feature *features;
};

static int lay_out(const struct profiling *profiling, const struct reference *whole,
                   struct finishing *out, struct err *err)
{
    const uint32_t n = profiling->layout.n_features;
    out->whole = whole;
    out->features = calloc(n + 1, sizeof(*out->features));
    if (!out->features)
        return no_memory(err);
    memcpy(out->features, profiling->features, n * sizeof(*out->features));
    out->features[n] = profiling->label;
    out->all = (struct profile_layout){0, n + 1, out->features};
    reference_layout(whole, &out->all, out->features);
    for (uint32_t i = 0; i <= n; i++) /* nothing was counted on its grids yet */
        out->features[i].grid = NULL, out->features[i].bins = NULL;
    out->all.reference = 0;
    return 0;
}

static int build(const struct finishing *finishing, const struct part *part, struct reference **out,
                 struct err *err)
{
    const uint32_t label = finishing->all.n_features - 1;
    struct buf bytes;
    AUTO(profile) struct profile *all = NULL;
    buf_init(&bytes, INT32_MAX);
    profile_save(part->features, &bytes);
    int rc = buf_failed(&bytes) ? no_memory(err)
                                : profile_load(&all, &finishing->all, PROFILE_REFERENCE, bytes.data,
                                               bytes.size, err);
    buf_finish(&bytes);
    if (rc)
        return rc;
    const struct feature_state none = all->features[label];
    if (part->label)
        all->features[label] = part->label->features[0];
    rc = reference_build_part(out, all, finishing->features[label].name_id, finishing->whole, err);
    all->features[label] = none;
    return rc;
}

int reference_slices_finish(struct reference_slices *slices, const struct reference *whole,
                            char *const *names, struct err *err)
{
    struct fitted *fitted = whole->fitted;
    struct finishing finishing;
    int rc = lay_out(slices->profiling, whole, &finishing, err);
    if (rc)
        return rc;
    fitted->slices = calloc(slices->n + 1, sizeof(*fitted->slices));
    rc = fitted->slices ? 0 : no_memory(err);
    for (uint32_t i = 0; !rc && i < slices->n; i++) {
        struct slice_reference *out = &fitted->slices[fitted->n_slices];
        struct part *part = &slices->parts[i];
        if (!part->features)
            continue; /* a label's prediction is counted, too */
        rc = build(&finishing, part, &out->reference, err);
        if (rc)
            break;
        profile_free(part->features); /* two of all slices at once would be much */
        part->features = NULL;
        fitted->n_slices++;
        out->slice = strdup(names[i]);
        rc = out->slice ? 0 : no_memory(err);
    }
    free(finishing.features);
    return rc ? rc : fitted_bound_slices(fitted, FITTED_SLICE_BYTES, err);
}
