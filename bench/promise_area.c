#include "bench/promise_area.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/counted_window.h"
#include "stats/drift_numeric.h"

enum {
    M = AREA_REFERENCE,
    SINGLE_VALUES = 300, /* the largest, beyond 3.5, where cells hold few of them */
    TOGETHER = 12,       /* of the others only every 12th */
    MOST_GROUPS = SINGLE_VALUES + (M - SINGLE_VALUES) / TOGETHER + 2
};

/* The value of a rank, and how many lie between it and that of the group before. */
struct group {
    double value, share; /* of the law, below the value */
    int n_between;
};

struct area_play {
    struct area_groups area;
    int n;
    struct grid *grid;
    int ranks[GRID_MAX_CELLS]; /* values of the reference below each cut */
    double counts[GRID_MAX_CELLS + 1], areas[GRID_MAX_CELLS + 1];
    double shares[GRID_MAX_CELLS + 1]; /* the law's, of the cells */
    double values[M], sums[M + 1];     /* in order; of those before */
    struct group groups[MOST_GROUPS];
    int n_groups;
    struct numbers window;
    uint32_t window_counts[GRID_MAX_CELLS + 1];
};

/* Cuts at the same rank leave a cell empty in every reference: one of them will do. */
static void keep_ranks(struct area_play *play, const double *quantiles)
{
    struct grid *grid = play->grid;
    uint32_t kept = 0;
    int rank = 0;
    for (uint32_t i = 0; i < grid->n_cuts; i++) {
        while (rank < M && quantiles[rank] < grid->cuts[i])
            rank++;
        if (kept == 0 || rank > play->ranks[kept - 1])
            play->ranks[kept++] = rank;
    }
    grid->n_cuts = kept;
}

/* Of the ranks from 1 on: the first, every 12th, and all of the largest. */
static void group_ranks(struct area_play *play)
{
    int rank = 1;
    play->groups[play->n_groups++].n_between = 0;
    while (rank < M) {
        const int left = M - SINGLE_VALUES - rank;
        const int more = left <= 0 ? 1 : left < TOGETHER ? left : TOGETHER;
        play->groups[play->n_groups++].n_between = more - 1;
        rank += more;
    }
}

struct area_play *area_play_new(int n)
{
    struct area_play *play = calloc(1, sizeof(*play));
    struct cell *cells = calloc(M, sizeof(*cells));
    for (int i = 0; play && cells && i < M; i++) {
        play->values[i] = -log1p(-(i + 0.5) / M);
        cells[i] = (struct cell){play->values[i], play->values[i], 1};
    }
    if (!play || !cells || grid_build(&play->grid, cells, M, GRID_MAX_CELLS, NULL)) {
        free(cells);
        area_play_free(play);
        return NULL;
    }
    free(cells);
    play->n = n;
    if (n > AREA_SINGLE)
        group_ranks(play);
    else
        keep_ranks(play, play->values);
    cells_init(&play->window.cells, 128);
    return play;
}

void area_play_free(struct area_play *play)
{
    if (!play)
        return;
    cells_finish(&play->window.cells);
    grid_free(play->grid);
    free(play);
}

/* --- references --- */

struct power_sums {
    double first, second, third;
};

static struct cell_moments moments_of(const struct power_sums *sums, double min, double max)
{
    double mean = sums->first / M, second = sums->second / M, third = sums->third / M;
    double variance = second - mean * mean, std = sqrt(variance);
    double skew = (third - 3 * mean * second + 2 * mean * mean * mean) / (variance * std);
    return (struct cell_moments){M, mean, std, min, max, skew};
}

