#include "web/gateway/table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void find_versions(struct route_table *table)
{
    const struct gateway_settings *s = table->settings;
    const struct stored_experiment *e = &table->experiment;
    table->control = s->standard;
    table->treatment = -1;
    if (!e->object) {
        if (s->experiment)
            snprintf(table->fault, sizeof(table->fault), "there is no experiment %.128s yet",
                     s->experiment);
        return;
    }
    const char *control = stored_text(e, "control"), *treatment = stored_text(e, "treatment");
    int found = upstream_find(s, control);
    if (found >= 0)
        table->control = found;
    else
        snprintf(table->fault, sizeof(table->fault), "control %.100s of %.100s has no upstream",
                 control, e->name);
    table->treatment = upstream_find(s, treatment);
    if (table->treatment < 0)
        snprintf(table->fault, sizeof(table->fault), "treatment %.100s of %.100s has no upstream",
                 treatment, e->name);
}

int table_new(struct route_table **out, struct gateway_settings *settings,
              struct stored_experiment *experiment, struct err *err)
{
    struct route_table *table = calloc(1, sizeof(*table));
    if (!table) {
        if (experiment)
            stored_finish(experiment);
        return err_set(err, -ENOMEM, "gateway: no memory for its table");
    }
    atomic_init(&table->references, 1);
    table->settings = settings_take(settings);
    if (experiment)
        table->experiment = *experiment; /* the table owns it now */
    find_versions(table);
    *out = table;
    return 0;
}

struct route_table *table_take(struct route_table *table)
{
    atomic_fetch_add(&table->references, 1);
    return table;
}

void table_drop(struct route_table *table)
{
    if (!table || atomic_fetch_sub(&table->references, 1) > 1)
        return;
    settings_drop(table->settings);
    stored_finish(&table->experiment);
    free(table);
}

struct choice table_choose(const struct route_table *table, const char *unit, size_t n)
{
    if (table->treatment >= 0 && stored_treats(&table->experiment, unit, n))
        return (struct choice){table->treatment, true};
    return (struct choice){table->control, false};
}

double table_share(const struct route_table *table)
{
    return table->treatment >= 0 ? table->experiment.weight / 100 : 0;
}

bool table_same(const struct route_table *a, const struct route_table *b)
{
    return a->settings == b->settings && a->control == b->control && a->treatment == b->treatment &&
           strcmp(a->experiment.name, b->experiment.name) == 0 &&
           a->experiment.seq == b->experiment.seq && strcmp(a->fault, b->fault) == 0;
}
