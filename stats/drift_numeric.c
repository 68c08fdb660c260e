/*
 * Two ways to read a window. On the reference's own grid all is a walk over at most 640 counts,
 * beside what the reference measured there once. Otherwise the window is a sorted list of cells
 * (single values, mostly) that walks along the reference's list.
 */
#include "stats/drift_numeric.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "stats/four.h"
#include "stats/kolmogorov.h"

struct pair {
    double value, bound;
};

/* --- bins --- */

/* Bin counts with the range each may lie in: cells that straddle an edge leave it open. */
struct open_bins {
    struct drift_bin bins[GRID_MAX_DOANE + 1];
    double low[GRID_MAX_DOANE + 1], high[GRID_MAX_DOANE + 1]; /* of the window's counts */
    size_t n;
    double straddling; /* events in cells that straddle */
};

static void bin_reference(const struct reference_feature *reference, const uint8_t *bin_of_cell,
                          struct drift_bin *bins)
{
    for (uint32_t i = 0; i <= reference->grid->n_cuts; i++)
        bins[bin_of_cell[i]].reference += reference->grid_counts[i];
}

/* Events below each cell of the grid, and at its end all of them, on both sides. */
struct cumulated {
    double reference[GRID_MAX_CELLS + 2], window[GRID_MAX_CELLS + 2];
};

static void cumulate(struct cumulated *out, const struct reference_feature *reference,
                     const struct numbers *window)
{
    const uint32_t n = reference->grid->n_cuts + 1;
    double known = 0, here = 0;
    for (uint32_t i = 0; i < n; i++) {
        out->reference[i] = known;
        out->window[i] = here;
        known += reference->grid_counts[i];
        here += numbers_count(window, i);
    }
    out->reference[n] = known;
    out->window[n] = here;
}

/* Both sides on the same cells. Neighbours share a bin; counts are whole, so that nothing is rounded. */
static void bin_counts(const struct cumulated *below, uint32_t n_cells, const uint8_t *bin_of_cell,
                       struct drift_bin *bins)
{
    for (uint32_t i = 0, end; i < n_cells; i = end) {
        const uint8_t bin = bin_of_cell[i];
        for (end = i + 1; end < n_cells && bin_of_cell[end] == bin;)
            end++;
        bins[bin].reference += below->reference[end] - below->reference[i];
        bins[bin].window += below->window[end] - below->window[i];
    }
}

static void bin_cells(struct open_bins *out, const struct grid *grid, const uint8_t *bin_of_cell,
                      const struct cell *cells, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double count = (double)cells[i].count;
        uint32_t at = bin_of_cell[grid_cell(grid, cell_middle(&cells[i]))];
        out->bins[at].window += count;
        out->low[at] += count;
        out->high[at] += count;
        if (cells[i].low == cells[i].high)
            continue;
        uint32_t first = grid_cell(grid, cells[i].low), last = grid_cell(grid, cells[i].high);
        bool straddles = false;
        for (uint32_t c = first; c <= last && !straddles; c++)
            straddles = bin_of_cell[c] != at;
        if (!straddles)
            continue;
        out->straddling += count;
        out->low[at] -= count;
        for (uint32_t c = first; c <= last; c++)
            if (bin_of_cell[c] != at)
                out->high[bin_of_cell[c]] += count; /* may count twice: only ever too wide */
    }
}

static size_t bin_both(const struct reference_feature *reference, const uint8_t *bin_of_cell,
                       size_t n_bins, const struct cell *cells, size_t n, struct drift_bin *bins)
{
    for (size_t i = 0; i < n_bins; i++)
        bins[i] = (struct drift_bin){0};
    bin_reference(reference, bin_of_cell, bins);
    for (size_t i = 0; i < n; i++)
        bins[bin_of_cell[grid_cell(reference->grid, cell_middle(&cells[i]))]].window +=
            (double)cells[i].count;
    return n_bins;
}

size_t drift_decile_bins(const struct reference_feature *reference, const struct cell *cells,
                         size_t n, struct drift_bin *bins)
{
    const struct grid *grid = reference->grid;
    return bin_both(reference, grid->decile_bin, grid->n_deciles + 1, cells, n, bins);
}

