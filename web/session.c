#include "web/session.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

enum {
    N_SESSIONS = 256,
    RANDOM_BYTES = 32
};

struct sessions {
    struct session items[N_SESSIONS]; /* expires_ms 0: free */
};

int sessions_new(struct sessions **out, struct err *err)
{
    *out = calloc(1, sizeof(**out));
    return *out ? 0 : err_set(err, -ENOMEM, "web: no memory for sessions");
}

void sessions_free(struct sessions *sessions)
{
    if (sessions)
        OPENSSL_cleanse(sessions, sizeof(*sessions));
    free(sessions);
}

static int random_hex(char out[SESSION_ID_BYTES], struct err *err)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[RANDOM_BYTES];
    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        return err_set(err, -EIO, "web: no random bits for a session");
    for (int i = 0; i < RANDOM_BYTES; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * RANDOM_BYTES] = '\0';
    OPENSSL_cleanse(bytes, sizeof(bytes));
    return 0;
}

static bool digest(unsigned char out[32], const char *text)
{
    unsigned size = 0;
    return EVP_Digest(text, strlen(text), out, &size, EVP_sha256(), NULL) == 1 && size == 32;
}

int sessions_open(struct sessions *sessions, const struct token *token, int64_t now_ms,
                  char id[SESSION_ID_BYTES], struct err *err)
{
    struct session *oldest = &sessions->items[0];
    for (size_t i = 1; i < N_SESSIONS; i++)
        if (sessions->items[i].expires_ms < oldest->expires_ms)
            oldest = &sessions->items[i];
    struct session made = {.expires_ms = now_ms + SESSION_HOURS * INT64_C(3600000)};
    memcpy(made.token_sha256, token->sha256, sizeof(made.token_sha256));
    int rc = random_hex(id, err);
    if (!rc)
        rc = random_hex(made.csrf, err);
    if (rc)
        return rc;
    if (!digest(made.id_sha256, id))
        return err_set(err, -ENOMEM, "web: no memory for a session");
    *oldest = made;
    return 0;
}

static struct session *find(struct sessions *sessions, const char *id)
{
    unsigned char wanted[32];
    struct session *found = NULL;
    if (strlen(id) != SESSION_ID_BYTES - 1 || !digest(wanted, id))
        return NULL;
    for (size_t i = 0; i < N_SESSIONS; i++) /* all of them, always: the time tells nothing */
        if (CRYPTO_memcmp(wanted, sessions->items[i].id_sha256, sizeof(wanted)) == 0)
            found = &sessions->items[i];
    return found && found->expires_ms ? found : NULL;
}

const struct session *sessions_find(struct sessions *sessions, const char *id, int64_t now_ms)
{
    struct session *found = find(sessions, id);
    if (found && found->expires_ms <= now_ms) {
        OPENSSL_cleanse(found, sizeof(*found));
        return NULL;
    }
    return found;
}

void sessions_close(struct sessions *sessions, const char *id)
{
    struct session *found = find(sessions, id);
    if (found)
        OPENSSL_cleanse(found, sizeof(*found));
}
