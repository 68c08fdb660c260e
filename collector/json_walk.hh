/*
 * A walk over one JSON text that checks all of it and takes no memory: what format_assay.cc reads
 * events with. C++, included there alone.
 *
 * simdjson's first stage finds where every token starts (and refuses bad UTF-8, control characters
 * in strings and strings without an end) with the best instructions of the machine that it runs
 * on. The grammar, the strings and the numbers are ours.
 *
 *     {"id":"7f3a","score":0.83}          the text
 *     ^^   ^^     ^^      ^^   ^          where its tokens start
 *
 * Shape    a token reaches to the start of the next one, less the blanks before that. Behind the
 *          last one stands a token that starts with NUL, which no rule of the grammar takes
 * Owner    the text and the place for texts that are made of it are the caller's: a string without
 *          a backslash is a view into the one, the others and numbers as classes lie in the other
 * Errors   false, or a view without data: the JSON is wrong, `failure` and `detail` say how, and
 *          the walk is over
 */
#pragma once

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include <simdjson.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "collector/json_number.hh"

extern "C" {
#include "collector/event.h"
#include "common/text.h"
}

namespace
{

enum {
    MAX_OPEN_KEYS = EVENT_MAX_DEPTH * EVENT_MAX_KEYS,
};

struct json_walk {
    std::unique_ptr<simdjson::internal::dom_parser_implementation> stage1;
    char *input;           /* the text, padded for loads of up to 16 bytes */
    char *texts_next;      /* unescaped strings and numbers as text */
    const uint32_t *token; /* where the next token starts in input */
    int depth;
    bool escaped;  /* there is a backslash somewhere */
    uint64_t seed; /* of key_hashes: nobody outside can aim at collisions */

    /* Keys of the objects that are open now, innermost last: for finding duplicates. */
    view *keys;
    uint32_t *key_hashes;
    uint32_t n_keys;

