/*
 * The decoder against a naive one: thousands of seeded events, written with random blanks, escapes,
 * orders and number forms, are decoded by event_decode and by jansson, and have to agree. Then
 * the same with broken bytes: both have to refuse what is not JSON.
 */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/event_room.h"
#include "common/buf.h"
#include "common/text.h"
#include "tests/test.h"

static uint64_t random_state = 88172645463325252;

static uint64_t next_random(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 11) % below;
}

/* ---- writing ---- */

static void write_blanks(struct buf *out)
{
    while (next_random(8) == 0)
        buf_u8(out, (uint8_t) " \t\r\n"[next_random(4)]);
}

static void write_text(struct buf *out, const char *text)
{
    buf_u8(out, '"');
    for (; *text; text++) {
        if (next_random(20) == 0 && (unsigned char)*text < 0x80)
            buf_printf(out, "\\u%04x", (unsigned)*text);
        else
            buf_u8(out, (uint8_t)*text);
    }
    static const char *const extras[] = {
        "\\n", "\\\"", "\\\\", "\\/", "\\ud83d\\ude00", "\xc3\xb6", "\\u00e9", "\xf0\x9f\x98\x80",
        "\\t"};
    while (next_random(6) == 0)
        buf_printf(out, "%s", extras[next_random(sizeof(extras) / sizeof(extras[0]))]);
    buf_u8(out, '"');
}

static double random_double(void)
{
    double value;
    uint64_t bits = next_random(UINT64_MAX) << 11 ^ next_random(UINT64_MAX);
    switch (next_random(4)) {
    case 0:
        return (double)next_random(1000) / 8;
    case 1:
        return (double)next_random(1000000000) / 1e6 - 500;
    case 2:
        return (double)bits / 0x1p64;
    default:
        memcpy(&value, &bits, sizeof(value));
        return isfinite(value) ? value : 0.5;
    }
}

static void write_number(struct buf *out)
{
    if (next_random(3) == 0) {
        buf_printf(out, "%" PRId64, (int64_t)next_random(1U << 31) - (1 << 30));
        return;
    }
    double value = random_double();
    switch (next_random(4)) {
    case 0:
        buf_printf(out, "%.17g", value);
        break;
    case 1:
        buf_printf(out, "%.6E", value);
        break;
    case 2:
        buf_printf(out, "%.3f", fabs(value) < 1e20 ? value : 1.25);
        break;
    default:
        buf_printf(out, "%.17e", value);
    }
}

static void write_value(struct buf *out, int depth)
{
    write_blanks(out);
    switch (next_random(depth < 4 ? 8 : 6)) {
    case 0:
        buf_printf(out, "null");
        break;
    case 1:
        buf_printf(out, "%s", next_random(2) ? "true" : "false");
        break;
    case 2:
    case 3:
        write_text(out, next_random(2) ? "berlin" : "");
        break;
    case 6:
        buf_u8(out, '[');
        for (uint64_t n = next_random(4), i = 0; i < n; i++) {
            buf_printf(out, "%s", i ? "," : "");
            write_value(out, depth + 1);
        }
        buf_u8(out, ']');
        break;
    case 7:
        buf_u8(out, '{');
        for (uint64_t n = next_random(4), i = 0; i < n; i++) {
            char key[32];
            snprintf(key, sizeof(key), "k%" PRIu64, i);
            buf_printf(out, "%s", i ? "," : "");
            write_text(out, key);
            buf_u8(out, ':');
            write_value(out, depth + 1);
        }
        buf_u8(out, '}');
        break;
    default:
        write_number(out);
    }
    write_blanks(out);
}

/* name: value for each of n names, of scalars or (share 1 in 8) embeddings. */
static void write_features(struct buf *out)
{
    buf_u8(out, '{');
    for (uint64_t n = next_random(14), i = 0; i < n; i++) {
        char name[40];
        snprintf(name, sizeof(name), "%s_%" PRIu64, i % 3 ? "f" : "a_long_name_of_a_feature", i);
        buf_printf(out, "%s", i ? "," : "");
        write_blanks(out);
        write_text(out, name);
        write_blanks(out);
        buf_u8(out, ':');
        if (next_random(8)) {
            write_value(out, 4);
            continue;
        }
        buf_u8(out, '[');
        for (uint64_t m = 1 + next_random(5), j = 0; j < m; j++)
            buf_printf(out, "%s%d", j ? "," : "", (int)next_random(100));
        buf_u8(out, ']');
    }
    buf_u8(out, '}');
}

