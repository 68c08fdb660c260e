/*
 * cli/serve_commands: what web asks of its siblings in the daemon (ingest, health, metrics,
 * versions, references, alerts, experiments), as the table that web takes.
 *
 * Owner: the table borrows the daemon, which outlives web.
 * Errors: those of the part that is asked, in web's codes (WEB_BUSY, WEB_INVALID, WEB_CONFLICT).
 * Threads: called on web's; whatever changes the database runs on the writer's (collector_call).
 */
#ifndef ASSAY_CLI_SERVE_COMMANDS_H
#define ASSAY_CLI_SERVE_COMMANDS_H

#include "cli/daemon.h"

struct web_commands serve_commands(struct daemon *daemon);

#endif
