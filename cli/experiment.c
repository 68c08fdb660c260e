/* `assay experiment`: operates experiments through the API, and plans one before it is started. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abtest/plan.h"
#include "abtest/ramp.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "common/json_print.h"
#include "common/text.h"
#include "web/api.h"

static const char usage[] =
    "usage: assay experiment list | create FILE.json | plan FILE.json --base-rate P --harm-rate P "
    "--traffic UNITS_PER_SECOND | start|pause|resume|jump|freeze|approve|promote|rollback E "
    "[--step N] [--reason TEXT] [--id KEY] [--url U] [--token-file F]";

struct words {
    struct client client;
    const char *step, *reason, *id, *base, *harm, *traffic;
};

static int call(const struct words *words, const char *method, const char *path, const char *body,
                struct err *err)
{
    struct client_request request = {.method = method, .path = path, .body = body, .timeout_s = 60};
    return client_print(&words->client, &request, err);
}

static int read_file(const char *path, char **out, struct err *err)
{
    FILE *file = fopen(path, "re");
    AUTO_FREE char *text = calloc(1, 262145);
    if (!file || !text) {
        if (file)
            fclose(file);
        return err_set(err, ERR_USAGE, "cannot read %s: %s", path, err_words(errno));
    }
    size_t n = fread(text, 1, 262144, file);
    bool whole = feof(file) && !ferror(file) && n > 0;
    fclose(file);
    if (!whole)
        return err_set(err, ERR_DATA, "%s is empty, larger than 256 KiB or cannot be read", path);
    *out = text;
    text = NULL; /* the caller owns it now */
    return 0;
}

static int create(const struct words *words, const char *path, struct err *err)
{
    AUTO_FREE char *body = NULL;
    int rc = read_file(path, &body, err);
    return rc ? rc : call(words, "POST", "/api/v1/experiments", body, err);
}

static int operate(const struct words *words, const char *command, const char *name,
                   struct err *err)
{
    struct buf path;
    long step = -1;
    int rc = words->step ? options_number("step", words->step, 0, 999, &step, err) : 0;
    if (rc)
        return rc;
    json_t *json = json_pack("{s:s}", "reason", words->reason ? words->reason : "");
    if (json && step >= 0)
        json_object_set_new(json, "step", json_integer(step));
    if (json && words->id)
        json_object_set_new(json, "id", json_string(words->id));
    AUTO_FREE char *body = json ? json_print(json) : NULL;
    json_decref(json);
    buf_init(&path, 4096);
    buf_printf(&path, "/api/v1/experiments");
    api_target_segment(&path, name);
    api_target_segment(&path, command);
    buf_u8(&path, 0);
    rc = body && !buf_failed(&path) ? call(words, "POST", (const char *)path.data, body, err)
                                    : err_set(err, -ENOMEM, "no memory");
    buf_finish(&path);
    return rc;
}

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *whole(double value)
{
    return isfinite(value) ? json_integer((json_int_t)ceil(value)) : json_null();
}

static json_t *plan_metric(const struct experiment *experiment, int index,
                           const struct plan_question *question, struct err *err)
{
    struct plan_step steps[EXPERIMENT_MAX_STEPS];
    if (plan_rates(experiment, index, question, steps, err))
        return NULL;
    json_t *list = json_array();
    for (int s = 0; s < experiment->n_steps; s++)
        json_array_append_new(
            list,
            json_pack("{s:f,s:o,s:o,s:o,s:o,s:o}", "weight", steps[s].weight, "safe_units",
                      whole(steps[s].safe_units), "safe_ms", whole(steps[s].safe_ms), "harm_units",
                      whole(steps[s].harm_units), "harm_ms", whole(steps[s].harm_ms),
                      "smallest_effect", number(steps[s].smallest_effect)));
    return json_pack("{s:s,s:o}", "metric", experiment->metrics[index].metric, "steps", list);
}

static int plan(const struct words *words, const char *path, struct err *err)
{
    struct plan_question question = {0};
    AUTO_FREE char *body = NULL;
    AUTO(experiment) struct experiment *experiment = NULL;
    const struct {
        const char *name, *text;
        double *out;
    } numbers[] = {{"base-rate", words->base, &question.base_rate},
                   {"harm-rate", words->harm, &question.harm_rate},
                   {"traffic", words->traffic, &question.units_per_second}};
    for (size_t i = 0; i < 3; i++)
        if (!numbers[i].text ||
            number_parse(numbers[i].out, numbers[i].text, strlen(numbers[i].text)))
            return err_set(err, ERR_USAGE, "plan needs --%s as a number; %s", numbers[i].name,
                           usage);
    int rc = read_file(path, &body, err);
    if (!rc)
        rc = experiment_parse_text(&experiment, body, strlen(body), err);
    json_t *metrics = json_array();
    int planned = 0;
    struct err first = {0};
    for (int i = 0; !rc && i < experiment->n_metrics; i++) {
        struct err why = {0};
        json_t *one = plan_metric(experiment, i, &question, &why);
        planned += one != NULL;
        first = i == 0 ? why : first;
        json_array_append_new(metrics, one ? one
                                           : json_pack("{s:s,s:[],s:s}", "metric",
                                                       experiment->metrics[i].metric, "steps",
                                                       "why", why.text));
    }
    if (!rc && planned == 0)
        rc = err_set(err, ERR_USAGE, "%s", first.text);
    json_t *json =
        json_pack("{s:s,s:o}", "experiment", rc ? "" : experiment->name, "metrics", metrics);
    AUTO_FREE char *text = json && !rc ? json_print(json) : NULL;
    json_decref(json);
    if (text)
        puts(text);
    return rc;
}

int command_experiment(int argc, char **argv)
{
    struct words w = {0};
    bool json = false;
    const struct option_row rows[] = {
        {.name = "json", .flag = &json}, /* the only form, for those who say it all the same */
        {.name = "url", .value = &w.client.url},
        {.name = "token-file", .value = &w.client.token_file},
        {.name = "step", .value = &w.step},
        {.name = "reason", .value = &w.reason},
        {.name = "id", .value = &w.id},
        {.name = "base-rate", .value = &w.base},
        {.name = "harm-rate", .value = &w.harm},
        {.name = "traffic", .value = &w.traffic},
    };
    struct err err = {0};
    struct arguments given;
    if (options_parse(rows, sizeof(rows) / sizeof(rows[0]), argc, argv, &given, &err))
        return fail(&err);
    const char *word = given.n > 0 ? given.words[0] : "";
    int rc;
    if (given.n == 1 && strcmp(word, "list") == 0)
        rc = call(&w, "GET", "/api/v1/experiments", NULL, &err);
    else if (given.n == 2 && strcmp(word, "create") == 0)
        rc = create(&w, given.words[1], &err);
    else if (given.n == 2 && strcmp(word, "plan") == 0)
        rc = plan(&w, given.words[1], &err);
    else if (given.n == 2 && ramp_command_parse(word) >= 0)
        rc = operate(&w, word, given.words[1], &err);
    else
        rc = err_set(&err, ERR_USAGE, "%s", usage);
    return rc ? fail(&err) : 0;
}
