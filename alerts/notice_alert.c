/*
 * One alert in words: the JSON is written straight into a buffer, as ten thousand alerts may fire
 * at one look, and the look ends with them.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "alerts/notice.h"
#include "alerts/page_url.h"
#include "common/digits.h"
#include "common/json_out.h"
#include "common/template.h"
#include "common/text.h"
#include "common/view.h"
#include "storage/change_points.h"

enum {
    URL_BYTES = 16 * 1024,
    SENTENCE_BYTES = 4096,
    ANNOTATION_BYTES = 8192,
    ALERT_BYTES = 1024 * 1024,
    USUAL_BYTES = 2048,
    USUAL_SENTENCE = 256,
};

struct wording { /* what annotations may name, next to the JSON it becomes */
    const struct alert_rule *rule;
    const struct notice_facts *facts;
    const struct background *background;
    struct buf url, summary, confidence;
    char number[TEXT_NUMBER_BYTES];
};

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static void put_rounded(struct buf *out, double value)
{
    char text[DIGITS_BYTES];
    buf_bytes(out, text, digits_general(text, value, 4));
}

/* What was cut in the midst of a character ends before it. */
static void put_sentence(struct buf *out, const char *text)
{
    buf_bytes(out, text, text_fit(text, strlen(text)));
}

static void put_summary(struct buf *out, const struct alert_rule *rule, const char *why)
{
    const char *about = rule->model ? rule->model : rule->kind == RULE_LAG ? "collector" : "Assay";
    bool sliced = rule->slice && *rule->slice;
    buf_text(out, about);
    buf_text(out, rule->version ? " " : "");
    buf_text(out, or_empty(rule->version));
    buf_text(out, sliced ? " " : "");
    buf_text(out, sliced ? rule->slice : "");
    buf_text(out, ": ");
    put_sentence(out, why);
}

static void put_confidence(struct buf *out, const struct alert_rule *rule,
                           const struct reading *reading)
{
    if (reading->confidence[0] || !isfinite(reading->value)) {
        put_sentence(out, reading->confidence);
    } else if (isfinite(reading->lower) && isfinite(reading->upper)) {
        bool whole = rule->relative_to == RELATIVE_NONE &&
                     (rule->above ? reading->lower > rule->level : reading->upper < rule->level);
        buf_text(out, "95% interval ");
        put_rounded(out, reading->lower);
        buf_text(out, " to ");
        put_rounded(out, reading->upper);
        buf_text(out, whole ? ", all of it beyond the level, n " : ", n ");
        buf_decimal(out, reading->n);
    } else if (reading->n > 0) {
        buf_printf(out, "no interval is known; n %" PRId64, reading->n);
    }
}

static const char *text_field(const struct wording *w, const char *name, size_t n, size_t *size)
{
    const struct alert_rule *rule = w->rule;
    const struct {
        const char *name, *text;
    } texts[] = {
        {"name", rule->name},
        {"severity", severity_name(rule->severity)},
        {"model", or_empty(rule->model)},
        {"version", or_empty(rule->version)},
        {"segment", or_empty(rule->slice)},
        {"metric", or_empty(rule->metric)},
        {"cause", w->background->cause},
        {"action", w->background->action},
    };
    const struct {
        const char *name;
        const struct buf *text;
    } made[] = {{"url", &w->url}, {"summary", &w->summary}, {"confidence", &w->confidence}};
    const struct view wanted = {name, (uint32_t)n};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (view_is(wanted, texts[i].name)) {
            *size = strlen(texts[i].text);
            return texts[i].text;
        }
    }
    for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
        if (view_is(wanted, made[i].name)) {
            *size = made[i].text->size;
            return (const char *)made[i].text->data;
        }
    }
    return NULL;
}

static const char no_number[] = "–"; /* where a reader expects one: no interval, say */

static const char *number_field(struct wording *w, const char *name, size_t n, size_t *size)
{
    const struct reading *reading = w->facts->reading;
    const struct {
        const char *name;
        double value;
    } numbers[] = {
        {"value", reading->value},
        {"lower", reading->lower},
        {"upper", reading->upper},
        {"level", w->rule->level},
        {"n", (double)reading->n},
        {"labelled", (double)reading->labelled},
        {"since", (double)w->facts->state->bad_since_ms},
    };
    const struct view wanted = {name, (uint32_t)n};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (!view_is(wanted, numbers[i].name))
            continue;
        bool known = isfinite(numbers[i].value);
        const char *text =
            known ? number_print(w->number, round(numbers[i].value * 1e6) / 1e6) : no_number;
        *size = strlen(text);
        return text;
    }
    return NULL;
}

static const char *lookup_field(void *context, const char *field, size_t n_field, size_t *n)
{
    struct wording *w = context;
    const char *text = text_field(w, field, n_field, n);
    return text ? text : number_field(w, field, n_field, n);
}

static void put_buf(struct buf *out, const char *key, const struct buf *text)
{
    out_key(out, key);
    out_bytes(out, (const char *)text->data, text->size);
}

static void put_cut(struct buf *out, const char *key, const char *text)
{
    out_key(out, key);
    out_bytes(out, text, text_fit(text, strlen(text)));
}

