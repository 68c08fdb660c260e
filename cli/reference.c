/* `assay reference load` and `forget`, and what the configuration says of references. */
#include "cli/reference.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/reference_forget.h"
#include "collector/gzip_failed.h"
#include "common/clock.h"
#include "common/text.h"
#include "storage/audit.h"
#include "storage/catalog.h"
#include "storage/commit.h"
#include "storage/estimates.h"
#include "storage/lock.h"
#include "storage/reference_slices.h"
#include "storage/references.h"
#include "storage/restore.h"
#include "web/api.h"

enum {
    MAX_FILE_BYTES = 64 * 1024 * 1024 /* that a daemon takes */
};

int reference_task(struct store *store, const struct reference_load *load, char *out, size_t n,
                   struct err *err)
{
    const struct config_model *config =
        load->config ? config_model_find(load->config, load->model) : NULL;
    struct model_known known = {0};
    int rc = config ? 0 : model_read(store, load->model, &known, err);
    if (!rc)
        snprintf(out, n, "%s", config ? config->task : known.row.task);
    model_finish(&known);
    return rc;
}

int reference_make(const struct reference_load *load, const char *task,
                   struct reference_loaded *out, struct err *err)
{
    struct reference_source source = {
        .model = load->model,
        .version = load->version,
        .config = load->config ? config_model_find(load->config, load->model) : NULL,
        .task = task,
        .site = load->config,
    };
    *out = (struct reference_loaded){0};
    int rc =
        load->path
            ? reference_from_file(&out->reference, &source, load->path, &out->counts, err)
            : reference_from_text(&out->reference, &source, load->text, load->n, &out->counts, err);
    if (!rc)
        snprintf(out->id, sizeof(out->id), "%016" PRIx64, out->reference->id);
    return rc;
}

/* The fact that remembers what the configuration's file held when it was read last. */
static void fact_of(const struct reference_load *load, char *out, size_t n)
{
    snprintf(out, n, "reference_file/%s", load->model);
}

static int is_the_last(struct store *store, const struct reference_load *load,
                       const struct reference *reference, bool *out, struct err *err)
{
    const uint64_t id = reference->id;
    char fact[400];
    int64_t last;
    bool differ = false;
    int of_slices =
        reference_slices_differ(store, load->model, id, reference->fitted, &differ, err);
    *out = false;
    if (of_slices || differ)
        return of_slices;
    fact_of(load, fact, sizeof(fact));
    int rc = restore_fact(store, fact, &last, err);
    if (rc == RESTORE_NONE) /* older databases have no such fact */
        return reference_known(store, load->model, id, out, err);
    *out = rc == 0 && (uint64_t)last == id;
    return rc;
}

static int audit(struct store *store, const struct reference_load *load,
                 const struct reference *reference, struct err *err)
{
    struct buf detail;
    buf_init(&detail, 64 * 1024);
    buf_printf(&detail,
               "{\"reference\":\"%016" PRIx64 "\",\"n\":%" PRIu64 ",\"version\":", reference->id,
               (uint64_t)reference->events);
    if (load->version)
        json_text(&detail, load->version, strlen(load->version));
    else
        buf_printf(&detail, "null");
    buf_bytes(&detail, "}", 2);
    struct audit_row row = {
        .at_ms = clock_wall_ms(clock_system()),
        .clock = "wall",
        .who = load->who,
        .action = "reference.set",
        .subject = load->model,
        .detail = (const char *)detail.data,
    };
    int rc = buf_failed(&detail) ? err_set(err, -ENOMEM, "no memory for the audit log")
                                 : commit_audit(store, &row, err);
    buf_finish(&detail);
    return rc;
}

static int write_it(struct store *store, const struct reference_load *load,
                    const struct reference *reference, bool is_new, struct err *err)
{
    char fact[400];
    fact_of(load, fact, sizeof(fact));
    int rc = commit_begin(store, err);
    if (!rc && is_new)
        rc = commit_reference(store, load->model, load->version, reference, load->source,
                              clock_wall_ms(clock_system()), err);
    if (!rc)
        rc = commit_reference_names(store, load->model, reference, err);
    if (!rc && load->of_config)
        rc = commit_fact(store, fact, (int64_t)reference->id, err);
    if (!rc && load->who)
        rc = audit(store, load, reference, err);
    if (!rc)
        rc = commit_end(store, err);
    if (rc)
        commit_rollback(store);
    return rc;
}

