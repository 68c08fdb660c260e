/*
 * The parts of a profile's feature, for the files that fill them: from events and other profiles
 * (profile.c), and from saved bytes (profile_saved.c); and how much of each there may be beside the
 * others (profile_room.c).
 *
 * Shape    each is made when it is first asked for. A feature of one kind has one part, for which the
 *          level's limits leave room; where values of several kinds came, its numbers (and norms)
 *          have a limit that falls in steps with the number of category ids that were ever touched
 * Rules    the limits are a function of what was touched, and only fall: so they come out the same
 *          whatever the order and the split. Whoever makes a part beside others, or adds an id that
 *          crosses a step, calls profile_squeeze first; after merge and load it is called once
 * Errors   NULL, -ENOMEM: no memory
 */
#pragma once

#include "stats/profile.h"

struct numbers *profile_numeric_part(const struct profile *profile, struct feature_state *feature);
struct categories *profile_categories_part(const struct profile *profile,
                                           struct feature_state *feature);
struct embedding_state *profile_embedding_part(const struct profile *profile,
                                               struct feature_state *feature);

/* Category ids that were ever touched; UINT32_MAX: more than are counted by id. */
uint32_t profile_ids(const struct feature_state *feature);
/* Whether one more than so many ids leaves less room for the rest. */
bool profile_step(const struct profile *profile, uint32_t ids);
/* Gives up what the parts of a feature may not keep beside each other and beside so many ids.
   -ENOMEM: some of it was. */
int profile_squeeze(struct profile *profile, uint32_t index, uint32_t ids);
