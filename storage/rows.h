/*
 * The walk over a query's rows, the same everywhere:
 *
 *          AUTO_RESET sqlite3_stmt *s = NULL;
 *          int rc = statement_get(store, sql, &s, err);
 *          … return when it failed, bind …
 *          while (row_next(store, s, "outbox", &rc, err)) {
 *              struct outbox_row out = {.id = sqlite3_column_int64(s, 0), …};
 *              rc = row(context, &out, err);
 *          }
 *          return rc;
 *
 * Errors   as store_fail; `what` names what is read
 */
#pragma once

#include "storage/connection.h"

/* Is there another row, and *rc still 0? A failure is put into *rc. */
bool row_next(struct store *store, sqlite3_stmt *statement, const char *what, int *rc,
              struct err *err);

/* A column's text, "" for NULL; valid until the next step. */
const char *row_text(sqlite3_stmt *statement, int column);
