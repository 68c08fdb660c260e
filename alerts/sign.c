#include "alerts/sign.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

enum {
    MIN_KEY_BYTES = 24,
    MAX_SECRET_TEXT = 128
};

int sign_key_parse(struct sign_key *out, const char *secret, struct err *err)
{
    static const char prefix[] = "whsec_";
    if (strncmp(secret, prefix, sizeof(prefix) - 1) != 0)
        return err_set(err, ERR_DATA, "webhook secret: does not begin with whsec_");
    const char *text = secret + sizeof(prefix) - 1;
    size_t n = strlen(text);
    if (n == 0 || n % 4 != 0 || n > MAX_SECRET_TEXT)
        return err_set(err, ERR_DATA, "webhook secret: what follows whsec_ is not base64");

    unsigned char bytes[MAX_SECRET_TEXT];
    int decoded = EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)n);
    if (decoded < 0)
        return err_set(err, ERR_DATA, "webhook secret: what follows whsec_ is not base64");
    size_t padding = (text[n - 1] == '=') + (text[n - 2] == '=');
    size_t size = (size_t)decoded - padding;
    int rc = 0;
    if (size < MIN_KEY_BYTES || size > SIGN_KEY_BYTES) {
        rc = err_set(err, ERR_DATA, "webhook secret: %zu bytes, must be %d to %d", size,
                     MIN_KEY_BYTES, SIGN_KEY_BYTES);
    } else {
        memcpy(out->bytes, bytes, size);
        out->n = size;
    }
    OPENSSL_cleanse(bytes, sizeof(bytes));
    return rc;
}

void sign_key_wipe(struct sign_key *key)
{
    OPENSSL_cleanse(key, sizeof(*key));
}

static int sign_one(struct buf *out, const struct sign_key *key, const struct buf *text,
                    struct err *err)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int n_digest = 0;
    if (!HMAC(EVP_sha256(), key->bytes, (int)key->n, text->data, text->size, digest, &n_digest))
        return err_set(err, -12, "webhook signature: HMAC-SHA256 failed");
    unsigned char base64[4 * ((EVP_MAX_MD_SIZE + 2) / 3) + 1];
    int n = EVP_EncodeBlock(base64, digest, (int)n_digest);
    buf_bytes(out, "v1,", 3);
    buf_bytes(out, base64, (size_t)n);
    return 0;
}

int sign_webhook(struct buf *out, const struct sign_key *keys, size_t n_keys, const char *id,
                 int64_t timestamp_s, const void *body, size_t n_body, struct err *err)
{
    struct buf text;
    buf_init(&text, n_body + 512);
    buf_printf(&text, "%s.%" PRId64 ".", id, timestamp_s);
    buf_bytes(&text, body, n_body);
    int rc = buf_failed(&text) ? err_set(err, -12, "webhook signature: no memory") : 0;
    for (size_t i = 0; i < n_keys && !rc; i++) {
        if (i)
            buf_u8(out, ' ');
        rc = sign_one(out, &keys[i], &text, err);
    }
    buf_finish(&text);
    if (!rc && buf_failed(out))
        rc = err_set(err, -12, "webhook signature: no memory");
    return rc;
}