int reference_keep(struct store *store, const struct reference_load *load,
                   struct reference_loaded *loaded, struct err *err)
{
    bool is_known = false;
    int rc = load->of_config ? is_the_last(store, load, loaded->reference, &is_known, err) : 0;
    if (!rc)
        rc = write_it(store, load, loaded->reference, !is_known, err);
    loaded->stored = !rc && !is_known;
    if (loaded->reference->fitted)
        fitted_forget_slices(
            loaded->reference->fitted); /* they are read from storage, each alone */
    return rc;
}

int references_check(const struct config *config, struct err *err)
{
    for (size_t i = 0; i < config->n_models; i++) {
        const struct config_model *model = &config->models[i];
        if (model->reference.file && access(model->reference.file, R_OK))
            return err_set(err, ERR_DATA, "%s:%d: models[%zu].reference.file: cannot read %s: %s",
                           config->path, model->line, i, model->reference.file, err_words(errno));
    }
    return 0;
}

static int load_named_file(struct store *store, const struct reference_load *load, const char *task,
                           struct err *err)
{
    struct reference_loaded loaded = {0};
    int rc = reference_make(load, task, &loaded, err);
    if (!rc)
        rc = reference_keep(store, load, &loaded, err);
    reference_free(loaded.reference);
    return rc;
}

/* Of what the file held that the configuration named last; "": it never named one. */
static int named_id(struct store *store, const char *fact, char id[17], struct err *err)
{
    int64_t last = 0;
    const int rc = restore_fact(store, fact, &last, err);
    id[0] = '\0';
    if (!rc && last)
        snprintf(id, 17, "%016" PRIx64, (uint64_t)last);
    return rc == RESTORE_NONE ? 0 : rc;
}

int reference_of_file(struct store *store, const struct config_model *model, const char *id,
                      bool *out, struct err *err)
{
    const struct reference_load load = {.model = model->name};
    char fact[400], named[17];
    fact_of(&load, fact, sizeof(fact));
    const int rc = named_id(store, fact, named, err);
    *out = !rc && model->reference.file && strcmp(named, id) == 0;
    return rc;
}

/* Of a model whose configuration names stored windows now: the file that it named before was loaded
   last. */
static int is_left(struct store *store, const struct config_model *model, const char *fact,
                   bool *out, struct err *err)
{
    const struct config_reference *from = &model->reference;
    char named[17];
    struct reference_mark newest;
    *out = false;
    if (!from->to_ms && !from->version && !from->trailing_ms)
        return 0;
    int rc = named_id(store, fact, named, err);
    if (rc || !named[0])
        return rc;
    rc = reference_newest(store, model->name, NULL, &newest, err);
    *out = !rc && strcmp(newest.id, named) == 0;
    return rc;
}

/* The same file may be named again. */
static int leave_file(struct store *store, const struct config_model *model, const char *fact,
                      struct err *err)
{
    const int rc =
        commit_reference_withdrawn(store, model->name, "", clock_wall_ms(clock_system()), err);
    return rc ? rc : commit_fact(store, fact, 0, err);
}

int reference_leave_file(struct store *store, const struct config_model *model, struct err *err)
{
    const struct reference_load load = {.model = model->name};
    char fact[400];
    bool left;
    fact_of(&load, fact, sizeof(fact));
    const int rc = is_left(store, model, fact, &left, err);
    return rc || !left ? rc : leave_file(store, model, fact, err);
}

static int leave_named_file(struct store *store, const struct reference_load *load,
                            const struct config_model *model, struct err *err)
{
    char fact[400];
    bool left;
    fact_of(load, fact, sizeof(fact));
    int rc = is_left(store, model, fact, &left, err);
    if (rc || !left)
        return rc;
    rc = commit_begin(store, err);
    if (!rc)
        rc = leave_file(store, model, fact, err);
    if (!rc)
        rc = commit_end(store, err);
    if (rc)
        commit_rollback(store);
    return rc;
}

/* Those made of panes count while the configuration names their time. */
static int turn_ranges(struct store *store, const struct config_model *model, struct err *err)
{
    const struct config_reference *from = &model->reference;
    int rc = commit_begin(store, err);
    if (!rc)
        rc = commit_ranges_turned(store, model->name, from->from_ms, from->to_ms,
                                  clock_wall_ms(clock_system()), err);
    if (!rc)
        rc = commit_end(store, err);
    if (rc)
        commit_rollback(store);
    return rc;
}