static void write_field(struct buf *out, int field, int type)
{
    static const char *const types[] = {"prediction", "label", "outcome", "system"};
    switch (field) {
    case 0:
        buf_printf(out, "\"type\":\"%s\"", types[type]);
        break;
    case 1:
        buf_printf(out, "\"id\" : ");
        write_text(out, "id-7f3a");
        break;
    case 2:
        buf_printf(out, "\"ts\":%" PRIu64, 1700000000000 + next_random(1000000));
        break;
    case 3:
        buf_printf(out, "\"model\":\"credit\"");
        break;
    case 4:
        buf_printf(out, "\"features\":");
        write_features(out);
        break;
    case 5:
        buf_printf(out, "\"score\":%.17g", (double)next_random(1U << 30) / 0x1p30);
        break;
    case 6:
        buf_printf(out, "\"prediction\":");
        write_number(out);
        break;
    case 7:
        buf_printf(out, "\"label\":");
        write_text(out, "cat");
        break;
    case 8:
        buf_printf(out, "\"name\":\"click\",\"value\":");
        write_number(out);
        break;
    default:
        buf_printf(out, "\"unknown_%d\":", field);
        write_value(out, 0);
    }
}

static void write_event(struct buf *out)
{
    int fields[12], type = (int)next_random(4);
    buf_clear(out);
    buf_u8(out, '{');
    for (int i = 0; i < 12; i++)
        fields[i] = i;
    for (int i = 11; i > 0; i--) {
        int j = (int)next_random((uint64_t)i + 1), swap = fields[i];
        fields[i] = fields[j];
        fields[j] = swap;
    }
    for (int i = 0; i < 12; i++) {
        buf_printf(out, "%s", i ? "," : "");
        write_blanks(out);
        write_field(out, fields[i], type);
        write_blanks(out);
    }
    buf_u8(out, '}');
}

/* ---- comparing ---- */

static void assert_same_text(struct view view, const json_t *want)
{
    assert_true(json_is_string(want));
    assert_int_equal(view.size, json_string_length(want));
    assert_memory_equal(view.data, json_string_value(want), view.size);
}

static void assert_same_number(double number, const json_t *want)
{
    assert_true(json_is_number(want));
    assert_true(number == json_number_value(want));
}

static void assert_same_class(const struct event *event, const json_t *want)
{
    char text[TEXT_NUMBER_BYTES];
    if (json_is_string(want)) {
        assert_same_text(event->class_text, want);
        return;
    }
    assert_same_number(event->number, want);
    if (json_is_integer(want))
        snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(want));
    else
        number_print(text, json_real_value(want));
    assert_true(view_is(event->class_text, text));
}

static void assert_same_value(const struct value *value, const json_t *want)
{
    double squares = 0, sum = 0;
    size_t i;
    json_t *item;
    switch (json_typeof(want)) {
    case JSON_NULL:
        assert_int_equal(value->kind, VALUE_NULL);
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        assert_int_equal(value->kind, VALUE_BOOL);
        assert_true(value->number == json_is_true(want));
        break;
    case JSON_STRING:
        assert_int_equal(value->kind, VALUE_TEXT);
        assert_same_text(value->text, want);
        break;
    case JSON_ARRAY:
        json_array_foreach(want, i, item)
        {
            squares += json_number_value(item) * json_number_value(item);
            sum += json_number_value(item);
        }
        assert_int_equal(value->kind, VALUE_ARRAY);
        assert_true(value->number == sqrt(squares));
        assert_true(value->mean == sum / (double)json_array_size(want));
        assert_int_equal(value->n, json_array_size(want));
        break;
    default:
        assert_int_equal(value->kind, VALUE_NUMBER);
        assert_same_number(value->number, want);
    }
}

static void assert_same_event(const struct event *event, const json_t *want)
{
    const char *type = json_string_value(json_object_get(want, "type"));
    assert_string_equal(event_type_name(event->type), type);
    assert_int_equal(event->ts_ms, json_integer_value(json_object_get(want, "ts")));
    assert_same_text(event->model, json_object_get(want, "model"));
    if (event->type != EVENT_SYSTEM)
        assert_same_text(event->id, json_object_get(want, "id"));
    if (event->type == EVENT_LABEL)
        assert_same_class(event, json_object_get(want, "label"));
    if (event->type == EVENT_OUTCOME)
        assert_same_number(event->outcome_value, json_object_get(want, "value"));
    if (event->type != EVENT_PREDICTION)
        return;

    json_t *features = json_object_get(want, "features");
    assert_same_class(event, json_object_get(want, "prediction"));
    assert_same_number(event->score, json_object_get(want, "score"));
    assert_int_equal(event->n_features, json_object_size(features));
    assert_int_equal(event->n_unknown_fields, 6);
    for (uint32_t i = 0; i < event->n_features; i++) {
        char name[64];
        snprintf(name, sizeof(name), "%.*s", (int)event->features[i].name.size,
                 event->features[i].name.data);
        json_t *value = json_object_get(features, name);
        if (!value) { /* the name ends in an extra that is longer than this buffer */
            assert_true(event->features[i].name.size >= sizeof(name));
            continue;
        }
        assert_same_value(&event->features[i].value, value);
    }
}

static struct decoder *decoder;

static int setup(void **state)
{
    (void)state;
    return decoder_new(&decoder, NULL);
}

static int teardown(void **state)
{
    (void)state;
    decoder_free(decoder);
    return 0;
}

