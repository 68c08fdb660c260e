#include "collector/gather.h"

#include <string.h>

#include "collector/folding.h"
#include "stats/looked.h"

void gathered_start(struct gathered *gathered, uint32_t n_slots)
{
    const uint32_t room = GATHER_VALUES / n_slots;
    gathered->n_slots = n_slots;
    gathered->room = room < GATHER_EVENTS ? room : GATHER_EVENTS;
    gathered->n_events = gathered->n_rows = 0;
    memset(gathered->n, 0, n_slots * sizeof(*gathered->n));
}

static bool is_category(const struct profile_item *item)
{
    return item->kind == VALUE_TEXT || item->kind == VALUE_BOOL;
}

/* Puts an item into its column; false: it has no place there. */
static bool put(struct gathered *gathered, const struct profile_item *item)
{
    const bool category = is_category(item);
    const uint32_t slot = item->slot;
    if ((item->kind != VALUE_NUMBER && !category) || slot >= gathered->n_slots)
        return false;
    const uint32_t n = gathered->n[slot], at = slot * gathered->room + n;
    if (n == gathered->room || (n && gathered->categories[slot] != category))
        return false;
    gathered->categories[slot] = category;
    if (category)
        gathered->ids[at] = item->category;
    else
        gathered->numbers[at] = item->number;
    gathered->n[slot]++;
    return true;
}

static int fold_rows(struct gathered *gathered, struct states *states)
{
    if (gathered->n_rows == 0)
        return 0;
    const struct multivariate *const components = gathered->row.components;
    struct looked looked = {.reference = gathered->row.reference};
    for (uint32_t f = 0; f < components->n_features; f++)
        multivariate_standardise(components, f, gathered->rows + (size_t)f * gathered->row_room,
                                 gathered->n_rows);
    looked_add(&looked, components, gathered->rows, gathered->row_room, gathered->n_rows);
    gathered->n_rows = 0;
    return states_looked(states, &looked);
}

/* What is done at once must not meet what others do with buffers that were given to them. */
static int settle(const struct gathered_into *into)
{
    return into->folding ? folding_settle(into->folding) : 0;
}

static int put_row(struct gathered *gathered, const struct gathered_into *into,
                   const struct row *row)
{
    const uint32_t k = row->components->n_features;
    int rc = 0;
    if (gathered->n_rows && gathered->row.components != row->components) {
        rc = settle(into);
        rc = rc ? rc : fold_rows(gathered, into->states);
    }
    if (gathered->n_rows == 0) {
        const uint32_t room = GATHER_VALUES / k;
        gathered->row = *row;
        gathered->row_room = room < GATHER_EVENTS ? room : GATHER_EVENTS;
    }
    for (uint32_t f = 0; f < k; f++)
        gathered->rows[f * gathered->row_room + gathered->n_rows] = row->values[f];
    gathered->n_rows++;
    return rc;
}

static int take_at_once(const struct gathered_into *into, const struct profile_item *item)
{
    int rc = settle(into);
    return rc ? rc : profile_take(into->profile, item, 1, 1);
}

int gathered_put(struct gathered *gathered, const struct gathered_into *into,
                 const struct features *features)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < features->n; i++)
        if (!put(gathered, &features->items[i]))
            rc = take_at_once(into, &features->items[i]);
    if (!rc && features->row.components)
        rc = put_row(gathered, into, &features->row);
    gathered->n_events++;
    return rc;
}

int gathered_fold(struct gathered *gathered, const struct gathered_into *into)
{
    int rc = fold_rows(gathered, into->states);
    for (uint32_t slot = 0; !rc && slot < gathered->n_slots; slot++) {
        const size_t n = gathered->n[slot], from = (size_t)slot * gathered->room;
        gathered->n[slot] = 0;
        rc = gathered->categories[slot]
                 ? profile_category_column(into->profile, slot, gathered->ids + from, n)
                 : profile_number_column(into->profile, slot, gathered->numbers + from, n);
    }
    gathered->n_events = 0;
    return rc;
}

int row_fold(const struct row *row, struct states *states)
{
    if (!row->components)
        return 0;
    const uint32_t k = row->components->n_features;
    double values[MULTIVARIATE_MOST_FEATURES];
    struct looked looked = {.reference = row->reference};
    memcpy(values, row->values, k * sizeof(*values));
    for (uint32_t f = 0; f < k; f++)
        multivariate_standardise(row->components, f, &values[f], 1);
    looked_add(&looked, row->components, values, 1, 1);
    return states_looked(states, &looked);
}

int features_fold(const struct features *features, const struct gathered_into *into)
{
    const int rc = profile_take(into->profile, features->items, features->n, 1);
    return rc ? rc : row_fold(&features->row, into->states);
}
