/*
 * One value of assay.yaml: text → number, duration, word …, or a complaint that shows what was
 * written, what would have been right, and where.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/config_read.h"
#include "common/text.h"

enum {
    PLACE_BYTES = 256,
    NAME_MAX_BYTES = 256,
    SHOWN_BYTES = 60, /* of a value, in a message */
};

/* "models[0].threshold" */
static void place_print(const struct place *place, struct buf *out)
{
    if (!place)
        return;
    place_print(place->above, out);
    if (place->name)
        buf_printf(out, "%s%.80s", place->above ? "." : "", place->name);
    else
        buf_printf(out, "[%zu]", place->index);
}

/* Messages go to terminals and logs: no control characters from the file. */
static void blank_controls(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
}

void config_complain(struct config_reader *r, int line, const struct place *place,
                     const char *format, ...)
{
    char where[PLACE_BYTES] = "", what[ERR_TEXT_BYTES];
    struct buf buf;
    buf_init(&buf, sizeof(where) - 1);
    place_print(place, &buf);
    if (buf.size)
        memcpy(where, buf.data, buf.size);
    buf_finish(&buf);

    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    struct err complaint;
    err_set(&complaint, ERR_DATA, "%s:%d: %s%s%s", r->path, line, where, *where ? ": " : "", what);
    blank_controls(complaint.text);
    if (r->n_complaints++ == 0 && r->err)
        *r->err = complaint;
    if (r->tell)
        r->tell(r->context, complaint.text);
}

static void bound_print(const struct key *key, double bound, struct buf *out)
{
    char text[TEXT_NUMBER_BYTES];
    if (isinf(bound))
        buf_printf(out, "%s", "");
    else if (key->type == KEY_DURATION)
        buf_printf(out, "%s", duration_print(text, (int64_t)bound));
    else if (key->type == KEY_SIZE)
        buf_printf(out, "%s", size_print(text, (int64_t)bound));
    else
        buf_printf(out, "%s", number_print(text, bound));
}

void key_range_print(const struct key *key, struct buf *out)
{
    for (const char *const *word = key->words; word && *word; word++)
        buf_printf(out, "%s%s", word == key->words ? "" : ", ", *word);
    if (key->words || (key->min == 0 && key->max == 0) || (isinf(key->min) && isinf(key->max)))
        return;
    bound_print(key, key->min, out);
    if (key->min == key->max)
        return;
    buf_printf(out, "..");
    bound_print(key, key->max, out);
}

/* What is wrong, with the value shown: `1.7 is not in 0..1`. */
static void complain_value(struct config_reader *r, const struct key *key,
                           const struct yaml_node *node, const struct place *place,
                           const char *is_not)
{
    struct buf range;
    buf_init(&range, 400);
    if (!is_not)
        key_range_print(key, &range);
    buf_u8(&range, 0);
    config_complain(r, node->line, place, "%.*s%s %s%s", SHOWN_BYTES, node->text,
                    node->size > SHOWN_BYTES ? "…" : "",
                    is_not                 ? is_not
                    : key->min == key->max ? "is not possible yet, only "
                                           : "is not in ",
                    is_not ? "" : (char *)range.data);
    buf_finish(&range);
}

static void read_word(struct config_reader *r, const struct key *key, const struct yaml_node *node,
                      const struct place *place, char *at)
{
    size_t n = 0;
    for (; key->words[n]; n++) {
        if (strcmp(key->words[n], node->text) != 0)
            continue;
        if (key->type == KEY_WORD)
            *(const char **)(void *)at = key->words[n];
        else if (key->type == KEY_SWITCH)
            *(bool *)at = n;
        else
            *(int *)(void *)at = (int)n;
        return;
    }
    struct buf words;
    buf_init(&words, 400);
    key_range_print(key, &words);
    buf_u8(&words, 0);
    const char *near = text_near(node->text, key->words, n);
    config_complain(r, node->line, place, "%.*s is none of %s%s%s%s", SHOWN_BYTES, node->text,
                    (char *)words.data, near ? "; did you mean " : "", near ? near : "",
                    near ? "?" : "");
    buf_finish(&words);
}

/* A name goes into URLs, file names of exports, metric labels and log lines. */
static bool is_name(const struct yaml_node *node)
{
    if (node->size == 0 || node->size > NAME_MAX_BYTES || strcmp(node->text, ".") == 0 ||
        strcmp(node->text, "..") == 0)
        return false;
    for (size_t i = 0; i < node->size; i++)
        if ((unsigned char)node->text[i] < ' ' || node->text[i] == 0x7f)
            return false;
    return true;
}

