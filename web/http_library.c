#include "web/http_library.h"

#include <stdio.h>

unsigned http_library_tls(struct http_library_tls *tls, char *certificate, char *key)
{
    const struct MHD_OptionItem end = {MHD_OPTION_END, 0, NULL};
    tls->items[0] = end;
    if (!certificate)
        return 0;
    snprintf(tls->versions, sizeof(tls->versions), "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2");
    tls->items[0] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, certificate};
    tls->items[1] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, key};
    tls->items[2] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, tls->versions};
    tls->items[3] = end;
    return MHD_USE_TLS;
}

void http_library_be_silent(void *context, const char *format, va_list arguments)
{
    (void)context;
    (void)format;
    (void)arguments;
}

void http_library_guard(struct guard *guard, struct MHD_Connection *connection,
                        void **socket_context, enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        guard_close(guard, *socket_context);
        *socket_context = NULL;
        return;
    }
    const union MHD_ConnectionInfo *fd =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *address =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (fd && address)
        *socket_context = guard_open(guard, fd->connect_fd, address->client_addr);
}