size_t drift_doane_bins(const struct reference_feature *reference, const struct cell *cells,
                        size_t n, struct drift_bin *bins)
{
    const struct grid *grid = reference->grid;
    return bin_both(reference, grid->doane_bin, grid->n_doane + 1, cells, n, bins);
}

static double psi_term(double a, double count, double n)
{
    double b = fmax(count / n, PSI_FLOOR);
    return (b - a) * log(b / a);
}

/* PSI's terms are convex in the window's share with their least value where the shares meet. */
static double psi_bound(const struct open_bins *open, double n_reference, double n_window)
{
    double below = 0, above = 0;
    for (size_t i = 0; i < open->n; i++) {
        double a = fmax(open->bins[i].reference / n_reference, PSI_FLOOR);
        double value = psi_term(a, open->bins[i].window, n_window);
        double low = psi_term(a, open->low[i], n_window);
        double high = psi_term(a, fmin(open->high[i], n_window), n_window);
        bool meets = open->low[i] <= a * n_window && open->high[i] >= a * n_window;
        above += fmax(low, high) - value;
        below += value - (meets ? 0 : fmin(low, high));
    }
    return fmax(below, above);
}

/* `below`: of a window on the reference's grid, else NULL. */
static void by_bins(const struct drift_numeric_input *in, const struct cell *cells, size_t n_cells,
                    const struct cumulated *below, struct drift_numeric *out)
{
    const struct reference_feature *ref = in->reference;
    double n_ref = (double)ref->valid, n = (double)out->n;
    struct open_bins open = {.n = ref->grid->n_deciles + 1};
    if (below) {
        bin_counts(below, ref->grid->n_cuts + 1, ref->grid->decile_bin, open.bins);
    } else {
        bin_reference(ref, ref->grid->decile_bin, open.bins);
        bin_cells(&open, ref->grid, ref->grid->decile_bin, cells, n_cells);
    }
    double bound = open.straddling > 0 ? psi_bound(&open, n_ref, n) : 0;
    out->psi = drift_defined(drift_psi(open.bins, open.n, n_ref, n), bound);

    open = (struct open_bins){.n = ref->grid->n_doane + 1};
    if (below) {
        bin_counts(below, ref->grid->n_cuts + 1, ref->grid->doane_bin, open.bins);
    } else {
        bin_reference(ref, ref->grid->doane_bin, open.bins);
        bin_cells(&open, ref->grid, ref->grid->doane_bin, cells, n_cells);
    }
    /* both are metrics, and the distance of two windows is at most the root of what moved */
    bound = sqrt(open.straddling / n);
    out->js_distance = drift_defined(drift_js(open.bins, open.n, n_ref, n), bound);
    out->hellinger = drift_defined(drift_hellinger(open.bins, open.n, n_ref, n), bound);
    out->outside_rate = open.bins[ref->grid->n_doane].window / n;
}

/* --- on the reference's grid --- */

/* Of two numbers: fmax, which also knows NaN, is a call for each of a window's 640 cells. */
FOUR_INLINE double larger(double a, double b)
{
    return a > b ? a : b;
}

/* How many events there are, and what one of them is of all. */
struct sizes {
    double reference, window;
    double per_reference, per_window, per_both;
};

static struct sizes sizes_of(double reference, double window)
{
    return (struct sizes){reference, window, 1 / reference, 1 / window, 1 / (reference * window)};
}

/* The area between F and G, and how far off it may be. */
struct area {
    double value, bound;
    double net;         /* ∫ F - G: where F is above, less where G is */
    double over, under; /* how far off what lies where F is above, and where G is, may be */
};

/*
 * Over one cell; a: F - G at its start, e: at its end. The window is taken to lie in the cell as the
 * reference does, or evenly. F - G has one sign in all of the cell where it starts above all that G
 * can rise by, or below what F does.
 */
FOUR_INLINE struct area area_of(double a, double e, double f, double g, double width, double area)
{
    const double inside = f > 0 ? (1 - g / f) * area : -g * width / 2;
    const double mean_from_end = f > 0 ? area / f : width / 2;
    const double net = a * width + inside, off = g * larger(mean_from_end, width - mean_from_end);
    if ((a >= 0 && e >= 0) || (a <= 0 && e <= 0))
        return (struct area){fabs(net), off, net, a <= -f ? 0 : off, a >= g ? 0 : off};
    const double value = width * (a * a + e * e) / (2 * (fabs(a) + fabs(e)));
    const double bound = (f + g) * width / 2, half = (bound + off) / 2;
    return (struct area){value, bound, net, half, half};
}

