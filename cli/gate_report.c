#include "cli/gate_report.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "common/text.h"

static const char *const formats[] = {"json", "text", "junit", "github", "env"};

int gate_format_parse(enum gate_format *out, const char *text, struct err *err)
{
    const size_t n = sizeof(formats) / sizeof(formats[0]);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(formats[i], text) == 0) {
            *out = (enum gate_format)i;
            return 0;
        }
    }
    return err_set(err, ERR_USAGE, "--format: \"%s\" is none of json, text, junit, github, env",
                   text);
}

static const char *result_of(const struct gate_report *report)
{
    return report->code == GATE_PASS ? "pass" : report->code == GATE_FAIL ? "fail" : "unknown";
}

/* --- JUnit --- */

static void xml(FILE *out, const char *text)
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

static void open_case(FILE *out, const char *class, const char *name, double seconds)
{
    fputs("<testcase classname=\"", out);
    xml(out, class);
    fputs("\" name=\"", out);
    xml(out, name);
    fprintf(out, "\" time=\"%.3f\">", seconds);
}

/* An arm's value, or what stands for none. */
static void print_value(FILE *out, const json_t *arm)
{
    const json_t *value = json_object_get(arm, "value");
    if (json_is_number(value))
        fprintf(out, "%g", json_number_value(value));
    else
        fputs("no value", out);
}

static const char *status_of(const json_t *metric)
{
    const char *status = json_string_value(json_object_get(metric, "status"));
    return status ? status : "";
}

static bool is_harmed(const json_t *metric)
{
    return strcmp(status_of(metric), "harmed") == 0 ||
           strcmp(status_of(metric), "limit_crossed") == 0;
}

static void print_metric(FILE *out, const struct gate_report *report, const json_t *metric)
{
    const char *role = json_string_value(json_object_get(metric, "role"));
    const char *name = json_string_value(json_object_get(metric, "metric"));
    const char *element = is_harmed(metric)                ? "failure"
                          : report->code == GATE_UNDECIDED ? "skipped"
                                                           : NULL;
    open_case(out, role ? role : "metric", name ? name : "", 0);
    if (element) {
        fprintf(out, "<%s message=\"", element);
        xml(out, status_of(metric));
        fputs(": treatment ", out);
        print_value(out, json_object_get(metric, "treatment"));
        fputs(", control ", out);
        print_value(out, json_object_get(metric, "control"));
        fputs("\"/>", out);
    }
    fputs("</testcase>\n", out);
}

/* All reasons, a line each: a message has room for the first. */
static void print_gate_case(FILE *out, const struct gate_report *report)
{
    static const char *const elements[] = {
        [GATE_FAIL] = "failure",
        [GATE_USAGE] = "error",
        [GATE_UNDECIDED] = "skipped",
        [GATE_UNREACHED] = "error",
    };
    char class[64];
    snprintf(class, sizeof(class), "assay.%s", report->kind);
    open_case(out, class, report->name, report->seconds);
    if (report->code != GATE_PASS) {
        const json_t *reason;
        size_t i;
        fprintf(out, "<%s message=\"", elements[report->code]);
        xml(out, report->reason);
        fputs("\">", out);
        json_array_foreach(report->reasons, i, reason)
        {
            xml(out, json_is_string(reason) ? json_string_value(reason) : "");
            fputc('\n', out);
        }
        fprintf(out, "</%s>", elements[report->code]);
    }
    fputs("</testcase>\n", out);
}

static void print_junit(FILE *out, const struct gate_report *report)
{
    size_t n = 1, failures = report->code == GATE_FAIL, skipped = report->code == GATE_UNDECIDED;
    size_t i;
    const json_t *metric;
    json_array_foreach(report->metrics, i, metric)
    {
        n++;
        failures += is_harmed(metric);
        skipped += !is_harmed(metric) && report->code == GATE_UNDECIDED;
    }
    fprintf(out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites><testsuite name=\"assay "
            "gate\" tests=\"%zu\" failures=\"%zu\" errors=\"%d\" skipped=\"%zu\" time=\"%.3f\">\n",
            n, failures, report->code == GATE_USAGE || report->code == GATE_UNREACHED, skipped,
            report->seconds);
    print_gate_case(out, report);
    json_array_foreach(report->metrics, i, metric)
    {
        print_metric(out, report, metric);
    }
    fputs("</testsuite></testsuites>\n", out);
}

/* --- the others --- */

static void print_text(FILE *out, const struct gate_report *report)
{
    size_t i;
    const json_t *reason;
    fprintf(out, "%s %s: %s\n", report->kind, report->name, result_of(report));
    json_array_foreach(report->reasons, i, reason)
    {
        fprintf(out, "  %s\n", json_is_string(reason) ? json_string_value(reason) : "");
    }
}

/* A workflow command ends at its line, and `%` begins an escape. */
static void github_escaped(FILE *out, const char *text, bool property)
{
    for (; *text; text++) {
        if (*text == '%' || *text == '\r' || *text == '\n' ||
            (property && (*text == ':' || *text == ',')))
            fprintf(out, "%%%02X", (unsigned char)*text);
        else
            fputc(*text, out);
    }
}

static void print_github(FILE *out, const struct gate_report *report)
{
    fprintf(out, "::%s title=",
            report->code == GATE_PASS   ? "notice"
            : report->code == GATE_FAIL ? "error"
                                        : "warning");
    github_escaped(out, report->name, true);
    fprintf(out, "::%s", result_of(report));
    if (report->reason[0])
        fputs(": ", out);
    github_escaped(out, report->reason, false);
    fputc('\n', out);
}

static void print_env(FILE *out, const struct gate_report *report)
{
    fprintf(out, "ASSAY_RESULT=%s\nASSAY_REASON=", result_of(report));
    for (const char *p = report->reason; *p; p++)
        fputc((unsigned char)*p < 0x20 ? ' ' : *p, out);
    fputc('\n', out);
}

void gate_print(FILE *out, const struct gate_report *report, enum gate_format format)
{
    switch (format) {
    case GATE_JSON:
        fprintf(out, "%s\n", report->answer);
        break;
    case GATE_TEXT:
        print_text(out, report);
        break;
    case GATE_JUNIT:
        print_junit(out, report);
        break;
    case GATE_GITHUB:
        print_github(out, report);
        break;
    case GATE_ENV:
        print_env(out, report);
        break;
    }
}

int gate_write_junit(const char *path, const struct gate_report *report, struct err *err)
{
    FILE *out = fopen(path, "we");
    if (!out)
        return err_set(err, ERR_IO, "cannot write %s: %s", path, err_words(errno));
    print_junit(out, report);
    bool failed = ferror(out);
    return fclose(out) || failed ? err_set(err, ERR_IO, "cannot write %s", path) : 0;
}

int gate_bless(const char *folder, const struct gate_report *report, struct err *err)
{
    static const char *const names[] = {"NOT_BLESSED", "BLESSED"};
    const bool passed = report->code == GATE_PASS;
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/%s", folder, names[!passed]);
    if (n < 0 || (size_t)n >= sizeof(path))
        return err_set(err, ERR_USAGE, "--blessing: the name of the folder is too long");
    if (unlink(path) && errno != ENOENT)
        return err_set(err, ERR_IO, "cannot remove %s: %s", path, err_words(errno));
    snprintf(path, sizeof(path), "%s/%s", folder, names[passed]);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_set(err, ERR_IO, "cannot write %s: %s", path, err_words(errno));
    close(fd);
    return 0;
}
