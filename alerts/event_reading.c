#include "alerts/event_reading.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "storage/audit.h"
#include "storage/change_points.h"
#include "storage/explain_changes.h"
#include "storage/transition.h"

struct watching {
    const struct alert_rule *rule;
    int64_t now_ms;
    struct reading *out;
    size_t n_seen;
    int64_t newest_ms; /* of what was found; INT64_MIN: nothing */
    struct { /* names of the experiments to look at further; short ones, as the contract has them */
        char name[160];
    } * found;
    size_t n_found;
};

static bool concerns(const struct alert_rule *rule, const struct experiment_row *row)
{
    return (strcmp(rule->experiment, "any") == 0 || strcmp(rule->experiment, row->name) == 0) &&
           (!rule->model || strcmp(rule->model, row->model) == 0);
}

static void say(struct watching *watching, const char *name, const char *what, const char *reason,
                int64_t at_ms)
{
    if (at_ms < watching->newest_ms)
        return;
    watching->newest_ms = at_ms;
    char *why = watching->out->why;
    size_t n = sizeof(watching->out->why);
    snprintf(why, n, "experiment %.100s %s%s%.150s", name, what, *reason ? ": " : "", reason);
    why[text_fit(why, n - 1)] = '\0';
    watching->out->sight = SIGHT_BAD;
    snprintf(watching->out->experiment, sizeof(watching->out->experiment), "%s", name);
}

/* What holds now stands in the last verdict. */
static int look_at_verdict(void *context, const struct experiment_row *row, struct err *err)
{
    (void)err;
    struct watching *watching = context;
    if (!concerns(watching->rule, row))
        return 0;
    watching->n_seen++;
    json_t *verdict = json_loads(row->verdict, 0, NULL);
    const char *word = json_string_value(json_object_get(verdict, "verdict"));
    const char *reason = json_string_value(json_object_get(verdict, "reason"));
    const char *srm = json_string_value(json_object_get(json_object_get(verdict, "srm"), "status"));
    bool running = strcmp(row->state, "running") == 0;
    if (watching->rule->on == ON_HELD && running && word && strcmp(word, "hold") == 0)
        say(watching, row->name, "holds", reason ? reason : "", row->since_ms);
    if (watching->rule->on == ON_SRM && running && srm && strcmp(srm, "mismatch") == 0)
        say(watching, row->name, "has a sample ratio that does not fit its weights", "",
            row->since_ms);
    json_decref(verdict);
    return 0;
}

static bool is_wanted(const struct alert_rule *rule, const struct transition_row *row)
{
    bool moved = strcmp(row->from_state, row->to_state) != 0;
    switch (rule->on) {
    case ON_ROLLED_BACK:
        return moved && strcmp(row->to_state, "rolled_back") == 0;
    case ON_PROMOTED:
        return moved && strcmp(row->to_state, "promoted") == 0;
    default:
        return !moved && strcmp(row->to_state, "running") == 0 && row->to_step != row->from_step;
    }
}

static int look_at_transition(void *context, const struct transition_row *row, struct err *err)
{
    static const char *const words[] = {"was rolled back", "was promoted", "went to its next step"};
    (void)err;
    struct watching *watching = context;
    if (is_wanted(watching->rule, row) && row->at_ms > watching->now_ms - watching->rule->window_ms)
        say(watching, row->experiment, words[watching->rule->on], row->reason, row->at_ms);
    return 0;
}

/* transitions_read within experiments_read would reset the statement: names first. */
static int take_name(void *context, const struct experiment_row *row, struct err *err)
{
    struct watching *watching = context;
    if (!concerns(watching->rule, row))
        return 0;
    watching->n_seen++;
    if (row->since_ms <= watching->now_ms - watching->rule->window_ms)
        return 0; /* nothing moved within the window */
    void *more = realloc(watching->found, (watching->n_found + 1) * sizeof(*watching->found));
    if (!more)
        return err_set(err, -12, "alerts: no memory");
    watching->found = more;
    snprintf(watching->found[watching->n_found++].name, sizeof(watching->found->name), "%s",
             row->name);
    return 0;
}

int experiment_reading(struct store *store, const struct alert_rule *rule, int64_t now_ms,
                       struct reading *out, struct err *err)
{
    struct watching watching = {.rule = rule, .now_ms = now_ms, .out = out, .newest_ms = INT64_MIN};
    bool now = rule->on == ON_HELD || rule->on == ON_SRM;
    out->sight = SIGHT_CLEAR;
    out->start_ms = now_ms - rule->window_ms;
    out->end_ms = now_ms;
    int rc = experiments_read(store, NULL, now ? look_at_verdict : take_name, &watching, err);
    for (size_t i = 0; i < watching.n_found && !rc; i++)
        rc = transitions_read(store, watching.found[i].name, look_at_transition, &watching, err);
    free(watching.found);
    if (!rc && out->sight == SIGHT_CLEAR)
        snprintf(out->why, sizeof(out->why), "%s",
                 watching.n_seen ? "nothing of the kind happened" : "no such experiment is known");
    return rc;
}

