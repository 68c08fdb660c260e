/*
 * Browser sessions: a page signs in with a token once and then sends a cookie. Kept in memory only:
 * a restart signs everybody out.
 *
 * Shape    a session is 256 random bits, of which only the SHA-256 is kept; it stands for a token
 *          of the file, not for a copy of its scopes: a token that is taken out, or expires, ends
 *          its sessions
 * Units    ms since the epoch
 * Owner    sessions_new gives, sessions_free takes
 * Threads  one at a time: the caller's lock
 * Source   failure-matrix.md, security checklist, line 3
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/err.h"
#include "web/token.h"

enum {
    SESSION_ID_BYTES = 65, /* in hexadecimal digits, with a NUL */
    SESSION_HOURS = 12,
};

struct session {
    unsigned char id_sha256[32];
    unsigned char token_sha256[32];
    char csrf[SESSION_ID_BYTES]; /* what changes must bring along */
    int64_t expires_ms;
};

struct sessions;

int sessions_new(struct sessions **out, struct err *err);
void sessions_free(struct sessions *sessions);
DEFINE_FREEP(sessions)

/* A new one for a token; the cookie's value goes to `id`. The oldest of 256 makes room. */
int sessions_open(struct sessions *sessions, const struct token *token, int64_t now_ms,
                  char id[SESSION_ID_BYTES], struct err *err);
/* The session of a cookie's value, or NULL: none, or expired. Valid until the next call. */
const struct session *sessions_find(struct sessions *sessions, const char *id, int64_t now_ms);
void sessions_close(struct sessions *sessions, const char *id);
