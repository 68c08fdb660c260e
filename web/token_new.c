#include "web/token_new.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "web/token.h"

enum {
    RANDOM_BYTES = 32
};

static int make_text(char text[TOKEN_TEXT_BYTES], struct err *err)
{
    unsigned char bytes[RANDOM_BYTES];
    unsigned char encoded[4 * ((RANDOM_BYTES + 2) / 3) + 1];
    if (RAND_bytes(bytes, RANDOM_BYTES) != 1)
        return err_set(err, -EIO, "no random bytes for a token");
    EVP_EncodeBlock(encoded, bytes, RANDOM_BYTES);
    OPENSSL_cleanse(bytes, sizeof(bytes));
    size_t n = 0;
    for (const unsigned char *c = encoded; *c && *c != '='; c++, n++)
        encoded[n] = *c == '+' ? '-' : *c == '/' ? '_' : *c;
    snprintf(text, TOKEN_TEXT_BYTES, "assay_%.*s", (int)n, (const char *)encoded);
    OPENSSL_cleanse(encoded, sizeof(encoded));
    return 0;
}

int token_new_line(char text[TOKEN_TEXT_BYTES], char line[TOKEN_LINE_BYTES], const char *name,
                   const char *scopes, int64_t expires_ms, struct err *err)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_size = 0;
    if (strpbrk(name, ":\r\n#"))
        return err_set(err, ERR_USAGE, "a token's name holds no colon, # or newline");
    if (strpbrk(scopes, ":\r\n") || strlen(scopes) > 64)
        return err_set(err, ERR_USAGE, "scopes: must be some of read, ingest, operate, admin");
    int rc = make_text(text, err);
    if (rc)
        return rc;
    if (!EVP_Digest(text, strlen(text), digest, &digest_size, EVP_sha256(), NULL))
        return err_set(err, -EIO, "no SHA-256 for a token");
    char hex[65], expiry[TEXT_TIME_BYTES] = "never";
    for (size_t i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    if (expires_ms != INT64_MAX)
        time_print(expiry, expires_ms);
    snprintf(line, TOKEN_LINE_BYTES, "%.65s:%s:%s:%s\n", name, scopes, hex, expiry);
    AUTO(tokens) struct tokens *tokens = NULL; /* what reads the file has the last word on a line */
    return tokens_parse(&tokens, "token", line, strlen(line), err);
}
