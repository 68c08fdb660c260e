#include "tests/lib/beside.h"

#include <errno.h>
#include <sched.h>

#include "collector/aside.h"
#include "tests/test.h"

struct beside beside;

void beside_reset(void)
{
    atomic_store(&beside.none, false);
    atomic_store(&beside.shut, false);
    atomic_store(&beside.failing, false);
    atomic_store(&beside.lazy, false);
    atomic_store(&beside.awaited, false);
    atomic_store(&beside.n, 0);
    beside.out = false;
    beside.given = 0;
    beside.writer = pthread_self();
    sem_init(&beside.entered, 0, 0);
    sem_init(&beside.open, 0, 0);
}

bool beside_is_writer(void)
{
    return pthread_equal(pthread_self(), beside.writer);
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*run)(void *),
                          void *context);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*run)(void *),
                          void *context);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*run)(void *),
                          void *context)
{
    return atomic_load(&beside.none) ? EAGAIN : __real_pthread_create(thread, how, run, context);
}

bool __real_aside_give(struct aside *aside, aside_work *work, void *context);
bool __wrap_aside_give(struct aside *aside, aside_work *work, void *context);
bool __wrap_aside_give(struct aside *aside, aside_work *work, void *context)
{
    beside.given++;
    beside.out = true;
    return __real_aside_give(aside, work, context);
}

void __real_aside_wait(struct aside *aside);
void __wrap_aside_wait(struct aside *aside);
void __wrap_aside_wait(struct aside *aside)
{
    atomic_store(&beside.awaited, true);
    __real_aside_wait(aside);
    atomic_store(&beside.awaited, false);
    beside.out = false;
}

int beside_work(void)
{
    atomic_fetch_add(&beside.n, 1);
    if (atomic_exchange(&beside.shut, false)) {
        sem_post(&beside.entered);
        sem_wait(&beside.open);
    }
    while (atomic_load(&beside.lazy) && !atomic_load(&beside.awaited))
        sched_yield();
    return atomic_exchange(&beside.failing, false) ? -ENOMEM : 0;
}

bool beside_step_until_at_work(struct collector_bench *bench)
{
    struct err err = {0};
    int rc = 0;
    beside.given = 0;
    atomic_store(&beside.shut, true);
    while (rc >= 0 && rc != COLLECTOR_END && beside.given == 0)
        rc = collector_step(bench->collector, 0, &err);
    return beside.given && sem_wait(&beside.entered) == 0;
}

static void *let_go(void *context)
{
    (void)context;
    sem_post(&beside.open);
    return NULL;
}

pthread_t beside_let_go(void)
{
    pthread_t thread;
    assert_int_equal(__real_pthread_create(&thread, NULL, let_go, NULL), 0);
    return thread;
}
