/*
 * A thread for each task: they are rare, and a thread that waits for the next one would have to be ended, too.
 *
 * Only the lender reads and writes `lending` but for `at_work`; starting and joining the thread order all else.
 */
#include "storage/lend.h"

#include "storage/commit.h"
#include "storage/connection.h"

static void *borrow(void *context)
{
    struct store *store = context;
    struct lending *lending = &store->lending;
    pthread_setname_np(pthread_self(), "clerk"); /* as `top -H` shows it */
    lending->rc = lending->task(lending->context, store, &lending->why);
    if (lending->rc < 0 && commit_is_shared(store)) {
        struct err ignored;
        (void)commit_begin(store, &ignored); /* unless it has left one open */
        commit_rollback(store);
    }
    atomic_store(&lending->at_work, false);
    return NULL;
}

/* False: there is no thread to be had. */
static bool lend(struct store *store, writer_fn *task, void *context)
{
    struct lending *lending = &store->lending;
    *lending = (struct lending){
        .lent = true, .at_work = true, .lender = pthread_self(), .task = task, .context = context};
    bool begun = pthread_create(&lending->borrower, NULL, borrow, store) == 0;
    if (!begun) /* else it reads that, too */
        lending->lent = false;
    return begun;
}

int store_lend(struct store *store, writer_fn *task, void *context, struct err *err)
{
    store_recall(store);
    if (commit_is_shared(store) && lend(store, task, context))
        return 0;
    return task(context, store, err);
}

static int checkpoint(void *context, struct store *store, struct err *err)
{
    (void)context;
    return store_checkpoint(store, err);
}

int store_lend_for_checkpoint(struct store *store, struct err *err)
{
    store_recall(store);
    return lend(store, checkpoint, NULL) ? 0 : store_checkpoint(store, err);
}

bool store_is_lent(const struct store *store)
{
    return store->lending.lent && atomic_load(&store->lending.at_work);
}

void store_recall(struct store *store)
{
    struct lending *lending = &store->lending;
    if (!lending->lent || !pthread_equal(lending->lender, pthread_self()))
        return;
    pthread_join(lending->borrower, NULL);
    lending->lent = false;
}