/* Σ distance of the window's events beyond an end of the reference from that end. */
static struct pair beyond(const struct cell *cells, size_t n, double end, double total)
{
    struct pair out = {0, 0};
    for (size_t i = 0; i < n; i++) {
        double share = (double)cells[i].count / total;
        out.value += share * fabs(cell_middle(&cells[i]) - end);
        out.bound += share * (cells[i].high / 2 - cells[i].low / 2);
    }
    return out;
}

/*
 * The gap between F and G at a cell's end is the difference of two whole numbers, known × n - here × m,
 * so that where they meet it is 0, not what rounding left: whether they cross in a cell goes by its sign.
 */

/* What a walk over the grid's cells finds. */
struct walked {
    double ks, most; /* largest gap at the cells' ends; … that there could be inside them */
    struct area area;
};

FOUR_INLINE four of_both(four a, four b)
{
    const four_signs larger_a = a > b;
    return four_choose(larger_a, a, b);
}

FOUR_INLINE four without_sign(four x)
{
    return of_both(x, -x);
}

/* As struct area, of every fourth cell. */
struct areas {
    four value, bound, net, over, under;
};

/* Four cells with cuts on both sides: as area_of. */
FOUR_INLINE void add_areas(struct areas *sum, four a, four e, four f, four g, four width, four area)
{
    const four_signs same = ((a >= 0) & (e >= 0)) | ((a <= 0) & (e <= 0)), some = f > 0;
    const four none = {0}, by = 1.0 / four_choose(some, f, four_of(1)), half = width / 2;
    const four inside = four_choose(some, (1 - g * by) * area, -g * half);
    const four mean_from_end = four_choose(some, area * by, half);
    const four net = a * width + inside, off = g * of_both(mean_from_end, width - mean_from_end);
    const four ends = without_sign(a) + without_sign(e);
    const four crossing = width * (a * a + e * e) / (2 * four_choose(same, four_of(1), ends));
    const four bound = four_choose(same, off, (f + g) * half), sides = (bound + off) / 2;
    sum->value += four_choose(same, without_sign(net), crossing);
    sum->bound += bound;
    sum->net += net;
    sum->over += four_choose(a <= -f, none, sides);
    sum->under += four_choose(a >= g, none, sides);
}

/*
 * One cell, or the first and the last, which have a cut on one side only. Inlined, as no vector
 * may be left in the registers that a call to what is not made for AVX2 would be slowed down by.
 */
FOUR_INLINE void walk_one(struct walked *out, const struct reference_feature *ref,
                          const struct cumulated *below, uint32_t i, const struct sizes *of)
{
    const struct grid *grid = ref->grid;
    const double *known = below->reference + i, *here = below->window + i;
    const double a = (known[0] * of->window - here[0] * of->reference) * of->per_both;
    const double e = (known[1] * of->window - here[1] * of->reference) * of->per_both;
    const double f = ref->grid_counts[i] * of->per_reference;
    const double g = (here[1] - here[0]) * of->per_window;
    out->ks = larger(out->ks, fabs(e));
    if (!grid->one_value[i])
        out->most = larger(out->most, larger(fabs(a + f), fabs(a - g)));
    if (i == 0 || i >= grid->n_cuts)
        return;
    const struct area area =
        area_of(a, e, f, g, grid->cuts[i] - grid->cuts[i - 1], ref->grid_areas[i]);
    out->area.value += area.value;
    out->area.bound += area.bound;
    out->area.net += area.net;
    out->area.over += area.over;
    out->area.under += area.under;
}

