/*
 * Bytes in memory by the fingerprint of what they were made from, so that a question over a long
 * time does not merge and measure the same panes again after every commit.
 *
 * Shape    a fingerprint is the hash of the hashes of panes (and of what was asked of them), so
 *          nothing here can be stale: what changed has another one. A place holds one entry, and
 *          the newer one stays; at most 64 MiB of bytes
 * Owner    memo_new gives, memo_free takes
 * Errors   -ENOMEM of memo_new; what cannot be kept is only not kept
 * Threads  any: one memo serves all of web's workers
 */
#pragma once

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/err.h"

struct memo;

int memo_new(struct memo **out, struct err *err);
void memo_free(struct memo *memo);
DEFINE_FREEP(memo)

/* Appends what is kept to `out`; false: nothing is. */
bool memo_get(struct memo *memo, uint64_t fingerprint, struct buf *out);
void memo_keep(struct memo *memo, uint64_t fingerprint, const struct buf *bytes);
