/*
 * The parts of a profile's feature, for the files that fill them: from events and other profiles
 * (profile.c), and from saved bytes (profile_saved.c).
 *
 * Shape    each is made when it is first asked for
 * Errors   NULL: no memory
 */
#pragma once

#include "stats/profile.h"

struct numbers *profile_numeric_part(const struct profile *profile, struct feature_state *feature);
struct categories *profile_categories_part(const struct profile *profile,
                                           struct feature_state *feature);
struct embedding_state *profile_embedding_part(const struct profile *profile,
                                               struct feature_state *feature);
