/*
 * Which version serves whom at this moment: a gateway's settings and the state of its experiment,
 * taken together once and never changed.
 *
 * Shape    made anew at each change of either, and swapped as a whole; a request keeps the one it
 *          began with
 * Owner    counted references; a table holds one of its settings
 * Threads  any
 * Source   contract §6. Without an experiment, or with one that was never started, everyone is
 *          served by control: the experiment's, else the gateway's `default`
 */
#pragma once

#include "web/experiment_json.h"
#include "web/gateway/settings.h"

struct tally;

struct route_table {
    atomic_int references;
    struct gateway_settings *settings;
    struct stored_experiment experiment;  /* object NULL: none */
    int control;                          /* indices of upstreams */
    int treatment;                        /* -1: none that could be reached */
    struct tally *tallies[UPSTREAMS_MAX]; /* of the upstreams; borrowed */
    char fault[300];                      /* why the split is not as the experiment wants it; "" */
};

struct choice {
    int upstream;
    bool treated;
};

/* Takes over what `experiment` holds (NULL: there is none), also when it fails. */
int table_new(struct route_table **out, struct gateway_settings *settings,
              struct stored_experiment *experiment, struct err *err);
struct route_table *table_take(struct route_table *table);
void table_drop(struct route_table *table);

struct choice table_choose(const struct route_table *table, const char *unit, size_t n);
/* Do both send everyone to the same versions? */
bool table_same(const struct route_table *a, const struct route_table *b);
/* The treatment's share of units, 0..1, as it is really served. */
double table_share(const struct route_table *table);
