/*
 * What is left of a batch when its partition has reached the look and others have not: copied,
 * where the source takes its messages back. One piece of memory an addition; all go together
 * once the last message was taken.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/loop.h"
#include "common/grow.h"

void stash_clear(struct stash *stash)
{
    for (size_t i = 0; i < stash->n_pieces; i++)
        free(stash->pieces[i]);
    stash->n_pieces = stash->n = stash->at = 0;
}

void stash_finish(struct stash *stash)
{
    stash_clear(stash);
    free(stash->pieces);
    free(stash->messages);
    *stash = (struct stash){0};
}

static size_t bytes_of(const struct message *message)
{
    size_t bytes = message->payload ? message->size : 0;
    for (size_t i = 0; i < message->n_headers; i++)
        bytes += strlen(message->headers[i].name) + 1 + message->headers[i].value.size;
    /* headers stand first, aligned */
    return (message->n_headers * sizeof(struct header) + bytes + 7) / 8 * 8;
}

static char *copy_headers(struct message *to, const struct message *from, char *at)
{
    struct header *headers = (struct header *)(void *)at;
    at += from->n_headers * sizeof(*headers);
    for (size_t i = 0; i < from->n_headers; i++) {
        const struct header *header = &from->headers[i];
        size_t n = strlen(header->name) + 1;
        headers[i] = (struct header){at, {header->value.data ? at + n : NULL, header->value.size}};
        memcpy(at, header->name, n);
        if (header->value.size)
            memcpy(at + n, header->value.data, header->value.size);
        at += n + header->value.size;
    }
    to->headers = headers;
    return at;
}

/* Returns where the next one begins. */
static char *copy_message(struct message *to, const struct message *from, char *at)
{
    char *next = at + bytes_of(from);
    *to = *from;
    to->event = NULL; /* it lies where the source wants its place back */
    if (from->n_headers)
        at = copy_headers(to, from, at);
    if (from->payload) {
        memcpy(at, from->payload, from->size);
        to->payload = at;
    }
    return next;
}

static int reserve_messages(struct stash *stash, size_t n, struct err *err)
{
    if (stash_left(stash) == 0)
        stash_clear(stash);
    return grow(&stash->messages, &stash->capacity, stash->n + n, sizeof(*stash->messages),
                "collector: messages", err);
}

int stash_borrow(struct stash *stash, const struct message *messages, size_t n, struct err *err)
{
    int rc = reserve_messages(stash, n, err);
    if (rc)
        return rc;
    memcpy(stash->messages + stash->n, messages, n * sizeof(*messages));
    stash->n += n;
    return 0;
}

int stash_add(struct stash *stash, const struct message *messages, size_t n, struct err *err)
{
    size_t bytes = 1;
    for (size_t i = 0; i < n; i++)
        bytes += bytes_of(&messages[i]);
    int rc = reserve_messages(stash, n, err);
    if (!rc)
        rc = grow(&stash->pieces, &stash->pieces_capacity, stash->n_pieces + 1, sizeof(char *),
                  "collector: messages", err);
    if (rc)
        return rc;
    char *piece = malloc(bytes);
    if (!piece)
        return err_set(err, -ENOMEM, "collector: no memory for %zu bytes of messages", bytes);
    stash->pieces[stash->n_pieces++] = piece;
    for (size_t i = 0; i < n; i++)
        piece = copy_message(&stash->messages[stash->n++], &messages[i], piece);
    return 0;
}
