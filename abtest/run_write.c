/*
 * What an experiment is on disk: its row, the clocks beside it (`ramp`), its evidence, and the one
 * transaction that moves it. The evidence of a transition is packed into its audit row, so that the
 * verdict can be computed again from it.
 */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "abtest/run_item.h"
#include "common/json_print.h"
#include "storage/audit.h"
#include "storage/catalog.h"
#include "storage/commit.h"
#include "storage/looks.h"
#include "storage/transition.h"

enum {
    MAX_EVIDENCE_BYTES = 512 << 20,
    UNIT_BYTES = 12,       /* of a saved unit, about */
    APPENDED_FREE = 100000 /* so many may be appended before all are written as one again */
};

void run_crash_at(const char *place)
{
    const char *wanted = getenv("ASSAY_CRASH_AT");
    if (wanted && strcmp(wanted, place) == 0)
        raise(SIGKILL);
}

/* --- the clocks --- */

static json_t *print_ramp(const struct item *item)
{
    const struct ramp_state *ramp = &item->ramp;
    json_t *intervals = json_array();
    for (size_t i = 0; intervals && i < item->n_intervals; i++)
        json_array_append_new(intervals, json_pack("[I,i]", (json_int_t)item->intervals[i].since_ms,
                                                   item->intervals[i].step));
    return json_pack("{s:s,s:b,s:i,s:i,s:I,s:I,s:I,s:I,s:b,s:[I,I],s:I,s:i,s:b,s:o}", "phase",
                     ramp_phase_name(ramp->phase), "frozen", (int)ramp->frozen, "step", ramp->step,
                     "approved", ramp->approved, "started", (json_int_t)ramp->started_ms, "since",
                     (json_int_t)ramp->since_ms, "silent_since", (json_int_t)ramp->silent_since_ms,
                     "silence_seen", (json_int_t)item->silence_seen_ms, "unclocked",
                     (int)item->unclocked, "newest", (json_int_t)item->last_ms[ARM_CONTROL],
                     (json_int_t)item->last_ms[ARM_TREATMENT], "lost", (json_int_t)item->lost,
                     "held", (int)item->held, "applying", (int)item->applying, "intervals",
                     intervals);
}

static char *dump(json_t *json)
{
    char *text = json ? json_print(json) : NULL;
    json_decref(json);
    return text;
}

static int parse_ramp(struct item *item, json_t *json, struct err *err)
{
    const char *phase = NULL;
    int frozen = 0, unclocked = 0, held = 0, applying = 0;
    json_int_t started = 0, since = 0, silent = 0, seen = 0, control = 0, treatment = 0, lost = 0;
    json_t *intervals = NULL;
    struct ramp_state *ramp = &item->ramp;
    if (json_unpack(json, "{s:s,s:b,s:i,s:i,s:I,s:I,s:I,s?I,s:b,s:[I,I],s:I,s:i,s?b,s:o}", "phase",
                    &phase, "frozen", &frozen, "step", &ramp->step, "approved", &ramp->approved,
                    "started", &started, "since", &since, "silent_since", &silent, "silence_seen",
                    &seen, "unclocked", &unclocked, "newest", &control, &treatment, "lost", &lost,
                    "held", &held, "applying", &applying, "intervals", &intervals) ||
        ramp_phase_parse(phase) < 0 || ramp->step < 0 || ramp->step >= item->experiment->n_steps)
        return err_set(err, ERR_CORRUPT, "experiment %s: its stored state is damaged",
                       item->experiment->name);
    ramp->phase = (enum ramp_phase)ramp_phase_parse(phase);
    ramp->frozen = frozen;
    ramp->started_ms = started;
    ramp->since_ms = since;
    ramp->silent_since_ms = silent;
    item->silence_seen_ms = seen;
    item->restored = true;
    item->unclocked = unclocked;
    item->last_ms[ARM_CONTROL] = control;
    item->last_ms[ARM_TREATMENT] = treatment;
    item->lost = lost;
    item->held = (enum hold_cause)held;
    item->applying = applying;
    int rc = 0;
    size_t i;
    json_t *one;
    json_array_foreach(intervals, i, one)
    {
        int step = (int)json_integer_value(json_array_get(one, 1));
        if (!rc && step < item->experiment->n_steps)
            rc = item_enter(item, json_integer_value(json_array_get(one, 0)), step, err);
    }
    return rc;
}

