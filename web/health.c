#include <stdio.h>

#include "common/json_out.h"
#include "web/handlers.h"

int health_healthy(struct api_context *context, const struct api_input *input,
                   struct api_answer *answer, struct err *err)
{
    (void)context;
    (void)input;
    (void)err;
    out_open(&answer->body, '{');
    out_key_string(&answer->body, "status", "healthy");
    out_close(&answer->body, '}');
    return 0;
}

int health_ready(struct api_context *context, const struct api_input *input,
                 struct api_answer *answer, struct err *err)
{
    (void)input;
    struct web_health health = {.ready = true};
    struct store *store;
    if (context_store(context, &store, err)) {
        health.ready = false;
        snprintf(health.reason, sizeof(health.reason), "%.255s",
                 err ? err->text : "the database cannot be opened");
    } else if (context->commands.health) {
        health.ready = false;
        context->commands.health(context->commands.context, &health);
    }
    answer->status = health.ready ? 200 : 503;
    out_open(&answer->body, '{');
    out_key_string(&answer->body, "status", health.ready ? "ready" : "not_ready");
    out_key_string(&answer->body, "reason", health.ready ? NULL : health.reason);
    out_close(&answer->body, '}');
    return 0;
}
