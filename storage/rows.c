#include "storage/rows.h"

int row_next(struct store *store, sqlite3_stmt *statement, const char *what, struct err *err)
{
    int step = sqlite3_step(statement);
    if (step == SQLITE_ROW)
        return ROW_THERE;
    return step == SQLITE_DONE ? 0 : store_fail(store, step, err, what);
}

const char *row_text(sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return text ? text : "";
}