int references_of_config(struct store *store, const struct config *config, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < config->n_models; i++) {
        const struct config_model *model = &config->models[i];
        const struct reference_load load = {.config = config,
                                            .model = model->name,
                                            .path = model->reference.file,
                                            .source = "file",
                                            .of_config = true};
        rc = load.path ? load_named_file(store, &load, model->task, err)
                       : leave_named_file(store, &load, model, err);
        if (!rc)
            rc = turn_ranges(store, model, err);
    }
    return rc;
}

void reference_told(const struct reference_load *load, const struct reference_loaded *loaded,
                    struct buf *out)
{
    const struct reference_counts *counts = &loaded->counts;
    buf_printf(out, "{\"model\":");
    json_text(out, load->model, strlen(load->model));
    buf_printf(out, ",\"version\":");
    if (load->version)
        json_text(out, load->version, strlen(load->version));
    else
        buf_printf(out, "null");
    buf_printf(out,
               ",\"id\":\"%s\",\"n\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"others\":%" PRIu64 "}",
               loaded->id, counts->events, counts->refused, counts->others);
}

/* --- the subcommand --- */

struct words {
    const char *path, *db, *model, *version;
    struct client client;
};

static int load_direct(const struct config *config, const struct words *words, const char *file,
                       struct buf *answer, struct err *err)
{
    AUTO(store) struct store *store = NULL;
    char task[40];
    int rc = store_open(&store, words->db ? words->db : config->storage_path, STORE_WRITE, err);
    struct reference_loaded loaded = {0};
    struct reference_load load = {.config = config,
                                  .model = words->model,
                                  .version = words->version,
                                  .path = file,
                                  .source = "file",
                                  .who = "operator"};
    if (!rc)
        rc = reference_task(store, &load, task, sizeof(task), err);
    if (!rc)
        rc = reference_make(&load, task, &loaded, err);
    if (!rc)
        rc = reference_keep(store, &load, &loaded, err);
    if (!rc)
        reference_told(&load, &loaded, answer);
    reference_free(loaded.reference);
    return rc;
}

/* The file, gzipped if it was not. */
static int read_packed(const char *path, struct buf *out, struct err *err)
{
    gzFile file = gzopen(path, "rb");
    AUTO_FREE unsigned char *plain = malloc(1 << 16), *packed = malloc(1 << 17);
    z_stream stream = {0};
    if (!file || !plain || !packed ||
        deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        if (file)
            gzclose(file);
        return file ? err_set(err, -ENOMEM, "%s: no memory to send it", path)
                    : err_set(err, ERR_IO, "%s: %s", path, err_words(errno));
    }
    int n = 1, code = Z_OK;
    while (code == Z_OK) {
        n = n > 0 ? gzread(file, plain, 1 << 16) : n;
        if (n < 0)
            break;
        stream.next_in = plain;
        stream.avail_in = (unsigned)n;
        do { /* 128 KiB take what 64 KiB become */
            stream.next_out = packed;
            stream.avail_out = 1 << 17;
            code = deflate(&stream, n ? Z_NO_FLUSH : Z_FINISH);
            buf_bytes(out, packed, (1 << 17) - stream.avail_out);
        } while (code == Z_OK && stream.avail_out == 0);
    }
    deflateEnd(&stream);
    int rc = gzip_failed(file, path, err);
    if (!rc && buf_failed(out))
        rc = err_set(err, ERR_DATA,
                     "%s: more than 64 MiB gzipped, which a daemon does not take; stop it and load "
                     "the file then",
                     path);
    gzclose(file);
    return rc;
}

static int load_through(const struct words *words, const char *file, struct buf *answer,
                        struct err *err)
{
    struct buf body, path;
    long status = 0;
    buf_init(&body, MAX_FILE_BYTES);
    buf_init(&path, 8192);
    buf_printf(&path, "/api/v1/models");
    api_target_segment(&path, words->model);
    api_target_segment(&path, "reference");
    if (words->version)
        api_target_param(&path, "version", words->version);
    buf_u8(&path, 0);
    int rc = read_packed(file, &body, err);
    struct client_request request = {"PUT", (const char *)path.data, (const char *)body.data, 120,
                                     body.size};
    if (!rc && buf_failed(&path))
        rc = err_set(err, -ENOMEM, "no memory");
    if (!rc)
        rc = client_call(&words->client, &request, &status, answer, err);
    if (!rc && status >= 400)
        rc = client_refused((const char *)answer->data, answer->size, status, err);
    buf_finish(&body);
    buf_finish(&path);
    return rc;
}