/*
 * The same bytes where they lie, with what may stand behind them: the next line, or what an older
 * and longer one has left. `place` has room for them.
 */
static enum reject decode_here(const struct buf *json, struct event_room *room, char *place,
                               struct event *out, const char **detail)
{
    static const char behind[] = "0123456789.eE+-\"\\}],:{[truefalsn \xff";
    memcpy(place, json->data, json->size);
    for (size_t i = 0; i < EVENT_PADDING; i++)
        place[json->size + i] = behind[next_random(sizeof(behind) - 1)];
    return event_decode_here(decoder, room, place, json->size, out, detail);
}

/* Events in one room, one behind the other, are all what they were until it is cleared. */
static void events_that_are_decoded_where_they_lie_stay(void **state)
{
    (void)state;
    enum {
        STAY = 12
    };
    static char places[STAY][1 << 16];
    AUTO(event_room) struct event_room *room = NULL;
    json_t *wants[STAY];
    struct event events[STAY];
    struct buf json;
    buf_init(&json, 1 << 20);
    assert_int_equal(event_room_new(&room, 1 << 20, NULL), 0);
    for (int i = 0; i < 500; i++) {
        event_room_clear(room);
        for (int k = 0; k < STAY; k++) {
            const char *detail;
            write_event(&json);
            assert_true(json.size + EVENT_PADDING <= sizeof(places[k]));
            assert_true(event_room_has(room, json.size));
            wants[k] = json_loadb((char *)json.data, json.size, JSON_REJECT_DUPLICATES, NULL);
            if (decode_here(&json, room, places[k], &events[k], &detail))
                fail_msg("%.*s: %s", (int)json.size, json.data, detail);
        }
        for (int k = 0; k < STAY; k++) {
            assert_same_event(&events[k], wants[k]);
            json_decref(wants[k]);
        }
    }
    buf_finish(&json);
}

static void decoding_agrees_with_a_naive_decoder(void **state)
{
    (void)state;
    struct buf json;
    buf_init(&json, 1 << 20);
    for (int i = 0; i < 20000; i++) {
        write_event(&json);
        struct event event;
        const char *detail;
        json_t *want = json_loadb((char *)json.data, json.size, JSON_REJECT_DUPLICATES, NULL);
        enum reject reason = event_decode(decoder, (char *)json.data, json.size, &event, &detail);
        if (!want || reason)
            fail_msg("%.*s: %s %s", (int)json.size, json.data, reject_name(reason), detail);
        assert_same_event(&event, want);
        json_decref(want);
    }
    buf_finish(&json);
}

/* What jansson cannot hold, though it is JSON. */
static bool is_beyond_jansson(const json_error_t *error)
{
    enum json_error_code code = json_error_code(error);
    return code == json_error_numeric_overflow || code == json_error_duplicate_key;
}

static void what_is_no_json_is_refused_as_such(void **state)
{
    (void)state;
    static char place[1 << 16];
    AUTO(event_room) struct event_room *room = NULL;
    struct buf json;
    buf_init(&json, 1 << 20);
    assert_int_equal(event_room_new(&room, 0, NULL), 0);
    int n_broken = 0, n_whole = 0;
    for (int i = 0; i < 40000; i++) {
        write_event(&json);
        for (uint64_t changes = 1 + next_random(2); changes; changes--) {
            static const char bytes[] = "{}[]:,\"\\0123456789.eE+-truefalsn \x01\xff\xc3";
            size_t at = next_random(json.size);
            if (next_random(4) == 0)
                json.size = at + 1;
            else
                json.data[at] = (unsigned char)bytes[next_random(sizeof(bytes) - 1)];
        }
        struct event event, here;
        const char *detail = "";
        char said[400];
        json_error_t error;
        json_t *want = json_loadb((char *)json.data, json.size,
                                  JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
        enum reject reason = event_decode(decoder, (char *)json.data, json.size, &event, &detail);
        snprintf(said, sizeof(said), "%s", reason ? detail : "");
        event_room_clear(room);
        assert_true(json.size + EVENT_PADDING <= sizeof(place));
        assert_int_equal(decode_here(&json, room, place, &here, &detail), reason);
        assert_string_equal(reason ? detail : "", said);
        bool is_json = want || is_beyond_jansson(&error);
        if (!want && is_beyond_jansson(&error))
            continue; /* it stops reading there: what follows may be anything */
        if (is_json == (reason == REJECT_NOT_JSON))
            fail_msg("%.*s: %s %s; jansson: %s", (int)json.size, json.data, reject_name(reason),
                     detail, is_json ? "JSON" : error.text);
        n_broken += !is_json;
        n_whole += is_json;
        json_decref(want);
    }
    /* The test bites only if it saw plenty of both. */
    assert_true(n_broken > 10000);
    assert_true(n_whole > 5000);
    buf_finish(&json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decoding_agrees_with_a_naive_decoder),
        cmocka_unit_test(what_is_no_json_is_refused_as_such),
        cmocka_unit_test(events_that_are_decoded_where_they_lie_stay),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
