/*
 * Equal questions at the same time: one is computed, the others wait for it and are then answered
 * from memory. After a commit every open page asks the same.
 *
 * Shape    the first to ask leads; who asks the same before it is answered waits, suspended, and is
 *          stepped again afterwards (exchange.c). Who has waited MAX_WAITS times asks for itself:
 *          commits in between may drop the answer each time
 * Threads  with web->turn held
 */
#pragma once

#include "web/server.h"

/* True: the connection is suspended until the one that leads is answered. */
bool shared_answer_wait(struct exchange *exchange);
/* The question is being computed from now on. */
void shared_answer_lead(struct exchange *exchange);
/* It is answered, or its client left: who waits goes on. Of one that does not lead: nothing. */
void shared_answer_end(struct exchange *exchange);
/* The server stops: nobody may stay suspended. */
void shared_answers_end(struct web *web);
