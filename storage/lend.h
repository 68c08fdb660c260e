/*
 * The writing connection in another thread's hands for a while: thousands of rows are written beside what the writer's
 * thread does in memory, in the transaction that is shared (storage/commit.h); and checkpoints are.
 *
 *     commit_share → … → store_lend → (memory only) → any use of the store waits for the borrower → … → commit_share_end
 *
 * A task that takes longer than its lender can do without the store lets it have a turn between two rows:
 *
 *     lender   … → store_interrupt → uses of the store, which do not wait → store_resume → (memory only) → …
 *     task     … → store_pause → … → store_pause → …
 *
 * Shape    one task at a time. Nothing changes for who uses the store: each function waits by itself. Whoever could as
 *          well do something else first asks store_is_lent. In a turn the lender has parts of its own (commit_begin,
 *          commit_end), also while the task has one open. What the task reads of rows that a lender may write in its
 *          turns it reads before its first pause.
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

/* Is the borrower at work? Any use of the store waits for it, but in a turn. */
bool store_is_lent(const struct store *store);

/* Waits until it is not; a turn ends with that. */
void store_recall(struct store *store);

/* The same, but not in a turn: what each use of the store begins with. */
void store_await(struct store *store);

/* A turn begins: waits until the task pauses. False: it has ended, or there is none. */
bool store_interrupt(struct store *store);

/* The turn is over, if there is one; the task goes on. */
void store_resume(struct store *store);

/* By the task, between two statements: lets the lender have its turn. It may find that all was rolled back: then its
   next commit_begin or row is refused. Who runs the task without having borrowed the store does not wait here. */
void store_pause(struct store *store);
