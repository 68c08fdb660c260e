#include "bench/promise_ks.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

enum {
    M = KS_REFERENCE,
    N_GROUPS = 64,
    A_GROUP = 10,
    N_CELLS = N_GROUPS * A_GROUP,
    FAR_ENOUGH = 200 /* values: the i-th of M lies within 0.02 of i / M */
};
#define HIDDEN 1e-7 /* chance that is left of reaching the screen */

struct ks_play {
    int n;
    double values[M]; /* the reference's, in order */
    double counts[N_CELLS], truth[N_CELLS];
    double group_counts[N_GROUPS], group_truth[N_GROUPS];
    bool split; /* groups have been split into cells */
};

struct ks_play *ks_play_new(int n)
{
    struct ks_play *play = calloc(1, sizeof(*play));
    if (!play)
        return NULL;
    play->n = n;
    for (int i = 0; i < N_CELLS; i++) {
        play->counts[i] = floor((i + 1) * (double)M / N_CELLS) - floor(i * (double)M / N_CELLS);
        play->group_counts[i / A_GROUP] += play->counts[i];
    }
    return play;
}

void ks_play_free(struct ks_play *play)
{
    free(play);
}

/* --- references: the last cell has the spacing beyond the last value, too --- */

static void draw_groups(struct ks_play *play, struct rng *rng)
{
    for (int i = 0; i < N_GROUPS; i++)
        play->group_truth[i] = gamma_variate(rng, play->group_counts[i] + (i + 1 == N_GROUPS));
    play->split = false;
}

static void split_groups(struct ks_play *play, struct rng *rng)
{
    if (play->split)
        return;
    for (int i = 0; i < N_CELLS; i++)
        play->truth[i] = gamma_variate(rng, play->counts[i] + (i + 1 == N_CELLS));
    play->split = true;
}

void ks_reference(struct ks_play *play, struct rng *rng)
{
    if (play->n > KS_SINGLE) {
        draw_groups(play, rng);
        return;
    }
    double sum = 0;
    for (int i = 0; i < M; i++)
        play->values[i] = sum += rng_exponential(rng, 1);
    sum += rng_exponential(rng, 1);
    for (int i = 0; i < M; i++)
        play->values[i] /= sum;
}

/* --- windows --- */

static double of_values(const struct ks_play *play, struct rng *rng)
{
    double at[KS_SINGLE + 1], sum = 0, most = 0, per = 1.0 / play->n;
    for (int i = 0; i <= play->n; i++)
        at[i] = sum += rng_exponential(rng, 1);
    int below = 0;
    for (int i = 0; i < play->n; i++) {
        double x = at[i] / sum;
        int guess = (int)(x * M) - FAR_ENOUGH;
        below = guess > below ? guess : below;
        while (below > 0 && play->values[below - 1] > x)
            below--;
        while (below < M && play->values[below] <= x)
            below++;
        double f = below * (1.0 / M);
        most = fmax(most, fmax(fabs(f - i * per), fabs(f - (i + 1) * per)));
    }
    return most;
}

/* The chance that a path reaches the level between two gaps below it, a group's length apart. */
static double reaches(const struct ks_play *play, double level, double from, double to)
{
    double variance = (1.0 / play->n + 1.0 / M) / N_GROUPS;
    return exp(-2 * (level - fabs(from)) * (level - fabs(to)) / variance);
}

static double of_cells(struct ks_play *play, struct rng *rng, double screen)
{
    double groups[N_GROUPS], gap = 0, most = 0, hidden = 0;
    multinomial_variate(rng, play->group_truth, N_GROUPS, play->n, groups);
    for (int i = 0; i < N_GROUPS; i++) {
        double before = gap;
        gap += play->group_counts[i] / M - groups[i] / play->n;
        most = fmax(most, fabs(gap));
        if (most < screen)
            hidden += reaches(play, screen, before, gap);
    }
    if (most < screen && hidden < HIDDEN && isfinite(screen))
        return most;
    split_groups(play, rng);
    gap = 0;
    for (int i = 0; i < N_GROUPS; i++) {
        double cells[A_GROUP];
        multinomial_variate(rng, play->truth + i * A_GROUP, A_GROUP, groups[i], cells);
        for (int k = 0; k < A_GROUP; k++) {
            gap += play->counts[i * A_GROUP + k] / M - cells[k] / play->n;
            most = fmax(most, fabs(gap));
        }
    }
    return most;
}

double ks_window(struct ks_play *play, struct rng *rng, double screen)
{
    return play->n > KS_SINGLE ? of_cells(play, rng, screen) : of_values(play, rng);
}
