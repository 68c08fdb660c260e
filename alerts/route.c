#include "alerts/route.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"

enum {
    MAX_DEPTH = 8,
    MAX_MATCHERS = 32
};

struct route {
    json_t *json; /* the root's: owns the texts */
    const char *receiver;
    const char *const *group_by;
    size_t n_group_by;
    bool group_by_all; /* "...": each alert its own group */
    struct route_timing timing;
    bool goes_on; /* `continue: true` */
    struct matcher *matchers[MAX_MATCHERS];
    size_t n_matchers;
    struct route **children;
    size_t n_children;
    struct part part; /* the root's: owns the lists */
};

struct parsing {
    struct part *part;
    const char *const *receivers;
    size_t n_receivers;
};

static int read_matchers(struct parsing *p, const json_t *object, struct route *route)
{
    const json_t *list = json_object_get(object, "matchers");
    if (!list)
        return 0;
    if (!json_is_array(list) || json_array_size(list) > MAX_MATCHERS)
        return part_refuse(p->part, "matchers", "must be a list of at most %d texts", MAX_MATCHERS);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        struct err why = {0};
        if (!text)
            return part_refuse(p->part, "matchers", "must be a list of texts");
        if (matcher_parse(&route->matchers[route->n_matchers], text, &why))
            return part_refuse(p->part, "matchers", "%s", why.text);
        route->n_matchers++;
    }
    return 0;
}

static int read_receiver(struct parsing *p, const json_t *object, struct route *route)
{
    int rc = part_text(p->part, object, "receiver", &route->receiver);
    if (rc)
        return rc;
    if (!route->receiver)
        return part_refuse(p->part, "receiver", "is missing");
    for (size_t i = 0; i < p->n_receivers; i++) {
        if (strcmp(p->receivers[i], route->receiver) == 0)
            return 0;
    }
    const char *near = text_near(route->receiver, p->receivers, p->n_receivers);
    return near ? part_refuse(p->part, "receiver", "no receiver is named \"%s\"; did you mean %s?",
                              route->receiver, near)
                : part_refuse(p->part, "receiver", "no receiver is named \"%s\"", route->receiver);
}

static int read_node(struct parsing *p, const json_t *object, const struct route *parent,
                     struct route *route, int depth);

static int read_children(struct parsing *p, const json_t *object, struct route *route, int depth)
{
    const json_t *list = json_object_get(object, "routes");
    if (!list)
        return 0;
    if (!json_is_array(list) || depth >= MAX_DEPTH)
        return part_refuse(p->part, "routes", "must be a list, at most %d deep", MAX_DEPTH);
    route->children = calloc(json_array_size(list) + 1, sizeof(struct route *));
    if (!route->children)
        return part_no_memory(p->part);
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct route *child = calloc(1, sizeof(*child));
        if (!child)
            return part_no_memory(p->part);
        route->children[route->n_children++] = child;
        int rc = read_node(p, json_array_get(list, i), route, child, depth + 1);
        if (rc)
            return rc;
    }
    return 0;
}

static int read_node(struct parsing *p, const json_t *object, const struct route *parent,
                     struct route *route, int depth)
{
    static const char *const keys[] = {
        "receiver",        "group_by", "group_wait", "group_interval",
        "repeat_interval", "matchers", "continue",   "routes",
    };
    int rc = part_keys(p->part, object, keys, sizeof(keys) / sizeof(keys[0]));
    if (parent) { /* what a child does not say it has from its parent */
        route->receiver = parent->receiver;
        route->group_by = parent->group_by;
        route->n_group_by = parent->n_group_by;
        route->group_by_all = parent->group_by_all;
        route->timing = parent->timing;
    } else {
        route->timing = (struct route_timing){10000, 60000, INT64_C(4) * 3600000};
    }
    if (!rc)
        rc = read_receiver(p, object, route);
    if (!rc)
        rc = part_names(p->part, object, "group_by", &route->group_by, &route->n_group_by);
    if (!rc)
        rc = part_duration(p->part, object, "group_wait", &route->timing.group_wait_ms);
    if (!rc)
        rc = part_duration(p->part, object, "group_interval", &route->timing.group_interval_ms);
    if (!rc)
        rc = part_duration(p->part, object, "repeat_interval", &route->timing.repeat_interval_ms);
    if (!rc)
        rc = part_flag(p->part, object, "continue", &route->goes_on);
    if (!rc)
        rc = read_matchers(p, object, route);
    if (rc)
        return rc;
    route->group_by_all = route->n_group_by == 1 && strcmp(route->group_by[0], "...") == 0;
    return read_children(p, object, route, depth);
}

