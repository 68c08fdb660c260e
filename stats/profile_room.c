/*
 * How much the parts of a feature keep when there are several, so that together they take no more
 * than one pane's feature may (2 KB a minute, 24 KB an hour).
 *
 * Tables of ids double (16, 32, 64 … slots, at most 7/8 of them full), so a step is where the next
 * one is needed. Numbers are what shrinks: dropping bits of them is canonical, and what the two
 * tables of slots need at a step is what the limits were computed from (12 bytes a slot; a third
 * more slots than cells in a minute, a seventh more in an hour). Up to the first step a feature of
 * numbers loses nothing: "unknown" and a dozen other texts among them cost no cell.
 *
 * In a minute there is no room for a grid beside other parts, nor for counts of the reference's
 * categories: a feature with a reference has a kind, and so one part, unless the reference came in
 * mid-pane. The mean vector of embeddings goes when there are more than 56 texts beside it.
 */
#include <stdlib.h>

#include "stats/profile_parts.h"

/* What holds while at most `ids` are touched. */
struct room {
    uint32_t ids;
    struct numbers_limits beside_texts;   /* of numbers with texts */
    struct numbers_limits beside_vectors; /* of numbers and of norms, each, with or without texts */
    bool keeps_vector;
};

enum {
    STEPS = 4
};

static const struct room rooms[][STEPS] = {
    [PROFILE_MINUTE] = {{14, {96, 0}, {28, 0}, true},
                        {28, {88, 0}, {22, 0}, true},
                        {56, {64, 0}, {10, 0}, true},
                        {UINT32_MAX, {30, 0}, {10, 0}, false}},
    [PROFILE_HOUR] = {{448, {1300, 1130}, {630, 450}, true},
                      {896, {870, 690}, {410, 225}, true},
                      {UINT32_MAX, {740, 560}, {345, 160}, true}},
};

/* Of norms with nothing beside them but the mean vector. */
static const struct numbers_limits norms_alone[] = {
    [PROFILE_MINUTE] = {78, 31}, [PROFILE_HOUR] = {1300, 1300}};

static const struct room *room_of(enum profile_level level, uint32_t ids)
{
    const struct room *room = rooms[level];
    while (ids > room->ids)
        room++;
    return room;
}

uint32_t profile_ids(const struct feature_state *feature)
{
    const struct categories *categories = feature->categories;
    return !categories ? 0 : categories->many ? UINT32_MAX : categories->n_ids;
}

bool profile_step(const struct profile *profile, uint32_t ids)
{
    return profile->level != PROFILE_REFERENCE && ids != UINT32_MAX &&
           room_of(profile->level, ids)->ids == ids;
}

static void drop_vector(struct embedding_state *state)
{
    if (!state->vector)
        return;
    mean_vector_finish(state->vector);
    free(state->vector);
    state->vector = NULL;
}

int profile_squeeze(struct profile *profile, uint32_t index, uint32_t ids)
{
    struct feature_state *feature = &profile->features[index];
    struct embedding_state *embedding = feature->embedding;
    const int n_parts = !!feature->numeric + !!feature->categories + !!embedding;
    if (profile->level == PROFILE_REFERENCE || (n_parts < 2 && !embedding))
        return 0;
    const struct room *room = room_of(profile->level, ids);
    const struct numbers_grid on = {profile->layout->features[index].grid,
                                    profile->layout->reference};
    int rc = 0;
    if (feature->numeric)
        rc = numbers_limit(feature->numeric, on,
                           embedding ? room->beside_vectors : room->beside_texts);
    if (rc == 0 && embedding)
        rc = numbers_limit(&embedding->norm, on,
                           n_parts > 1 ? room->beside_vectors : norms_alone[profile->level]);
    if (rc)
        return rc;
    if (embedding && !room->keeps_vector)
        drop_vector(embedding);
    if (feature->categories && n_parts > 1 && profile->level == PROFILE_MINUTE)
        categories_untrack(feature->categories);
    return 0;
}
