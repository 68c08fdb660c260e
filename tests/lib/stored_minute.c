#include "tests/lib/stored_minute.h"

#include "storage/profiles.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

void stored_minute(struct store *store, const char *slice, int64_t start_ms,
                   const struct states *states, const struct profile *profile)
{
    struct err err = {0};
    struct buf bytes, state;
    const int64_t series = temp_series(store, "credit", "v1", slice);
    buf_init(&bytes, 1 << 20);
    buf_init(&state, 1 << 20);
    profile_save(profile, &bytes);
    states_save(states, &state);
    must(commit_begin(store, &err), &err);
    must(commit_pane(store, series, MINUTE, start_ms, state.data, state.size, &err), &err);
    must(commit_profile(store, series, MINUTE, start_ms, PROFILE_FEATURES, bytes.data, bytes.size,
                        &err),
         &err);
    must(commit_end(store, &err), &err);
    buf_finish(&bytes);
    buf_finish(&state);
}