/* ", compared with …"; "": it is not known. */
static void tell_reference(const struct change_reference *of, char *out, size_t n)
{
    char until[TEXT_TIME_BYTES];
    out[0] = '\0';
    if (of->id[0])
        snprintf(out, n, ", compared with reference %s", of->id);
    else if (of->source[0] && of->to_ms == INT64_MIN)
        snprintf(out, n, ", compared with %" PRId64 " events", of->n);
    else if (of->source[0]) {
        time_print(until, of->to_ms);
        snprintf(out, n, ", compared with the %" PRId64 " events until %s", of->n, until);
    }
}

static void name_reference(const struct change_row *row, struct reading_reference *out)
{
    const struct change_reference *of = &row->reference;
    const bool learned =
        strcmp(of->source, REFERENCE_LEARNED) == 0; /* of the stream's own events */
    *out = (struct reading_reference){.n = of->n, .from_ms = of->from_ms, .to_ms = of->to_ms};
    out->of_slice = learned && row->key.slice[0];
    snprintf(out->id, sizeof(out->id), "%s", of->id);
    snprintf(out->source, sizeof(out->source), "%s", of->source);
}

/* The newest one; further ones are counted. */
static int look_at_change(void *context, const struct change_row *row, struct err *err)
{
    (void)err;
    struct watching *watching = context;
    struct reading *out = watching->out;
    char began[TEXT_TIME_BYTES];
    if (watching->n_seen++)
        return 0;
    time_print(began, row->began_ms);
    int n = (int)text_fit(row->key.name, 80);
    out->sight = SIGHT_BAD;
    out->n = row->n_after;
    out->value = row->mean_after;
    out->compared = row->mean_before;
    name_reference(row, &out->reference);
    char from_to[64] = "";
    if (!isnan(row->mean_before) && !isnan(row->mean_after))
        snprintf(from_to, sizeof(from_to), " from %.4g to %.4g", row->mean_before, row->mean_after);
    char where[CHANGE_WHERE_BYTES], compared[80];
    change_where(row->key.slice, where);
    tell_reference(&row->reference, compared, sizeof(compared));
    int used =
        snprintf(out->why, sizeof(out->why),
                 "%.*s%s of version %.40s changed at about %s%s, found after %" PRId64 " events%s",
                 n, row->key.name, where, row->key.version, began, from_to, row->n_after, compared);
    if (used >= (int)sizeof(out->why)) /* what it was compared with stands in `reference`, too */
        snprintf(out->why, sizeof(out->why), "%.*s%s of version %.40s changed at about %s%s", n,
                 row->key.name, where, row->key.version, began, from_to);
    snprintf(out->confidence, sizeof(out->confidence),
             "without a change one alarm in %.6g events is expected of each stream", row->expected);
    return 0;
}

int change_reading(struct store *store, const struct alert_rule *rule, int64_t now_ms,
                   struct reading *out, struct err *err)
{
    enum {
        ENOUGH = 100 /* to tell how many */
    };
    struct watching watching = {.rule = rule, .now_ms = now_ms, .out = out};
    const struct change_query query = {.model = rule->model,
                                       .version = rule->version,
                                       .slice = rule->slice,
                                       .name = rule->stream,
                                       .from_ms = now_ms - rule->window_ms + 1,
                                       .to_ms = now_ms + 1,
                                       .limit = ENOUGH};
    out->sight = SIGHT_CLEAR;
    out->start_ms = now_ms - rule->window_ms;
    out->end_ms = now_ms;
    int rc = change_points_each(store, &query, look_at_change, &watching, err);
    if (rc)
        return rc;
    size_t n = strlen(out->why);
    if (watching.n_seen > 1)
        snprintf(out->why + n, sizeof(out->why) - n, "; %zu changes in all", watching.n_seen);
    else if (watching.n_seen == 0)
        snprintf(out->why, sizeof(out->why), "nothing changed");
    return 0;
}

int audit_reading(struct store *store, struct reading *out, struct err *err)
{
    struct err why = {0};
    int rc = audit_verify(store, &why);
    if (rc && rc != ERR_CORRUPT) {
        if (err)
            *err = why;
        return rc;
    }
    out->sight = rc ? SIGHT_BAD : SIGHT_CLEAR;
    snprintf(out->why, sizeof(out->why), "%.300s",
             rc ? why.text : "every row of the audit log follows from the one before it");
    return 0;
}
