/*
 * What loaded references keep of slices, beside them in the database: a row for each slice, and one
 * that says which there are.
 *
 * Shape    they belong to one row of reference_states, come and go with it, and are read one by one:
 *          who asks for one slice does not read the others
 * Owner    reference_slice_read gives, reference_free takes
 * Errors   as in storage/store.h. Damaged bytes are no error: the slice is missing, with the reason
 * Threads  commit_reference_slices: the writer's, in a commit · the others: that of the store
 */
#pragma once

#include "stats/fitted.h"
#include "storage/references.h"

/* Beside the reference that was committed last, in the same transaction. */
int commit_reference_slices(struct store *store, int64_t reference_seq, const struct fitted *fitted,
                            struct err *err);

/* The part of row->reference that is of the slice ("country=de"). *out NULL: it has none, and `why`
   (of n bytes) says why. */
int reference_slice_read(struct store *store, const struct reference_row *row, const char *slice,
                         struct reference **out, char *why, size_t n, struct err *err);

/* Whether the model's own reference that counts is of this id but keeps other slices: it was loaded
   before slices were kept, or for other segments. */
int reference_slices_differ(struct store *store, const char *model, uint64_t id,
                            const struct fitted *fitted, bool *out, struct err *err);

/* For `assay verify`: the hash of every row. ERR_CORRUPT names the first fault. */
int reference_slices_verify(struct store *store, struct err *err);
