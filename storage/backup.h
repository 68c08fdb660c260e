/*
 * Consistent copies of a database while its writer goes on.
 *
 * Shape    one read snapshot is held over the whole copy, so a busy writer cannot make it start
 *          again; pages go in steps. The copy is written beside its name, synced, then renamed:
 *          either the whole copy is there or none.
 * Errors   ERR_FULL: no room where the copy goes; nothing is left behind
 */
#pragma once

#include "storage/store.h"

/* Copies what the connection sees (outside a transaction) to the file `to`, replacing it. */
int backup_copy(struct store *store, const char *to, struct err *err);
