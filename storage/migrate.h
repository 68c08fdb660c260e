/*
 * The schema's numbered steps: storage/sql/NNN_name.sql, embedded at build time.
 *
 * Shape    `PRAGMA user_version` is the number of the last step taken; each step is one
 *          transaction with its own user_version in it
 * Errors   ERR_NEWER: the database has steps that this program does not know
 */
#pragma once

#include "common/err.h"

struct store;

struct migration {
    int number; /* 1, 2, … */
    const char *name;
    const char *sql;
};
extern const struct migration migrations[];
extern const int n_migrations;

/* "Assy": what PRAGMA application_id says of our files. */
#define ASSAY_APPLICATION_ID 0x41737379

/* Takes the missing steps. An existing database is copied to PATH.backup-schema<N> before. */
int migrate(struct store *store, struct err *err);

/* The same with other steps than the program's own, for tests of half-done ones. */
int migrate_steps(struct store *store, const struct migration *steps, int n_steps, struct err *err);

/* For a reader, which migrates nothing: the schema must be exactly the newest one. */
int migrate_check(struct store *store, struct err *err);
