#include "storage/rows.h"

bool row_next(struct store *store, sqlite3_stmt *statement, const char *what, int *rc,
              struct err *err)
{
    if (*rc)
        return false;
    int step = sqlite3_step(statement);
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        *rc = store_fail(store, step, err, what);
    return step == SQLITE_ROW;
}

const char *row_text(sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return text ? text : "";
}
