#include "web/token.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/text.h"

enum {
    MAX_FILE_BYTES = 1024 * 1024,
    MAX_TOKENS = 1000,
};

struct tokens {
    size_t n;
    struct token items[];
};

static const struct {
    const char *name;
    enum scope scope;
    unsigned with; /* what it lets one do */
} scopes[] = {
    {"read", SCOPE_READ, SCOPE_READ},
    {"ingest", SCOPE_INGEST, SCOPE_INGEST},
    {"operate", SCOPE_OPERATE, SCOPE_OPERATE | SCOPE_READ},
    {"admin", SCOPE_ADMIN, SCOPE_ADMIN | SCOPE_OPERATE | SCOPE_INGEST | SCOPE_READ},
};
enum {
    N_SCOPES = sizeof(scopes) / sizeof(scopes[0])
};

const char *scope_name(enum scope scope)
{
    for (size_t i = 0; i < N_SCOPES; i++)
        if (scopes[i].scope == scope)
            return scopes[i].name;
    return "none";
}

static int parse_scopes(struct token *token, const char *text, size_t n)
{
    while (n > 0) {
        const char *comma = memchr(text, ',', n);
        size_t length = comma ? (size_t)(comma - text) : n;
        size_t i = 0;
        while (i < N_SCOPES &&
               (strlen(scopes[i].name) != length || memcmp(scopes[i].name, text, length) != 0))
            i++;
        if (i == N_SCOPES)
            return -EINVAL;
        token->scopes |= scopes[i].with;
        text += length + (comma ? 1 : 0);
        n -= length + (comma ? 1 : 0);
    }
    return token->scopes ? 0 : -EINVAL;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static int parse_sha256(unsigned char out[32], const char *text, size_t n)
{
    if (n != 64)
        return -EINVAL;
    for (size_t i = 0; i < 32; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return -EINVAL;
        out[i] = (unsigned char)(high * 16 + low);
    }
    return 0;
}

static int parse_line(struct token *token, const char *path, int line, const char *text, size_t n,
                      struct err *err)
{
    const char *field[4] = {text};
    size_t size[4];
    for (int i = 0; i < 3; i++) { /* the fourth may hold colons: it is a time */
        const char *colon = memchr(field[i], ':', n - (size_t)(field[i] - text));
        if (!colon)
            return err_set(err, ERR_USAGE, "%s:%d: not name:scopes:sha256:expiry", path, line);
        size[i] = (size_t)(colon - field[i]);
        field[i + 1] = colon + 1;
    }
    size[3] = n - (size_t)(field[3] - text);

    *token = (struct token){.expires_ms = INT64_MAX};
    if (size[0] == 0 || size[0] >= sizeof(token->name))
        return err_set(err, ERR_USAGE, "%s:%d: name: must have 1 to %zu bytes", path, line,
                       sizeof(token->name) - 1);
    memcpy(token->name, field[0], size[0]);
    if (parse_scopes(token, field[1], size[1]))
        return err_set(err, ERR_USAGE,
                       "%s:%d: scopes of %s: must be some of read, ingest, operate, admin, "
                       "separated by commas",
                       path, line, token->name);
    if (parse_sha256(token->sha256, field[2], size[2]))
        return err_set(err, ERR_USAGE, "%s:%d: sha256 of %s: must be 64 hexadecimal digits", path,
                       line, token->name);
    bool never = size[3] == 0 || (size[3] == 5 && memcmp(field[3], "never", 5) == 0);
    if (!never && time_parse_any(&token->expires_ms, field[3], size[3]))
        return err_set(err, ERR_USAGE, "%s:%d: expiry of %s: must be a time (RFC 3339) or never",
                       path, line, token->name);
    return 0;
}

int tokens_parse(struct tokens **out, const char *path, const char *text, size_t n, struct err *err)
{
    size_t lines = 1;
    for (size_t i = 0; i < n; i++)
        lines += text[i] == '\n';
    if (lines > MAX_TOKENS)
        lines = MAX_TOKENS;
    AUTO(tokens) struct tokens *tokens = calloc(1, sizeof(*tokens) + lines * sizeof(struct token));
    if (!tokens)
        return err_set(err, -ENOMEM, "%s: no memory for tokens", path);

    int line = 0;
    for (const char *at = text, *end = text + n; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((stop ? stop : end) - at);
        line++;
        const char *next = at + length + 1;
        while (length > 0 && (at[length - 1] == '\r' || at[length - 1] == ' '))
            length--;
        if (length > 0 && at[0] != '#') {
            if (tokens->n == lines)
                return err_set(err, ERR_USAGE, "%s:%d: more than %d tokens", path, line,
                               MAX_TOKENS);
            int rc = parse_line(&tokens->items[tokens->n], path, line, at, length, err);
            if (rc)
                return rc;
            tokens->n++;
        }
        at = next;
    }
    if (tokens->n == 0)
        return err_set(err, ERR_USAGE, "%s: no token in it; make one with `assay token new`", path);
    *out = tokens;
    tokens = NULL; /* the caller owns it now */
    return 0;
}

int tokens_read(struct tokens **out, const char *path, struct err *err)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return err_set(err, ERR_USAGE, "%s: %s", path, err_words(errno));
    struct stat about;
    AUTO_FREE char *text = malloc(MAX_FILE_BYTES + 1);
    size_t n = text ? fread(text, 1, MAX_FILE_BYTES + 1, file) : 0;
    int rc = fstat(fileno(file), &about);
    fclose(file);
    if (!text)
        return err_set(err, -ENOMEM, "%s: no memory to read it", path);
    /* Readable by others is harmless: these are digests of 256 random bits. Writable is not. */
    if (rc == 0 && (about.st_mode & (S_IWGRP | S_IWOTH)))
        return err_set(err, ERR_USAGE, "%s: others may write to it; chmod 600 it first", path);
    if (n > MAX_FILE_BYTES)
        return err_set(err, ERR_USAGE, "%s: larger than 1 MiB", path);
    return tokens_parse(out, path, text, n, err);
}

void tokens_free(struct tokens *tokens)
{
    if (tokens)
        OPENSSL_cleanse(tokens->items, tokens->n * sizeof(tokens->items[0]));
    free(tokens);
}

size_t tokens_count(const struct tokens *tokens)
{
    return tokens ? tokens->n : 0;
}

const struct token *tokens_find_digest(const struct tokens *tokens, const unsigned char sha256[32],
                                       int64_t now_ms)
{
    const struct token *found = NULL;
    for (size_t i = 0; tokens && i < tokens->n; i++) /* all of them: the time tells nothing */
        if (CRYPTO_memcmp(sha256, tokens->items[i].sha256, 32) == 0)
            found = &tokens->items[i];
    return found && found->expires_ms > now_ms ? found : NULL;
}

const struct token *tokens_find(const struct tokens *tokens, const char *text, size_t n,
                                int64_t now_ms)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_size = 0;
    if (!tokens || !EVP_Digest(text, n, digest, &digest_size, EVP_sha256(), NULL))
        return NULL;
    return tokens_find_digest(tokens, digest, now_ms);
}
