/*
 * Rejected events in the database: what commit_dead_letter wrote, for the API and for sending on
 * to the dead-letter topic.
 *
 * Shape    newest first for people (dead_letters_read), oldest unsent first for the sender
 * Owner    rows and their texts are borrowed until `row` returns
 */
#pragma once

#include "storage/commit.h"

struct dead_letter {
    int64_t id; /* grows; never used again */
    bool sent;
    struct dead_letter_row row;
};

/* Up to `limit` rows with an id below `before` (INT64_MAX: the newest), newest first. */
int dead_letters_read(struct store *store, int64_t before, int limit,
                      int (*row)(void *context, const struct dead_letter *letter, struct err *err),
                      void *context, struct err *err);

/* Up to `limit` rows that the topic has not taken, oldest first. */
int dead_letters_unsent(struct store *store, int limit,
                        int (*row)(void *context, const struct dead_letter *letter,
                                   struct err *err),
                        void *context, struct err *err);

/* In a commit: the topic has it. */
int commit_dead_letter_sent(struct store *store, int64_t id, struct err *err);

/* In a commit: rows refused before before_ms go (configuration: dead letter retention). */
int commit_dead_letter_expire(struct store *store, int64_t before_ms, struct err *err);