static void read_text(struct config_reader *r, const struct key *key, const struct yaml_node *node,
                      const struct place *place, char *at)
{
    const char *text = node->text;
    double number;
    if (key->type == KEY_NAME && !is_name(node)) {
        config_complain(r, node->line, place,
                        "has to be 1 to 256 bytes without control characters, and not . or ..");
        return;
    }
    if (node->size == 0) {
        config_complain(r, node->line, place, "must not be empty");
        return;
    }
    if (key->type == KEY_PATH)
        text = config_path(r, text);
    if (key->type == KEY_CLASS && yaml_is_number(node, &number)) {
        char canonical[TEXT_NUMBER_BYTES];
        int64_t whole;
        if (int_parse(&whole, node->text, node->size))
            number_print(canonical, number);
        else
            snprintf(canonical, sizeof(canonical), "%" PRId64, whole);
        text = arena_text(r->arena, canonical, strlen(canonical));
    }
    *(const char **)(void *)at = text;
}

static void read_int(struct config_reader *r, const struct key *key, const struct yaml_node *node,
                     const struct place *place, char *at)
{
    int64_t value = 0;
    int rc;
    const char *is_not;
    if (key->type == KEY_DURATION) {
        rc = duration_parse(&value, node->text, node->size);
        is_not = "is not a duration, as 500ms, 30s, 5m, 1h or 7d";
    } else if (key->type == KEY_SIZE) {
        rc = size_parse(&value, node->text, node->size);
        is_not = "is not a size, as 64KiB, 512MiB or 4GiB";
    } else if (key->type == KEY_TIME) {
        rc = time_parse_any(&value, node->text, node->size);
        is_not = "is not a time, as 2023-11-14T22:13:20Z";
    } else {
        rc = int_parse(&value, node->text, node->size);
        is_not = "is not a whole number";
    }
    if (rc)
        complain_value(r, key, node, place, is_not);
    else if (key->type != KEY_TIME && ((double)value < key->min || (double)value > key->max))
        complain_value(r, key, node, place, NULL);
    else
        *(int64_t *)(void *)at = value;
}

static void read_number(struct config_reader *r, const struct key *key,
                        const struct yaml_node *node, const struct place *place, char *at)
{
    double value;
    if (!yaml_is_number(node, &value))
        complain_value(r, key, node, place, "is not a number");
    else if (value < key->min || value > key->max)
        complain_value(r, key, node, place, NULL);
    else
        *(double *)(void *)at = value;
}

/* `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`. */
static void read_listen(struct config_reader *r, const struct key *key,
                        const struct yaml_node *node, const struct place *place, void *base)
{
    const char *colon = strrchr(node->text, ':');
    int64_t port = 0;
    if (!colon || colon == node->text || int_parse(&port, colon + 1, strlen(colon + 1)) ||
        port < 0 || port > 65535) {
        complain_value(r, key, node, place, "is not address:port, as 127.0.0.1:8080");
        return;
    }
    const char *host = node->text;
    size_t n = (size_t)(colon - host);
    struct in6_addr v6;
    if (host[0] == '[' && host[n - 1] == ']') {
        host++;
        n -= 2;
    } else if (memchr(host, ':', n)) {
        complain_value(r, key, node, place, "is not address:port; IPv6 is written [::1]:8080");
        return;
    }
    char *address = arena_text(r->arena, host, n);
    if (address && host != node->text && inet_pton(AF_INET6, address, &v6) != 1) {
        complain_value(r, key, node, place, "has no IPv6 address in its brackets");
        return;
    }
    *(const char **)(void *)((char *)base + key->at) = address;
    *(int *)(void *)((char *)base + key->count) = (int)port;
}

void config_scalar_read(struct config_reader *r, const struct key *key,
                        const struct yaml_node *node, const struct place *place, void *base)
{
    char *at = (char *)base + key->at;
    bool truth;
    if (node->kind != YAML_TEXT) {
        config_complain(r, node->line, place,
                        node->kind == YAML_EMPTY ? "must not be empty"
                                                 : "has to be one value, not a list or a map");
        return;
    }
    switch (key->type) {
    case KEY_WORD:
    case KEY_CHOICE:
    case KEY_SWITCH:
        read_word(r, key, node, place, at);
        break;
    case KEY_BOOL:
        if (yaml_is_bool(node, &truth))
            *(bool *)at = truth;
        else
            complain_value(r, key, node, place, "is not true or false");
        break;
    case KEY_INT:
    case KEY_DURATION:
    case KEY_SIZE:
    case KEY_TIME:
        read_int(r, key, node, place, at);
        break;
    case KEY_NUMBER:
        read_number(r, key, node, place, at);
        break;
    case KEY_LISTEN:
        read_listen(r, key, node, place, base);
        break;
    default:
        read_text(r, key, node, place, at);
    }
}
