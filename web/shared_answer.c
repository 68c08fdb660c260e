#include "web/shared_answer.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

enum {
    MAX_WAITS = 3
};

static struct exchange **place_of(const struct exchange *exchange)
{
    size_t n = sizeof(exchange->web->leaders) / sizeof(exchange->web->leaders[0]);
    return &exchange->web->leaders[XXH3_64bits(exchange->text, strlen(exchange->text)) % n];
}

static bool same(const struct exchange *a, const struct exchange *b)
{
    return a->change == b->change && a->csv == b->csv && a->takes_gzip == b->takes_gzip &&
           strcmp(a->text, b->text) == 0;
}

bool shared_answer_wait(struct exchange *exchange)
{
    struct exchange *leader = *place_of(exchange);
    if (!leader || !same(leader, exchange) || exchange->n_waits == MAX_WAITS ||
        atomic_load(&exchange->web->stopping))
        return false;
    exchange->n_waits++;
    exchange->next_waiting = leader->waiting;
    leader->waiting = exchange;
    MHD_suspend_connection(exchange->connection);
    return true;
}

void shared_answer_lead(struct exchange *exchange)
{
    struct exchange **place = place_of(exchange);
    if (!*place && !exchange->closes) /* an answer that closes is kept for nobody */
        *place = exchange;
}

void shared_answer_end(struct exchange *exchange)
{
    if (!exchange->text)
        return;
    struct exchange **place = place_of(exchange);
    if (*place != exchange)
        return;
    *place = NULL;
    while (exchange->waiting) {
        struct exchange *next = exchange->waiting;
        exchange->waiting = next->next_waiting;
        next->next_waiting = NULL;
        MHD_resume_connection(next->connection);
    }
}

void shared_answers_end(struct web *web)
{
    for (size_t i = 0; i < sizeof(web->leaders) / sizeof(web->leaders[0]); i++)
        if (web->leaders[i])
            shared_answer_end(web->leaders[i]);
}
