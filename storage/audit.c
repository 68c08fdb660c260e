#include "storage/audit.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <string.h>

#include "common/buf.h"
#include "storage/rows.h"

/* Its length as a varint, then the text itself, which may be long: never copied. */
static int put_text(EVP_MD_CTX *digest, const char *text)
{
    unsigned char head[10];
    struct buf length = {.data = head, .capacity = sizeof(head), .limit = sizeof(head)};
    size_t n = strlen(text);
    buf_varint(&length, n);
    return EVP_DigestUpdate(digest, head, length.size) == 1 &&
           EVP_DigestUpdate(digest, text, n) == 1;
}

static int chain(unsigned char out[AUDIT_HASH_BYTES], const unsigned char *before,
                 const struct audit_row *row, struct err *err)
{
    unsigned char head[16];
    struct buf numbers = {.data = head, .capacity = sizeof(head), .limit = sizeof(head)};
    const char *const texts[] = {row->clock, row->who, row->action, row->subject, row->detail};
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    buf_u64(&numbers, (uint64_t)row->seq);
    buf_u64(&numbers, (uint64_t)row->at_ms);
    int ok = digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 &&
             EVP_DigestUpdate(digest, before, AUDIT_HASH_BYTES) == 1 &&
             EVP_DigestUpdate(digest, head, sizeof(head)) == 1;
    for (size_t i = 0; ok && i < sizeof(texts) / sizeof(texts[0]); i++)
        ok = put_text(digest, texts[i]);
    ok = ok && EVP_DigestFinal_ex(digest, out, NULL) == 1;
    EVP_MD_CTX_free(digest);
    return ok ? 0 : err_set(err, -12, "audit: no memory for row %" PRId64, row->seq);
}

int audit_head(struct store *store, int64_t *seq, unsigned char hash[AUDIT_HASH_BYTES],
               struct err *err)
{
    static const char sql[] = "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1";
    AUTO_RESET sqlite3_stmt *s = NULL;
    *seq = 0;
    memset(hash, 0, AUDIT_HASH_BYTES);
    int rc = statement_get(store, sql, &s, err);
    if (rc)
        return rc;
    if (!row_next(store, s, "audit", &rc, err))
        return rc;
    *seq = sqlite3_column_int64(s, 0);
    const void *bytes = sqlite3_column_blob(s, 1);
    if (!bytes || sqlite3_column_bytes(s, 1) != AUDIT_HASH_BYTES)
        return err_set(err, ERR_CORRUPT,
                       "audit row %" PRId64 ": its hash is damaged; see `assay "
                       "verify`",
                       *seq);
    memcpy(hash, bytes, AUDIT_HASH_BYTES);
    return 0;
}

int audit_head_text(struct store *store, int64_t *seq, char hash[2 * AUDIT_HASH_BYTES + 1],
                    struct err *err)
{
    unsigned char bytes[AUDIT_HASH_BYTES];
    int rc = audit_head(store, seq, bytes, err);
    for (int i = 0; !rc && i < AUDIT_HASH_BYTES; i++)
        snprintf(&hash[(size_t)2 * (size_t)i], 3, "%02x", bytes[i]);
    return rc;
}

int commit_audit(struct store *store, const struct audit_row *given, struct err *err)
{
    static const char sql[] = "INSERT INTO audit(seq, at_ms, clock, who, action, subject, detail, "
                              "hash) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    unsigned char before[AUDIT_HASH_BYTES], hash[AUDIT_HASH_BYTES];
    struct audit_row row = *given;
    sqlite3_stmt *statement;
    int rc = store_writing(store, err, "commit_audit");
    if (!rc)
        rc = audit_head(store, &row.seq, before, err);
    row.seq++;
    if (!rc)
        rc = chain(hash, before, &row, err);
    if (!rc)
        rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, row.seq);
    sqlite3_bind_int64(statement, 2, row.at_ms);
    bind_text(statement, 3, row.clock);
    bind_text(statement, 4, row.who);
    bind_text(statement, 5, row.action);
    bind_text(statement, 6, row.subject);
    bind_text(statement, 7, row.detail);
    sqlite3_bind_blob(statement, 8, hash, sizeof(hash), SQLITE_STATIC);
    return statement_run(store, statement, err, "audit");
}