static struct power_sums draw_values(struct area_play *play, struct rng *rng)
{
    struct power_sums sums = {0, 0, 0};
    double x = 0;
    for (int i = 0; i < M; i++) {
        play->values[i] = x += rng_exponential(rng, 1.0 / (M - i));
        play->sums[i + 1] = play->sums[i] + x;
        sums.first += x;
        sums.second += x * x;
        sums.third += x * x * x;
    }
    struct grid *grid = play->grid;
    for (uint32_t i = 0; i < grid->n_cuts; i++) {
        int before = i ? play->ranks[i - 1] : 0, here = play->ranks[i];
        double last = play->values[here ? here - 1 : 0];
        grid->cuts[i] = here ? nextafter(last, (double)INFINITY) : last;
        play->areas[i] = ((here - before) * last - play->sums[here] + play->sums[before]) / M;
    }
    return sums;
}

/* The sum of k values, each anywhere between two that lie close, with the law's slope there. */
static double sum_between(struct rng *rng, int k, double from, double to)
{
    const double width = to - from, mean = from + width / 2 - width * width / 12;
    const double deviate = (rng_uniform(rng) + rng_uniform(rng) - 1) * sqrt(6);
    return k * mean + sqrt(k / 12.0) * width * deviate;
}

static void draw_groups(struct area_play *play, struct rng *rng)
{
    double total = 0, before = 0;
    for (int i = 0; i < play->n_groups; i++)
        total += play->groups[i].share = gamma_variate(rng, play->groups[i].n_between + 1);
    total += gamma_variate(rng, 1); /* above the largest */
    for (int i = 0; i < play->n_groups; i++) {
        struct group *group = &play->groups[i];
        before += group->share / total;
        group->share = before;
        group->value = -log1p(-before);
    }
}

static void add_value(struct power_sums *sums, double x)
{
    sums->first += x;
    sums->second += x * x;
    sums->third += x * x * x;
}

/* k values between two that lie close; returns their sum. */
static double add_between(struct power_sums *sums, struct rng *rng, int k, double from, double to)
{
    if (k == 0)
        return 0;
    const double sum = sum_between(rng, k, from, to), mean = sum / k;
    const double within = (to - from) * (to - from) / 12 * (k - 1) / k;
    sums->first += sum;
    sums->second += k * (mean * mean + within);
    sums->third += k * mean * (mean * mean + 3 * within);
    return sum;
}

static void build_grid(struct area_play *play)
{
    struct cell cells[MOST_GROUPS];
    for (int i = 0; i < play->n_groups; i++) {
        const struct group *group = &play->groups[i];
        const double low = group->n_between ? play->groups[i - 1].value : group->value;
        cells[i] = (struct cell){low, group->value, (uint64_t)group->n_between + 1};
    }
    grid_free(play->grid);
    play->grid = NULL;
    if (grid_build(&play->grid, cells, (size_t)play->n_groups, GRID_MAX_CELLS, NULL))
        abort();
}

/* The grid of the groups' values and what falls into its cells: a cut parts what lies between two
   groups' values as the law does. */
static struct power_sums draw_cells(struct area_play *play, struct rng *rng)
{
    struct power_sums sums = {0, 0, 0};
    draw_groups(play, rng);
    build_grid(play);
    const struct grid *grid = play->grid;
    uint32_t at = 0; /* the cell */
    double below = 0;
    memset(play->counts, 0, sizeof(play->counts));
    memset(play->areas, 0, sizeof(play->areas));
    for (int i = 0; i < play->n_groups; i++) {
        const struct group *group = &play->groups[i];
        double from = i ? play->groups[i - 1].value : 0, share = i ? group[-1].share : 0;
        int left = group->n_between;
        for (; at < grid->n_cuts && grid->cuts[at] <= group->value; at++) {
            const double cut = grid->cuts[at], under = -expm1(-cut);
            const double part = (under - share) / (group->share - share);
            const int k = left ? (int)binomial_variate(rng, left, fmin(fmax(part, 0), 1)) : 0;
            const double sum = add_between(&sums, rng, k, from, cut);
            play->counts[at] += k;
            play->areas[at] += (k * cut - sum) / M;
            play->shares[at] = under - below;
            below = under;
            left -= k;
            from = cut;
            share = under;
        }
        const double end = at < grid->n_cuts ? grid->cuts[at] : group->value;
        const double sum = add_between(&sums, rng, left, from, group->value);
        add_value(&sums, group->value);
        play->counts[at] += left + 1;
        play->areas[at] += ((left + 1) * end - sum - group->value) / M;
    }
    for (; at < grid->n_cuts; at++) {
        play->shares[at] = -expm1(-grid->cuts[at]) - below;
        below += play->shares[at];
    }
    play->shares[grid->n_cuts] = 1 - below;
    return sums;
}

