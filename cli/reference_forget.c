#include "cli/reference_forget.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/reference.h"
#include "common/clock.h"
#include "common/json_out.h"
#include "storage/audit.h"
#include "storage/commit.h"
#include "storage/estimates.h"
#include "storage/references.h"

enum {
    MAX_ANSWER_BYTES = 64 * 1024
};

/* What counts now. */
struct follows {
    struct reference_mark loaded; /* seq 0: none */
    const char *source;           /* NULL: there is no reference */
};

static const char *source_of(const struct config_reference *from)
{
    return from->trailing_ms ? "trailing"
           : from->version   ? "version"
           : from->to_ms     ? "range"
                             : NULL;
}

static int find_follows(struct store *store, const struct reference_forgetting *wanted,
                        struct follows *out, struct err *err)
{
    const struct config_model *model = config_model_find(wanted->config, wanted->model);
    const int rc = reference_newest(store, wanted->model, wanted->version, &out->loaded, err);
    out->source = out->loaded.seq ? out->loaded.source
                  : model         ? source_of(&model->reference)
                                  : NULL;
    return rc;
}

static void write_it(struct buf *out, const char *of, const struct reference_forgetting *wanted,
                     const struct follows *follows)
{
    out_open(out, '{');
    if (strcmp(of, "id") == 0)
        out_key_string(out, "model", wanted->model);
    out_key_string(out, of, wanted->id);
    out_key_string(out, "version", wanted->version);
    out_key(out, "follows");
    if (follows->source) {
        out_open(out, '{');
        out_key_string(out, "id", follows->loaded.seq ? follows->loaded.id : NULL);
        out_key_string(out, "source", follows->source);
        out_close(out, '}');
    } else {
        out_null(out);
    }
    out_close(out, '}');
}

static int audit(struct store *store, const struct reference_forgetting *wanted,
                 const struct follows *follows, struct err *err)
{
    struct buf detail;
    buf_init(&detail, MAX_ANSWER_BYTES);
    write_it(&detail, "reference", wanted, follows);
    buf_u8(&detail, 0);
    const struct audit_row row = {
        .at_ms = clock_wall_ms(clock_system()),
        .clock = "wall",
        .who = wanted->who,
        .action = "reference.forget",
        .subject = wanted->model,
        .detail = (const char *)detail.data,
    };
    const int rc = buf_failed(&detail) ? err_set(err, -ENOMEM, "no memory for the audit log")
                                       : commit_audit(store, &row, err);
    buf_finish(&detail);
    return rc;
}

static int refuse_unknown(struct store *store, const struct reference_forgetting *wanted,
                          struct err *err)
{
    bool known = false;
    const int rc =
        reference_known(store, wanted->model, strtoull(wanted->id, NULL, 16), &known, err);
    return rc ? rc
              : err_set(err, ERR_NOT_FOUND,
                        "model %.100s%s%.100s: reference %.40s %s; GET …/references lists those "
                        "that do",
                        wanted->model, wanted->version ? ", version " : "",
                        wanted->version ? wanted->version : "", wanted->id,
                        known ? "does not count there" : "is not known");
}

/* A file that the configuration names would only seem to be away: a change of it would bring it
   back. */
static int refuse_file(struct store *store, const struct reference_forgetting *wanted,
                       struct err *err)
{
    const struct config_model *model = config_model_find(wanted->config, wanted->model);
    bool of_file = false;
    if (!model || (wanted->version && wanted->version[0]))
        return 0;
    const int rc = reference_of_file(store, model, wanted->id, &of_file, err);
    if (rc || !of_file)
        return rc;
    err_set(err, ERR_USAGE,
            "model %.100s: reference %s is what %.200s holds, which `reference.file` of the "
            "configuration names: change that, or load another one",
            wanted->model, wanted->id, model->reference.file);
    return FORGET_OF_FILE;
}

struct range_sought {
    const char *id;
    bool found;
};

static int is_range(void *context, const struct reference_listed *row, struct err *err)
{
    struct range_sought *sought = context;
    (void)err;
    sought->found |= row->from_ms >= 0 && row->withdrawn_ms < 0 && strcmp(row->id, sought->id) == 0;
    return 0;
}

/* The same of stored windows: it would be read from them again, or be made anew. */
static int refuse_range(struct store *store, const struct reference_forgetting *wanted,
                        struct err *err)
{
    struct range_sought sought = {.id = wanted->id};
    const int rc = references_each(store, wanted->model, "", is_range, &sought, err);
    if (rc || !sought.found)
        return rc;
    err_set(err, ERR_USAGE,
            "model %.100s: reference %s is what the time holds that `reference: {from, to}` of the "
            "configuration names: change that, or load another one",
            wanted->model, wanted->id);
    return FORGET_OF_FILE;
}

static int write_forgotten(struct store *store, const struct reference_forgetting *wanted,
                           struct err *err)
{
    int64_t n = 0;
    int rc = commit_reference_forgotten(store, wanted->model, wanted->version, wanted->id,
                                        clock_wall_ms(clock_system()), &n, err);
    if (!rc && n == 0)
        rc = refuse_unknown(store, wanted, err);
    return rc;
}

/* The file that the configuration no longer names must not come back as the one before. */
static int leave_file(struct store *store, const struct reference_forgetting *wanted,
                      struct err *err)
{
    const struct config_model *model = config_model_find(wanted->config, wanted->model);
    return model ? reference_leave_file(store, model, err) : 0;
}

int reference_forget(struct store *store, const struct reference_forgetting *wanted,
                     struct buf *answer, struct err *err)
{
    struct follows follows = {0};
    int rc = refuse_file(store, wanted, err);
    if (!rc)
        rc = refuse_range(store, wanted, err);
    if (!rc)
        rc = commit_begin(store, err);
    if (rc)
        return rc;
    rc = write_forgotten(store, wanted, err);
    if (!rc)
        rc = leave_file(store, wanted, err);
    if (!rc)
        rc = find_follows(store, wanted, &follows, err);
    if (!rc)
        rc = audit(store, wanted, &follows, err);
    if (!rc)
        rc = commit_end(store, err);
    if (rc) {
        commit_rollback(store);
        return rc;
    }
    write_it(answer, "id", wanted, &follows);
    return 0;
}
