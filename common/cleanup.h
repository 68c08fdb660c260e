/*
 * Memory that its scope takes back: `AUTO(window) struct window *w = NULL;`
 *
 * Owner    the local variable; to give the thing away assign it and set the local to NULL with
 *          the words "the caller owns it now"
 */
#pragma once

#include <stdlib.h>
#include <unistd.h>

#define AUTO(type) __attribute__((cleanup(type##_freep)))

#define DEFINE_FREEP(type)                           \
    static inline void type##_freep(struct type **p) \
    {                                                \
        type##_free(*p);                             \
    }

/* `AUTO_FREE char *text = NULL;` for what malloc gave. */
#define AUTO_FREE __attribute__((cleanup(cleanup_free)))
static inline void cleanup_free(void *p)
{
    free(*(void **)p);
}

/* `AUTO_CLOSE int fd = -1;` */
#define AUTO_CLOSE __attribute__((cleanup(cleanup_close)))
static inline void cleanup_close(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
