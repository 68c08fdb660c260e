/* `assay backup` and `assay verify`: what is done to a database file as a whole. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/options.h"
#include "common/config.h"
#include "storage/store.h"

int command_backup(int argc, char **argv)
{
    const char *path = NULL;
    const char *db = NULL;
    const struct option_row rows[] = {
        {.name = "config", .letter = 'c', .value = &path},
        {.name = "db", .value = &db},
    };
    struct err err = {0};
    struct arguments words;
    if (options_parse(rows, 2, argc, argv, &words, &err))
        return fail(&err);
    if (words.n != 1 || !path == !db) {
        err_set(&err, ERR_USAGE, "usage: assay backup (-c FILE | --db DB) OUT.db|-");
        return fail(&err);
    }
    AUTO(config) struct config *config = NULL;
    if (path && config_read(&config, path, &err))
        return fail(&err);
    return store_backup(db ? db : config->storage_path, words.words[0], &err) ? fail(&err) : 0;
}

int command_verify(int argc, char **argv)
{
    struct err err = {0};
    struct arguments words;
    if (options_parse(NULL, 0, argc, argv, &words, &err))
        return fail(&err);
    if (words.n != 1) {
        err_set(&err, ERR_USAGE, "usage: assay verify DB");
        return fail(&err);
    }
    int rc = store_verify(words.words[0], &err);
    if (rc == ERR_CORRUPT) { /* exit 1: the answer is no; other codes: it could not be judged */
        fprintf(stderr, "assay: %s\n", err.text);
        return 1;
    }
    if (rc)
        return fail(&err);
    printf("%s: fine\n", words.words[0]);
    return 0;
}
