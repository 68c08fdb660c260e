/*
 * The detectors at work: they take what looks cover beside the writer, which goes on reading.
 *
 * Shape    events wait in `waiting`. A look says that all of them are covered; of many looks, when
 *          there is enough for it to be worth while, a thread takes what they cover, look by look,
 *          while more comes to wait. detecting_settle is the barrier: behind it all that was looked
 *          at has been taken, and what waits has its places. What is found, and at which look, is
 *          the same wherever barriers and the thread's turns fall
 * Owner    detecting_init … detecting_finish; streams are borrowed
 * Errors   -ENOMEM; one of the thread is told by the next function. The detectors then stand in the
 *          middle of a look, and nothing but an error comes any more: memory must be dropped
 * Threads  the writer's. Between a look and the next barrier the thread, "detectors", has the
 *          states of streams, their `dirty`, and what was found; it reads which streams there are
 *          and their references. Whoever uses one of the first, changes one of the second, or frees
 *          a reference settles before. Without a thread to be had the writer does it all
 */
#pragma once

#include "collector/aside.h"
#include "collector/changing_streams.h"
#include "collector/waiting_events.h"

struct found {
    const struct watched_stream *stream;
    int64_t at_ms; /* the look */
    struct change_found change;
    struct change_reference reference; /* the stream's, as it was then */
};

/* Events, and what of them looks cover. */
struct looked {
    struct waiting_events waiting;
    struct look {
        int64_t since_ms, look_ms; /* the one before, and itself */
        size_t end;                /* rows that it covers */
    } * looks;
    size_t n_looks, looks_capacity;
    size_t n_placed; /* rows */
    struct detecting *detecting;
};

struct detecting {
    struct watched_streams *streams;
    struct aside *aside;
    struct looked both[2];
    struct looked *at_hand; /* the other is with the thread, or empty */
    int64_t looked_ms;      /* the last look; 0: none yet */
    uint64_t turn;          /* another one whenever something that waited waits no longer */
    struct found *found;
    size_t n_found, found_capacity;
    int failed; /* what a detector returned, and why */
    struct err why;
};

int detecting_init(struct detecting *detecting, struct watched_streams *streams, struct err *err);
void detecting_finish(struct detecting *detecting);

/* Where events are added. Behind detecting_settle: those that no look covers yet. */
static inline struct waiting_events *detecting_waiting(const struct detecting *detecting)
{
    return &detecting->at_hand->waiting;
}

int detecting_look(struct detecting *detecting, int64_t look_ms, struct err *err);
/* Is anything looked at that the detectors may not have had yet? */
bool detecting_is_behind(const struct detecting *detecting);
int detecting_settle(struct detecting *detecting, struct err *err);

/* Models may have other references now, and nothing is behind: what waits with its place in one that
   counts no longer goes. */
void detecting_references_changed(struct detecting *detecting);
/* What waits of that model goes, after what looks cover was taken: it settles. */
int detecting_forget(struct detecting *detecting, const char *model, struct err *err);
/* All that waits goes, of every model. Settled before: no look covers it. */
void detecting_drop(struct detecting *detecting);
