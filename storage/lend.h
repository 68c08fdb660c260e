/*
 * The writing connection in another thread's hands for a while: thousands of rows are written beside what the writer's
 * thread does in memory, in the transaction that is shared (storage/commit.h); and checkpoints are.
 *
 *     commit_share → … → store_lend → (memory only) → any use of the store waits for the borrower → … → commit_share_end
 *
 * Shape    one task at a time. Nothing changes for who uses the store: each function waits by itself. Whoever could as
 *          well do something else first asks store_is_lent.
 * Owner    `context` is the task's until it has ended
 * Errors   when a task fails all that is shared is rolled back, and the next commit says why
 * Threads  the writer's, but for the task
 */
#pragma once

#include <stdbool.h>

#include "storage/writer.h"

/* 0, also when the task fails later; where no transaction is shared, or there is no thread to be had, the task is run
   here and now, and its result given. */
int store_lend(struct store *store, writer_fn *task, void *context, struct err *err);

/* store_checkpoint, between two transactions, beside what comes next. What fails is found by the next commit; a WAL
   that could not be moved is tried again at the next checkpoint. */
int store_lend_for_checkpoint(struct store *store, struct err *err);

/* Is the borrower at work? Any use of the store waits for it. */
bool store_is_lent(const struct store *store);

/* Waits until it is not. */
void store_recall(struct store *store);