static int forget_direct(const struct config *config, const struct words *words, const char *id,
                         struct buf *answer, struct err *err)
{
    AUTO(store) struct store *store = NULL;
    const struct reference_forgetting wanted = {.config = config,
                                                .model = words->model,
                                                .version = words->version,
                                                .id = id,
                                                .who = "operator"};
    int rc = store_open(&store, words->db ? words->db : config->storage_path, STORE_WRITE, err);
    if (!rc)
        rc = reference_forget(store, &wanted, answer, err);
    return rc > 0 ? ERR_DATA : rc;
}

static int forget_through(const struct words *words, const char *id, struct buf *answer,
                          struct err *err)
{
    struct buf path;
    long status = 0;
    buf_init(&path, 8192);
    buf_printf(&path, "/api/v1/models");
    api_target_segment(&path, words->model);
    api_target_segment(&path, "references");
    api_target_segment(&path, id);
    if (words->version)
        api_target_param(&path, "version", words->version);
    buf_u8(&path, 0);
    const struct client_request request = {"DELETE", (const char *)path.data, NULL, 60, 0};
    int rc = buf_failed(&path) ? err_set(err, -ENOMEM, "no memory")
                               : client_call(&words->client, &request, &status, answer, err);
    if (!rc && status >= 400)
        rc = client_refused((const char *)answer->data, answer->size, status, err);
    buf_finish(&path);
    return rc;
}

/* A daemon has the database when its lock is held. */
static bool daemon_runs(const char *database)
{
    AUTO_FREE char *real = realpath(database, NULL);
    int fd;
    struct err err = {0};
    if (!real || lock_take(real, &fd, &err))
        return real && err.code == ERR_USAGE;
    close(fd);
    return false;
}

static int run_words(const struct config *config, struct words *words, const char *const *what,
                     struct err *err)
{
    struct buf answer;
    char url[400];
    buf_init(&answer, 1 << 20);
    bool through = words->client.url || daemon_runs(words->db ? words->db : config->storage_path);
    if (!words->client.url) {
        bool any = strcmp(config->http.address, "0.0.0.0") == 0;
        snprintf(url, sizeof(url), "%s://%s:%d", config->http.tls_cert ? "https" : "http",
                 any ? "127.0.0.1" : config->http.address, config->http.port);
        words->client.url = url;
    }
    const bool loads = strcmp(what[0], "load") == 0;
    int rc = loads     ? through ? load_through(words, what[1], &answer, err)
                                 : load_direct(config, words, what[1], &answer, err)
                 : through ? forget_through(words, what[1], &answer, err)
                       : forget_direct(config, words, what[1], &answer, err);
    if (!rc)
        printf("%.*s\n", (int)answer.size, (const char *)answer.data);
    buf_finish(&answer);
    return rc;
}

int command_reference(int argc, char **argv)
{
    struct words given = {0};
    const struct option_row rows[] = {
        {.name = "config", .letter = 'c', .value = &given.path},
        {.name = "db", .value = &given.db},
        {.name = "model", .value = &given.model},
        {.name = "version", .value = &given.version},
        {.name = "url", .value = &given.client.url},
        {.name = "token-file", .value = &given.client.token_file},
    };
    struct err err = {0};
    struct arguments words;
    if (options_parse(rows, 6, argc, argv, &words, &err))
        return fail(&err);
    if (!given.path || !given.model || words.n != 2 ||
        (strcmp(words.words[0], "load") != 0 && strcmp(words.words[0], "forget") != 0)) {
        err_set(&err, ERR_USAGE,
                "usage: assay reference (load EVENTS.jsonl[.gz] | forget ID) -c FILE --model M "
                "[--version V] [--db DB] [--url U] [--token-file F]");
        return fail(&err);
    }
    AUTO(config) struct config *config = NULL;
    if (config_read(&config, given.path, &err) || run_words(config, &given, words.words, &err))
        return fail(&err);
    return 0;
}
