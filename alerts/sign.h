/*
 * The signature of a webhook, so that its receiver can tell it from a forgery.
 *
 * Shape    `v1,BASE64(HMAC-SHA256(key, id.timestamp.body))`, one for each secret, space-separated
 * Units    timestamp_s: Unix seconds of the attempt
 * Errors   ERR_DATA: the secret is not `whsec_<base64>` of 24–64 bytes; the message never shows it
 * Source   Standard Webhooks 1.0.0, "Signature scheme"
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

enum {
    SIGN_KEY_BYTES = 64,
    SIGN_MAX_KEYS = 2
};

struct sign_key {
    unsigned char bytes[SIGN_KEY_BYTES];
    size_t n;
};

int sign_key_parse(struct sign_key *out, const char *secret, struct err *err);
void sign_key_wipe(struct sign_key *key);

/* Appends the header's value for one or two keys (rotation: new first). */
int sign_webhook(struct buf *out, const struct sign_key *keys, size_t n_keys, const char *id,
                 int64_t timestamp_s, const void *body, size_t n_body, struct err *err);