static int each_row(struct store *store, sqlite3_stmt *s,
                    int (*row)(void *context, const struct audit_row *row, struct err *err),
                    void *context, struct err *err)
{
    int rc = 0;
    while (row_next(store, s, "audit", &rc, err)) {
        static const unsigned char none[AUDIT_HASH_BYTES] = {0};
        bool whole = sqlite3_column_bytes(s, 7) == AUDIT_HASH_BYTES;
        struct audit_row out = {
            .seq = sqlite3_column_int64(s, 0),
            .at_ms = sqlite3_column_int64(s, 1),
            .clock = row_text(s, 2),
            .who = row_text(s, 3),
            .action = row_text(s, 4),
            .subject = row_text(s, 5),
            .detail = row_text(s, 6),
            .hash = whole ? sqlite3_column_blob(s, 7) : none,
        };
        rc = row(context, &out, err);
    }
    return rc;
}

int audit_read(struct store *store, int64_t after, int limit,
               int (*row)(void *context, const struct audit_row *row, struct err *err),
               void *context, struct err *err)
{
    static const char sql[] = "SELECT seq, at_ms, clock, who, action, subject, detail, hash FROM "
                              "audit WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    AUTO_RESET sqlite3_stmt *s = NULL;
    int rc = statement_get(store, sql, &s, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(s, 1, after);
    sqlite3_bind_int(s, 2, limit);
    return each_row(store, s, row, context, err);
}

int audit_of(struct store *store, const char *subject,
             int (*row)(void *context, const struct audit_row *row, struct err *err), void *context,
             struct err *err)
{
    static const char sql[] = "SELECT seq, at_ms, clock, who, action, subject, '', hash FROM "
                              "audit WHERE subject = ?1 ORDER BY seq";
    AUTO_RESET sqlite3_stmt *s = NULL;
    int rc = statement_get(store, sql, &s, err);
    if (rc)
        return rc;
    bind_text(s, 1, subject);
    return each_row(store, s, row, context, err);
}

struct walk {
    int64_t seq; /* of the last good row */
    unsigned char hash[AUDIT_HASH_BYTES];
};

static int check_row(void *context, const struct audit_row *row, struct err *err)
{
    struct walk *walk = context;
    unsigned char hash[AUDIT_HASH_BYTES];
    if (row->seq != walk->seq + 1)
        return err_set(err, ERR_CORRUPT, "audit: row %" PRId64 " is missing", walk->seq + 1);
    int rc = chain(hash, walk->hash, row, err);
    if (rc)
        return rc;
    if (memcmp(hash, row->hash, sizeof(hash)) != 0)
        return err_set(err, ERR_CORRUPT,
                       "audit: row %" PRId64 " (%s %s) was changed, or the one before it", row->seq,
                       row->action, row->subject);
    memcpy(walk->hash, hash, sizeof(hash));
    walk->seq = row->seq;
    return 0;
}

int audit_verify(struct store *store, struct err *err)
{
    struct walk walk = {0};
    int rc = audit_read(store, 0, INT32_MAX, check_row, &walk, err);
    if (rc)
        return rc;
    /* SQLite remembers the highest number it gave: a tail that was cut off is missed by it. */
    int64_t highest = 0;
    rc = store_integer(store, "SELECT seq FROM sqlite_sequence WHERE name = 'audit'", 0, &highest,
                       err);
    if (!rc && highest > walk.seq)
        rc = err_set(err, ERR_CORRUPT, "audit: row %" PRId64 " and what followed it were cut off",
                     walk.seq + 1);
    return rc;
}
