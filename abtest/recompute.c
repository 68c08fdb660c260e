#include "abtest/recompute.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "abtest/decide.h"
#include "common/cleanup.h"
#include "common/json_print.h"
#include "storage/audit.h"

enum {
    MAX_EVIDENCE_BYTES = 512 << 20,
    ROWS_AT_ONCE = 100
};

static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* malloc'd; NULL: no text, no base64 or no memory. */
static unsigned char *unpack(const json_t *text, size_t *n)
{
    const char *in = json_string_value(text);
    size_t size = json_string_length(text), at = 0;
    unsigned char *out = in && size % 4 == 0 ? malloc(size / 4 * 3 + 1) : NULL;
    while (out && size > 0 && in[size - 1] == '=')
        size--;
    uint32_t bits = 0;
    int held = 0;
    for (size_t i = 0; out && i < size; i++) {
        int digit = digit_of(in[i]);
        if (digit < 0) {
            free(out);
            return NULL;
        }
        bits = bits << 6 | (uint32_t)digit;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[at++] = (unsigned char)(bits >> held & 255);
        }
    }
    *n = at;
    return out;
}

static int read_situation(struct situation *out, const json_t *detail, struct err *err)
{
    size_t n = 0;
    AUTO_FREE unsigned char *bytes = unpack(json_object_get(detail, "situation"), &n);
    if (!bytes)
        return err_set(err, ERR_CORRUPT, "its situation is no base64");
    struct reader in = reader_of(bytes, n);
    return situation_load(out, &in, err);
}

static int read_evidence(struct evidence **out, const struct experiment *experiment,
                         const json_t *detail, struct err *err)
{
    const json_t *packed = json_object_get(detail, "evidence");
    json_int_t size = json_integer_value(json_object_get(packed, "bytes"));
    size_t n = 0;
    AUTO_FREE unsigned char *bytes = unpack(json_object_get(packed, "data"), &n);
    if (!bytes || size < 0 || size > MAX_EVIDENCE_BYTES)
        return err_set(err, ERR_CORRUPT, "its evidence is no base64");
    uLongf whole = (uLongf)size;
    AUTO_FREE unsigned char *plain = malloc((size_t)size + 1);
    if (!plain)
        return err_set(err, -ENOMEM, "no memory for its evidence");
    if (uncompress(plain, &whole, bytes, n) != Z_OK || whole != (uLongf)size)
        return err_set(err, ERR_CORRUPT, "its evidence cannot be inflated");
    return evidence_load(out, experiment, plain, whole, err);
}

/* The first member of `now` whose text differs, or that one of them lacks. */
static const char *first_difference(json_t *then, json_t *now)
{
    const char *key;
    json_t *value;
    json_object_foreach(now, key, value)
    {
        AUTO_FREE char *a = json_print(json_object_get(then, key));
        AUTO_FREE char *b = json_print(value);
        if (!a || !b || strcmp(a, b) != 0)
            return key;
    }
    json_object_foreach(then, key, value)
    {
        if (!json_object_get(now, key))
            return key;
    }
    return "the order";
}

static int compare(json_t *then, json_t *now, struct err *err)
{
    AUTO_FREE char *a = then ? json_print(then) : NULL;
    AUTO_FREE char *b = now ? json_print(now) : NULL;
    if (!now || !b)
        return err_set(err, -ENOMEM, "no memory for its verdict");
    if (!a || strcmp(a, b) != 0)
        return err_set(err, ERR_CORRUPT,
                       "its evidence gives another verdict than it says (%s differs)",
                       first_difference(then, now));
    return 0;
}

static int decide_again(json_t *detail, struct err *err)
{
    AUTO(experiment) struct experiment *experiment = NULL;
    AUTO(evidence) struct evidence *evidence = NULL;
    struct situation now;
    struct verdict verdict;
    json_t *stored = json_object_get(detail, "verdict");
    int rc = experiment_parse(&experiment, json_object_get(detail, "object"), err);
    if (!rc)
        rc = read_situation(&now, detail, err);
    if (!rc && now.ramp.step >= experiment->n_steps)
        rc = err_set(err, ERR_CORRUPT, "its situation is of another experiment");
    if (!rc)
        rc = read_evidence(&evidence, experiment, detail, err);
    if (rc)
        return rc == ERR_DATA ? ERR_CORRUPT : rc;
    ab_decide(experiment, evidence, &now, &verdict);
    ab_show(experiment, evidence, &verdict);
    struct ramp_state after =
        ramp_step(now.ramp, experiment, verdict.kind, verdict.no_data, now.now);
    int64_t at_ms = json_integer_value(json_object_get(stored, "decided_at"));
    json_t *again = verdict_print(&verdict, experiment, &after, at_ms);
    rc = compare(stored, again, err);
    json_decref(again);
    return rc;
}

int recompute_detail(const char *detail, struct err *err)
{
    json_t *json = json_loads(detail, 0, NULL);
    int rc = RECOMPUTE_NOTHING;
    if (json_is_object(json) && json_object_get(json, "situation")) {
        bool ours = json_integer_value(json_object_get(json, "engine")) == DECIDE_ENGINE;
        rc = ours ? decide_again(json, err) : RECOMPUTE_OTHER;
    }
    json_decref(json);
    return rc;
}

struct walk {
    struct recompute_counts *counts;
    int64_t last;
    bool any;
};

static int take_row(void *context, const struct audit_row *row, struct err *err)
{
    struct walk *walk = context;
    walk->last = row->seq;
    walk->any = true;
    if (strncmp(row->action, "experiment.", strlen("experiment.")) != 0)
        return 0;
    int rc = recompute_detail(row->detail, err);
    if (rc < 0)
        return err_prefix(err, rc, "audit row %" PRId64 " (%s %s)", row->seq, row->action,
                          row->subject);
    walk->counts->same += rc == 0;
    walk->counts->other += rc == RECOMPUTE_OTHER;
    return 0;
}

int recompute_all(struct store *store, struct recompute_counts *counts, struct err *err)
{
    struct walk walk = {.counts = counts};
    int rc = 0;
    *counts = (struct recompute_counts){0};
    do {
        walk.any = false;
        rc = audit_read(store, walk.last, ROWS_AT_ONCE, take_row, &walk, err);
    } while (!rc && walk.any);
    return rc;
}