FOUR_INLINE void walk_by(struct walked *out, const struct reference_feature *ref,
                         const struct cumulated *below, const struct sizes *of)
{
    const struct grid *grid = ref->grid;
    four ks = {0}, most = {0};
    struct areas areas = {0};
    uint32_t i = 1;
    *out = (struct walked){0};
    walk_one(out, ref, below, 0, of);
    for (; i + LANES <= grid->n_cuts; i += LANES) {
        const four known = four_read(below->reference + i), here = four_read(below->window + i);
        const four known_next = four_read(below->reference + i + 1),
                   here_next = four_read(below->window + i + 1);
        const four a = (known * of->window - here * of->reference) * of->per_both;
        const four e = (known_next * of->window - here_next * of->reference) * of->per_both;
        const four f = (known_next - known) * of->per_reference,
                   g = (here_next - here) * of->per_window;
        const four inside = of_both(without_sign(a + f), without_sign(a - g));
        four_signs several;
        for (int lane = 0; lane < LANES; lane++)
            several[lane] = grid->one_value[i + (uint32_t)lane] ? 0 : -1;
        ks = of_both(ks, without_sign(e));
        most = of_both(most, four_choose(several, inside, four_of(0)));
        add_areas(&areas, a, e, f, g, four_read(grid->cuts + i) - four_read(grid->cuts + i - 1),
                  four_read(ref->grid_areas + i));
    }
    for (int lane = 0; lane < LANES; lane++) {
        out->ks = larger(out->ks, ks[lane]);
        out->most = larger(out->most, most[lane]);
    }
    out->area = (struct area){four_sum(areas.value), four_sum(areas.bound), four_sum(areas.net),
                              four_sum(areas.over), four_sum(areas.under)};
    for (; i <= grid->n_cuts; i++)
        walk_one(out, ref, below, i, of);
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static void walk_avx2(struct walked *out,
                                                      const struct reference_feature *ref,
                                                      const struct cumulated *below,
                                                      const struct sizes *of)
{
    walk_by(out, ref, below, of);
}
#endif

static void walk(struct walked *out, const struct reference_feature *ref,
                 const struct cumulated *below, const struct sizes *of)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2")) {
        walk_avx2(out, ref, below, of);
        return;
    }
#endif
    walk_by(out, ref, below, of);
}

/* On the whole's grid a slice's range ends somewhere: what lies beyond it, and within the grid. */
static double beyond_part(const struct reference_feature *ref, const struct cumulated *below,
                          double n)
{
    const struct grid *grid = ref->grid;
    const double least = ref->moments.min, most = ref->moments.max;
    const uint32_t last = grid->n_cuts;
    double sum =
        (below->window[1] - below->window[0]) / n * (least - grid->cuts[0]) +
        (below->window[last + 1] - below->window[last]) / n * (grid->cuts[last - 1] - most);
    for (uint32_t i = 1; i < last; i++) {
        const double low = grid->cuts[i - 1], high = grid->cuts[i], middle = low / 2 + high / 2;
        const double count = below->window[i + 1] - below->window[i];
        if (high <= least)
            sum += count / n * (least - middle);
        else if (low > most)
            sum += count / n * (middle - most);
    }
    return sum;
}

/*
 * The window's mean is known exactly, and so is what lies where F is above less what lies where G is:
 * it is how far the means are apart. Where nearly all of a window lies to one side, that is the area.
 * `low`, `high`: beyond the ends; what they are found to be off by is told of *beyond, too.
 */
static struct pair by_means(const struct area *inside, const struct pair *low,
                            const struct pair *high, double apart, double rounding, double *beyond)
{
    struct pair out = {inside->value + low->value + high->value,
                       inside->bound + low->bound + high->bound};
    const double over = (inside->value + inside->net) / 2 + high->value;
    const double under = (inside->value - inside->net) / 2 + low->value;
    const double over_off = inside->over + high->bound, under_off = inside->under + low->bound;
    double least = out.value - out.bound, most = out.value + out.bound;
    least = fmax(least, 2 * (over - over_off) - apart - rounding);
    least = fmax(least, 2 * (under - under_off) + apart - rounding);
    most = fmin(most, 2 * (over + over_off) - apart + rounding);
    most = fmin(most, 2 * (under + under_off) + apart + rounding);
    if (!(least <= most) || !(over_off + under_off > 0))
        return out; /* nothing is unknown, or what only rounding is left of */
    const double off = apart - (over - under);
    double value = out.value + off * (over_off - under_off) / (over_off + under_off);
    value = fmin(fmax(value, least), most);
    if (over_off > 0)
        *beyond += ((value + apart) / 2 - over) * high->bound / over_off;
    if (under_off > 0)
        *beyond += ((value - apart) / 2 - under) * low->bound / under_off;
    *beyond = fmin(fmax(*beyond, 0), value);
    return (struct pair){value, fmax(most - value, value - least)};
}

