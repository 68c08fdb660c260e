/*
 * The web room as cli sees it: one HTTP server with the REST API, the event stream, /metrics and
 * the dashboard, over a store that it only reads.
 *
 * Shape    web_start listens and returns; requests are answered on web's own threads until
 *          web_stop. `assay query` answers without a server: api_open + api_call (web/api.h).
 * Owner    web_start gives, web_stop takes (NULL is fine). The configuration, the change counter
 *          and the commands must outlive it
 * Errors   ERR_USAGE: an address beyond loopback without TLS and tokens, unreadable or malformed
 *          token, certificate or key file, an address that is taken; each names the key
 * Threads  any; web_stop waits for the requests under way
 */
#pragma once

#include "common/clock.h"
#include "common/config.h"
#include "common/err.h"
#include "storage/changes.h"
#include "web/commands.h"

struct web;

struct web_options {
    const struct config *config;         /* http, models; storage_path is not read */
    const char *store_path;              /* the database, opened for reading by each worker */
    struct changes *changes;             /* of the writer in this process */
    const struct web_commands *commands; /* copied */
    const struct clock *clock;           /* NULL: the system's */
    const char *web_dir;                 /* serves the page from this directory; NULL: embedded */
    struct drift_cache *drift_cache;     /* lent; NULL: web has its own */
};

/* The files that `http` names, as web_start reads them: ERR_DATA with `FILE:LINE: http.…`. */
int web_check(const struct config *config, struct err *err);

int web_start(struct web **out, const struct web_options *options, struct err *err);
void web_stop(struct web *web);
static inline void web_freep(struct web **p)
{
    web_stop(*p);
}

/*
 * Reads tokens, certificate and host names again, as `config` says now; what is under way goes on
 * as it began. On an error everything stays as it was.
 */
int web_reload(struct web *web, const struct config *config, struct err *err);

/* What answers go by from now on: models, their metrics, drift. Requests under way end as they
   began. `config` is shared. */
void web_configure(struct web *web, const struct config *config);

/* The port that is listened on (config port 0: the one the system chose). */
int web_port(const struct web *web);
/* "http://127.0.0.1:8080": what to print. */
const char *web_url(const struct web *web);
/* When the certificate that is served stops being valid, ms since the epoch; 0: none, or no web. */
int64_t web_certificate_end_ms(struct web *web);
