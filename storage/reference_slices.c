/*
 * Rows of reference_models: "slice/country=de" has the part's bytes, without any where there was no
 * room for it; "slices" lists the segment keys, and a digest of all of them:
 *
 *          varint n_keys · n_keys × (varint size · bytes) · u64 digest
 */
#include "storage/reference_slices.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stats/sample.h"
#include "storage/drift_cache.h"
#include "storage/estimates.h"
#include "storage/row_hash.h"
#include "storage/rows.h"

enum {
    MAX_INDEX_BYTES = 1024 * 1024,
    MAX_SLICE_BYTES = 300 * 1024 * 1024
};

static const char part_index[] = "slices";

static void part_name(char out[REFERENCE_PART_NAME], const char *slice)
{
    snprintf(out, REFERENCE_PART_NAME, "slice/%s", slice);
}

static uint64_t digest_of(const struct fitted *fitted)
{
    struct {
        uint64_t before, slice, id;
    } all = {0, 0, 0};
    for (uint32_t i = 0; i < fitted->n_slices; i++) {
        const struct slice_reference *slice = &fitted->slices[i];
        all.slice = class_id(slice->slice, strlen(slice->slice));
        all.id = slice->reference ? slice->reference->id : 0;
        all.before = class_id((const char *)&all, sizeof(all));
    }
    return all.before;
}

static void index_save(const struct fitted *fitted, struct buf *out)
{
    buf_varint(out, fitted->n_slice_keys);
    for (uint32_t i = 0; i < fitted->n_slice_keys; i++) {
        const size_t n = strlen(fitted->slice_keys[i]);
        buf_varint(out, n);
        buf_bytes(out, fitted->slice_keys[i], n);
    }
    buf_u64(out, digest_of(fitted));
}

int commit_reference_slices(struct store *store, int64_t reference_seq, const struct fitted *fitted,
                            struct err *err)
{
    struct buf bytes;
    buf_init(&bytes, MAX_SLICE_BYTES);
    index_save(fitted, &bytes);
    int rc = commit_reference_part(store, reference_seq, part_index, &bytes, "", err);
    for (uint32_t i = 0; !rc && i < fitted->n_slices; i++) {
        char part[REFERENCE_PART_NAME];
        part_name(part, fitted->slices[i].slice);
        buf_clear(&bytes);
        if (fitted->slices[i].reference)
            reference_save(fitted->slices[i].reference, &bytes);
        rc = commit_reference_part(store, reference_seq, part, &bytes, "", err);
    }
    buf_finish(&bytes);
    return rc;
}

/* --- reading --- */

