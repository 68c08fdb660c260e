/*
 * /api/v1/openapi.json, OpenAPI 3.1, written from the table of routes; the schemas of bodies and
 * answers are schemas/api.json, built in.
 */
#include <stdio.h>
#include <string.h>

#include "common/json_out.h"
#include "web/assets.h"
#include "web/handlers.h"

/* Bytes that no text of a request may hold: web/target.c refuses them. */
#define TEXT "[^\\u0000-\\u001f\\u007f]"

static void write_choices(struct buf *out, const char *choices)
{
    const char *name;
    size_t n;
    out_open(out, '{');
    out_key(out, "enum");
    out_open(out, '[');
    while (list_next(&choices, &name, &n))
        out_bytes(out, name, n);
    out_close(out, ']');
    out_close(out, '}');
}

static void write_param_schema(struct buf *out, const struct route_param *param)
{
    static const char *const schemas[] = {
        [PARAM_TEXT] = "{\"type\":\"string\",\"pattern\":\"^" TEXT "+$\",\"maxLength\":500}",
        [PARAM_MANY] = "{\"type\":\"array\",\"maxItems\":20,\"items\":{\"type\":\"string\","
                       "\"pattern\":\"^" TEXT "+$\",\"maxLength\":500}}",
        [PARAM_NEEDED] = "{\"type\":\"string\",\"pattern\":\"^" TEXT "+$\",\"maxLength\":500}",
        [PARAM_LIST] = "{\"type\":\"string\",\"pattern\":\"^" TEXT "+$\",\"maxLength\":5000}",
        [PARAM_TIME] = "{\"oneOf\":[{\"type\":\"integer\",\"minimum\":0,"
                       "\"maximum\":253402300799999},"
                       "{\"type\":\"string\",\"format\":\"date-time\"}]}",
        [PARAM_DURATION] = "{\"oneOf\":[{\"type\":\"integer\",\"multipleOf\":60000,"
                           "\"minimum\":60000,\"maximum\":31622400000},"
                           "{\"type\":\"string\",\"pattern\":"
                           "\"^([1-9][0-9]{0,3}m|[1-9][0-9]{0,2}h|"
                           "([1-9][0-9]?|[12][0-9]{2}|3[0-5][0-9]|36[0-6])d)$\"}]}",
        [PARAM_SEGMENT] = "{\"type\":\"string\",\"pattern\":\"^[^:\\u0000-\\u001f\\u007f]+:" TEXT
                          "+$\",\"maxLength\":200}",
        [PARAM_WAIT] = "{\"type\":\"string\",\"pattern\":\"^[0-9]{1,4}(ms|s|m)$\"}",
    };
    if (param->type == PARAM_CHOICE) {
        write_choices(out, param->choices);
    } else if (param->type == PARAM_INTEGER) {
        out_open(out, '{');
        out_key_string(out, "type", "integer");
        out_key_int(out, "minimum", param->min);
        out_key_int(out, "maximum", param->max);
        out_close(out, '}');
    } else {
        const char *schema = schemas[param->type];
        out_raw(out, schema, strlen(schema));
    }
}

static void write_param(struct buf *out, const struct route_param *param)
{
    out_open(out, '{');
    out_key_string(out, "name", param->name);
    out_key_string(out, "in", "query");
    out_key_bool(out, "required", param->type == PARAM_NEEDED);
    out_key_string(out, "description", param->help);
    out_key(out, "schema");
    write_param_schema(out, param);
    out_key(out, "example");
    if (param->type == PARAM_MANY)
        out_open(out, '[');
    if (param->type == PARAM_INTEGER)
        out_raw(out, param->example, strlen(param->example));
    else
        out_string(out, param->example);
    if (param->type == PARAM_MANY)
        out_close(out, ']');
    out_close(out, '}');
}

static void write_path_params(struct buf *out, const char *pattern)
{
    for (const char *at = strchr(pattern, '{'); at; at = strchr(at + 1, '{')) {
        out_open(out, '{');
        out_key(out, "name");
        out_bytes(out, at + 1, strcspn(at + 1, "}"));
        out_key_string(out, "in", "path");
        out_key_bool(out, "required", true);
        out_key(out, "schema");
        static const char schema[] = "{\"type\":\"string\",\"pattern\":\"^" TEXT "+$\"}";
        out_raw(out, schema, strlen(schema));
        out_close(out, '}');
    }
}

static void write_content(struct buf *out, const char *type, const char *schema)
{
    out_key(out, type);
    out_open(out, '{');
    out_key(out, "schema");
    out_open(out, '{');
    if (schema) {
        char reference[120] = "#/components/schemas/";
        strncat(reference, schema, sizeof(reference) - strlen(reference) - 1);
        out_key_string(out, "$ref", reference);
    } else {
        out_key_string(out, "type", "string");
    }
    out_close(out, '}');
    out_close(out, '}');
}

static const char location_header[] =
    "{\"Location\":{\"description\":\"the path of what was made\",\"required\":true,"
    "\"schema\":{\"type\":\"string\"}}}";

/* Other statuses whose body is no problem. */
static const struct {
    const char *name; /* of the route */
    const char *answers;
} also[] = {
    {"ready", "503:Health"},
    {"gateExperiment", "409:Gate 503:Gate"},
    {"hookExperiment", "409:Gate 503:Gate"},
    {"gateModel", "409:Gate 503:Gate"},
    {"hookModel", "409:Gate 503:Gate"},
    {"gateRollback", "409:RollbackHook"},
    {"hookRollback", "409:RollbackHook"},
    {"evaluateFlag", "400:FlagError 404:FlagError"},
    {"evaluateFlags", "400:FlagError"},
};

