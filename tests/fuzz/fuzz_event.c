/*
 * Any bytes as an event. What is taken keeps the contract's limits: names of bounded length and
 * valid UTF-8 without NUL, probabilities in 0..1, finite numbers; what is refused has a reason.
 */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "collector/event_room.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void is_sound_name(struct view name)
{
    assert(!name.data || name.size <= EVENT_MAX_NAME_BYTES);
    assert(!name.data || memchr(name.data, '\0', name.size) == NULL);
}

static void is_sound(const struct value *value)
{
    if (value->kind == VALUE_NUMBER || value->kind == VALUE_BOOL)
        assert(isfinite(value->number));
    if (value->kind == VALUE_ARRAY)
        assert(!isnan(value->number) && !isnan(value->mean));
}

static void are_sound(const struct named_value *values, uint32_t n)
{
    assert(n <= EVENT_MAX_KEYS);
    for (uint32_t i = 0; i < n; i++) {
        is_sound_name(values[i].name);
        is_sound(&values[i].value);
    }
}

static void keeps_the_limits(const struct event *event)
{
    assert(!event->id.data || event->id.size <= EVENT_MAX_ID_BYTES);
    is_sound_name(event->model);
    is_sound_name(event->version);
    is_sound_name(event->class_text);
    assert(isnan(event->score) || (event->score >= 0 && event->score <= 1));
    assert(isnan(event->latency_ms) || event->latency_ms >= 0);
    assert(!isinf(event->number));
    are_sound(event->features, event->n_features);
    are_sound(event->segment, event->n_segment);
    are_sound(event->scores, event->n_scores);
    are_sound(event->relevance, event->n_relevance);
    are_sound(event->values, event->n_values);
    for (uint32_t i = 0; i < event->n_ranking; i++)
        is_sound_name(event->ranking[i]);
    if (event->type == EVENT_PREDICTION)
        assert(event->id.data && event->model.data);
    if (event->type == EVENT_LABEL || event->type == EVENT_OUTCOME)
        assert(event->id.data);
}

/* Where it lies, with rubbish behind it, it is what it is in a copy. */
static void is_the_same_in_place(struct decoder *decoder, const uint8_t *bytes, size_t n,
                                 enum reject expected)
{
    static struct event_room *room;
    static char place[EVENT_MAX_BYTES + EVENT_PADDING];
    struct event event;
    if (n > EVENT_MAX_BYTES || (!room && event_room_new(&room, 0, NULL) != 0))
        return;
    memcpy(place, bytes, n);
    memset(place + n, '9', EVENT_PADDING);
    event_room_clear(room);
    enum reject reason = event_decode_here(decoder, room, place, n, &event, NULL);
    assert(reason == expected);
    if (reason == REJECT_NONE)
        keeps_the_limits(&event);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static struct decoder *decoder;
    struct event event;
    const char *detail = NULL;

    if (!decoder && decoder_new(&decoder, NULL) != 0)
        return 0;
    enum reject reason = event_decode(decoder, (const char *)bytes, n, &event, &detail);
    assert(reason < N_REJECTS);
    if (reason == REJECT_NONE)
        keeps_the_limits(&event);
    else
        assert(reject_name(reason)[0]);
    is_the_same_in_place(decoder, bytes, n, reason);
    return 0;
}
