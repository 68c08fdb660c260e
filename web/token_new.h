/*
 * A new token: 256 random bits as text for its owner, and the line of the tokens file that knows
 * only their SHA-256.
 *
 * Shape    `assay_` and 43 characters of base64url (RFC 4648 §5, no padding): the beginning lets
 *          secret scanners find a token that was pasted into a repository
 * Units    expires_ms: ms since the epoch; INT64_MAX: never
 * Owner    both texts are the caller's; wipe `text` after use
 * Errors   ERR_USAGE: a name or a scope that the tokens file would refuse · -EIO: no random bytes
 */
#pragma once

#include <stdint.h>

#include "common/err.h"

enum {
    TOKEN_TEXT_BYTES = 64,
    TOKEN_LINE_BYTES = 256
};

int token_new_line(char text[TOKEN_TEXT_BYTES], char line[TOKEN_LINE_BYTES], const char *name,
                   const char *scopes, int64_t expires_ms, struct err *err);