static const char *also_of(const struct route *route)
{
    for (size_t i = 0; i < sizeof(also) / sizeof(also[0]); i++)
        if (strcmp(also[i].name, route->name) == 0)
            return also[i].answers;
    return "";
}

static void write_also(struct buf *out, const struct route *route)
{
    for (const char *at = also_of(route); *at; at += strspn(at, " ")) {
        char status[4] = "", schema[40] = "";
        size_t n = strcspn(at, " ");
        snprintf(status, sizeof(status), "%.3s", at);
        snprintf(schema, sizeof(schema), "%.*s", (int)(n - 4), at + 4);
        out_key(out, status);
        out_open(out, '{');
        out_key_string(out, "description", route->summary);
        out_key(out, "content");
        out_open(out, '{');
        write_content(out, "application/json", schema);
        if (strncmp(status, "40", 2) == 0) /* what is refused before its handler sees it */
            write_content(out, "application/problem+json", "Problem");
        out_close(out, '}');
        out_close(out, '}');
        at += n;
    }
}

static void write_location(struct buf *out)
{
    out_key(out, "headers");
    out_raw(out, location_header, sizeof(location_header) - 1);
}

static void write_responses(struct buf *out, const struct route *route)
{
    bool text = strchr(route->answer, '/') != NULL;
    out_key(out, "responses");
    out_open(out, '{');
    char status[8];
    snprintf(status, sizeof(status), "%d", route->status);
    out_key(out, status);
    out_open(out, '{');
    out_key_string(out, "description", route->summary);
    if (route->status == 201)
        write_location(out);
    out_key(out, "content");
    out_open(out, '{');
    write_content(out, text ? route->answer : "application/json", text ? NULL : route->answer);
    if (route->csv)
        write_content(out, "text/csv", NULL);
    out_close(out, '}');
    out_close(out, '}');
    write_also(out, route);
    out_key(out, "default");
    out_open(out, '{');
    out_key_string(out, "$ref", "#/components/responses/Problem");
    out_close(out, '}');
    out_close(out, '}');
}

static void write_operation(struct buf *out, const struct route *route)
{
    char method[8] = "";
    for (size_t i = 0; route->method[i] && i < sizeof(method) - 1; i++)
        method[i] = (char)(route->method[i] | 0x20);
    out_key(out, method);
    out_open(out, '{');
    out_key_string(out, "operationId", route->name);
    out_key_string(out, "summary", route->summary);
    out_key(out, "security");
    out_open(out, '[');
    if (route->scope != SCOPE_NONE) {
        out_open(out, '{');
        out_key(out, "token");
        out_open(out, '[');
        out_string(out, scope_name(route->scope));
        out_close(out, ']');
        out_close(out, '}');
    }
    out_close(out, ']');
    out_key(out, "parameters");
    out_open(out, '[');
    write_path_params(out, route->pattern);
    for (int i = 0; i < ROUTE_MAX_PARAMS && route->params[i].name; i++)
        write_param(out, &route->params[i]);
    out_close(out, ']');
    if (route->body && strcmp(route->body, "Hook") != 0) {
        bool optional =
            strcmp(route->body, "Nothing") == 0 || strcmp(route->body, "ExperimentCommand") == 0;
        out_key(out, "requestBody");
        out_open(out, '{');
        out_key_bool(out, "required", !optional);
        out_key(out, "content");
        out_open(out, '{');
        write_content(out, "application/json", route->body);
        out_close(out, '}');
        out_close(out, '}');
    }
    write_responses(out, route);
    out_close(out, '}');
}

static void write_paths(struct buf *out)
{
    size_t n;
    const struct route *routes = routes_table(&n);
    out_key(out, "paths");
    out_open(out, '{');
    for (size_t i = 0; i < n; i++) {
        bool first = true;
        for (size_t k = 0; k < i; k++)
            first &= strcmp(routes[k].pattern, routes[i].pattern) != 0;
        if (!first)
            continue;
        out_key(out, routes[i].pattern);
        out_open(out, '{');
        for (size_t k = i; k < n; k++)
            if (strcmp(routes[k].pattern, routes[i].pattern) == 0)
                write_operation(out, &routes[k]);
        out_close(out, '}');
    }
    out_close(out, '}');
}

int openapi(struct api_context *context, const struct api_input *input, struct api_answer *answer,
            struct err *err)
{
    (void)context;
    (void)input;
    (void)err;
    struct buf *out = &answer->body;
    out_open(out, '{');
    out_key_string(out, "openapi", "3.1.0");
    out_key(out, "info");
    out_open(out, '{');
    out_key_string(out, "title", "Assay");
    out_key_string(out, "version", ASSAY_VERSION);
    out_key_string(out, "description",
                   "Monitoring and A/B decisions for machine-learning models. Times are "
                   "milliseconds since the epoch; rates are fractions; errors are RFC 9457.");
    out_key(out, "license");
    out_open(out, '{');
    out_key_string(out, "name", "Apache-2.0");
    out_key_string(out, "identifier", "Apache-2.0");
    out_close(out, '}');
    out_close(out, '}');
    write_paths(out);
    out_key(out, "components");
    out_raw(out, embedded_schemas, strlen(embedded_schemas));
    out_close(out, '}');
    return 0;
}
