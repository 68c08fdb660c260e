/*
 * Alerts, silences and notifications for page_server, and what people do to them there.
 *
 * Threads  page_alerts_command: the web's; it and the caller's commits take page_alerts_lock
 */
#pragma once

#include <pthread.h>

#include "tests/web/site.h"

extern pthread_mutex_t page_alerts_lock;

/* In a commit: two that fire, one pending, one resolved, a silence, four notifications. */
void page_alerts_write(struct site *site, int64_t end_ms, const char *hostile);
/* web_commands.alert */
int page_alerts_command(void *context, const char *action, const char *subject, const char *body,
                        const char *who, struct buf *answer, struct err *err);