/* `ends`: the window's events beyond the grid, n_low of them below it. */
static void on_own_grid(const struct drift_numeric_input *in, const struct cumulated *below,
                        const struct cell *ends, size_t n_low, size_t n_ends,
                        struct drift_numeric *out)
{
    const struct reference_feature *ref = in->reference;
    const struct grid *grid = ref->grid;
    const double n = (double)out->n;
    struct walked walked;
    const struct sizes sizes = sizes_of((double)ref->valid, n);
    walk(&walked, ref, below, &sizes);
    out->ks = drift_defined(walked.ks, fmax(walked.most - walked.ks, 0) + ref->slack);
    struct pair low = beyond(ends, n_low, grid->cuts[0], n);
    struct pair high = beyond(ends + n_low, n_ends - n_low, grid->cuts[grid->n_cuts - 1], n);
    out->wasserstein_beyond = low.value + high.value;
    struct pair area = {walked.area.value + out->wasserstein_beyond,
                        walked.area.bound + low.bound + high.bound};
    if (in->window->n_far == 0 && grid->unit > 0) {
        const double mean = (double)in->window->sum / n * grid->unit; /* from the origin */
        area = by_means(&walked.area, &low, &high, mean + (grid->origin - ref->moments.mean),
                        grid->unit, &out->wasserstein_beyond);
    }
    out->wasserstein = drift_defined(area.value, area.bound + ref->spread);
    if (ref->part) /* it is within the walk's area already */
        out->wasserstein_beyond += beyond_part(ref, below, n);
}

/* --- along the reference's list --- */

static void ks_by_cells(const struct reference_feature *ref, const struct cell *cells, size_t n,
                        double total, struct drift_numeric *out)
{
    double before = 0, ks = 0, most = 0;
    for (size_t i = 0; i < n; i++) {
        double g0 = before / total, g1 = (before + (double)cells[i].count) / total;
        double f0 = reference_cdf_below(ref, cells[i].low), f1 = reference_cdf(ref, cells[i].high);
        ks = fmax(ks, fmax(fabs(f0 - g0), fabs(f1 - g1)));
        most = fmax(most, fmax(fabs(f0 - g0), fabs(f1 - g1)));
        if (cells[i].low < cells[i].high)
            most = fmax(most, fmax(fabs(f1 - g0), fabs(g1 - f0)));
        before += (double)cells[i].count;
    }
    out->ks = drift_defined(ks, most - ks + ref->slack);
}

static double spread_of(const struct cell *cells, size_t n)
{
    double sum = 0, total = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)cells[i].count * (cells[i].high / 2 - cells[i].low / 2);
        total += (double)cells[i].count;
    }
    return sum / total;
}

static void wasserstein_by_cells(const struct reference_feature *ref, const struct cell *cells,
                                 size_t n, double total, struct drift_numeric *out)
{
    double f = 0, g = 0, sum = 0, last = 0, n_ref = (double)ref->valid;
    double least = ref->moments.min, most = ref->moments.max, inside = 0;
    size_t i = 0, j = 0;
    while (i < ref->n_cells || j < n) {
        const struct cell known =
            i < ref->n_cells ? reference_cell(ref, (uint32_t)i) : (struct cell){0};
        double x = i < ref->n_cells ? cell_middle(&known) : (double)INFINITY;
        double y = j < n ? cell_middle(&cells[j]) : (double)INFINITY;
        double next = x < y ? x : y;
        if (i + j > 0) {
            double gap = fabs(f / n_ref - g / total);
            sum += gap * (next - last);
            inside += gap * fmax(fmin(next, most) - fmax(last, least), 0);
        }
        last = next;
        if (x == next) {
            f += (double)known.count;
            i++;
        }
        if (y == next)
            g += (double)cells[j++].count;
    }
    double bound = spread_of(cells, n) + ref->spread;
    out->wasserstein = drift_defined(sum, bound);
    out->wasserstein_beyond = fmax(sum - inside, 0);
}