/* --- the evidence --- */

static void save_evidence(const struct item *item, struct buf *out)
{
    struct buf bytes;
    buf_init(&bytes, MAX_EVIDENCE_BYTES);
    evidence_save_counts(item->evidence, &bytes);
    out->failed |= bytes.failed;
    buf_string(out, (const char *)bytes.data, bytes.size);
    buf_finish(&bytes);
    young_save(item, out);
}

static int load_evidence(struct item *item, const void *bytes, size_t n, struct err *err)
{
    struct reader in = reader_of(bytes, n);
    size_t size = 0;
    const char *saved = reader_string(&in, &size);
    if (reader_failed(&in))
        return err_set(err, ERR_CORRUPT, "experiment %s: its evidence is damaged",
                       item->experiment->name);
    int rc = evidence_load(&item->evidence, item->experiment, saved, size, err);
    return rc ? rc : young_load(item, &in, err);
}

static int take_segment(void *context, int64_t n, const void *bytes, size_t size, struct err *err)
{
    struct item *item = context;
    item->segments = n;
    item->appended += size / UNIT_BYTES;
    return evidence_load_units(item->evidence, bytes, size, err);
}

int item_restore(struct item *item, struct store *store, const char *ramp, struct err *err)
{
    json_t *json = json_loads(ramp, 0, NULL);
    int rc = parse_ramp(item, json, err);
    json_decref(json);
    if (!rc)
        rc = looks_last(store, item->experiment->name, &item->recorded_ms, err);
    if (rc || !item_active(item))
        return rc;
    AUTO_FREE void *bytes = NULL;
    size_t n = 0;
    rc = experiment_evidence_read(store, item->experiment->name, &bytes, &n, err);
    if (rc)
        return rc;
    rc = bytes ? load_evidence(item, bytes, n, err)
               : evidence_new(&item->evidence, item->experiment, EVIDENCE_MAX_UNITS, err);
    if (rc)
        return rc;
    return experiment_units_read(store, item->experiment->name, take_segment, item, err);
}

/*
 * Appends the units that are new or have failed. All become one segment again when the appended
 * ones outnumber them, so that each unit is written a few times in all; and when the last segment
 * on disk is not the last one written: that transaction was taken back.
 */
static int write_units(struct item *item, struct store *store, struct err *err)
{
    const char *name = item->experiment->name;
    struct buf bytes;
    int64_t last = 0;
    size_t units = evidence_units(item->evidence);
    int rc = experiment_units_last(store, name, &last, err);
    if (rc)
        return rc;
    bool whole = last != item->segments || item->appended > 2 * units + APPENDED_FREE;
    buf_init(&bytes, MAX_EVIDENCE_BYTES);
    size_t n = evidence_save_units(item->evidence, &whole, &bytes);
    item->appended = whole ? n : item->appended + n;
    if (n > 0)
        item->segments = last + 1;
    if (buf_failed(&bytes))
        rc = err_set(err, -ENOMEM, "experiment %s: no memory for its units", name);
    else if (n > 0)
        rc = commit_experiment_units(store, name, last + 1, whole, bytes.data, bytes.size, err);
    buf_finish(&bytes);
    if (rc)
        item->segments = -1; /* what was to be written is not known any more: all of it next time */
    return rc;
}

