/* `assay gate`: the end of a pipeline asks whether it may go on. Exit 0 promoted or passed · 1
   rolled back or failed · 2 usage · 3 undecided in time · 4 cannot reach. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/gate_report.h"
#include "cli/options.h"
#include "common/clock.h"
#include "common/text.h"
#include "web/api.h"

enum {
    POLL_MS = 500,
};

static const char usage[] =
    "usage: assay gate experiment E | model M [--version V] [--window D] [--url U] [--token-file "
    "F] [--wait D] [--format json|text|junit|github|env] [--junit FILE] [--blessing DIR]";

struct wish { /* how long to wait, and what to leave behind */
    int64_t wait_ms;
    enum gate_format format;
    const char *junit, *blessing; /* NULL: none */
};

struct gate {
    struct client client;
    const char *kind, *name;
    char path[2048];
    struct buf answer;
    char reason[512];
};

static int usage_error(const struct err *err)
{
    fprintf(stderr, "assay: %s\n", err->text);
    return GATE_USAGE;
}

static int make_path(struct gate *gate, const char *version, const char *window, struct err *err)
{
    struct buf path;
    buf_init(&path, sizeof(gate->path));
    buf_printf(&path, "/api/v1/gate/%ss", gate->kind);
    api_target_segment(&path, gate->name);
    if (version)
        api_target_param(&path, "version", version);
    if (window)
        api_target_param(&path, "window", window);
    bool failed = buf_failed(&path) || path.size >= sizeof(gate->path);
    if (!failed) {
        memcpy(gate->path, path.data, path.size);
        gate->path[path.size] = '\0';
    }
    buf_finish(&path);
    return failed ? err_set(err, ERR_USAGE, "the name is too long") : 0;
}

static void take_reason(struct gate *gate, const json_t *json)
{
    const char *first = json_string_value(json_array_get(json_object_get(json, "reasons"), 0));
    snprintf(gate->reason, sizeof(gate->reason), "%s", first ? first : "");
}

/* One question. GATE_UNDECIDED and GATE_UNREACHED may be asked again. */
static int ask(struct gate *gate, struct err *err)
{
    struct client_request request = {.method = "GET", .path = gate->path, .timeout_s = 30};
    long status;
    int rc = client_call(&gate->client, &request, &status, &gate->answer, err);
    if (rc) {
        snprintf(gate->reason, sizeof(gate->reason), "%s", err->text);
        return rc == ERR_IO ? GATE_UNREACHED : GATE_USAGE;
    }
    if (status != 200) {
        client_refused((const char *)gate->answer.data, gate->answer.size, status, err);
        snprintf(gate->reason, sizeof(gate->reason), "%s", err->text);
        return status == 404 || status == 400 ? GATE_USAGE : GATE_UNREACHED;
    }
    json_t *json = json_loadb((const char *)gate->answer.data, gate->answer.size, 0, NULL);
    const char *result = json_string_value(json_object_get(json, "result"));
    int code = !result                       ? GATE_UNREACHED
               : strcmp(result, "pass") == 0 ? GATE_PASS
               : strcmp(result, "fail") == 0 ? GATE_FAIL
                                             : GATE_UNDECIDED;
    take_reason(gate, json);
    json_decref(json);
    return code;
}

/* What each metric of an experiment came to: JUnit has a test for each. NULL: not known. */
static json_t *read_metrics(struct gate *gate)
{
    struct buf path, answer;
    struct err ignored;
    long status = 0;
    json_t *metrics = NULL;
    if (strcmp(gate->kind, "experiment") != 0)
        return NULL;
    buf_init(&path, sizeof(gate->path));
    buf_init(&answer, 1 << 20);
    buf_printf(&path, "/api/v1/experiments");
    api_target_segment(&path, gate->name);
    buf_printf(&path, "/verdict");
    buf_u8(&path, 0);
    struct client_request request = {
        .method = "GET", .path = (const char *)path.data, .timeout_s = 30};
    if (!buf_failed(&path) &&
        client_call(&gate->client, &request, &status, &answer, &ignored) == 0 && status == 200) {
        json_t *verdict = json_loadb((const char *)answer.data, answer.size, 0, NULL);
        metrics = json_incref(json_object_get(verdict, "metrics"));
        json_decref(verdict);
    }
    buf_finish(&path);
    buf_finish(&answer);
    return metrics;
}