int route_parse(struct route **out, const struct config *config, const char *const *receivers,
                size_t n_receivers, struct err *err)
{
    AUTO(route) struct route *route = calloc(1, sizeof(*route));
    if (!route)
        return err_set(err, -ENOMEM, "route: no memory");
    route->part = (struct part){
        .path = config->path, .line = config->route.line, .where = "route", .err = err};
    json_error_t why;
    route->json = json_loads(config->route.json, JSON_REJECT_DUPLICATES, &why);
    struct parsing p = {&route->part, receivers, n_receivers};
    int rc = read_node(&p, route->json, NULL, route, 0);
    if (!rc && route->n_matchers)
        rc = part_refuse(&route->part, "matchers", "the root takes every alert; put them below");
    if (rc)
        return rc;
    route->part.err = NULL;
    *out = route; /* the caller owns it now */
    route = NULL;
    return 0;
}

void route_free(struct route *route)
{
    if (!route)
        return;
    for (size_t i = 0; i < route->n_children; i++)
        route_free(route->children[i]);
    for (size_t i = 0; i < route->n_matchers; i++)
        matcher_free(route->matchers[i]);
    free(route->children);
    part_finish(&route->part);
    json_decref(route->json);
    free(route);
}

struct matching {
    const struct label_set *labels;
    int (*target)(void *context, const struct route_target *target, const char *group_key);
    void *context;
};

static bool matches_all(const struct route *route, const struct label_set *labels)
{
    for (size_t i = 0; i < route->n_matchers; i++) {
        if (!matcher_matches(route->matchers[i], labels))
            return false;
    }
    return true;
}

static bool grouped_by(const struct route *route, const char *label)
{
    if (route->group_by_all)
        return true;
    for (size_t i = 0; i < route->n_group_by; i++) {
        if (strcmp(route->group_by[i], label) == 0)
            return true;
    }
    return false;
}

static int tell(const struct route *route, const struct matching *m)
{
    struct buf key;
    buf_init(&key, 64 * 1024);
    buf_printf(&key, "%s{", route->receiver);
    for (size_t i = 0; i < m->labels->n; i++) {
        const struct part_pair *label = &m->labels->pairs[i];
        if (!grouped_by(route, label->key))
            continue;
        buf_printf(&key, "%s=", label->key);
        json_text(&key, label->value, strlen(label->value));
        buf_u8(&key, ',');
    }
    buf_bytes(&key, "}", 2); /* with its NUL */
    struct route_target target = {route->receiver, route->timing};
    int rc = buf_failed(&key) ? -ENOMEM : m->target(m->context, &target, (const char *)key.data);
    buf_finish(&key);
    return rc;
}

static int match_node(const struct route *route, const struct matching *m)
{
    bool deeper = false;
    for (size_t i = 0; i < route->n_children; i++) {
        const struct route *child = route->children[i];
        if (!matches_all(child, m->labels))
            continue;
        deeper = true;
        int rc = match_node(child, m);
        if (rc)
            return rc;
        if (!child->goes_on)
            break;
    }
    return deeper ? 0 : tell(route, m);
}

int route_match(const struct route *route, const struct label_set *labels,
                int (*target)(void *context, const struct route_target *target,
                              const char *group_key),
                void *context)
{
    struct matching m = {labels, target, context};
    return match_node(route, &m);
}