static int write_evidence(struct item *item, struct store *store, struct err *err)
{
    struct buf bytes;
    int rc = write_units(item, store, err);
    if (rc)
        return rc;
    buf_init(&bytes, MAX_EVIDENCE_BYTES);
    save_evidence(item, &bytes);
    rc = buf_failed(&bytes) ? err_set(err, -ENOMEM, "experiment %s: no memory for its evidence",
                                      item->experiment->name)
                            : commit_experiment_evidence(store, item->experiment->name, bytes.data,
                                                         bytes.size, err);
    buf_finish(&bytes);
    return rc;
}

int item_save(struct item *item, struct store *store, struct err *err)
{
    AUTO_FREE char *ramp = dump(print_ramp(item));
    if (!ramp)
        return err_set(err, -ENOMEM, "experiment %s: no memory", item->experiment->name);
    int rc = write_evidence(item, store, err);
    return rc ? rc
              : commit_experiment_look(store, item->experiment->name, ramp, item->verdict_json,
                                       err);
}

/* --- what an audit row carries --- */

static void base64(struct buf *out, const unsigned char *bytes, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        uint32_t three = (uint32_t)bytes[i] << 16 | (i + 1 < n ? (uint32_t)bytes[i + 1] << 8 : 0) |
                         (i + 2 < n ? bytes[i + 2] : 0);
        buf_u8(out, (uint8_t)digits[three >> 18]);
        buf_u8(out, (uint8_t)digits[three >> 12 & 63]);
        buf_u8(out, i + 1 < n ? (uint8_t)digits[three >> 6 & 63] : '=');
        buf_u8(out, i + 2 < n ? (uint8_t)digits[three & 63] : '=');
    }
}

static json_t *base64_json(const unsigned char *bytes, size_t n)
{
    struct buf text;
    buf_init(&text, MAX_EVIDENCE_BYTES);
    base64(&text, bytes, n);
    json_t *json = buf_failed(&text) ? NULL : json_stringn((const char *)text.data, text.size);
    buf_finish(&text);
    return json;
}

/* evidence_save_counts's bytes, deflated (zlib), in base64. */
static json_t *pack_evidence(const struct evidence *evidence)
{
    struct buf bytes;
    json_t *json = NULL;
    buf_init(&bytes, MAX_EVIDENCE_BYTES);
    evidence_save_counts(evidence, &bytes);
    uLongf n = compressBound(bytes.size);
    AUTO_FREE unsigned char *packed = buf_failed(&bytes) ? NULL : malloc(n);
    if (packed && compress2(packed, &n, bytes.data, bytes.size, 6) == Z_OK)
        json = json_pack("{s:s,s:I,s:o}", "encoding", "zlib+base64", "bytes",
                         (json_int_t)bytes.size, "data", base64_json(packed, n));
    buf_finish(&bytes);
    return json;
}

static json_t *pack_situation(const struct situation *situation)
{
    struct buf bytes;
    buf_init(&bytes, 1024);
    situation_save(situation, &bytes);
    json_t *json = buf_failed(&bytes) ? NULL : base64_json(bytes.data, bytes.size);
    buf_finish(&bytes);
    return json;
}

struct facts {
    const struct experiment *experiment;
    json_t *json;
};

static int take_version(void *context, const char *version, const char *facts_json, struct err *err)
{
    (void)err;
    struct facts *facts = context;
    if (!facts_json || (strcmp(version, facts->experiment->control) != 0 &&
                        strcmp(version, facts->experiment->treatment) != 0))
        return 0;
    json_object_set_new(facts->json, version, json_loads(facts_json, 0, NULL));
    return 0;
}

/* What is registered of both versions: code, data snapshot, artifact. */
static json_t *version_facts(struct run *run, const struct item *item)
{
    struct facts facts = {item->experiment, json_object()};
    struct err ignored; /* a model without any event has no versions yet */
    if (facts.json)
        (void)versions_each(run->options.store, item->experiment->model, take_version, &facts,
                            &ignored);
    return facts.json;
}

