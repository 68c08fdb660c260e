/*
 * What is left of a batch when its partition has reached the look and others have not: copied,
 * because the source takes its messages back. One piece of memory an addition; all go together
 * once the last message was taken.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/loop.h"

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

static int reserve(void *array, size_t *capacity, size_t wanted, size_t size, struct err *err)
{
    void **place = array;
    if (wanted <= *capacity)
        return 0;
    size_t n = *capacity * 2 > wanted ? *capacity * 2 : wanted;
    void *grown = realloc(*place, n * size);
    if (!grown)
        return err_set(err, -ENOMEM, "collector: no memory for %zu messages", n);
    *place = grown;
    *capacity = n;
    return 0;
}

int stash_add(struct stash *stash, const struct message *messages, size_t n, struct err *err)
{
    if (stash_left(stash) == 0)
        stash_clear(stash);
    size_t bytes = 1;
    for (size_t i = 0; i < n; i++)
        bytes += messages[i].payload ? messages[i].size : 0;
    int rc = reserve(&stash->messages, &stash->capacity, stash->n + n, sizeof(*messages), err);
    if (!rc)
        rc = reserve(&stash->pieces, &stash->pieces_capacity, stash->n_pieces + 1, sizeof(char *),
                     err);
    if (rc)
        return rc;
    char *piece = malloc(bytes);
    if (!piece)
        return err_set(err, -ENOMEM, "collector: no memory for %zu bytes of messages", bytes);
    stash->pieces[stash->n_pieces++] = piece;
    for (size_t i = 0; i < n; i++) {
        struct message copy = messages[i];
        if (copy.payload) {
            memcpy(piece, copy.payload, copy.size);
            copy.payload = piece;
            piece += copy.size;
        }
        stash->messages[stash->n++] = copy;
    }
    return 0;
}
