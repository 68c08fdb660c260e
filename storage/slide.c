#include "storage/slide.h"

#include <errno.h>

#include "common/grow.h"

void slide_init(struct slide *slide)
{
    *slide = (struct slide){0};
}

static void stack_finish(struct slide_stack *stack)
{
    for (size_t i = 0; i < stack->n; i++)
        states_free(stack->items[i].states);
    free(stack->items);
    *stack = (struct slide_stack){0};
}

void slide_finish(struct slide *slide)
{
    stack_finish(&slide->front);
    stack_finish(&slide->back);
    states_free(slide->merged.states);
    slide->merged = (struct slide_item){0};
}

static int stack_push(struct slide_stack *stack, struct slide_item item)
{
    if (grow(&stack->items, &stack->capacity, stack->n + 1, sizeof(*stack->items), "slide", NULL)) {
        states_free(item.states);
        return -ENOMEM;
    }
    stack->items[stack->n++] = item;
    return 0;
}

static int merge_item(struct slide_item *into, const struct slide_item *from)
{
    int rc = states_merge(into->states, from->states);
    if (rc)
        return rc;
    into->revision += from->revision;
    return 0;
}

/* `merged` covers all of back, as soon as one item alone does not. */
static int extend_merged(struct slide *slide)
{
    const struct slide_stack *back = &slide->back;
    if (back->n < 2)
        return 0;
    if (!slide->merged.states) {
        int rc = states_new(&slide->merged.states, states_setup(back->items[0].states), NULL);
        if (!rc)
            rc = merge_item(&slide->merged, &back->items[0]);
        if (rc)
            return rc;
    }
    return merge_item(&slide->merged, &back->items[back->n - 1]);
}

int slide_push(struct slide *slide, struct slide_item item)
{
    int rc = stack_push(&slide->back, item);
    return rc ? rc : extend_merged(slide);
}

static int turn_over(struct slide *slide)
{
    struct slide_stack *back = &slide->back;
    states_free(slide->merged.states);
    slide->merged = (struct slide_item){0};
    while (back->n > 0) {
        struct slide_item item = back->items[--back->n];
        const struct slide_stack *front = &slide->front;
        int rc = front->n ? merge_item(&item, &front->items[front->n - 1]) : 0;
        if (rc) {
            states_free(item.states);
            return rc;
        }
        rc = stack_push(&slide->front, item);
        if (rc)
            return rc;
    }
    return 0;
}

int slide_drop_before(struct slide *slide, int64_t start_ms)
{
    for (;;) {
        struct slide_stack *front = &slide->front;
        if (front->n == 0) {
            if (slide->back.n == 0 || slide->back.items[0].start_ms >= start_ms)
                return 0;
            int rc = turn_over(slide);
            if (rc)
                return rc;
        }
        if (front->items[front->n - 1].start_ms >= start_ms)
            return 0;
        states_free(front->items[--front->n].states);
    }
}

size_t slide_parts(const struct slide *slide, struct slide_item parts[2])
{
    size_t n = 0;
    if (slide->front.n > 0)
        parts[n++] = slide->front.items[slide->front.n - 1];
    if (slide->merged.states)
        parts[n++] = slide->merged;
    else if (slide->back.n == 1)
        parts[n++] = slide->back.items[0];
    return n;
}
