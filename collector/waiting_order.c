#include "collector/waiting_order.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "stats/sort.h"

/* Neighbours of the same time and id, each of another stream: mostly all of a prediction. */
struct waiting_group {
    unsigned __int128 key;
    uint32_t first, n;
};
DEFINE_SORT(sort_groups, struct waiting_group, key)

static unsigned __int128 key_of(const struct waiting *event)
{
    const uint64_t ts = (uint64_t)event->ts_ms ^ UINT64_C(1) << 63; /* sorts as signed ones do */
    return (unsigned __int128)ts << 64 | event->hash;
}

static bool starts_group(const struct waiting *waiting, size_t i)
{
    const struct waiting *before = &waiting[i - 1], *event = &waiting[i];
    return event->ts_ms != before->ts_ms || event->hash != before->hash ||
           event->stream <= before->stream;
}

static size_t count_groups(const struct waiting *waiting, size_t n)
{
    size_t n_groups = n > 0;
    for (size_t i = 1; i < n; i++)
        n_groups += starts_group(waiting, i);
    return n_groups;
}

static void fill_groups(const struct waiting *waiting, size_t n, struct waiting_group *groups)
{
    for (size_t i = 0; i < n; i++) {
        if (i == 0)
            *groups = (struct waiting_group){key_of(waiting), 0, 1};
        else if (starts_group(waiting, i))
            *++groups = (struct waiting_group){key_of(&waiting[i]), (uint32_t)i, 1};
        else
            groups->n++;
    }
}

static int compare(const struct waiting *x, const struct waiting *y)
{
    if (x->stream != y->stream)
        return x->stream < y->stream ? -1 : 1;
    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    return (x->value > y->value) - (x->value < y->value);
}

/* Few, of one time and id: a stream may be among them twice. */
static void sort_equal(const struct waiting *waiting, uint32_t *at, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        const uint32_t one = at[i];
        size_t to = i;
        for (; to > 0 && compare(&waiting[one], &waiting[at[to - 1]]) < 0; to--)
            at[to] = at[to - 1];
        at[to] = one;
    }
}

static int make_room(struct waiting_order *order, size_t n, size_t n_groups)
{
    if (n > UINT32_MAX / 2)
        return -ENOMEM;
    if (n > order->capacity) {
        uint32_t *at = realloc(order->at, 2 * n * sizeof(*at));
        if (!at)
            return -ENOMEM;
        order->at = at;
        order->capacity = 2 * n;
    }
    if (n_groups > order->group_capacity) { /* and as many to sort them with */
        struct waiting_group *groups = realloc(order->groups, 2 * 2 * n_groups * sizeof(*groups));
        if (!groups)
            return -ENOMEM;
        order->groups = groups;
        order->group_capacity = 2 * n_groups;
    }
    return 0;
}

int waiting_order_by(struct waiting_order *order, const struct waiting *waiting, size_t n)
{
    const size_t n_groups = count_groups(waiting, n);
    if (make_room(order, n, n_groups))
        return -ENOMEM;
    struct waiting_group *groups = order->groups;
    fill_groups(waiting, n, groups);
    sort_groups(groups, n_groups, groups + n_groups);
    size_t done = 0;
    for (size_t i = 0, next; i < n_groups; i = next) {
        const size_t began = done;
        for (next = i; next < n_groups && groups[next].key == groups[i].key; next++)
            for (uint32_t k = 0; k < groups[next].n; k++)
                order->at[done++] = groups[next].first + k;
        if (next > i + 1)
            sort_equal(waiting, order->at + began, done - began);
    }
    return 0;
}

void waiting_order_finish(struct waiting_order *order)
{
    free(order->at);
    free(order->groups);
    *order = (struct waiting_order){0};
}
