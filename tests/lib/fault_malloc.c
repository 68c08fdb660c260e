#include "tests/lib/fault_malloc.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "tests/test.h"

static atomic_int_fast64_t counted;
static atomic_int_fast64_t failing; /* 0: none */
static atomic_bool failed;
static atomic_bool on_pause;
static sqlite3_mem_methods sqlite_own;

static bool fails(void)
{
    if (on_pause)
        return false;
    bool now = ++counted == failing;
    if (now)
        failed = true;
    return now;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return fails() ? NULL : __real_realloc(p, n);
}

char *__wrap_strdup(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = __wrap_malloc(n);
    return copy ? memcpy(copy, text, n) : NULL;
}

static void *sqlite_malloc(int n)
{
    return fails() ? NULL : sqlite_own.xMalloc(n);
}

static void *sqlite_realloc(void *p, int n)
{
    return fails() ? NULL : sqlite_own.xRealloc(p, n);
}

void fault_malloc_sqlite(void)
{
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_own), SQLITE_OK);
    sqlite3_mem_methods methods = sqlite_own;
    methods.xMalloc = sqlite_malloc;
    methods.xRealloc = sqlite_realloc;
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods), SQLITE_OK);
}

void fault_malloc_at(int64_t n)
{
    counted = 0;
    failing = n;
    failed = false;
}

void fault_malloc_pause(bool paused)
{
    on_pause = paused;
}

bool fault_malloc_has_failed(void)
{
    return failed;
}

int64_t fault_malloc_count(void)
{
    return counted;
}