static void put_labels(struct buf *out, const struct alert_rule *rule)
{
    struct part_pair pairs[NOTICE_MAX_LABELS];
    size_t n = notice_labels(rule, pairs);
    out_key(out, "labels");
    out_open(out, '{');
    for (size_t i = 0; i < n; i++) {
        if (i + 1 == n || strcmp(pairs[i].key, pairs[i + 1].key) != 0) /* of two the last counts */
            out_key_string(out, pairs[i].key, pairs[i].value);
    }
    out_close(out, '}');
}

static void put_annotations(struct buf *out, struct wording *w)
{
    out_key(out, "annotations");
    out_open(out, '{');
    for (size_t i = 0; i < w->rule->n_annotations; i++) {
        struct buf text;
        buf_init(&text, ANNOTATION_BYTES);
        template_render(&text, w->rule->annotations[i].value, lookup_field, w);
        put_buf(out, w->rule->annotations[i].key, &text);
        buf_finish(&text);
    }
    out_close(out, '}');
}

/* What was compared with what, and by which reference. */
static void put_comparison(struct buf *out, const struct wording *w)
{
    const struct reading *reading = w->facts->reading;
    const struct reading_reference *reference = &reading->reference;
    if (w->rule->relative_to != RELATIVE_NONE) { /* the level is a change, not a value */
        out_key_bool(out, "relative", true);
        out_key_double(out, "compared", reading->compared);
        out_key_double(out, "change", reading->change);
        out_key_double(out, "change_lower", reading->change_lower);
        out_key_double(out, "change_upper", reading->change_upper);
    }
    if (!reference->source[0])
        return;
    out_key(out, "reference");
    out_open(out, '{');
    out_key_string(out, "id", reference->id[0] ? reference->id : NULL);
    out_key_int(out, "n", reference->n);
    out_key_string(out, "segment", reference->of_slice ? w->rule->slice : NULL);
    out_key_string(out, "source", reference->source);
    if (strcmp(reference->source, REFERENCE_LEARNED) == 0) {
        out_key_time(out, "from", reference->from_ms);
        out_key_time(out, "to", reference->to_ms);
    }
    out_close(out, '}');
}

static void put_reading(struct buf *out, const struct wording *w)
{
    const struct reading *reading = w->facts->reading;
    out_key_double(out, "value", reading->value);
    out_key_double(out, "lower", reading->lower);
    out_key_double(out, "upper", reading->upper);
    out_key_double(out, "level", w->rule->level);
    out_key_int(out, "n", reading->n);
    out_key_int(out, "labelled", reading->labelled);
    out_key_int(out, "since", w->facts->state->bad_since_ms);
    out_key(out, "window");
    out_open(out, '{');
    out_key_int(out, "start", reading->start_ms);
    out_key_int(out, "end", reading->end_ms);
    out_close(out, '}');
    put_comparison(out, w);
    if (w->facts->over_ms >= 0)
        out_key_int(out, "over", w->facts->over_ms);
    out_key_bool(out, "flapping", w->facts->state->flapping);
}

static void put_alert(struct buf *out, struct wording *w)
{
    const struct alert_rule *rule = w->rule;
    out_open(out, '{');
    out_key_string(out, "key", w->facts->id);
    out_key_string(out, "name", rule->name);
    out_key_string(out, "severity", severity_name(rule->severity));
    out_key_string(out, "model", or_empty(rule->model));
    out_key_string(out, "version", or_empty(rule->version));
    out_key_string(out, "segment", or_empty(rule->slice));
    out_key_string(out, "metric", or_empty(rule->metric));
    put_reading(out, w);
    put_buf(out, "url", &w->url);
    put_labels(out, rule);
    put_buf(out, "summary", &w->summary);
    put_buf(out, "confidence", &w->confidence);
    put_cut(out, "cause", w->background->cause);
    put_cut(out, "action", w->background->action);
    put_annotations(out, w);
    out_close(out, '}');
    buf_u8(out, 0);
}

static void start(struct buf *out, size_t limit, size_t usual)
{
    buf_init(out, limit);
    buf_reserve(out, usual);
}

char *notice_alert(const struct alert_rule *rule, const struct notice_facts *facts)
{
    static const struct background unknown = {.cause = "", .action = ""};
    struct wording w = {
        .rule = rule,
        .facts = facts,
        .background = facts->background ? facts->background : &unknown,
    };
    struct buf out;
    start(&w.url, URL_BYTES, USUAL_SENTENCE);
    start(&w.summary, SENTENCE_BYTES, USUAL_SENTENCE);
    start(&w.confidence, SENTENCE_BYTES, USUAL_SENTENCE);
    start(&out, ALERT_BYTES, USUAL_BYTES);
    page_url_alert(&w.url, facts->url, rule, facts->reading);
    put_summary(&w.summary, rule, facts->reading->why);
    put_confidence(&w.confidence, rule, facts->reading);
    put_alert(&out, &w);
    bool failed = buf_failed(&out);
    char *text = failed ? NULL : (char *)out.data;
    if (failed)
        buf_finish(&out);
    buf_finish(&w.url);
    buf_finish(&w.summary);
    buf_finish(&w.confidence);
    return text; /* the caller owns it now */
}
