/*
 * Who asks: by a token in the header, or by the cookie of a session; and the calls that make and
 * end sessions.
 *
 * Shape    caller_find fills exchange->caller; sign_in_answer answers /api/v1/session
 * Threads  under web->turn
 */
#pragma once

#include "web/server.h"

/* 0 with exchange->token set or NULL (nobody), or the status to refuse with. */
int caller_find(struct exchange *exchange, const char *host, const char **why);
/* Comes the request from a page of another origin? Sec-Fetch-Site and Origin tell. */
bool caller_is_foreign(struct exchange *exchange, const char *host);
void sign_in_answer(struct exchange *exchange);
