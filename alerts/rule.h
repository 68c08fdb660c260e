/*
 * The alert rules of a configuration (`alerts:`), parsed and checked.
 *
 * Shape    one struct alert_rule an entry; `kind` says which of its fields count
 * Units    durations: ms · levels: the metric's own unit · shares: fractions 0..1
 * Owner    rule_set_parse gives, rule_set_free takes; all strings live in the set
 * Errors   ERR_USAGE: `FILE:LINE: alerts[2].metric: …` with near matches for unknown metrics,
 *          models, keys and template fields
 * Threads  read-only after parsing
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alerts/alert.h"
#include "common/cleanup.h"
#include "common/config.h"
#include "common/err.h"
#include "common/part.h"

enum rule_kind {
    RULE_LEVEL,       /* metric: below | above, maybe relative_to something */
    RULE_TREND,       /* metric: trend decreasing | increasing over `points` windows */
    RULE_ABSENT,      /* no event of the model for absent_ms */
    RULE_DRIFT,       /* drift of any feature, of one, or of a share of them */
    RULE_LAG,         /* consumer lag in messages above a level */
    RULE_QUALITY,     /* share of missing or invalid values of a feature above a level */
    RULE_EXPERIMENT,  /* something happened to an experiment */
    RULE_AUDIT,       /* the audit log's chain of hashes is broken */
    RULE_CERTIFICATE, /* the certificate that we serve ends within certificate_ms */
    RULE_CHANGE,      /* a change by the event of any stream, or of one, within the last `window` */
};

enum rule_quality { /* in the order of their words; the last four are reasons of INVALID */
    QUALITY_MISSING,
    QUALITY_INVALID,
    QUALITY_TYPE,
    QUALITY_RANGE,
    QUALITY_CATEGORY,
    QUALITY_NOT_FINITE,
};

enum rule_on {
    ON_ROLLED_BACK, /* these three: within the last `window` */
    ON_PROMOTED,
    ON_STEP,
    ON_HELD, /* it holds now */
    ON_SRM,  /* the sample ratio does not fit now */
};

enum rule_relative {
    RELATIVE_NONE,
    RELATIVE_PREVIOUS,  /* the window just before */
    RELATIVE_BACK,      /* the same window relative_ms ago: 1d, 7d */
    RELATIVE_REFERENCE, /* the model's reference: a span, a version, or the time just before */
    RELATIVE_REALISED,  /* an estimate: what came true of it in the same window */
};

enum severity {
    SEVERITY_INFO,
    SEVERITY_WARNING,
    SEVERITY_ERROR,
    SEVERITY_CRITICAL
};
const char *severity_name(enum severity severity);

/* A recurring time in which nobody is told: `mute: [{days: [sat, sun], from: "22:00", to:
 * "06:00"}]` */
struct mute_window {
    unsigned days;   /* bit 0 = Sunday */
    int from_minute; /* of the day, UTC */
    int to_minute;   /* below from_minute: over midnight */
};

struct alert_rule {
    const char *name;
    enum rule_kind kind;
    const char *model;   /* NULL: not of one model */
    const char *version; /* NULL: all versions merged */
    const char *slice;   /* "country=de"; "" overall */
    const char *metric;
    int64_t window_ms;

    bool above;   /* bad when above `level`; else when below */
    double level; /* absolute, or the relative change that is too much (0.1 = 10%) */
    double clear; /* the level at which it is well again; = level when not given */
    enum rule_relative relative_to;
    int64_t relative_ms;

    bool decreasing; /* RULE_TREND */
    int points;
    double trend_rate; /* of false alarms, by Mann–Kendall's test; 0: each window below the last */

    const char *stream; /* RULE_CHANGE: a metric or a feature; NULL: any */

    const char *feature; /* RULE_DRIFT: this one alone; NULL: any, or `level` share of all */
    bool drift_share;

    enum rule_quality quality; /* RULE_QUALITY; `feature` NULL: the worst of all */
    const char *experiment;    /* RULE_EXPERIMENT: its name, or "any" */
    enum rule_on on;

    int64_t absent_ms;      /* RULE_ABSENT */
    int64_t certificate_ms; /* RULE_CERTIFICATE: of the wall clock */

    int64_t every_ms; /* event time between two looks; whole seconds, default 1s */

    bool interval;       /* the whole 95% interval must lie beyond the level */
    int64_t min_count;   /* fewer predictions than this: no data */
    double mature_share; /* share of labels that must be in before it is judged; 0: none */
    int64_t mature_ms;   /* then the window so long ago is judged, whatever its labels; 0: none */
    struct alert_timing timing;
    enum severity severity;
    const struct part_pair *labels;
    size_t n_labels;
    const struct part_pair *annotations; /* templates, see alerts/template.h */
    size_t n_annotations;
    const char *const *inhibit; /* names of rules that silence this one while they fire */
    size_t n_inhibit;
    const struct mute_window *mute;
    size_t n_mute;
};

struct rule_set;

int rule_set_parse(struct rule_set **out, const struct config *config, struct err *err);
void rule_set_free(struct rule_set *set);
DEFINE_FREEP(rule_set)

size_t rule_set_count(const struct rule_set *set);
const struct alert_rule *rule_set_at(const struct rule_set *set, size_t index);
const struct alert_rule *rule_set_find(const struct rule_set *set, const char *name);

/* Is the rule mute at this time? */
bool rule_muted(const struct alert_rule *rule, int64_t now_ms);