    reject failure; /* what ended the walk */
    char detail[EVENT_MAX_NAME_BYTES + 64];
};

bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* ---- complaints ---- */

bool fail(json_walk *w, reject reason, const char *detail)
{
    w->failure = reason;
    snprintf(w->detail, sizeof(w->detail), "%s", detail);
    return false;
}

bool fail_at(json_walk *w, reject reason, const char *what)
{
    w->failure = reason;
    snprintf(w->detail, sizeof(w->detail), "%s at byte %u", what, *w->token);
    return false;
}

/* ---- tokens ---- */

inline char peek(const json_walk *w)
{
    return w->input[*w->token];
}

/* The bytes of the token, to the start of the next one less the blanks between. */
inline view look(const json_walk *w)
{
    const char *start = w->input + w->token[0];
    const char *end = w->input + w->token[1];
    if (end > start && end[-1] <= ' ') /* rare: producers write no blanks */
        while (end > start && is_blank(end[-1]))
            end--;
    return {start, (uint32_t)(end - start)};
}

inline view take(json_walk *w)
{
    const view token = look(w);
    w->token++;
    return token;
}

int hex_digit(char c)
{
    return is_digit(c)            ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Four hexadecimal digits, or -1. The quote that ends the string stops it. */
int hex4(const char *p)
{
    int code = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(p[i]);
        if (digit < 0)
            return -1;
        code = code * 16 + digit;
    }
    return code;
}

char *utf8_append(char *to, uint32_t code)
{
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xc0 | (code >> 6));
        *to++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *to++ = (char)(0xe0 | (code >> 12));
        *to++ = (char)(0x80 | ((code >> 6) & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    } else {
        *to++ = (char)(0xf0 | (code >> 18));
        *to++ = (char)(0x80 | ((code >> 12) & 0x3f));
        *to++ = (char)(0x80 | ((code >> 6) & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    }
    return to;
}

/* `\uXXXX`, with its second half where it is a surrogate. NULL: not a character, or NUL. */
const char *unescape_unicode(const char *p, char **to)
{
    int code = hex4(p);
    p += 4;
    if (code <= 0 || (code >= 0xdc00 && code <= 0xdfff))
        return nullptr;
    if (code >= 0xd800 && code <= 0xdbff) {
        int low = p[0] == '\\' && p[1] == 'u' ? hex4(p + 2) : -1;
        if (low < 0xdc00 || low > 0xdfff)
            return nullptr;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        p += 6;
    }
    *to = utf8_append(*to, (uint32_t)code);
    return p;
}

view unescape(json_walk *w, view raw)
{
    char *const start = w->texts_next;
    char *to = start;
    const char *p = raw.data, *const end = raw.data + raw.size;
    while (p < end) {
        if (*p != '\\') {
            *to++ = *p++;
            continue;
        }
        static const char from_letters[] = "\"\\/bfnrt", to_letters[] = "\"\\/\b\f\n\r\t";
        const char letter = p[1];
        const char *found = letter ? strchr(from_letters, letter) : nullptr;
        if (found) {
            *to++ = to_letters[found - from_letters];
            p += 2;
        } else if (letter == 'u' && (p = unescape_unicode(p + 2, &to))) {
            continue;
        } else {
            w->token--;
            fail_at(w, REJECT_NOT_JSON, "bad escape or \\u0000 in a string");
            return {nullptr, 0};
        }
    }
    w->texts_next = to;
    return {start, (uint32_t)(to - start)};
}

/*
 * The token must be a string; data NULL: it was none, and the walk has failed. By value, as a view
 * that goes through memory is written in two pieces and read in one, which the processor punishes.
 */
inline view take_string(json_walk *w)
{
    const view raw = take(w);
    if (raw.size < 2 || raw.data[raw.size - 1] != '"') {
        w->token--;
        fail_at(w, REJECT_NOT_JSON, "bad string");
        return {nullptr, 0};
    }
    const view text = {raw.data + 1, raw.size - 2};
    if (w->escaped && memchr(text.data, '\\', text.size))
        return unescape(w, text);
    return text;
}

bool is_literal(view token, const char *text, uint32_t size)
{
    return token.size == size && memcmp(token.data, text, size) == 0;
}

/* ---- numbers ---- */

/*
 * The number as a class. Most tokens already are in the one form that number_print gives: whole
 * numbers, and decimals of up to 15 digits without an exponent or a zero at the end (no shorter
 * decimal reads as the same double, as 15 digits never collide).
 */
view number_class(json_walk *w, const number &of)
{
    const view token = of.token;
    const number_scan &scan = of.scan;
    const double value = of.value;
    if (scan.whole && scan.n_digits <= 19 && (scan.n_digits > 0 || !scan.minus))
        return token;
    const double size = std::fabs(value);
    if (!scan.whole && memchr(token.data, 'e', token.size) == nullptr &&
        memchr(token.data, 'E', token.size) == nullptr && scan.n_digits <= 15 &&
        token.data[token.size - 1] != '0' && size >= 1e-6)
        return token;
    if (scan.whole && scan.n_digits == 20 && !scan.minus) {
        uint64_t whole; /* 2^63 … 2^64 - 1 stays exact */
        if (std::from_chars(token.data, token.data + token.size, whole).ec == std::errc())
            return token;
    }

    char *const text = w->texts_next;
    if (value == std::trunc(value) && size < 0x1p64) {
        auto end = text;
        if (value < 0)
            *end++ = '-';
        end = std::to_chars(end, end + 24, (uint64_t)size).ptr;
        w->texts_next = end;
        return {text, (uint32_t)(end - text)};
    }
    char scientific[40];
    *std::to_chars(scientific, scientific + 39, value, std::chars_format::scientific).ptr = 0;
    number_print_scientific(text, scientific);
    w->texts_next += strlen(text);
    return {text, (uint32_t)(w->texts_next - text)};
}

number take_number(json_walk *w)
{
    number out = {};
    out.token = take(w);
    if (!number_scan_token(out.token, &out.scan)) {
        w->token--;
        fail_at(w, REJECT_NOT_JSON, "neither a value nor a number");
        return out;
    }
    out.valid = true;
    out.finite = number_value(out.token, out.scan, &out.value);
    return out;
}
/* ---- containers ---- */

bool enter(json_walk *w)
{
    if (++w->depth > EVENT_MAX_DEPTH)
        return fail_at(w, REJECT_NOT_JSON, "more than 16 levels");
    w->token++;
    return true;
}

/* The keys of one object, from `first` on in the decoder's stack of open keys. */
struct key_scope {
    uint32_t first;
    uint64_t seen; /* one bit of each hash: a clear bit proves a key new */
    bool hinted;   /* all keys so far are those of the hints; their hashes are not known */
};

/* Short keys, as nearly all are, from two overlapping loads; the bytes behind them are ours. */
inline uint32_t key_hash(const json_walk *w, view key)
{
    if (key.size > 16)
        return (uint32_t)XXH3_64bits_withSeed(key.data, key.size, w->seed);
    uint64_t head = load_8(key.data), tail = 0;
    if (key.size < 8)
        head &= (UINT64_C(1) << (8 * key.size)) - 1;
    else
        tail = load_8(key.data + key.size - 8);
    const unsigned __int128 product =
        (unsigned __int128)(head ^ w->seed) * ((tail + key.size) ^ UINT64_C(0x9e3779b97f4a7c15));
    return (uint32_t)(product >> 64) ^ (uint32_t)product;
}

bool key_was_there(const json_walk *w, const key_scope *scope, uint32_t hash, view key)
{
    const uint32_t *hashes = w->key_hashes + scope->first;
    const uint32_t n = w->n_keys - scope->first;
    uint32_t same = 0; /* no early exit: four comparisons an instruction */
    for (uint32_t i = 0; i < n; i++)
        same |= hashes[i] == hash;
    for (uint32_t i = 0; same && i < n; i++)
        if (hashes[i] == hash && view_equal(w->keys[scope->first + i], key))
            return true;
    return false;
}

inline bool key_is_new(json_walk *w, key_scope *scope, view key)
{
    const uint32_t hash = key_hash(w, key);
    const uint64_t mark = UINT64_C(1) << (hash & 63);
    if ((scope->seen & mark) && key_was_there(w, scope, hash, key))
        return fail(w, REJECT_DUPLICATE_KEY, "the same key twice in one object");
    if (w->n_keys - scope->first >= EVENT_MAX_KEYS)
        return fail(w, REJECT_TOO_MANY_KEYS, "more than 1024 keys in one object");
    scope->seen |= mark;
    w->key_hashes[w->n_keys] = hash;
    w->keys[w->n_keys++] = key;
    return true;
}

/*
 * The keys of an object as they came last time. Producers write the same keys in the same order,
 * event after event: while they do, a comparison takes the place of looking for duplicates, as
 * what is remembered was looked through once.
 */
enum {
    MAX_HINTS = 64
};
struct key_hints {
    uint32_t n;
    struct {
        uint64_t head, tail; /* the key, up to 16 bytes */
        uint32_t size;
    } at[MAX_HINTS];
};

inline uint64_t key_head(view key)
{
    const uint64_t head = load_8(key.data);
    return key.size < 8 ? head & ((UINT64_C(1) << (8 * key.size)) - 1) : head;
}

inline uint64_t key_tail(view key)
{
    return key.size < 8 ? 0 : load_8(key.data + key.size - 8);
}

inline bool key_as_hinted(const json_walk *w, const key_scope *scope, const key_hints *hints,
                          view key)
{
    const uint32_t i = w->n_keys - scope->first;
    return i < hints->n && hints->at[i].size == key.size && hints->at[i].head == key_head(key) &&
           hints->at[i].tail == key_tail(key);
}

/* Another key than last time: from here on as without hints. */
bool key_leaves_hints(json_walk *w, key_scope *scope, view key)
{
    const uint32_t n = w->n_keys;
    scope->hinted = false;
    w->n_keys = scope->first;
    for (uint32_t i = scope->first; i < n; i++)
        if (!key_is_new(w, scope, w->keys[i])) /* never: they were */
            return false;
    return key_is_new(w, scope, key);
}

inline bool key_is_new(json_walk *w, key_scope *scope, const key_hints *hints, view key)
{
    if (!scope->hinted)
        return key_is_new(w, scope, key);
    if (!key_as_hinted(w, scope, hints, key))
        return key_leaves_hints(w, scope, key);
    w->keys[w->n_keys++] = key;
    return true;
}

void hints_remember(const json_walk *w, const key_scope *scope, key_hints *hints)
{
    hints->n = 0;
    for (uint32_t i = scope->first; i < w->n_keys && hints->n < MAX_HINTS; i++) {
        const view key = w->keys[i];
        if (key.size > 16)
            return;
        hints->at[hints->n++] = {key_head(key), key_tail(key), key.size};
    }
}

/*
 * Calls value(key) for each member of the object that starts here; it has to take the value. May
 * the key be there? is_new(scope, key) says.
 */
template <typename New, typename Value, typename Done>
inline bool each_member(json_walk *w, New is_new, Value value, Done done)
{
    if (!enter(w))
        return false;
    if (peek(w) == '}') {
        w->token++;
        w->depth--;
        return true;
    }
    key_scope scope = {w->n_keys, 0, true};
    for (;;) {
        if (peek(w) != '"')
            return fail_at(w, REJECT_NOT_JSON, "expected a key");
        const view key = take_string(w);
        if (!key.data || !is_new(&scope, key))
            return false;
        if (peek(w) != ':')
            return fail_at(w, REJECT_NOT_JSON, "expected a colon");
        w->token++;
        if (!value(key))
            return false;
        const char c = peek(w);
        if (c != ',' && c != '}')
            return fail_at(w, REJECT_NOT_JSON, "expected a comma or the end of the object");
        w->token++;
        if (c == '}')
            break;
    }
    done(&scope);
    w->n_keys = scope.first;
    w->depth--;
    return true;
}

template <typename Value> inline bool each_member(json_walk *w, Value value)
{
    return each_member(
        w, [&](key_scope *scope, view key) { return key_is_new(w, scope, key); }, value,
        [](const key_scope *) {});
}

/* The same for an object whose keys repeat from event to event. */
template <typename Value> inline bool each_member(json_walk *w, key_hints *hints, Value value)
{
    return each_member(
        w, [&](key_scope *scope, view key) { return key_is_new(w, scope, hints, key); }, value,
        [&](const key_scope *scope) {
            if (!scope->hinted)
                hints_remember(w, scope, hints);
        });
}

/* Calls item() for each item of the array that starts here; it has to take the item. */
template <typename Item> bool each_item(json_walk *w, Item item)
{
    if (!enter(w))
        return false;
    if (peek(w) == ']') {
        w->token++;
        w->depth--;
        return true;
    }
    for (;;) {
        if (!item())
            return false;
        const char c = peek(w);
        if (c != ',' && c != ']')
            return fail_at(w, REJECT_NOT_JSON, "expected a comma or the end of the array");
        w->token++;
        if (c == ']')
            break;
    }
    w->depth--;
    return true;
}

/* Walks over a value that nobody wants, checking all of it. */
bool skip(json_walk *w)
{
    switch (peek(w)) {
    case '{':
        return each_member(w, [&](view) { return skip(w); });
    case '[':
        return each_item(w, [&]() { return skip(w); });
    case '"':
        return take_string(w).data != nullptr;
    case 't':
    case 'f':
    case 'n': {
        view token = take(w);
        if (is_literal(token, "true", 4) || is_literal(token, "false", 5) ||
            is_literal(token, "null", 4))
            return true;
        w->token--;
        return fail_at(w, REJECT_NOT_JSON, "neither a value nor a number");
    }
    default:
        return take_number(w).valid;
    }
}

const char *stage1_trouble(simdjson::error_code code)
{
    switch (code) {
    case simdjson::UTF8_ERROR:
        return "not UTF-8";
    case simdjson::UNESCAPED_CHARS:
        return "a control character in a string";
    case simdjson::UNCLOSED_STRING:
        return "a string without an end";
    default:
        return "not JSON";
    }
}

/* Finds the tokens of the text (at most EVENT_MAX_BYTES) and ends it with NUL. */
bool walk_start(json_walk *w, char *text, size_t n, char *texts)
{
    w->input = text;
    text[n] = 0;
    const simdjson::error_code code =
        w->stage1->stage1((const uint8_t *)text, n, simdjson::stage1_mode::regular);
    if (code)
        return fail(w, REJECT_NOT_JSON, stage1_trouble(code));
    w->token = w->stage1->structural_indexes.get();
    w->texts_next = texts;
    w->escaped = memchr(text, '\\', n) != nullptr;
    return true;
}

/* Nothing may follow the value that was walked over. */
bool walk_at_end(json_walk *w)
{
    const uint32_t *end = w->stage1->structural_indexes.get() + w->stage1->n_structural_indexes;
    return w->token == end || fail_at(w, REJECT_NOT_JSON, "something after the event");
}

template <typename T> bool allocate(T **out, size_t n)
{
    *out = (T *)malloc(n * sizeof(T));
    return *out != nullptr;
}

/* Room for the largest event at once: pages that no event needs are never touched. */
bool walk_init(json_walk *w)
{
    const simdjson::error_code code =
        simdjson::get_active_implementation()->create_dom_parser_implementation(
            EVENT_MAX_BYTES, EVENT_MAX_DEPTH, w->stage1);
    w->seed = (uint64_t)(uintptr_t)w * UINT64_C(0x9e3779b97f4a7c15); /* another in each process */
    return !code && allocate(&w->keys, MAX_OPEN_KEYS) && allocate(&w->key_hashes, MAX_OPEN_KEYS);
}

void walk_finish(json_walk *w)
{
    free(w->keys);
    free(w->key_hashes);
}

} // namespace
