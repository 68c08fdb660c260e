#include "common/grow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIRST_ITEMS = 16
};

int grow(void *array, size_t *capacity, size_t wanted, size_t item_bytes, const char *what,
         struct err *err)
{
    if (wanted <= *capacity)
        return 0;
    size_t n = *capacity ? *capacity : FIRST_ITEMS;
    while (n < wanted)
        if (__builtin_mul_overflow(n, 2, &n))
            return err_set(err, -ENOMEM, "%s: no memory for %zu", what, wanted);
    size_t bytes;
    void *items; /* copied, not cast: a pointer to anything is no pointer to void */
    memcpy(&items, array, sizeof(items));
    void *grown = __builtin_mul_overflow(n, item_bytes, &bytes) ? NULL : realloc(items, bytes);
    if (!grown)
        return err_set(err, -ENOMEM, "%s: no memory for %zu", what, wanted);
    memset((char *)grown + *capacity * item_bytes, 0, (n - *capacity) * item_bytes);
    memcpy(array, &grown, sizeof(grown));
    *capacity = n;
    return 0;
}