/* One row: 0, or 1 where there is none. `row` is to be reset by the caller; column 1 has the bytes. */
static int find_row(struct store *store, int64_t seq, const char *part, sqlite3_stmt **row,
                    struct err *err)
{
    static const char sql[] =
        "SELECT hash, bytes FROM reference_models WHERE reference = ?1 AND part = ?2";
    int rc = statement_get(store, sql, row, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(*row, 1, seq);
    bind_text(*row, 2, part);
    return row_next(store, *row, "reference", &rc, err) ? 0 : rc ? rc : 1;
}

/* The bytes of a row that was found; false: they are not those that were written. */
static bool bytes_of(sqlite3_stmt *row, int64_t seq, struct reader *out)
{
    const void *bytes = sqlite3_column_blob(row, 1);
    const int n = sqlite3_column_bytes(row, 1);
    *out = reader_of(bytes ? bytes : "", (size_t)n);
    return row_hash(seq, bytes ? bytes : "", n) == sqlite3_column_int64(row, 0);
}

static bool has_key(struct reader *in, const char *slice)
{
    const char *equals = strchr(slice, '=');
    const size_t size = equals ? (size_t)(equals - slice) : strlen(slice);
    bool found = false;
    for (uint64_t left = reader_varint(in); left && !reader_failed(in); left--) {
        const uint64_t n = reader_varint(in);
        const void *key = n <= reader_left(in) ? reader_bytes(in, (size_t)n) : NULL;
        found |= key && n == size && memcmp(key, slice, size) == 0;
        if (!key)
            break;
    }
    return found;
}

/* Why there is no row of the slice. */
static int explain_lack(struct store *store, int64_t seq, const char *slice, char *why, size_t n,
                        struct err *err)
{
    AUTO_RESET sqlite3_stmt *row = NULL;
    struct reader in;
    const char *equals = strchr(slice, '=');
    const int key = (int)(equals ? equals - slice : 0);
    int rc = find_row(store, seq, part_index, &row, err);
    if (rc < 0)
        return rc;
    if (rc > 0)
        snprintf(why, n, "the reference was loaded before slices were kept; load its events again");
    else if (!bytes_of(row, seq, &in) || has_key(&in, slice))
        snprintf(why, n, "the reference holds no event of the segment");
    else
        snprintf(why, n, "the reference keeps no slices of %.*s; load its events again",
                 key < 80 ? key : 80, slice);
    return 0;
}

static uint64_t key_of(const struct reference_row *row, int64_t hash)
{
    const struct {
        uint64_t whole, hash;
    } key = {row->reference->id, (uint64_t)hash};
    return class_id((const char *)&key, sizeof(key));
}

int reference_slice_read(struct store *store, const struct reference_row *row, const char *slice,
                         struct reference **out, char *why, size_t n, struct err *err)
{
    char part[REFERENCE_PART_NAME];
    AUTO_RESET sqlite3_stmt *found = NULL;
    struct drift_cache *cache;
    struct reader in;
    *out = NULL;
    why[0] = '\0';
    part_name(part, slice);
    int rc = store_drift_cache(store, &cache, err);
    if (!rc)
        rc = find_row(store, row->seq, part, &found, err);
    if (rc > 0) {
        sqlite3_reset(found); /* the same statement asks for the other row */
        return explain_lack(store, row->seq, slice, why, n, err);
    }
    if (rc)
        return rc;
    const uint64_t key = key_of(row, sqlite3_column_int64(found, 0));
    *out = drift_cache_reference(cache, key);
    if (*out)
        return 0;
    const bool sound = bytes_of(found, row->seq, &in);
    if (sound && reader_left(&in) == 0) {
        snprintf(why, n, "the reference had no room left for the segment: too many slices");
        return 0;
    }
    rc = sound ? reference_load_part(out, row->reference, in.next, reader_left(&in), err)
               : ERR_CORRUPT;
    if (rc == ERR_CORRUPT) {
        snprintf(why, n,
                 "what the reference keeps of the segment is damaged; load its events again");
        return 0;
    }
    if (!rc)
        drift_cache_keep_reference(cache, key, *out);
    return rc;
}

int reference_slices_differ(struct store *store, const char *model, uint64_t id,
                            const struct fitted *fitted, bool *out, struct err *err)
{
    struct reference_mark newest;
    struct buf bytes;
    struct reader in;
    char text[17];
    AUTO_RESET sqlite3_stmt *row = NULL;
    int rc = reference_newest(store, model, NULL, &newest, err);
    snprintf(text, sizeof(text), "%016" PRIx64, id);
    *out = false;
    if (rc || strcmp(newest.id, text) != 0)
        return rc;
    rc = find_row(store, newest.seq, part_index, &row, err);
    if (rc < 0 || (rc > 0 && fitted->n_slice_keys == 0))
        return rc < 0 ? rc : 0;
    buf_init(&bytes, MAX_INDEX_BYTES);
    index_save(fitted, &bytes);
    *out = rc > 0 || !bytes_of(row, newest.seq, &in) || reader_left(&in) != bytes.size ||
           memcmp(in.next, bytes.data, bytes.size) != 0;
    rc = buf_failed(&bytes) ? err_set(err, -ENOMEM, "reference: no memory") : 0;
    buf_finish(&bytes);
    return rc;
}

int reference_slices_verify(struct store *store, struct err *err)
{
    static const char sql[] =
        "SELECT m.hash, m.bytes, m.reference, m.part, r.model FROM reference_models AS m JOIN "
        "reference_states AS r ON r.seq = m.reference WHERE m.part = 'slices' OR m.part GLOB "
        "'slice/*' ORDER BY m.reference, m.part";
    AUTO_RESET sqlite3_stmt *row = NULL;
    int rc = statement_get(store, sql, &row, err);
    if (rc)
        return rc;
    while (row_next(store, row, "reference", &rc, err)) {
        struct reader in;
        if (!bytes_of(row, sqlite3_column_int64(row, 2), &in))
            return err_set(
                err, ERR_CORRUPT,
                "%s: what the reference of model %.100s keeps of %.100s is damaged; load "
                "it again with `assay reference load`",
                store->path, row_text(row, 4), row_text(row, 3));
    }
    return rc;
}
