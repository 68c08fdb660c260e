#include "stats/fitted.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Most events first, equal ones by name. */
static int by_size(const void *a, const void *b)
{
    const struct slice_reference *x = a, *y = b;
    if (x->reference->events != y->reference->events)
        return x->reference->events > y->reference->events ? -1 : 1;
    return strcmp(x->slice, y->slice);
}

int fitted_bound_slices(struct fitted *fitted, int64_t most, struct err *err)
{
    uint64_t sum = 0;
    bool failed = false;
    struct buf bytes;
    if (fitted->n_slices)
        qsort(fitted->slices, fitted->n_slices, sizeof(*fitted->slices), by_size);
    buf_init(&bytes, SIZE_MAX / 2);
    for (uint32_t i = 0; !failed && i < fitted->n_slices; i++) {
        struct slice_reference *slice = &fitted->slices[i];
        buf_clear(&bytes);
        reference_save(slice->reference, &bytes);
        failed = buf_failed(&bytes);
        sum += bytes.size;
        if (sum > (uint64_t)most) {
            reference_free(slice->reference);
            slice->reference = NULL;
        }
    }
    buf_finish(&bytes);
    return failed ? err_set(err, -ENOMEM, "reference: no memory for its slices") : 0;
}
