/*
 * Who may: bearer tokens, of which only the SHA-256 is kept (contract §7).
 *
 * Shape    a line `name:scopes:sha256:expiry` each; scopes separated by commas; sha256 in hex, of
 *          the token's text; expiry RFC 3339 or ms, empty or `never` for none. `#` starts a comment
 * Scopes   admin may do everything; operate may also read; read and ingest are just that
 * Owner    tokens_read gives, tokens_free takes
 * Errors   ERR_USAGE: `FILE:LINE: …`; a file that others may write to is refused
 * Threads  read-only after reading
 * Source   compared in constant time over the whole list (failure-matrix.md, security, line 2)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/err.h"

enum scope {
    SCOPE_NONE = 0, /* anybody */
    SCOPE_READ = 1,
    SCOPE_INGEST = 2,
    SCOPE_OPERATE = 4,
    SCOPE_ADMIN = 8,
};
const char *scope_name(enum scope scope);

struct token {
    char name[65];
    unsigned scopes; /* of enum scope, with what they imply */
    unsigned char sha256[32];
    int64_t expires_ms; /* INT64_MAX: never */
};

struct tokens;

int tokens_read(struct tokens **out, const char *path, struct err *err);
int tokens_parse(struct tokens **out, const char *path, const char *text, size_t n,
                 struct err *err);
void tokens_free(struct tokens *tokens);
DEFINE_FREEP(tokens)

size_t tokens_count(const struct tokens *tokens);

/* The token whose text this is, or NULL: none, or expired. Valid as long as `tokens`. */
const struct token *tokens_find(const struct tokens *tokens, const char *text, size_t n,
                                int64_t now_ms);

/* The same, by the SHA-256 of its text. */
const struct token *tokens_find_digest(const struct tokens *tokens, const unsigned char sha256[32],
                                       int64_t now_ms);

static inline bool token_allows(const struct token *token, enum scope scope)
{
    return scope == SCOPE_NONE || (token && (token->scopes & (unsigned)scope));
}
