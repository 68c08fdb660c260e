/*
 * What drift answers have in common, kept in memory: references, the laws that thresholds come
 * from, and the verdicts of windows that have not changed.
 *
 * Shape    references go by the hash of their bytes, or, where they are made from panes, by a
 *          fingerprint of those panes; a window's verdicts by its panes' fingerprint, the
 *          reference and the rule. So nothing here can be stale: what changed has another key. The
 *          longest unused goes first, beyond 256 MiB of references and 64 MiB of verdicts
 * Owner    drift_cache_new gives, drift_cache_free takes. A found reference is shared:
 *          reference_free it. store_drift_cache (storage/store.h) gives a store's own, or the one
 *          it was lent
 * Errors   -ENOMEM; what cannot be kept is only not kept
 * Threads  any: one cache serves all of web's workers
 */
#pragma once

#include "common/crew.h"
#include "stats/drift_window.h"

struct drift_cache;

int drift_cache_new(struct drift_cache **out, struct err *err);
void drift_cache_free(struct drift_cache *cache);
DEFINE_FREEP(drift_cache)

struct drift_nulls *drift_cache_nulls(struct drift_cache *cache);
/* Threads that share the work of one answer. */
struct crew *drift_cache_crew(struct drift_cache *cache);

/* NULL: not in it. */
struct reference *drift_cache_reference(struct drift_cache *cache, uint64_t key);
void drift_cache_keep_reference(struct drift_cache *cache, uint64_t key,
                                const struct reference *reference);

/* Copies n features' verdicts of a window; false: not in it. */
bool drift_cache_window(struct drift_cache *cache, uint64_t key, struct drift_feature *out,
                        size_t n, struct drift_summary *summary);
void drift_cache_keep_window(struct drift_cache *cache, uint64_t key,
                             const struct drift_feature *features, size_t n,
                             const struct drift_summary *summary);

/* Whoever judges a window claims it first, and waits while another thread does; then it looks again
   whether it is kept. false: too many are being judged at once, nothing is to be released. */
bool drift_cache_claim_window(struct drift_cache *cache, uint64_t key);
void drift_cache_release_window(struct drift_cache *cache, uint64_t key);

/*
 * Somebody waits for an answer, from begin to end. Who makes answers ready before anybody asks stands
 * aside meanwhile: it would take a processor, and do the same work a second time.
 */
void drift_cache_question_begin(struct drift_cache *cache);
void drift_cache_question_end(struct drift_cache *cache);
/* Until nobody waits, but not for longer; false: somebody still does. */
bool drift_cache_stand_aside(struct drift_cache *cache, int64_t most_ms);

/* What was done since the start: of each, how often. */
struct drift_cache_work {
    uint64_t windows; /* judged and kept */
    uint64_t laws;    /* made */
};
struct drift_cache_work drift_cache_work(struct drift_cache *cache);
