/*
 * A directory of its own for a test, and a database in it.
 *
 * Owner    temp_new gives, temp_free takes and removes the directory with all that is in it
 * Errors   a test without a directory cannot go on: it fails
 */
#pragma once

#include "storage/commit.h"
#include "storage/store.h"

struct temp {
    char directory[128];
    char path[160]; /* of the database in it: not made yet */
};

struct temp *temp_new(void);
void temp_free(struct temp *temp);
DEFINE_FREEP(temp)

/* Opens temp->path; fails the test with the message when it does not open. */
struct store *temp_store(const struct temp *temp, enum store_mode mode);

/* One commit: model "credit" (binary, positive "1"), version "v1", overall; gives its series. */
int64_t temp_series(struct store *store, const char *model, const char *version, const char *slice);

/* The first column of the first row, which must be there. */
int64_t temp_number(struct store *store, const char *sql);

/* Runs statements that must succeed: on the store's own connection, or as another program would that
   opens its file and keeps none of its rules. */
void temp_run(struct store *store, const char *sql);
void temp_edit(const char *path, const char *sql);

/* Fails the test with the message unless rc is 0: `must(f(…, &err), &err)`. */
void must(int rc, const struct err *err);
