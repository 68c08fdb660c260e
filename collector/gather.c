#include "collector/gather.h"

#include <string.h>

void gathered_start(struct gathered *gathered, uint32_t n_slots)
{
    const uint32_t room = GATHER_VALUES / n_slots;
    gathered->n_slots = n_slots;
    gathered->room = room < GATHER_EVENTS ? room : GATHER_EVENTS;
    gathered->n_events = 0;
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

int gathered_put(struct gathered *gathered, struct profile *profile,
                 const struct profile_item *items, size_t n)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < n; i++)
        if (!put(gathered, &items[i]))
            rc = profile_take(profile, &items[i], 1, 1);
    gathered->n_events++;
    return rc;
}

int gathered_fold(struct gathered *gathered, struct profile *profile)
{
    int rc = 0;
    for (uint32_t slot = 0; !rc && slot < gathered->n_slots; slot++) {
        const size_t n = gathered->n[slot], from = (size_t)slot * gathered->room;
        gathered->n[slot] = 0;
        rc = gathered->categories[slot]
                 ? profile_category_column(profile, slot, gathered->ids + from, n)
                 : profile_number_column(profile, slot, gathered->numbers + from, n);
    }
    gathered->n_events = 0;
    return rc;
}