/* --- all of it --- */

static void moments_of(const struct drift_numeric_input *in, const struct cell *cells, size_t n,
                       struct drift_numeric *out)
{
    const struct numbers *w = in->window;
    const struct grid *grid =
        w->reference == in->reference_id ? in->reference->grid : in->older_grid;
    if (w->n_counts && grid && w->n_far == 0) {
        double mean = (double)w->sum / (double)w->n;
        /* Σ(u - mean)² = Σu² - n mean²; u stays small against 2^53 unless the data left */
        double variance = (double)((long double)w->square / (long double)w->n -
                                   (long double)mean * (long double)mean);
        out->mean = grid->origin + mean * grid->unit;
        out->std = sqrt(fmax(variance, 0)) * grid->unit;
        return;
    }
    struct cell_moments m = cells_moments(cells, n);
    out->mean = m.mean;
    out->std = m.std;
    out->moments_bound = spread_of(cells, n);
}

/* A distance in standard deviations of the reference, which a sketch of it does not know exactly. */
static struct drift_value normalised(const struct drift_value *distance,
                                     const struct reference_feature *ref)
{
    const double std = ref->moments.std, least = std - ref->std_off;
    if (!(std > 0) || !isfinite(std))
        return drift_none("the reference is constant");
    if (distance->why)
        return *distance;
    const double value = distance->value / std;
    return drift_defined(value, least > 0 ? (distance->error_bound + value * ref->std_off) / least
                                          : distance->error_bound / std + value);
}

static void all_none(struct drift_numeric *out, const char *why)
{
    out->psi = out->js_distance = out->ks = out->wasserstein = drift_none(why);
    out->wasserstein_norm = out->hellinger = drift_none(why);
    out->ks_p = out->mean = out->std = out->outside_rate = (double)NAN;
}

/* Single values put on the grid first: a walk over 640 counts instead of the whole reference. */
static int coarsely(const struct drift_numeric_input *in, struct drift_numeric *out)
{
    struct numbers window;
    struct drift_numeric_input on = *in;
    int rc = numbers_on_grid(in->window,
                             (struct numbers_grid){in->reference->grid, in->reference_id}, &window);
    if (rc)
        return rc;
    on.window = &window;
    on.coarse = false;
    rc = drift_numeric(&on, out);
    numbers_finish(&window);
    return rc;
}

int drift_numeric(const struct drift_numeric_input *in, struct drift_numeric *out)
{
    *out = (struct drift_numeric){.n = in->window ? in->window->n : 0};
    if (out->n == 0) {
        all_none(out, "no values in the window");
        return 0;
    }
    if (!in->reference || in->reference->valid == 0 || !in->reference->grid) {
        all_none(out, "no values in the reference");
        return 0;
    }
    if (in->coarse && !in->window->overflowed)
        return coarsely(in, out);
    bool on_grid = in->reference->grid->n_cuts && in->window->n_counts &&
                   in->window->reference == in->reference_id &&
                   in->window->n_counts == in->reference->grid->n_cuts + 1;
    const struct grid *grid = on_grid ? in->reference->grid : in->older_grid;
    AUTO_FREE struct cell *cells = malloc(numbers_room(in->window) * sizeof(*cells));
    if (!cells)
        return -ENOMEM;
    size_t n_low = 0, n_cells = on_grid ? numbers_read_ends(in->window, grid, cells, &n_low)
                                        : numbers_read(in->window, grid, cells);

    struct cumulated below;
    if (on_grid)
        cumulate(&below, in->reference, in->window);
    by_bins(in, cells, n_cells, on_grid ? &below : NULL, out);
    if (on_grid) {
        on_own_grid(in, &below, cells, n_low, n_cells, out);
    } else {
        ks_by_cells(in->reference, cells, n_cells, (double)out->n, out);
        wasserstein_by_cells(in->reference, cells, n_cells, (double)out->n, out);
    }
    out->ks_p = ks_two_sample_p_auto(out->ks.value, in->reference->valid, out->n, in->ks_steps);
    out->wasserstein_norm = normalised(&out->wasserstein, in->reference);
    moments_of(in, cells, n_cells, out);
    return 0;
}
