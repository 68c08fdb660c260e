/*
 * A thread for each task: they are rare, and a thread that waits for the next one would have to be ended, too.
 *
 * Starting and joining the thread order what both use; for a turn, `lock` does: in it the borrower waits.
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
    pthread_mutex_lock(&lending->lock);
    atomic_store(&lending->at_work, false);
    pthread_cond_signal(&lending->changed);
    pthread_mutex_unlock(&lending->lock);
    return NULL;
}

/* False: there is no thread to be had. */
static bool lend(struct store *store, writer_fn *task, void *context)
{
    struct lending *lending = &store->lending;
    *lending = (struct lending){.lent = true,
                                .at_work = true,
                                .lender = pthread_self(),
                                .lock = PTHREAD_MUTEX_INITIALIZER,
                                .changed = PTHREAD_COND_INITIALIZER,
                                .task = task,
                                .context = context};
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

static bool is_lender(const struct lending *lending)
{
    return lending->lent && pthread_equal(lending->lender, pthread_self());
}

void store_recall(struct store *store)
{
    struct lending *lending = &store->lending;
    if (!is_lender(lending))
        return;
    store_resume(store);
    pthread_join(lending->borrower, NULL);
    lending->lent = false;
}

void store_await(struct store *store)
{
    if (is_lender(&store->lending) && !store->lending.turn)
        store_recall(store);
}

bool store_interrupt(struct store *store)
{
    struct lending *lending = &store->lending;
    if (!is_lender(lending) || lending->turn)
        return false;
    pthread_mutex_lock(&lending->lock);
    atomic_store(&lending->wanted, true);
    while (!lending->paused && atomic_load(&lending->at_work))
        pthread_cond_wait(&lending->changed, &lending->lock);
    lending->turn = lending->paused;
    atomic_store(&lending->wanted, lending->turn);
    pthread_mutex_unlock(&lending->lock);
    if (!lending->turn)
        return false;
    lending->in_commit = store->in_commit;
    store->in_commit = false;
    return true;
}

void store_resume(struct store *store)
{
    struct lending *lending = &store->lending;
    if (!is_lender(lending) || !lending->turn)
        return;
    store->in_commit = lending->in_commit;
    pthread_mutex_lock(&lending->lock);
    lending->turn = false;
    atomic_store(&lending->wanted, false);
    pthread_cond_signal(&lending->changed);
    pthread_mutex_unlock(&lending->lock);
}

void store_pause(struct store *store)
{
    struct lending *lending = &store->lending;
    if (!atomic_load_explicit(&lending->wanted, memory_order_relaxed))
        return;
    pthread_mutex_lock(&lending->lock);
    lending->paused = atomic_load(&lending->wanted);
    pthread_cond_signal(&lending->changed);
    while (atomic_load(&lending->wanted))
        pthread_cond_wait(&lending->changed, &lending->lock);
    lending->paused = false;
    pthread_mutex_unlock(&lending->lock);
}
