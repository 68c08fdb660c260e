#include "web/api.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "storage/model_settings.h"
#include "web/assigned.h"
#include "web/handlers.h"
#include "web/problem.h"

enum {
    MAX_ANSWER_BYTES = 64 * 1024 * 1024,
    READ_LIMIT_MS = 5000, /* of one question: a reader keeps the WAL from being emptied */
};

int api_open(struct api_context **out, const struct api_options *options, struct err *err)
{
    struct api_context *context = calloc(1, sizeof(*context));
    if (!context)
        return err_set(err, -ENOMEM, "no memory to answer requests");
    context->config = options->config;
    context->config_now = options->config_now;
    context->clock = options->clock ? options->clock : clock_system();
    context->web_metrics = options->web_metrics;
    context->drift_cache = options->drift_cache;
    context->memo = options->memo;
    context->stopping = options->stopping;
    context->web = options->web;
    context->changes = options->changes;
    if (options->commands)
        context->commands = *options->commands;
    context->store_path = strdup(options->store_path);
    if (!context->store_path) {
        api_close(context);
        return err_set(err, -ENOMEM, "no memory to answer requests");
    }
    *out = context; /* the caller owns it now */
    return 0;
}

void api_close(struct api_context *context)
{
    if (!context)
        return;
    assigned_free(context->assigned);
    config_free(context->stored);
    store_free(context->store);
    free(context->store_path);
    free(context);
}

int context_store(struct api_context *context, struct store **out, struct err *err)
{
    if (!context->store) {
        int rc = store_open(&context->store, context->store_path, STORE_READ, err);
        if (rc)
            return rc;
        store_limit_reads(context->store, clock_system(), READ_LIMIT_MS);
        if (context->drift_cache)
            store_lend_drift_cache(context->store, context->drift_cache);
        store_lend_memo(context->store, context->memo);
    }
    *out = context->store;
    return 0;
}

int64_t context_newest_ms(const struct api_context *context, int64_t complete_ms)
{
    return complete_ms < 0 ? clock_wall_ms(context->clock) : complete_ms;
}

void api_answer_init(struct api_answer *answer)
{
    *answer = (struct api_answer){.content_type = "application/json"};
    buf_init(&answer->body, MAX_ANSWER_BYTES);
}

void api_answer_finish(struct api_answer *answer)
{
    buf_finish(&answer->body);
}

void api_target_segment(struct buf *target, const char *segment)
{
    buf_u8(target, '/');
    for (const char *c = segment; *c; c++) {
        bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                     (*c >= '0' && *c <= '9') || strchr("-._~", *c);
        if (plain)
            buf_u8(target, (uint8_t)*c);
        else
            buf_printf(target, "%%%02X", (unsigned)(unsigned char)*c);
    }
}

void api_answer_locate(struct api_answer *answer, const char *collection, const char *segment)
{
    struct buf path;
    buf_init(&path, sizeof(answer->location));
    buf_printf(&path, "%s", collection);
    api_target_segment(&path, segment);
    buf_u8(&path, '\0');
    if (!buf_failed(&path))
        memcpy(answer->location, path.data, path.size);
    buf_finish(&path);
}

void api_target_param(struct buf *target, const char *name, const char *value)
{
    size_t start = target->size;
    bool first = !target->data || !memchr(target->data, '?', target->size);
    api_target_segment(target, name); /* writes '/', which becomes the separator */
    size_t equals = target->size;
    api_target_segment(target, value);
    if (buf_failed(target))
        return;
    target->data[start] = first ? '?' : '&';
    target->data[equals] = '=';
}

/* What the database keeps for readers without a configuration; NULL: nothing, or no database, of
   which the handler will tell. */
static int read_settings(struct api_context *context, struct err *err)
{
    struct store *store;
    if (context->stored || context_store(context, &store, NULL))
        return 0;
    return model_settings_read(store, NULL, &context->stored, err);
}

static int run(struct api_context *context, const struct api_request *request,
               const struct target *target, struct api_answer *answer, struct err *err)
{
    const struct route *route;
    int rc = routes_find(&route, request->method, target, answer, err);
    if (rc > 0) {
        answer->status = rc == ROUTE_METHOD ? 405 : 404;
        return rc == ROUTE_METHOD ? ERR_USAGE : ERR_NOT_FOUND;
    }
    rc = routes_check(route, target, answer, err);
    if (rc)
        return rc;
    if (!route->handler) {
        answer->status = 404;
        return err_set(err, ERR_NOT_FOUND, "%s is only there over HTTP", route->pattern);
    }
    struct api_input input = {request, route, target};
    const struct config *first = context->config;
    struct config *now = context->config_now ? context->config_now(context->web) : NULL;
    if (now)
        context->config = now;
    else if (!first)
        rc = read_settings(context, err);
    if (!now && !first)
        context->config = context->stored;
    if (rc == 0)
        rc = route->handler(context, &input, answer, err);
    context->config = first;
    config_free(now);
    if (rc == 0 && answer->status == 0)
        answer->status = route->status;
    if (rc == 0 && buf_failed(&answer->body))
        return err_set(err, -ENOMEM, "the answer is too large; ask for fewer points");
    return rc;
}

int api_call(struct api_context *context, const struct api_request *request,
             struct api_answer *answer, struct err *err)
{
    struct target target;
    struct err own = {0};
    err = err ? err : &own;
    int rc = target_parse(&target, request->target, err);
    if (rc == 0)
        rc = run(context, request, &target, answer, err);
    if (rc < 0 && answer->status < 400)
        answer->status = problem_status(rc);
    target_finish(&target);
    return rc;
}