/* Everything that a pipeline is to be told, in each form it wants. */
static int tell(struct gate *gate, enum gate_code code, double seconds, const struct wish *wish,
                struct err *err)
{
    bool answered = code != GATE_USAGE && code != GATE_UNREACHED;
    buf_u8(&gate->answer, 0);
    if (buf_failed(&gate->answer))
        return err_set(err, -ENOMEM, "no memory");
    json_t *json = answered ? json_loads((const char *)gate->answer.data, 0, NULL) : NULL;
    json_t *metrics =
        answered && (wish->junit || wish->format == GATE_JUNIT) ? read_metrics(gate) : NULL;
    const struct gate_report report = {
        .kind = gate->kind,
        .name = gate->name,
        .code = code,
        .seconds = seconds,
        .answer = (const char *)gate->answer.data,
        .reason = gate->reason,
        .reasons = json_object_get(json, "reasons"),
        .metrics = metrics,
    };
    int rc = 0;
    if (answered || (wish->format == GATE_JUNIT && code == GATE_UNREACHED))
        gate_print(stdout, &report, wish->format);
    if (!answered)
        fprintf(stderr, "assay: %s\n", gate->reason);
    if (wish->junit && code != GATE_USAGE)
        rc = gate_write_junit(wish->junit, &report, err);
    if (!rc && wish->blessing)
        rc = gate_bless(wish->blessing, &report, err);
    json_decref(json);
    json_decref(metrics);
    return rc;
}

static int run(struct gate *gate, const struct wish *wish, struct err *err)
{
    int64_t started_ms = clock_boot_ms(clock_system());
    int code = ask(gate, err);
    while ((code == GATE_UNDECIDED || code == GATE_UNREACHED) &&
           clock_boot_ms(clock_system()) - started_ms < wish->wait_ms) {
        usleep(POLL_MS * 1000);
        code = ask(gate, err);
    }
    double seconds = (double)(clock_boot_ms(clock_system()) - started_ms) / 1000;
    if (tell(gate, (enum gate_code)code, seconds, wish, err))
        return usage_error(err);
    return code;
}

int command_gate(int argc, char **argv)
{
    const char *version = NULL, *window = NULL, *wait = NULL, *format = NULL;
    struct wish wish = {0};
    bool json = false;
    struct gate gate = {0};
    const struct option_row rows[] = {
        {.name = "version", .value = &version},
        {.name = "window", .value = &window},
        {.name = "url", .value = &gate.client.url},
        {.name = "token-file", .value = &gate.client.token_file},
        {.name = "wait", .value = &wait},
        {.name = "format", .value = &format},
        {.name = "json", .flag = &json}, /* the default, for those who say it all the same */
        {.name = "junit", .value = &wish.junit},
        {.name = "blessing", .value = &wish.blessing},
    };
    struct err err = {0};
    struct arguments words;
    if (options_parse(rows, sizeof(rows) / sizeof(rows[0]), argc, argv, &words, &err))
        return usage_error(&err);
    if (words.n != 2 ||
        (strcmp(words.words[0], "experiment") != 0 && strcmp(words.words[0], "model") != 0)) {
        err_set(&err, ERR_USAGE, "%s", usage);
        return usage_error(&err);
    }
    if (wait && duration_parse(&wish.wait_ms, wait, strlen(wait))) {
        err_set(&err, ERR_USAGE, "--wait: \"%s\" is not a duration such as 10m", wait);
        return usage_error(&err);
    }
    if (format && gate_format_parse(&wish.format, format, &err))
        return usage_error(&err);
    gate.kind = words.words[0];
    gate.name = words.words[1];
    if (make_path(&gate, version, window, &err))
        return usage_error(&err);
    buf_init(&gate.answer, 1 << 20);
    int code = run(&gate, &wish, &err);
    buf_finish(&gate.answer);
    return code;
}
