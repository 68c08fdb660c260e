/*
 * Alerts, their history, silences, and the groups in which receivers are told of them: rows only;
 * what they mean is the alerts room's affair.
 *
 * Units    ms; `clock` says on which: "event" or "wall"
 * Owner    texts handed to callbacks live until they return
 * Threads  commit_*: the writer's, inside a commit · the others: that of the store
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "storage/store.h"

struct alert_row {
    const char *id; /* 16 hex digits */
    const char *rule;
    const char *model;
    const char *version; /* "": all */
    const char *slice;   /* "": overall */
    const char *severity;
    int phase; /* 0 inactive, 1 pending, 2 firing, 3 no data */
    int64_t since_ms, bad_since_ms, clear_since_ms, last_change_ms, flap_score;
    bool flapping, no_data;
    const char *acked_by; /* NULL: nobody */
    int64_t acked_ms;
    int64_t event;    /* the row of history that holds `data`; 0: the alert's own row does */
    const char *data; /* JSON, as notifications carry it; not written when there is an event */
};

int commit_alert(struct store *store, const struct alert_row *row, struct err *err);
/* Since when a firing alert has been clear; -1: it is not. */
int commit_alert_clear(struct store *store, const char *id, int64_t clear_since_ms,
                       struct err *err);
/* Acknowledged by whom; ERR_NOT_FOUND: no such alert, or it is not firing. */
int commit_alert_ack(struct store *store, const char *id, const char *who, int64_t at_ms,
                     struct err *err);

/* All rows, or those that are not inactive; firing first, then by `since`, newest first. */
int alerts_read(struct store *store, bool only_active,
                int (*row)(void *context, const struct alert_row *row, struct err *err),
                void *context, struct err *err);

/* An alert's `data`, malloc'd; ERR_NOT_FOUND: no such alert. */
int alert_data_read(struct store *store, const char *id, char **data, struct err *err);

/* Changes whenever an alert does (each change has a row of history or of the audit log): to be
   asked after each commit, where reading ten thousand alerts would be too much. */
int alerts_stamp(struct store *store, uint64_t *stamp, struct err *err);

/* How far a reader of changes has come: all zero knows nothing. */
struct alerts_mark {
    int64_t event;    /* newest row of history */
    int64_t acked_ms; /* newest acknowledgement */
};
/* Alerts that changed since the mark, newest first, without their `data`; moves the mark. */
int alerts_changed(struct store *store, struct alerts_mark *mark,
                   int (*row)(void *context, const struct alert_row *row, struct err *err),
                   void *context, struct err *err);
int alerts_count_firing(struct store *store, int64_t *n, struct err *err);

struct alert_event_row {
    int64_t id;
    const char *alert;
    const char *event;
    int64_t at_ms;
    const char *clock;
    const char *data;
};
/* *id: the new row's, for alert_row.event; NULL: not wanted. */
int commit_alert_event(struct store *store, const struct alert_event_row *row, int64_t *id,
                       struct err *err);
/* Newest first, ids below `before`; alert NULL: all. */
int alert_history_read(struct store *store, const char *alert, int64_t before, int limit,
                       int (*row)(void *context, const struct alert_event_row *row,
                                  struct err *err),
                       void *context, struct err *err);
/* In a commit: of the oldest `limit` rows, those of before before_ms (event time) go. The row that
   holds an alert's words stays with the alert. */
int commit_alert_history_expire(struct store *store, int64_t before_ms, int limit, struct err *err);

struct silence_row {
    int64_t id;
    const char *matchers; /* JSON array of texts */
    int64_t starts_ms, ends_ms;
    const char *created_by;
    const char *comment;
};
int commit_silence(struct store *store, const struct silence_row *row, int64_t *id,
                   struct err *err);
/* Ends it now; ERR_NOT_FOUND: no such silence, or it has ended. */
int commit_silence_end(struct store *store, int64_t id, int64_t now_ms, struct err *err);
/* Those that have not ended at now_ms (INT64_MIN: all), newest first. */
int silences_read(struct store *store, int64_t now_ms,
                  int (*row)(void *context, const struct silence_row *row, struct err *err),
                  void *context, struct err *err);

/* A group of alerts that one receiver is told of together; times are wall clock. */
struct alert_group_row {
    const char *key;
    const char *receiver;
    int64_t due_ms;  /* when to tell next; -1: nothing to tell */
    int64_t told_ms; /* -1: never */
    int64_t interval_ms, repeat_ms;
};
int commit_alert_group(struct store *store, const struct alert_group_row *row, struct err *err);
/* The row of `key`: 0 and *row (texts of the statement, until the next call), or ALERT_NO_GROUP. */
enum {
    ALERT_NO_GROUP = 1
};
int alert_group_read(struct store *store, const char *key, struct alert_group_row *row,
                     struct err *err);
/* Keys of groups that are due at now_ms, oldest first; at most `limit`. */
int alert_groups_due(struct store *store, int64_t now_ms, int limit,
                     int (*row)(void *context, const struct alert_group_row *row, struct err *err),
                     void *context, struct err *err);

struct alert_member {
    const char *alert;
    bool told;   /* the receiver believes it fires */
    bool untold; /* it has fired since the receiver was last told */
    bool acked;  /* somebody looks after it */
    int phase;   /* of the alert, now */
};
/* The receiver was told: it believes that the member fires, or that it does not. */
int commit_alert_member_told(struct store *store, const char *group_key, const char *alert,
                             bool firing, struct err *err);
/* The same of every member of the group: that it fires. */
int commit_alert_members_told(struct store *store, const char *group_key, struct err *err);
int commit_alert_member_leave(struct store *store, const char *group_key, const char *alert,
                              struct err *err);
/* Sets `untold` (made when it is not a member). */
int commit_alert_member_fired(struct store *store, const char *group_key, const char *alert,
                              struct err *err);
/* Firing first, then in the order of their beginnings. */
int alert_members_read(struct store *store, const char *group_key,
                       int (*row)(void *context, const struct alert_member *member,
                                  struct err *err),
                       void *context, struct err *err);
/* Groups that `alert` is a member of. */
int alert_groups_of(struct store *store, const char *alert,
                    int (*row)(void *context, const struct alert_group_row *row, struct err *err),
                    void *context, struct err *err);
