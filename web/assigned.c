#include "web/assigned.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "storage/changes.h"

enum {
    N_PLACES = 256
};

struct place {
    bool used;
    uint64_t change;
    char name[129];
    int rc;
    struct err err; /* where rc < 0 */
    struct stored_experiment experiment;
};

struct assigned {
    struct place places[N_PLACES]; /* by the name's hash, one each */
};

void assigned_free(struct assigned *assigned)
{
    if (!assigned)
        return;
    for (size_t i = 0; i < N_PLACES; i++)
        stored_finish(&assigned->places[i].experiment);
    free(assigned);
}

static int fill(struct place *place, struct api_context *context, const char *name, struct err *err)
{
    struct store *store;
    stored_finish(&place->experiment);
    place->used = false;
    int rc = context_store(context, &store, err);
    if (rc)
        return rc;
    place->err.text[0] = '\0';
    place->rc = stored_read(store, name, &place->experiment, &place->err);
    if (place->rc && place->rc != ERR_NOT_FOUND)
        return err_set(err, place->rc, "%s", place->err.text);
    place->used = strlen(name) < sizeof(place->name);
    if (place->used)
        memcpy(place->name, name, strlen(name) + 1);
    return 0;
}

int assigned_find(struct api_context *context, const char *name,
                  const struct stored_experiment **out, struct err *err)
{
    if (!context->assigned)
        context->assigned = calloc(1, sizeof(*context->assigned));
    if (!context->assigned)
        return err_set(err, -ENOMEM, "no memory for assignments");
    struct place *place = &context->assigned->places[XXH64(name, strlen(name), 0) % N_PLACES];
    uint64_t now = context->changes ? changes_now(context->changes) : 0;
    bool fresh =
        place->used && context->changes && place->change == now && strcmp(place->name, name) == 0;
    if (!fresh) {
        int rc = fill(place, context, name, err);
        if (rc)
            return rc;
        place->change = now; /* taken before the read: a change in between is read again */
    }
    if (place->rc)
        return err_set(err, place->rc, "%s", place->err.text);
    *out = &place->experiment;
    return 0;
}