void area_reference(struct area_play *play, struct rng *rng, struct reference_feature *out)
{
    struct power_sums sums = play->n > AREA_SINGLE ? draw_cells(play, rng) : draw_values(play, rng);
    const struct grid *grid = play->grid;
    for (uint32_t i = 0; i <= grid->n_cuts && play->n <= AREA_SINGLE; i++) {
        int before = i ? play->ranks[i - 1] : 0;
        play->counts[i] = (i < grid->n_cuts ? play->ranks[i] : M) - before;
    }
    out->grid = play->grid;
    out->grid_counts = play->counts;
    out->grid_areas = play->areas;
    out->moments = moments_of(&sums, grid->cuts[0], grid->cuts[grid->n_cuts - 1]);
    area_groups_make(&play->area, grid, play->counts, play->areas, M, out->moments.std);
    out->area = &play->area;
}

/* --- windows --- */

/* The area under the reference's distribution function between two points. */
static double area_under(const struct area_play *play, double from, int below_from, double to,
                         int below_to)
{
    double inside = play->sums[below_to] - play->sums[below_from];
    return (to * below_to - from * below_from - inside) / M;
}

/* … and between it and a constant: it crosses that once at most. */
static double area_from(const struct area_play *play, double level, double from, int below_from,
                        double to, int below_to)
{
    int crossing = (int)floor(level * M + 1e-9); /* the value of that rank rises above it */
    if (crossing > below_from && crossing < below_to) {
        double at = play->values[crossing];
        double low = area_under(play, from, below_from, at, crossing);
        double high = area_under(play, at, crossing, to, below_to);
        return level * (at - from) - low + high - level * (to - at);
    }
    return fabs(area_under(play, from, below_from, to, below_to) - level * (to - from));
}

static double area_of_values(const struct area_play *play, struct rng *rng)
{
    double least = play->values[0], most = play->values[M - 1], from = least, y = 0, area = 0;
    int below_from = 0;
    for (int i = 0; i <= play->n; i++) {
        y += i < play->n ? rng_exponential(rng, 1.0 / (play->n - i)) : (double)INFINITY;
        double to = fmin(fmax(y, least), most);
        int below = below_from;
        while (below + 16 <= M && play->values[below + 15] <= to)
            below += 16;
        while (below < M && play->values[below] <= to)
            below++;
        area += area_from(play, (double)i / play->n, from, below_from, to, below);
        from = to;
        below_from = below;
    }
    return area;
}

static double area_of_cells(struct area_play *play, struct rng *rng,
                            const struct reference_feature *ref)
{
    const struct grid *grid = play->grid;
    double drawn[GRID_MAX_CELLS + 1];
    multinomial_variate(rng, play->shares, grid->n_cuts + 1, play->n, drawn);
    cells_finish(&play->window.cells);
    counted_window(&play->window, play->window_counts, drawn, grid, 1);
    struct drift_numeric_input in = {ref, 1, &play->window, NULL, 0, false};
    struct drift_numeric out;
    if (drift_numeric(&in, &out))
        abort();
    return out.wasserstein.value - out.wasserstein_beyond;
}

double area_window(struct area_play *play, struct rng *rng, const struct reference_feature *ref)
{
    double area = play->n > AREA_SINGLE ? area_of_cells(play, rng, ref) : area_of_values(play, rng);
    return area / ref->moments.std;
}
