#include "abtest/areas.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct areas {
    bool crowded;
    size_t n_classes;
    uint64_t classes[AREAS_MAX_CLASSES]; /* ascending */
    struct curve *curves[AREAS_MAX_CLASSES];
};

struct areas *areas_new(void)
{
    return calloc(1, sizeof(struct areas));
}

void areas_free(struct areas *areas)
{
    if (!areas)
        return;
    for (size_t i = 0; i < areas->n_classes; i++)
        curve_free(areas->curves[i]);
    free(areas);
}

/* Which classes came first must not be seen in what is kept: of too many none is. */
static void crowd(struct areas *areas)
{
    for (size_t i = 0; i < areas->n_classes; i++)
        curve_free(areas->curves[i]);
    areas->n_classes = 0;
    areas->crowded = true;
}

/* Where the class is, or would be. */
static size_t place_of(const struct areas *areas, uint64_t class)
{
    size_t i = 0;
    while (i < areas->n_classes && areas->classes[i] < class)
        i++;
    return i;
}

/* NULL: it has none. */
static struct curve *find(const struct areas *areas, uint64_t class)
{
    size_t i = place_of(areas, class);
    return i < areas->n_classes && areas->classes[i] == class ? areas->curves[i] : NULL;
}

static int open_class(struct areas *areas, uint64_t class, struct err *err)
{
    if (areas->crowded || find(areas, class))
        return 0;
    if (areas->n_classes == AREAS_MAX_CLASSES) {
        crowd(areas);
        return 0;
    }
    struct curve *curve = curve_new();
    if (!curve)
        return err_set(err, -ENOMEM, "evidence: no memory for the scores of a class");
    size_t i = place_of(areas, class), behind = areas->n_classes - i;
    memmove(&areas->classes[i + 1], &areas->classes[i], behind * sizeof(areas->classes[0]));
    memmove(&areas->curves[i + 1], &areas->curves[i], behind * sizeof(areas->curves[0]));
    areas->classes[i] = class;
    areas->curves[i] = curve;
    areas->n_classes++;
    return 0;
}

int areas_room(struct areas *areas, const struct tally_term *terms, size_t n, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < n; i++)
        rc = open_class(areas, terms[i].key, err);
    return rc;
}

void areas_add(struct areas *areas, uint64_t unit, const struct tally_term *terms, size_t n,
               int sign)
{
    for (size_t i = 0; i < n; i++) {
        struct curve *curve = find(areas, terms[i].key);
        if (curve) /* else it is crowded */
            curve_add(curve, unit, terms[i].value, terms[i].part == 1, sign);
    }
}

int areas_merge(struct areas *into, const struct areas *from, struct err *err)
{
    int rc = 0;
    if (from->crowded)
        crowd(into);
    for (size_t i = 0; !rc && i < from->n_classes; i++)
        rc = open_class(into, from->classes[i], err);
    if (rc)
        return rc;
    for (size_t i = 0; i < from->n_classes; i++) {
        struct curve *ours = find(into, from->classes[i]);
        if (ours)
            curve_merge(ours, from->curves[i]);
    }
    return 0;
}

void areas_save(const struct areas *areas, struct buf *out)
{
    uint64_t used = 0;
    for (size_t i = 0; i < areas->n_classes; i++)
        used += !curve_empty(areas->curves[i]);
    buf_u8(out, areas->crowded);
    buf_varint(out, used);
    for (size_t i = 0; i < areas->n_classes; i++) {
        if (curve_empty(areas->curves[i]))
            continue;
        buf_u64(out, areas->classes[i]);
        curve_save(areas->curves[i], out);
    }
}

int areas_load(struct areas *areas, struct reader *in, struct err *err)
{
    areas->crowded = reader_u8(in) != 0;
    uint64_t n = reader_varint(in);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t class = reader_u64(in);
        if (reader_failed(in) || n > AREAS_MAX_CLASSES || areas->crowded || find(areas, class))
            return err_set(err, ERR_CORRUPT, "evidence: class %" PRIu64 " of scores is damaged", i);
        int rc = open_class(areas, class, err);
        if (!rc)
            rc = curve_load(find(areas, class), in, err);
        if (rc)
            return rc;
    }
    return reader_failed(in) ? err_set(err, ERR_CORRUPT, "evidence: scores end too early") : 0;
}

/* --- their mean --- */

struct mean {
    double value, weight;
    double least; /* labels of the rarest class */
    double n;
    bool open; /* a class without labels */
};

static struct mean mean_of(const struct curve_parts *parts, size_t n, bool weighted)
{
    struct mean mean = {0, 0, (double)INFINITY, 0, false};
    for (size_t i = 0; i < n; i++) {
        const struct curve_parts *one = &parts[i];
        double weight = weighted ? one->positives : 1;
        mean.n = fmax(mean.n, one->positives + one->negatives);
        if (isnan(one->area)) {
            bool none = one->positives + one->negatives == 0; /* all was taken back */
            mean.open |= !none && (!weighted || one->negatives == 0);
            continue;
        }
        mean.value += weight * one->area;
        mean.weight += weight;
        mean.least = fmin(mean.least, one->positives);
    }
    mean.value /= mean.weight;
    return mean;
}

/* A bucket moves the areas, and with its labels the weights. */
static double moved_by(const struct curve_parts *one, const struct mean *mean, bool weighted, int j)
{
    if (isnan(one->area))
        return 0;
    if (!weighted)
        return one->influence[j] / mean->weight;
    return (one->positives * one->influence[j] +
            one->bucket_positives[j] * (one->area - mean->value)) /
           mean->weight;
}

struct ratio_estimate areas_mean(const struct areas *areas, bool weighted)
{
    struct ratio_estimate estimate = {(double)NAN, (double)NAN, 0, 0, 0};
    struct curve_parts parts[AREAS_MAX_CLASSES];
    double squares = 0;
    for (size_t i = 0; i < areas->n_classes; i++)
        curve_parts_of(areas->curves[i], &parts[i]);
    struct mean mean = mean_of(parts, areas->n_classes, weighted);
    estimate.n = mean.n;
    if (areas->crowded || mean.open || !(mean.weight > 0))
        return estimate;
    estimate.value = mean.value;
    estimate.nonzero = mean.least;
    for (int j = 0; j < CURVE_BUCKETS; j++) {
        double moved = 0;
        bool used = false;
        for (size_t i = 0; i < areas->n_classes; i++) {
            moved += moved_by(&parts[i], &mean, weighted, j);
            used |= parts[i].used[j];
        }
        squares += moved * moved;
        estimate.buckets += used;
    }
    if (estimate.buckets >= 2)
        estimate.variance = squares * estimate.buckets / (estimate.buckets - 1);
    return estimate;
}
