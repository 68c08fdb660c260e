/* `assay gate`: the end of a pipeline asks whether it may go on. Exit 0 promoted or passed · 1
   rolled back or failed · 2 usage · 3 undecided in time · 4 cannot reach. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "common/clock.h"
#include "common/text.h"
#include "web/api.h"

enum {
    GATE_PASS = 0,
    GATE_FAIL = 1,
    GATE_USAGE = 2,
    GATE_UNDECIDED = 3,
    GATE_UNREACHED = 4,
    POLL_MS = 500,
};

static const char usage[] = "usage: assay gate experiment E | model M [--version V] [--window D] "
                            "[--url U] [--token-file F] [--wait D] [--junit FILE]";

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

static void escape(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '&')
            fputs("&amp;", out);
        else if (*text == '<')
            fputs("&lt;", out);
        else if (*text == '"')
            fputs("&quot;", out);
        else if ((unsigned char)*text >= 0x20)
            fputc(*text, out);
    }
}

/* All of them, a line each: a message has room for the first. */
static void write_reasons(FILE *out, const struct gate *gate)
{
    json_t *json = json_loadb((const char *)gate->answer.data, gate->answer.size, 0, NULL);
    const json_t *reason;
    size_t i;
    json_array_foreach(json_object_get(json, "reasons"), i, reason)
    {
        escape(out, json_is_string(reason) ? json_string_value(reason) : "");
        fputc('\n', out);
    }
    json_decref(json);
}

static int write_junit(const struct gate *gate, const char *file, int code, double seconds,
                       struct err *err)
{
    FILE *out = fopen(file, "we");
    if (!out)
        return err_set(err, ERR_IO, "cannot write %s: %s", file, err_words(errno));
    fprintf(
        out,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites><testsuite name=\"assay gate\" "
        "tests=\"1\" failures=\"%d\" errors=\"%d\" time=\"%.3f\">\n<testcase "
        "classname=\"assay.%s\" name=\"",
        code == GATE_FAIL, code > GATE_FAIL, seconds, gate->kind);
    escape(out, gate->name);
    fprintf(out, "\" time=\"%.3f\">", seconds);
    if (code != GATE_PASS) {
        const char *element = code == GATE_FAIL ? "failure" : "error";
        fprintf(out, "<%s message=\"", element);
        escape(out, gate->reason);
        fputs("\">", out);
        write_reasons(out, gate);
        fprintf(out, "</%s>", element);
    }
    fputs("</testcase>\n</testsuite></testsuites>\n", out);
    bool failed = ferror(out);
    return fclose(out) || failed ? err_set(err, ERR_IO, "cannot write %s", file) : 0;
}

static int run(struct gate *gate, int64_t wait_ms, const char *junit, struct err *err)
{
    int64_t started_ms = clock_boot_ms(clock_system());
    int code = ask(gate, err);
    while ((code == GATE_UNDECIDED || code == GATE_UNREACHED) &&
           clock_boot_ms(clock_system()) - started_ms < wait_ms) {
        usleep(POLL_MS * 1000);
        code = ask(gate, err);
    }
    double seconds = (double)(clock_boot_ms(clock_system()) - started_ms) / 1000;
    if (code == GATE_USAGE || code == GATE_UNREACHED)
        fprintf(stderr, "assay: %s\n", gate->reason);
    else
        printf("%.*s\n", (int)gate->answer.size, (const char *)gate->answer.data);
    if (junit && code != GATE_USAGE && write_junit(gate, junit, code, seconds, err))
        return usage_error(err);
    return code;
}

int command_gate(int argc, char **argv)
{
    const char *version = NULL, *window = NULL, *wait = NULL, *junit = NULL;
    struct gate gate = {0};
    const struct option_row rows[] = {
        {.name = "version", .value = &version},
        {.name = "window", .value = &window},
        {.name = "url", .value = &gate.client.url},
        {.name = "token-file", .value = &gate.client.token_file},
        {.name = "wait", .value = &wait},
        {.name = "junit", .value = &junit},
    };
    struct err err = {0};
    struct arguments words;
    int64_t wait_ms = 0;
    if (options_parse(rows, sizeof(rows) / sizeof(rows[0]), argc, argv, &words, &err))
        return usage_error(&err);
    if (words.n != 2 ||
        (strcmp(words.words[0], "experiment") != 0 && strcmp(words.words[0], "model") != 0)) {
        err_set(&err, ERR_USAGE, "%s", usage);
        return usage_error(&err);
    }
    if (wait && duration_parse(&wait_ms, wait, strlen(wait))) {
        err_set(&err, ERR_USAGE, "--wait: \"%s\" is not a duration such as 10m", wait);
        return usage_error(&err);
    }
    gate.kind = words.words[0];
    gate.name = words.words[1];
    if (make_path(&gate, version, window, &err))
        return usage_error(&err);
    buf_init(&gate.answer, 1 << 20);
    int code = run(&gate, wait_ms, junit, &err);
    buf_finish(&gate.answer);
    return code;
}
