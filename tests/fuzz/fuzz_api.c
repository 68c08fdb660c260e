/*
 * Any request to the API over an empty database: the first line is method and target, what follows
 * is the body. Each is answered with a status, and what is answered is JSON, CSV or OpenMetrics
 * text; nothing is a fault of the server (5xx but for parts of the daemon that are not here).
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "storage/store.h"
#include "web/api.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static char folder[] = "/tmp/assay-fuzz-XXXXXX";

static void remove_database(void)
{
    static const char *const ends[] = {"assay.db", "assay.db-wal", "assay.db-shm", "assay.db.lock"};
    char path[64];
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, ends[i]);
        unlink(path);
    }
    rmdir(folder);
}

/* One database for all inputs: none of them can write. */
static struct api_context *context_of_all(void)
{
    static struct api_context *context;
    static struct config config;
    char path[64];
    struct store *store = NULL;
    if (context)
        return context;
    struct err err = {0};
    if (!mkdtemp(folder) || atexit(remove_database))
        abort();
    snprintf(path, sizeof(path), "%s/assay.db", folder);
    if (store_open(&store, path, STORE_WRITE, &err))
        abort();
    store_free(store);
    if (api_open(&context, &(struct api_options){.config = &config, .store_path = path}, &err))
        abort();
    return context;
}

static void check_answer(const struct api_answer *answer, int rc, const struct err *err)
{
    if (rc < 0) {
        assert(err->text[0] != '\0' && answer->status >= 400);
        return;
    }
    assert(answer->status >= 200 && answer->status < 600);
    if (strcmp(answer->content_type, "application/json") != 0 || answer->body.size == 0)
        return;
    json_t *json = json_loadb((const char *)answer->body.data, answer->body.size,
                              JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    assert(json);
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "DELETE"};
    AUTO_FREE char *text = malloc(n + 2);
    if (!text || n == 0)
        return 0;
    memcpy(text, bytes, n);
    text[n] = text[n + 1] = '\0';
    char *target = text + 1;
    char *body = strchr(target, '\n');
    if (body)
        *body++ = '\0';
    struct api_request request = {.method = methods[(unsigned char)text[0] % 4],
                                  .target = target,
                                  .body = body ? body : "",
                                  .body_size = body ? (size_t)(text + n - body) : 0};
    struct api_answer answer;
    struct err err = {0};
    api_answer_init(&answer);
    int rc = api_call(context_of_all(), &request, &answer, &err);
    check_answer(&answer, rc, &err);
    api_answer_finish(&answer);
    return 0;
}
