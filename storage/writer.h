/*
 * How the rooms above reach the one writer: a function that is run on its thread, between two
 * transactions, with the writing store. cli points it at collector_call.
 *
 * Errors   what the function returned; -ECANCELED once the writer has stopped
 * Threads  any; waits until it is done
 */
#pragma once

#include "common/err.h"
#include "storage/store.h"

typedef int writer_fn(void *context, struct store *store, struct err *err);

struct writer {
    void *context;
    int (*call)(void *context, writer_fn *fn, void *fn_context, struct err *err);
};

static inline int writer_call(const struct writer *writer, writer_fn *fn, void *context,
                              struct err *err)
{
    return writer->call(writer->context, fn, context, err);
}
