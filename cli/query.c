/* `assay query`: the REST answers, read straight from the database by the same functions. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/options.h"
#include "collector/event.h"
#include "common/config.h"
#include "web/api.h"

static const char usage[] =
    "usage: assay query (-c FILE | --db DB) "
    "models|versions|slices|metrics|drift|changes|references|distribution|curves|explain|alerts|"
    "system|"
    "dead-letters|"
    "experiments|"
    "verdict|history|audit [--experiment E] [--model M] [--version V] [--metric a,b] [--feature F] "
    "[--kind K] [--stream S] "
    "[--segment k:v] [--from T] [--to T] [--before_from T] [--before_to T] [--window D] [--step D]";

/* Which path of REST a word stands for, and below what. */
enum below {
    BELOW_ROOT,
    BELOW_MODEL,
    BELOW_EXPERIMENT
};
static const struct word {
    const char *word;
    enum below below;
    const char *tail;
} words[] = {
    {"alerts", BELOW_ROOT, "alerts"},
    {"audit", BELOW_ROOT, "audit"},
    {"changes", BELOW_MODEL, "changes"},
    {"curves", BELOW_MODEL, "curves"},
    {"dead-letters", BELOW_ROOT, "dead-letters"},
    {"distribution", BELOW_MODEL, "distribution"},
    {"drift", BELOW_MODEL, "drift"},
    {"experiments", BELOW_ROOT, "experiments"},
    {"explain", BELOW_MODEL, "explain"},
    {"history", BELOW_EXPERIMENT, "history"},
    {"metrics", BELOW_MODEL, "metrics"},
    {"models", BELOW_ROOT, "models"},
    {"references", BELOW_MODEL, "references"},
    {"slices", BELOW_MODEL, "slices"},
    {"system", BELOW_ROOT, "system"},
    {"verdict", BELOW_EXPERIMENT, "verdict"},
    {"versions", BELOW_MODEL, "versions"},
};

static const struct word *find_word(const char *text)
{
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(words[i].word, text) == 0)
            return &words[i];
    }
    return NULL;
}

static int make_target(struct buf *target, const char *text, const char *model,
                       const char *experiment, const struct api_param *params, size_t n_params,
                       struct err *err)
{
    const struct word *word = find_word(text);
    if (!word)
        return err_set(err, ERR_USAGE, "query: unknown word \"%s\"; %s", text, usage);
    if (word->below == BELOW_MODEL && !model)
        return err_set(err, ERR_USAGE, "query %s: needs --model M", text);
    if (word->below == BELOW_EXPERIMENT && !experiment)
        return err_set(err, ERR_USAGE, "query %s: needs --experiment E", text);
    buf_printf(target, "/api/v1");
    if (word->below == BELOW_MODEL) {
        api_target_segment(target, "models");
        api_target_segment(target, model);
    } else if (word->below == BELOW_EXPERIMENT) {
        api_target_segment(target, "experiments");
        api_target_segment(target, experiment);
    }
    api_target_segment(target, word->tail);
    if (model && strcmp(text, "models") == 0)
        api_target_segment(target, model);
    if (experiment && strcmp(text, "experiments") == 0)
        api_target_segment(target, experiment);
    for (size_t i = 0; i < n_params; i++)
        api_target_param(target, params[i].name, params[i].value);
    buf_u8(target, 0);
    return buf_failed(target) ? err_set(err, -12, "query: no memory") : 0;
}

/* "allowed" comes as lines: they go behind the message, on its one line. */
static int refused(const struct api_answer *answer, int rc, struct err *err)
{
    if (!answer->allowed[0])
        return rc;
    char allowed[sizeof(answer->allowed)];
    snprintf(allowed, sizeof(allowed), "%s", answer->allowed);
    for (char *p = allowed; *p; p++)
        if (*p == '\n')
            *p = ' ';
    struct err said = *err;
    return err_set(err, rc, "%.300s (one of: %.180s)", said.text, allowed);
}

static const char *word_of_reject(int reason)
{
    return reason >= 0 && reason < N_REJECTS ? reject_name((enum reject)reason) : NULL;
}

static int run(const struct config *config, const char *db, const char *target, bool csv,
               struct err *err)
{
    const struct web_commands commands = {.reject_name = word_of_reject};
    struct api_options options = {
        .config = config, .store_path = db ? db : config->storage_path, .commands = &commands};
    __attribute__((cleanup(api_context_freep))) struct api_context *api = NULL;
    int rc = api_open(&api, &options, err);
    if (rc)
        return rc;
    struct api_request request = {.method = "GET", .target = target, .csv = csv};
    struct api_answer answer;
    api_answer_init(&answer);
    rc = api_call(api, &request, &answer, err);
    if (rc < 0) {
        rc = refused(&answer, rc, err);
    } else {
        fwrite(answer.body.data, 1, answer.body.size, stdout);
        if (!csv)
            fputc('\n', stdout);
        rc = 0;
    }
    api_answer_finish(&answer);
    return rc;
}

int command_query(int argc, char **argv)
{
    static const char *const names[] = {"version",     "metric",    "segment", "from",    "to",
                                        "window",      "step",      "state",   "reason",  "stream",
                                        "limit",       "after",     "alert",   "feature", "full",
                                        "before_from", "before_to", "kind"};
    enum {
        N_NAMES = sizeof(names) / sizeof(names[0])
    };
    const char *path = NULL, *db = NULL, *model = NULL, *experiment = NULL;
    const char *values[N_NAMES] = {0};
    bool csv = false, json = false;
    struct option_row rows[6 + N_NAMES] = {
        {.name = "config", .letter = 'c', .value = &path},
        {.name = "db", .value = &db},
        {.name = "model", .value = &model},
        {.name = "csv", .flag = &csv},
        {.name = "experiment", .value = &experiment},
        {.name = "json", .flag = &json}, /* the default, for those who say it all the same */
    };
    for (size_t i = 0; i < N_NAMES; i++)
        rows[6 + i] = (struct option_row){.name = names[i], .value = &values[i]};

    struct err err = {0};
    struct arguments given;
    if (options_parse(rows, 6 + N_NAMES, argc, argv, &given, &err))
        return fail(&err);
    if (given.n != 1 || (!path && !db)) {
        err_set(&err, ERR_USAGE, "%s", usage);
        return fail(&err);
    }
    struct api_param params[N_NAMES];
    size_t n_params = 0;
    for (size_t i = 0; i < N_NAMES; i++) {
        if (values[i])
            params[n_params++] = (struct api_param){names[i], values[i]};
    }

    AUTO(config) struct config *config = NULL;
    if (path && config_read(&config, path, &err))
        return fail(&err);
    struct buf target;
    buf_init(&target, 64 * 1024);
    int rc = make_target(&target, given.words[0], model, experiment, params, n_params, &err);
    if (!rc)
        rc = run(config, db, (const char *)target.data, csv, &err);
    buf_finish(&target);
    return rc ? fail(&err) : 0;
}
