/*
 * What the server and a gateway ask of the HTTP library alike: silence, TLS 1.2 or later, and a guard
 * over each connection.
 *
 * Owner    struct http_library_tls is the caller's, and must stay where it is until the library has
 *          started; certificate and key are borrowed for as long
 * Threads  the library's
 */
#pragma once

#include <microhttpd.h>
#include <stdarg.h>

#include "web/guard.h"

struct http_library_tls {
    char versions[48];
    struct MHD_OptionItem items[4]; /* for MHD_OPTION_ARRAY */
};

/* PEM; certificate NULL: no TLS. Returns the flags that go with it. */
unsigned http_library_tls(struct http_library_tls *tls, char *certificate, char *key);

/* For MHD_OPTION_EXTERNAL_LOGGER: the library's messages repeat what clients did wrong; counts of
   that are in /metrics. */
void http_library_be_silent(void *context, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

/* From MHD_OPTION_NOTIFY_CONNECTION's callback: a connection's context is its struct guarded. */
void http_library_guard(struct guard *guard, struct MHD_Connection *connection,
                        void **socket_context, enum MHD_ConnectionNotificationCode code);
