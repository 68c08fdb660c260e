#include "storage/explain_changes.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"

static void change_finish(struct explained_change *change)
{
    free(change->version);
    free(change->slice);
    free(change->name);
}

void explained_changes_finish(struct explained_changes *changes)
{
    for (size_t i = 0; i < changes->n; i++)
        change_finish(&changes->rows[i]);
    free(changes->rows);
    *changes = (struct explained_changes){0};
}

static int keep(void *context, const struct change_row *row, struct err *err)
{
    struct explained_changes *changes = context;
    struct explained_change *change = &changes->rows[changes->n++];
    *change = (struct explained_change){
        .version = strdup(row->key.version),
        .slice = strdup(row->key.slice),
        .name = strdup(row->key.name),
        .of_feature = strcmp(row->key.kind, "feature") == 0,
        .began_ms = row->began_ms,
        .at_ms = row->at_ms,
        .before = row->mean_before,
        .after = row->mean_after,
        .n_after = row->n_after,
        .reference = row->reference,
    };
    snprintf(change->direction, sizeof(change->direction), "%s", row->direction);
    return change->version && change->slice && change->name
               ? 0
               : err_set(err, -ENOMEM, "changes to explain: no memory");
}

static int by_start(const void *a, const void *b)
{
    const struct explained_change *x = a, *y = b;
    if (x->began_ms != y->began_ms)
        return x->began_ms < y->began_ms ? -1 : 1;
    if (x->at_ms != y->at_ms)
        return x->at_ms < y->at_ms ? -1 : 1;
    int order = strcmp(x->name, y->name);
    order = order ? order : strcmp(x->version, y->version);
    return order ? order : strcmp(x->slice, y->slice);
}

static bool same_stream(const struct explained_change *x, const struct explained_change *y)
{
    return x->of_feature == y->of_feature && strcmp(x->name, y->name) == 0 &&
           strcmp(x->version, y->version) == 0 && strcmp(x->slice, y->slice) == 0;
}

static void keep_first_of_streams(struct explained_changes *changes)
{
    size_t n = 0;
    for (size_t i = 0; i < changes->n; i++) {
        size_t k = 0;
        while (k < n && !same_stream(&changes->rows[k], &changes->rows[i]))
            k++;
        if (k < n)
            change_finish(&changes->rows[i]);
        else
            changes->rows[n++] = changes->rows[i];
    }
    changes->n = n;
}

static bool is_input(const struct explained_change *change)
{
    return change->of_feature && change->name[0] != '@';
}

/* What a model is given moves what it makes of it: an input that had begun when the first mover
   was found comes before it, though a detector of the score may be the quicker one. */
static void put_input_first(struct explained_changes *changes)
{
    struct explained_change *rows = changes->rows;
    size_t i = 0;
    while (i < changes->n && !is_input(&rows[i]))
        i++;
    if (i == 0 || i == changes->n || rows[i].began_ms > rows[0].at_ms)
        return;
    const struct explained_change input = rows[i];
    memmove(&rows[1], &rows[0], i * sizeof(*rows));
    rows[0] = input;
}

int explained_changes_read(struct store *store, const struct change_query *query,
                           struct explained_changes *out, struct err *err)
{
    struct change_query newest = *query;
    newest.limit = EXPLAINED_CHANGES;
    *out = (struct explained_changes){
        .rows = malloc(EXPLAINED_CHANGES * sizeof(struct explained_change))};
    if (!out->rows)
        return err_set(err, -ENOMEM, "changes to explain: no memory");
    int rc = change_points_each(store, &newest, keep, out, err);
    if (rc) {
        explained_changes_finish(out);
        return rc;
    }
    qsort(out->rows, out->n, sizeof(*out->rows), by_start);
    keep_first_of_streams(out);
    put_input_first(out);
    return 0;
}

/* --- the sentence --- */

void change_where(const char *slice, char out[CHANGE_WHERE_BYTES])
{
    out[0] = '\0';
    if (slice[0])
        snprintf(out, CHANGE_WHERE_BYTES, " in %.*s", (int)text_fit(slice, 60), slice);
    char *equals = strchr(out, '=');
    if (equals)
        *equals = ':';
}

/* "the distribution of income in country:de", "accuracy". */
static void tell_stream(const struct explained_change *change, char *out, size_t n)
{
    char where[CHANGE_WHERE_BYTES];
    change_where(change->slice, where);
    snprintf(out, n, "%s%.*s%s", change->direction[0] == 's' ? "the distribution of " : "",
             (int)text_fit(change->name, 80), change->name, where);
}

static void tell_move(const struct explained_change *change, char *out, size_t n)
{
    const bool shape = change->direction[0] == 's';
    const char *verb = shape ? "changed" : change->direction[0] == 'u' ? "rose" : "fell";
    if (isnan(change->before) || isnan(change->after))
        snprintf(out, n, "%s", verb);
    else
        snprintf(out, n, "%s%s from %.4g to %.4g", verb, shape ? ", its mean" : "", change->before,
                 change->after);
}

/* Which other streams followed, as far as there is room for their names. */
static void tell_others(const struct explained_changes *changes, char *out, size_t n)
{
    enum {
        NAMED = 2
    };
    size_t used = 0;
    for (size_t i = 1; i < changes->n && i <= NAMED && used < n; i++) {
        char stream[180];
        tell_stream(&changes->rows[i], stream, sizeof(stream));
        used += (size_t)snprintf(out + used, n - used, "%s%s", i == 1 ? "; then " : ", ", stream);
    }
    if (changes->n > NAMED + 1 && used < n)
        snprintf(out + used, n - used, " and %zu more", changes->n - 1 - NAMED);
}

void explained_changes_tell(const struct explained_changes *changes, char *out, size_t n)
{
    char stream[180], move[80], began[TEXT_TIME_BYTES], others[400] = "";
    out[0] = '\0';
    if (changes->n == 0)
        return;
    const struct explained_change *first = &changes->rows[0];
    tell_stream(first, stream, sizeof(stream));
    tell_move(first, move, sizeof(move));
    time_print(began, first->began_ms);
    tell_others(changes, others, sizeof(others));
    int used = snprintf(out, n, "%s of version %.*s %s at about %s%s", stream,
                        (int)text_fit(first->version, 40), first->version, move, began, others);
    if (used >= (int)n) /* that it moved is the stronger half */
        snprintf(out, n, "%s of version %.*s %s at about %s", stream,
                 (int)text_fit(first->version, 40), first->version, move, began);
}
