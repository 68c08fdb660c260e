/*
 * Errors as people and programs over HTTP get them: RFC 9457, application/problem+json, with the
 * parameter at fault (`field`) and what it may be (`allowed`).
 *
 * Shape    {"type":"about:blank","title":"Bad Request","status":400,"detail":"…","field":"…",
 *          "allowed":["…"]}
 */
#pragma once

#include "web/api.h"

/* The HTTP status that belongs to an error of common/err.h. */
int problem_status(int code);
const char *problem_title(int status);

/* Replaces the answer by the problem; answer->status, field and allowed are as set before. */
void problem_write(struct api_answer *answer, const char *detail);
