#include "collector/folding.h"

#include <errno.h>
#include <stdlib.h>

#include "collector/aside.h"

enum {
    WORTH_BUFFERS = 8, /* what waking the thread is worth: about 500 predictions */
    MOST_BUFFERS = 64  /* beyond, the writer waits for it: 1.2 MiB */
};

struct folding {
    struct aside *aside;
    struct gathered *spare;
    struct gathered *given; /* since the thread last had some */
    size_t n_given;
    struct gathered *beside; /* with the thread, or done */
    int failed;              /* what one of them came to; the thread's while it is at work */
};

int folding_new(struct folding **out, struct err *err)
{
    AUTO(folding) struct folding *folding = calloc(1, sizeof(*folding));
    if (!folding)
        return err_set(err, -ENOMEM, "collector: no memory for panes");
    int rc = aside_new(&folding->aside, "profiles", err);
    if (rc)
        return rc;
    *out = folding;
    folding = NULL; /* the caller owns it now */
    return 0;
}

static void free_all(struct gathered *gathered)
{
    while (gathered) {
        struct gathered *next = gathered->next;
        free(gathered);
        gathered = next;
    }
}

void folding_free(struct folding *folding)
{
    if (!folding)
        return;
    aside_free(folding->aside); /* first: it may be at work */
    free_all(folding->spare);
    free_all(folding->given);
    free_all(folding->beside);
    free(folding);
}

struct gathered *folding_spare(struct folding *folding)
{
    struct gathered *gathered = folding->spare;
    if (!gathered)
        return calloc(1, sizeof(*gathered));
    folding->spare = gathered->next;
    return gathered;
}

static void fold_all(void *context)
{
    struct folding *folding = context;
    for (struct gathered *at = folding->beside; at && !folding->failed; at = at->next)
        folding->failed = gathered_fold(at, &at->into);
}

/* Until the thread is free; its buffers are spare then. */
static int catch_up(struct folding *folding)
{
    aside_wait(folding->aside);
    while (folding->beside) {
        struct gathered *const done = folding->beside;
        folding->beside = done->next;
        done->next = folding->spare;
        folding->spare = done;
    }
    return folding->failed;
}

/* All that was given is what the thread, or the writer, is at next. */
static void take_given(struct folding *folding)
{
    folding->beside = folding->given;
    folding->given = NULL;
    folding->n_given = 0;
}

int folding_give(struct folding *folding, struct gathered *gathered,
                 const struct gathered_into *into)
{
    gathered->into = *into;
    gathered->next = folding->given;
    folding->given = gathered;
    folding->n_given++;
    const size_t enough = aside_is_free(folding->aside) ? WORTH_BUFFERS : MOST_BUFFERS;
    if (folding->n_given < enough)
        return 0;
    int rc = catch_up(folding);
    if (rc)
        return rc;
    take_given(folding);
    if (aside_give(folding->aside, fold_all, folding))
        return 0;
    fold_all(folding);
    return catch_up(folding);
}

int folding_settle(struct folding *folding)
{
    int rc = catch_up(folding);
    if (rc || !folding->given)
        return rc;
    take_given(folding);
    fold_all(folding);
    return catch_up(folding);
}
