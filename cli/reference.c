/* `assay reference load`, and what the configuration says of references. */
#include "cli/reference.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/options.h"
#include "common/clock.h"
#include "storage/catalog.h"
#include "storage/commit.h"
#include "storage/references.h"

static int store_it(struct store *store, const struct reference_load *load,
                    const struct reference *reference, struct err *err)
{
    int rc = commit_begin(store, err);
    if (!rc)
        rc = commit_reference(store, load->model, load->version, reference, load->source,
                              clock_wall_ms(clock_system()), err);
    if (!rc)
        rc = commit_end(store, err);
    if (rc)
        commit_rollback(store);
    return rc;
}

/* What is known of the model, from the configuration or else from the database. */
static int describe(struct store *store, const struct reference_load *load,
                    struct reference_source *source, struct model_known *known, struct err *err)
{
    *source = (struct reference_source){.model = load->model, .version = load->version};
    source->config = load->config ? config_model_find(load->config, load->model) : NULL;
    if (source->config)
        return 0;
    int rc = model_read(store, load->model, known, err);
    if (!rc)
        source->task = known->row.task;
    return rc;
}

int reference_set(struct store *store, const struct reference_load *load,
                  struct reference_loaded *out, struct err *err)
{
    struct reference_source source;
    struct model_known known = {0};
    AUTO(reference) struct reference *reference = NULL;
    *out = (struct reference_loaded){0};
    int rc = describe(store, load, &source, &known, err);
    if (!rc)
        rc = load->path
                 ? reference_from_file(&reference, &source, load->path, &out->counts, err)
                 : reference_from_text(&reference, &source, load->text, load->n, &out->counts, err);
    model_finish(&known);
    if (rc)
        return rc;
    bool is_known = false;
    snprintf(out->id, sizeof(out->id), "%016" PRIx64, reference->id);
    if (load->once)
        rc = reference_known(store, load->model, reference->id, &is_known, err);
    if (!rc && !is_known) {
        rc = store_it(store, load, reference, err);
        out->stored = rc == 0;
    }
    return rc;
}

int references_of_config(struct store *store, const struct config *config, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < config->n_models; i++) {
        const struct config_model *model = &config->models[i];
        struct reference_loaded loaded;
        struct reference_load load = {.config = config,
                                      .model = model->name,
                                      .path = model->reference.file,
                                      .source = "file",
                                      .once = true};
        if (load.path)
            rc = reference_set(store, &load, &loaded, err);
    }
    return rc;
}

static int load_file(const struct config *config, const char *db, const char *model,
                     const char *version, const char *path, struct err *err)
{
    AUTO(store) struct store *store = NULL;
    int rc = store_open(&store, db ? db : config->storage_path, STORE_WRITE, err);
    if (rc)
        return rc;
    struct reference_loaded loaded;
    struct reference_load load = {
        .config = config, .model = model, .version = version, .path = path, .source = "file"};
    rc = reference_set(store, &load, &loaded, err);
    if (!rc)
        printf("{\"model\":\"%s\",\"id\":\"%s\",\"n\":%" PRIu64 ",\"refused\":%" PRIu64
               ",\"others\":%" PRIu64 "}\n",
               model, loaded.id, loaded.counts.events, loaded.counts.refused, loaded.counts.others);
    return rc;
}

int command_reference(int argc, char **argv)
{
    const char *path = NULL, *db = NULL, *model = NULL, *version = NULL;
    const struct option_row rows[] = {
        {.name = "config", .letter = 'c', .value = &path},
        {.name = "db", .value = &db},
        {.name = "model", .value = &model},
        {.name = "version", .value = &version},
    };
    struct err err = {0};
    struct arguments words;
    if (options_parse(rows, 4, argc, argv, &words, &err))
        return fail(&err);
    if (!path || !model || words.n != 2 || strcmp(words.words[0], "load") != 0) {
        err_set(&err, ERR_USAGE,
                "usage: assay reference load -c FILE --model M [--version V] EVENTS.jsonl[.gz]");
        return fail(&err);
    }
    AUTO(config) struct config *config = NULL;
    if (config_read(&config, path, &err) ||
        load_file(config, db, model, version, words.words[1], &err))
        return fail(&err);
    return 0;
}
