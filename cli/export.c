/*
 * `assay export`: what is stored, in the words of other tools: TensorBoard's event files, CSV,
 * JSON. Read straight from the database, while a daemon runs or not.
 */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/options.h"
#include "common/config.h"
#include "common/text.h"
#include "web/api.h"
#include "web/tensorboard.h"

static const char usage[] =
    "usage: assay export tensorboard --logdir DIR (-c FILE | --db DB) [--model M] [--version V] "
    "[--metric a,b] [--from T] [--to T] [--window 1h], or assay export csv|json (-c FILE | --db "
    "DB) "
    "--model M [--version V] [--metric a,b] [--segment k:v] [--from T] [--to T] [--window 1h]";

struct wanted {
    const char *config, *db, *logdir, *model, *version, *metric, *segment, *from, *to, *window;
};

static int read_time(const char *name, const char *text, int64_t *out, struct err *err)
{
    *out = -1;
    if (text && time_parse_any(out, text, strlen(text)))
        return err_set(err, ERR_USAGE, "--%s: \"%s\" is no time: RFC 3339 or milliseconds", name,
                       text);
    return 0;
}

static int to_tensorboard(struct api_context *api, const struct wanted *wanted, struct err *err)
{
    struct tensorboard_options options = {.logdir = wanted->logdir,
                                          .model = wanted->model,
                                          .version = wanted->version,
                                          .metrics = wanted->metric,
                                          .window_ms = INT64_C(3600000)};
    if (!wanted->logdir)
        return err_set(err, ERR_USAGE, "%s", usage);
    int rc = read_time("from", wanted->from, &options.from_ms, err);
    if (!rc)
        rc = read_time("to", wanted->to, &options.to_ms, err);
    if (!rc && wanted->window &&
        duration_parse(&options.window_ms, wanted->window, strlen(wanted->window)))
        rc = err_set(err, ERR_USAGE, "--window: \"%s\" is no duration such as 1h", wanted->window);
    AUTO(tensorboard) struct tensorboard *board = NULL;
    if (!rc)
        rc = tensorboard_new(&board, &options, err);
    int64_t n = 0;
    if (!rc)
        rc = tensorboard_write(board, api, &n, err);
    if (!rc)
        fprintf(stderr, "assay: %lld windows written; tensorboard --logdir %s\n", (long long)n,
                wanted->logdir);
    return rc;
}

static int to_standard_output(struct api_context *api, const struct wanted *wanted, bool csv,
                              struct err *err)
{
    const struct api_param params[] = {
        {"version", wanted->version ? wanted->version : "*"},
        {"metric", wanted->metric},
        {"segment", wanted->segment},
        {"from", wanted->from},
        {"to", wanted->to},
        {"window", wanted->window},
    };
    if (!wanted->model)
        return err_set(err, ERR_USAGE, "%s", usage);
    struct buf target;
    buf_init(&target, 64 * 1024);
    buf_printf(&target, "/api/v1/models");
    api_target_segment(&target, wanted->model);
    api_target_segment(&target, "metrics");
    for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++)
        if (params[i].value)
            api_target_param(&target, params[i].name, params[i].value);
    buf_u8(&target, 0);
    struct api_request request = {.method = "GET", .target = (const char *)target.data, .csv = csv};
    struct api_answer answer;
    api_answer_init(&answer);
    int rc = buf_failed(&target) ? err_set(err, -12, "export: no memory")
                                 : api_call(api, &request, &answer, err);
    if (rc >= 0) {
        rc = 0;
        fwrite(answer.body.data, 1, answer.body.size, stdout);
        if (!csv)
            putchar('\n');
        if (fflush(stdout) != 0)
            rc = err_set(err, -5, "export: cannot write to standard output");
    }
    api_answer_finish(&answer);
    buf_finish(&target);
    return rc;
}

static int run(const struct wanted *wanted, const char *format, struct err *err)
{
    AUTO(config) struct config *config = NULL;
    if (!wanted->config == !wanted->db)
        return err_set(err, ERR_USAGE, "%s", usage);
    if (wanted->config && config_read(&config, wanted->config, err))
        return err->code;
    struct api_options options = {.config = config,
                                  .store_path = wanted->db ? wanted->db : config->storage_path};
    __attribute__((cleanup(api_context_freep))) struct api_context *api = NULL;
    int rc = api_open(&api, &options, err);
    if (rc)
        return rc;
    if (strcmp(format, "tensorboard") == 0)
        return to_tensorboard(api, wanted, err);
    if (strcmp(format, "csv") == 0 || strcmp(format, "json") == 0)
        return to_standard_output(api, wanted, strcmp(format, "csv") == 0, err);
    return err_set(err, ERR_USAGE, "export: \"%.60s\" is none of tensorboard, csv, json", format);
}

int command_export(int argc, char **argv)
{
    struct wanted wanted = {0};
    const struct option_row rows[] = {
        {.name = "config", .letter = 'c', .value = &wanted.config},
        {.name = "db", .value = &wanted.db},
        {.name = "logdir", .value = &wanted.logdir},
        {.name = "model", .value = &wanted.model},
        {.name = "version", .value = &wanted.version},
        {.name = "metric", .value = &wanted.metric},
        {.name = "segment", .value = &wanted.segment},
        {.name = "from", .value = &wanted.from},
        {.name = "to", .value = &wanted.to},
        {.name = "window", .value = &wanted.window},
    };
    struct err err = {0};
    struct arguments given;
    if (options_parse(rows, sizeof(rows) / sizeof(rows[0]), argc, argv, &given, &err))
        return fail(&err);
    if (given.n != 1) {
        err_set(&err, ERR_USAGE, "%s", usage);
        return fail(&err);
    }
    return run(&wanted, given.words[0], &err) ? fail(&err) : 0;
}