static char *print_detail(struct run *run, const struct item *item, const struct change *change)
{
    json_t *json = json_pack("{s:s,s:s,s:o,s:o}", "reason", change->reason, "command",
                             change->command, "object", experiment_print(item->experiment),
                             "versions", version_facts(run, item));
    if (json && item->verdict_json)
        json_object_set_new(json, "verdict", json_loads(item->verdict_json, 0, NULL));
    if (json && change->situation) {
        json_object_set_new(json, "engine", json_integer(DECIDE_ENGINE));
        json_object_set_new(json, "situation", pack_situation(change->situation));
        json_object_set_new(json, "evidence", pack_evidence(item->evidence));
    }
    return dump(json);
}

int item_show(struct item *item, int64_t at_ms, struct err *err)
{
    if (!item->looked || !item->evidence)
        return 0;
    ab_show(item->experiment, item->evidence, &item->verdict);
    char *text = dump(verdict_print(&item->verdict, item->experiment, &item->ramp, at_ms));
    if (!text)
        return err_set(err, -ENOMEM, "experiment %s: no memory", item->experiment->name);
    free(item->verdict_json);
    item->verdict_json = text;
    return 0;
}

/* A person's word stands over the last verdict of the engine: state, step, weight and reason. */
static int overrule(struct item *item, const struct change *change, struct err *err)
{
    json_t *json = json_loads(item->verdict_json ? item->verdict_json : "{}", 0, NULL);
    const struct ramp_state *after = &item->ramp;
    const char *word = after->phase == RAMP_PROMOTED      ? "promote"
                       : after->phase == RAMP_ROLLED_BACK ? "rollback"
                       : after->phase == RAMP_PAUSED      ? "hold"
                                                          : "continue";
    json_t *over =
        json_pack("{s:s,s:s,s:s,s:i,s:f,s:s,s:I,s:s}", "experiment", item->experiment->name,
                  "verdict", word, "state", ramp_phase_name(after->phase), "step", after->step,
                  "weight", ramp_weight(after, item->experiment), "reason",
                  *change->reason ? change->reason : change->verdict, "decided_at",
                  (json_int_t)change->at_ms, "decided_by", change->who);
    if (json && over)
        json_object_update(json, over);
    json_decref(over);
    char *text = dump(json);
    if (!text)
        return err_set(err, -ENOMEM, "experiment %s: no memory", item->experiment->name);
    free(item->verdict_json);
    item->verdict_json = text;
    return 0;
}

/* --- the transaction --- */

static int write_all(struct run *run, struct item *item, const struct ramp_state *from,
                     const struct change *change, struct err *err)
{
    const struct experiment *experiment = item->experiment;
    struct store *store = run->options.store;
    AUTO_FREE char *ramp = dump(print_ramp(item));
    AUTO_FREE char *detail = print_detail(run, item, change);
    if (!ramp || !detail)
        return err_set(err, -ENOMEM, "experiment %s: no memory", experiment->name);
    struct experiment_row row = {
        .name = experiment->name,
        .model = experiment->model,
        .state = ramp_phase_name(item->ramp.phase),
        .step = item->ramp.step,
        .weight = ramp_weight(&item->ramp, experiment),
        .since_ms = item->ramp.since_ms,
        .seq = item->seq + 1,
        .created_ms = item->created_ms,
        .ramp = ramp,
        .verdict = item->verdict_json,
    };
    struct transition_row transition = {
        .experiment = experiment->name,
        .seq = row.seq,
        .at_ms = change->at_ms,
        .clock = change->clock,
        .who = change->who,
        .command = change->command,
        .verdict = change->verdict,
        .from_state = ramp_phase_name(from->phase),
        .to_state = row.state,
        .from_step = from->step,
        .to_step = row.step,
        .from_weight = ramp_weight(from, experiment),
        .to_weight = row.weight,
        .reason = change->reason,
        .evidence = detail,
    };
    struct run_news news = {
        .type = change->type,
        .experiment = experiment->name,
        .model = experiment->model,
        .version = experiment->treatment,
        .reason = change->reason,
        .verdict = item->verdict_json,
        .at_ms = change->at_ms,
    };
    int rc = commit_begin(store, err);
    if (!rc)
        rc = commit_transition(store, &row, &transition, err);
    if (!rc && run->options.actuators)
        rc = item_wish(run, item, store, item->seq + 1, change->wall_ms, err);
    if (!rc && item->evidence)
        rc = write_evidence(item, store, err);
    if (!rc && change->situation && item->looked && item->evidence)
        rc = record_look(item, store, change->at_ms, err);
    if (!rc && change->type && run->options.tell)
        rc = run->options.tell(run->options.context, &news, err);
    run_crash_at("inside-transition");
    if (!rc)
        rc = commit_end(store, err);
    if (rc)
        commit_rollback(store);
    return rc;
}

