/* `assay backup` and `assay verify`: what is done to a database file as a whole. */
#include <inttypes.h>
#include <stdio.h>

#include "abtest/recompute.h"
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

/* Every verdict that the engine wrote follows from the evidence that stands beside it. */
static int verify_decisions(const char *path, struct recompute_counts *counts, struct err *err)
{
    AUTO(store) struct store *store = NULL;
    int rc = store_open(&store, path, STORE_READ, err);
    if (!rc)
        rc = recompute_all(store, counts, err);
    return rc == ERR_CORRUPT ? err_prefix(err, rc, "%s", path) : rc;
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
    struct recompute_counts counts = {0};
    int rc = store_verify(words.words[0], &err);
    if (!rc)
        rc = verify_decisions(words.words[0], &counts, &err);
    if (rc == ERR_CORRUPT) { /* exit 1: the answer is no; other codes: it could not be judged */
        fprintf(stderr, "assay: %s\n", err.text);
        return 1;
    }
    if (rc)
        return fail(&err);
    printf("%s: fine", words.words[0]);
    if (counts.same)
        printf(", %" PRId64 " decision%s computed again to the same bits", counts.same,
               counts.same == 1 ? "" : "s");
    if (counts.other)
        printf(", %" PRId64 " of another version of the engine not judged", counts.other);
    printf("\n");
    return 0;
}
