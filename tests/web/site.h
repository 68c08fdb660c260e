/*
 * A web server over a database of its own for a test: filled pane by pane, asked over real sockets.
 *
 * Owner    site_new gives, site_free takes: server, database, directory
 * Units    minutes are ms since the epoch, multiples of 60000
 */
#pragma once

#include "common/buf.h"
#include "storage/changes.h"
#include "storage/commit.h"
#include "tests/lib/temp_store.h"
#include "web/web.h"

#define SITE_START INT64_C(1700006400000) /* 2023-11-15T00:00:00Z */

struct site {
    struct temp *temp;
    struct store *store; /* the writer's */
    struct changes *changes;
    struct config config;
    struct web_commands commands;
    struct clock clock;
    int64_t now_ms;    /* what `clock` says */
    struct memo *memo; /* of questions by value (tests/web/answers.h); NULL: none */
    struct web *web;
    int port;
};

struct site *site_new(void);        /* not serving yet: adjust config and commands first */
void site_serve(struct site *site); /* fails the test with the message when it does not start */
void site_free(struct site *site);
static inline void site_freep(struct site **p)
{
    site_free(*p);
}

/* What one minute of one slice of a version holds: right and wrong answers to positives (label 1)
   and negatives. Right positives score 0.9, wrong ones 0.2; right negatives 0.1, wrong ones 0.7. */
struct minute {
    const char *model, *version, *slice;
    int64_t start_ms;
    int tp, fn, tn, fp;
    int unlabelled;
    int failed;
};
/* One commit; the watermark goes to the minute's end. */
void site_minute(struct site *site, const struct minute *minute);

struct reply {
    int status;       /* 0: the connection ended without an answer */
    struct buf text;  /* everything that came */
    const char *body; /* in text, after the header; NUL-terminated */
    size_t body_size;
};
void reply_finish(struct reply *reply);
/* The value of a header, in a static buffer; NULL when there is none. */
const char *reply_header(const struct reply *reply, const char *name);

/* Sends the bytes as they are, then reads until the server closes or `quiet_ms` pass in silence. */
void site_send(const struct site *site, const char *bytes, size_t n, int quiet_ms,
               struct reply *reply);
/* GET with `headers` ("Name: value\r\n…", may be ""), connection closed afterwards. */
void site_get(const struct site *site, const char *target, const char *headers,
              struct reply *reply);
/* A connected socket, for what is neither. */
int site_connect(const struct site *site);