/* Puts the new state into memory first, so that what is written is what is there. */
static int move(const struct run *run, struct item *item, const struct change *change,
                const struct ramp_state *from, struct err *err)
{
    item->ramp = change->after;
    item->lost = change->lost;
    int step = ramp_final(&item->ramp) ? -1 : item->ramp.step;
    bool entered = item->n_intervals == 0 || step != from->step || from->phase == RAMP_DRAFT ||
                   item->ramp.since_ms != from->since_ms;
    if (!entered)
        return 0;
    if (ramp_weight(&item->ramp, item->experiment) != ramp_weight(from, item->experiment) &&
        step >= 0 && item_carried(run, item)) {
        item->applying = true;
        item->astray = false;
        step = -1; /* until it is carried out */
    }
    return item_enter(item, item->unclocked ? INT64_MIN : item->ramp.since_ms, step, err);
}

int item_change(struct run *run, struct item *item, const struct change *change, struct err *err)
{
    struct ramp_state from = item->ramp;
    run_crash_at("before-transition");
    int rc = move(run, item, change, &from, err);
    if (!rc)
        rc = change->situation ? item_show(item, change->at_ms, err) : overrule(item, change, err);
    if (!rc)
        rc = write_all(run, item, &from, change, err);
    run_crash_at("after-transition");
    if (rc) { /* what is stored is the truth; err keeps what went wrong */
        struct err again = {0};
        int load = run_reload(run, &again);
        if (rc == TRANSITION_RACED || rc == TRANSITION_REPEATED)
            return load < 0 ? load : RUN_CONFLICT;
        return rc;
    }
    item->seq++;
    item->dirty = false;
    if (run->options.wished)
        run->options.wished(run->options.context);
    if (ramp_final(&item->ramp)) {
        evidence_free(item->evidence);
        item->evidence = NULL;
    }
    return 0;
}

int item_create(struct run *run, struct item *item, const struct run_actor *actor, struct err *err)
{
    struct store *store = run->options.store;
    const struct experiment *experiment = item->experiment;
    AUTO_FREE char *object = dump(experiment_print(experiment));
    AUTO_FREE char *ramp = dump(print_ramp(item));
    if (!object || !ramp)
        return err_set(err, -ENOMEM, "experiment %s: no memory", experiment->name);
    struct experiment_row row = {
        .name = experiment->name,
        .model = experiment->model,
        .object = object,
        .state = ramp_phase_name(item->ramp.phase),
        .since_ms = actor->wall_ms,
        .created_ms = actor->wall_ms,
        .ramp = ramp,
        .verdict = "{}",
    };
    struct audit_row audit = {
        .at_ms = actor->wall_ms,
        .clock = "wall",
        .who = actor->who,
        .action = "experiment.create",
        .subject = experiment->name,
        .detail = object,
    };
    int rc = commit_begin(store, err);
    if (!rc)
        rc = commit_experiment_new(store, &row, err);
    if (!rc)
        rc = commit_audit(store, &audit, err);
    if (!rc)
        rc = commit_end(store, err);
    if (rc)
        commit_rollback(store);
    return rc;
}
