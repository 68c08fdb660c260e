/*
 * Saved bytes: varint n · u8 flags · cells · [u64 reference · varint n_counts · counts …
 *              · varint n_far · int128 sum · int128 square]
 */
#include "stats/numbers.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "common/cleanup.h"

enum {
    FLAG_OVERFLOWED = 1,
    FLAG_GRID = 2,
    COUNT_BYTES = 5, /* a count as a varint, at most */
    MANY = 4096      /* values that are added at once */
};

static const struct numbers_limits limits[] = {
    [PROFILE_MINUTE] = {96, 32},
    [PROFILE_HOUR] = {1300, 1300},
    [PROFILE_REFERENCE] = {16384, 16384},
};

/* 2^47: squares of so many units fit 2^32 times in 128 bits */
#define FIXED_MOST 140737488355328.0

void numbers_init(struct numbers *numbers, enum profile_level level)
{
    *numbers = (struct numbers){.beside_grid = limits[level].beside_grid};
    cells_init(&numbers->cells, limits[level].alone);
}

void numbers_finish(struct numbers *numbers)
{
    cells_finish(&numbers->cells);
    free(numbers->narrow);
    free(numbers->wide);
}

static int widen(struct numbers *state)
{
    uint32_t *wide = malloc(state->n_counts * sizeof(*wide));
    if (!wide)
        return -ENOMEM;
    for (uint32_t i = 0; i < state->n_counts; i++)
        wide[i] = state->narrow[i];
    free(state->narrow);
    state->narrow = NULL;
    state->wide = wide;
    return 0;
}

/* Adds to one count; only fails when the counts have to be widened. */
static inline int count_grid(struct numbers *state, uint32_t cell, uint32_t by, int sign)
{
    if (state->narrow && sign > 0 && by > (uint32_t)(UINT16_MAX - state->narrow[cell])) {
        int rc = widen(state);
        if (rc)
            return rc;
    }
    if (state->narrow)
        state->narrow[cell] = (uint16_t)(state->narrow[cell] + (sign > 0 ? by : 0u - by));
    else if (sign > 0)
        state->wide[cell] =
            by > UINT32_MAX - state->wide[cell] ? UINT32_MAX : state->wide[cell] + by;
    else
        state->wide[cell] -= by < state->wide[cell] ? by : state->wide[cell];
    return 0;
}

/* A value in units of the grid's fixed point; false: too far out for the sums. */
static inline bool fixed_of(const struct grid *grid, double value, int64_t *out)
{
    double u = (value - grid->origin) * grid->per_unit;
    if (!(fabs(u) < FIXED_MOST) || grid->unit == 0)
        return false;
    *out = (int64_t)(u + copysign(0.5, u));
    return true;
}

static inline void sum_fixed(struct numbers *state, const struct grid *grid, double value,
                             int64_t by)
{
    int64_t fixed;
    if (!fixed_of(grid, value, &fixed)) {
        state->n_far += (uint64_t)by;
        return;
    }
    state->sum += (__int128)fixed * by;
    state->square += (__int128)fixed * fixed * by;
}

static inline void sum_one(struct numbers *state, const struct grid *grid, double value, int sign)
{
    int64_t fixed;
    if (!fixed_of(grid, value, &fixed)) {
        state->n_far += (uint64_t)(int64_t)sign;
        return;
    }
    const __int128 square = (__int128)fixed * fixed;
    state->sum += sign > 0 ? fixed : -fixed;
    state->square += sign > 0 ? square : -square;
}

static void drop_grid(struct numbers *state)
{
    free(state->narrow);
    free(state->wide);
    state->narrow = NULL;
    state->wide = NULL;
    state->n_counts = 0;
    state->reference = 0;
    state->sum = state->square = 0;
    state->n_far = 0;
}

/* Single values are given up: what they were goes onto the grid, exactly. */
static int overflow(struct numbers *state, const struct grid *grid, uint64_t reference,
                    struct numbers_limits within)
{
    if (!within.beside_grid)
        grid = NULL;
    if (grid) {
        state->n_counts = grid->n_cuts + 1;
        state->reference = reference;
        state->narrow = calloc(state->n_counts, sizeof(*state->narrow));
        int rc = state->narrow ? 0 : -ENOMEM;
        for (uint32_t i = 0; rc == 0 && i < state->cells.n_slots; i++) {
            if (state->cells.keys[i] == 0)
                continue;
            double value = cells_value(state->cells.keys[i] - 1);
            uint32_t count = state->cells.counts[i];
            rc = count_grid(state, grid_cell(grid, value), count, 1);
            sum_fixed(state, grid, value, count);
        }
        if (rc) {
            drop_grid(state);
            return rc;
        }
    }
    int rc = cells_limit(&state->cells, grid ? within.beside_grid : within.alone);
    if (rc) {
        drop_grid(state);
        return rc;
    }
    state->overflowed = true;
    return 0;
}

/* What holds now. Single values and the sketch without a grid have the same limit. */
static struct numbers_limits limits_of(const struct numbers *state)
{
    return (struct numbers_limits){state->cells.limit, state->beside_grid};
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

int numbers_limit(struct numbers *state, struct numbers_grid on, struct numbers_limits to)
{
    const struct numbers_limits within = {smaller(state->cells.limit, to.alone),
                                          smaller(state->beside_grid, to.beside_grid)};
    const bool grid_goes = state->n_counts && !within.beside_grid;
    int rc = 0;
    if (!state->overflowed && state->cells.n_cells > within.alone)
        rc = overflow(state, on.grid, on.reference, within);
    else if (state->n_counts && !grid_goes)
        rc = cells_limit(&state->cells, smaller(state->cells.limit, within.beside_grid));
    else
        rc = cells_limit(&state->cells, within.alone);
    if (rc)
        return rc;
    if (grid_goes)
        drop_grid(state);
    state->beside_grid = (uint16_t)within.beside_grid;
    return 0;
}

static int update_grid(struct numbers *state, const struct grid *grid, double value, int sign)
{
    const uint32_t cell = grid_cell(grid, value);
    int rc = count_grid(state, cell, 1, sign);
    if (rc)
        return rc;
    rc = cells_update(&state->cells, value, sign);
    if (rc) {
        (void)count_grid(state, cell, 1, -sign); /* takes back: never widens */
        return rc;
    }
    sum_one(state, grid, value, sign);
    state->n += (uint64_t)(int64_t)sign;
    return 0;
}

/* Whether what comes is counted on the grid, as nearly all of a full pane is. */
static inline bool is_on(const struct numbers *state, struct numbers_grid on)
{
    return state->n_counts && on.grid && state->reference == on.reference;
}

int numbers_update(struct numbers *state, struct numbers_grid on, double value, int sign)
{
    if (!state->overflowed && state->cells.n_cells >= state->cells.limit &&
        cells_full_for(&state->cells, value)) {
        int rc = overflow(state, on.grid, on.reference, limits_of(state));
        if (rc)
            return rc;
    }
    if (is_on(state, on))
        return update_grid(state, on.grid, value, sign);
    if (state->n_counts)
        drop_grid(state); /* the reference was replaced in mid-pane */
    int rc = cells_update(&state->cells, value, sign);
    if (rc == 0)
        state->n += (uint64_t)(int64_t)sign;
    return rc;
}

/* Counts values on the grid; what a count has no room for is left to count_grid. */
static int count_many(struct numbers *state, const struct grid *grid, const double *values,
                      size_t n)
{
    uint16_t *const narrow = state->narrow;
    size_t i = 0;
    for (; narrow && i < n; i++) {
        const uint32_t cell = grid_cell(grid, values[i]);
        if (narrow[cell] == UINT16_MAX)
            break;
        narrow[cell]++;
    }
    int rc = 0;
    for (; !rc && i < n; i++)
        rc = count_grid(state, grid_cell(grid, values[i]), 1, 1);
    return rc;
}

/* The same sums as one by one: MANY values of less than 2^47 fit 64 bits. */
static void sum_many(struct numbers *state, const struct grid *grid, const double *values, size_t n)
{
    __int128 square = 0;
    int64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        int64_t fixed;
        if (!fixed_of(grid, values[i], &fixed)) {
            state->n_far++;
            continue;
        }
        sum += fixed;
        square += (__int128)fixed * fixed;
    }
    state->sum += sum;
    state->square += square;
}

/* Values on the grid, at most MANY: one thing after another, so that what each needs stays near. */
static int add_on_grid(struct numbers *state, const struct grid *grid, const double *values,
                       size_t n)
{
    size_t taken = 0;
    int rc = 0;
    while (taken < n && (rc = cells_update(&state->cells, values[taken], 1)) == 0)
        taken++;
    sum_many(state, grid, values, taken);
    state->n += taken;
    const int counted = count_many(state, grid, values, taken);
    return rc ? rc : counted;
}

int numbers_add(struct numbers *state, struct numbers_grid on, const double *values, size_t n)
{
    size_t i = 0;
    int rc = 0;
    for (; !rc && i < n && !is_on(state, on); i++)
        rc = numbers_update(state, on, values[i], 1);
    for (size_t many; !rc && i < n; i += many) {
        many = n - i < MANY ? n - i : MANY;
        rc = add_on_grid(state, on.grid, values + i, many);
    }
    return rc;
}

/* Wraps, as only what is damaged does: no stream has so many values. */
static __int128 added(__int128 a, __int128 b)
{
    return (__int128)((unsigned __int128)a + (unsigned __int128)b);
}

static int add_counts(struct numbers *into, const struct numbers *from)
{
    for (uint32_t i = 0; i < into->n_counts; i++) {
        int rc = count_grid(into, i, numbers_count(from, i), 1);
        if (rc)
            return rc;
    }
    into->sum = added(into->sum, from->sum);
    into->square = added(into->square, from->square);
    into->n_far += from->n_far;
    return 0;
}

/*
 * The slots from `begin` on that hold a value, at most `room` are looked at; returns how many do.
 * Slots are full or empty by chance, so that a branch for each would be foretold half of the time.
 */
static size_t full_slots(const struct cells *cells, uint32_t begin, uint32_t room, uint32_t *full)
{
    const uint32_t end = cells->n_slots - begin < room ? cells->n_slots : begin + room;
    size_t n = 0;
    for (uint32_t i = begin; i < end; i++) {
        full[n] = i;
        n += cells->keys[i] != 0;
    }
    return n;
}

/* The single values of `from` onto the grid of `into`; those of the open ends to `ends`, too. */
static int add_singles(struct numbers *into, const struct numbers *from, const struct grid *grid,
                       struct cells *ends)
{
    uint32_t full[MANY];
    for (uint32_t begin = 0; begin < from->cells.n_slots; begin += MANY) {
        const size_t n = full_slots(&from->cells, begin, MANY, full);
        for (size_t i = 0; i < n; i++) {
            const uint32_t count = from->cells.counts[full[i]];
            const double value = cells_value(from->cells.keys[full[i]] - 1);
            const uint32_t cell = grid_cell(grid, value);
            int rc = count_grid(into, cell, count, 1);
            if (!rc && ends && (cell == 0 || cell == grid->n_cuts))
                rc = cells_add(ends, value, count);
            if (rc)
                return rc;
            sum_fixed(into, grid, value, count);
        }
    }
    return 0;
}

int numbers_merge(struct numbers *into, const struct numbers *from, struct numbers_grid on)
{
    const struct grid *grid = on.grid;
    int rc = 0;
    bool singles = !into->overflowed && !from->overflowed &&
                   cells_union(&into->cells, &from->cells) <= into->cells.limit;
    if (!singles) {
        /* one grid for all parts, and known where single values must be put on it */
        uint64_t reference = from->overflowed ? from->reference : into->reference;
        if (!from->overflowed && !into->overflowed)
            reference = grid ? on.reference : 0;
        bool same = reference && (!into->overflowed || into->reference == reference) &&
                    (!from->overflowed || from->reference == reference);
        bool known = grid && on.reference == reference &&
                     (!from->n_counts || from->n_counts == grid->n_cuts + 1);
        if (!(into->overflowed && from->overflowed) && !known)
            same = false;
        if (!into->beside_grid) /* beside other parts there is no room for it */
            same = false;
        if (!into->overflowed)
            rc = overflow(into, same ? grid : NULL, reference, limits_of(into));
        if (rc == 0 && !same)
            drop_grid(into);
        else if (rc == 0 && from->overflowed && from->n_counts == into->n_counts)
            rc = add_counts(into, from);
        else if (rc == 0 && !from->overflowed)
            rc = add_singles(into, from, grid, NULL);
    }
    if (rc == 0)
        rc = cells_merge(&into->cells, &from->cells);
    if (rc == 0)
        into->n += from->n;
    return rc;
}

static void save_counts(const struct numbers *state, struct buf *out)
{
    unsigned char *to = buf_reserve(out, (size_t)state->n_counts * COUNT_BYTES);
    if (!to)
        return;
    for (uint32_t i = 0; i < state->n_counts; i++) {
        uint32_t count = numbers_count(state, i);
        for (; count >= 0x80; count >>= 7)
            *to++ = (unsigned char)(count | 0x80);
        *to++ = (unsigned char)count;
    }
    out->size = (size_t)(to - out->data);
}

void numbers_save(const struct numbers *state, struct buf *out)
{
    buf_varint(out, state->n);
    buf_u8(out, (uint8_t)((state->overflowed ? FLAG_OVERFLOWED : 0) |
                          (state->n_counts ? FLAG_GRID : 0)));
    cells_save(&state->cells, out);
    if (!state->n_counts)
        return;
    buf_u64(out, state->reference);
    buf_varint(out, state->n_counts);
    save_counts(state, out);
    buf_varint(out, state->n_far);
    buf_int128(out, state->sum);
    buf_int128(out, state->square);
}

static int load_counts(struct numbers *state, struct reader *in, struct err *err)
{
    state->reference = reader_u64(in);
    uint64_t n_counts = reader_varint(in);
    if (n_counts == 0 || n_counts > GRID_MAX_CELLS || reader_failed(in))
        return err_set(err, ERR_CORRUPT, "numbers: a grid of %llu cells",
                       (unsigned long long)n_counts);
    state->narrow = calloc(n_counts, sizeof(*state->narrow));
    if (!state->narrow)
        return err_set(err, -ENOMEM, "numbers: no memory");
    state->n_counts = (uint32_t)n_counts;
    for (uint32_t i = 0; i < state->n_counts; i++) {
        uint64_t count = reader_varint(in);
        if (count_grid(state, i, count > UINT32_MAX ? UINT32_MAX : (uint32_t)count, 1))
            return err_set(err, -ENOMEM, "numbers: no memory");
    }
    state->n_far = reader_varint(in);
    state->sum = reader_int128(in);
    state->square = reader_int128(in);
    const long double most = FIXED_MOST, n = (long double)state->n;
    if (fabsl((long double)state->sum) > n * most || state->square < 0 ||
        (long double)state->square > n * most * most)
        return err_set(err, ERR_CORRUPT, "numbers: sums that %llu values do not have",
                       (unsigned long long)state->n);
    return 0;
}

static bool is_counted_on(const struct numbers *state, struct numbers_grid on)
{
    return is_on(state, on) && on.grid->n_cuts && state->n_counts == on.grid->n_cuts + 1;
}

/* Of the sketch what lies beyond the grid's ends: mostly nothing. */
static int load_ends(struct numbers *state, const struct grid *grid, struct reader *in,
                     struct err *err)
{
    if (numbers_count(state, 0) + (uint64_t)numbers_count(state, grid->n_cuts) == 0)
        return 0;
    return cells_load_outside(&state->cells, grid->cuts[0], grid->cuts[grid->n_cuts - 1], in, err);
}

int numbers_load_compared(struct numbers *state, struct numbers_grid with, struct reader *in,
                          struct err *err)
{
    state->n = reader_varint(in);
    const unsigned flags = reader_u8(in);
    const bool gridded = flags & FLAG_GRID;
    struct reader sketch = *in;
    state->overflowed = flags & FLAG_OVERFLOWED;
    const uint32_t limit = state->overflowed && gridded ? state->beside_grid : state->cells.limit;
    const uint32_t n_saved = cells_saved(sketch);
    cells_init(&state->cells, n_saved > limit ? n_saved : limit); /* as fine as they were */
    cells_skip(in);
    int rc = gridded ? load_counts(state, in, err) : 0;
    if (!rc && is_counted_on(state, with))
        rc = load_ends(state, with.grid, &sketch, err);
    else if (!rc)
        rc = cells_load(&state->cells, &sketch, err);
    state->cells.limit = limit;
    return rc;
}

int numbers_load(struct numbers *state, struct reader *in, struct err *err)
{
    return numbers_load_compared(state, (struct numbers_grid){0}, in, err);
}

size_t numbers_bytes(const struct numbers *state)
{
    return sizeof(*state) + cells_bytes(&state->cells) +
           state->n_counts * (state->wide ? sizeof(uint32_t) : sizeof(uint16_t));
}

size_t numbers_room(const struct numbers *numbers)
{
    return numbers->cells.n_cells + numbers->n_counts + 2;
}

/*
 * The events of an open end (below the first cut or above the last) by the sketch's cells there.
 * The sketch's cell that straddles the cut takes what the others leave.
 */
static size_t read_end(const struct cell *sketch, uint32_t n_sketch, double low, double high,
                       uint64_t count, struct cell *out)
{
    size_t n = 0;
    uint64_t left = count;
    double from = low, to = high;
    for (uint32_t i = 0; i < n_sketch && left; i++) {
        if (sketch[i].high < low || sketch[i].low > high)
            continue;
        if (sketch[i].low < low || sketch[i].high > high) { /* straddles */
            from = sketch[i].low < low ? low : sketch[i].low;
            to = sketch[i].high > high ? high : sketch[i].high;
            continue;
        }
        uint64_t here = sketch[i].count < left ? sketch[i].count : left;
        out[n++] = (struct cell){sketch[i].low, sketch[i].high, here};
        left -= here;
    }
    if (left && n && from == low && to == high) { /* a count that stopped at its limit */
        out[n - 1].count += left;
        left = 0;
    }
    if (left == 0)
        return n;
    struct cell straddling = {from, to, left};
    if (low == -DBL_MAX) { /* the cut is its high end: it comes last */
        out[n] = straddling;
    } else {
        memmove(out + 1, out, n * sizeof(*out));
        out[0] = straddling;
    }
    return n + 1;
}

static int by_low(const void *a, const void *b)
{
    const struct cell *x = (const struct cell *)a, *y = (const struct cell *)b;
    return x->low < y->low ? -1 : x->low > y->low;
}

size_t numbers_read_ends(const struct numbers *numbers, const struct grid *grid, struct cell *out,
                         size_t *n_low)
{
    *n_low = 0;
    uint64_t below = numbers_count(numbers, 0), above = numbers_count(numbers, grid->n_cuts);
    if (grid->n_cuts == 0 || below + above == 0)
        return 0;
    const struct cells *cells = &numbers->cells;
    AUTO_FREE struct cell *sketch = malloc((cells->n_cells + 1) * sizeof(*sketch));
    if (!sketch)
        return 0;
    uint32_t n_sketch = 0;
    double first = grid->cuts[0], last = grid->cuts[grid->n_cuts - 1];
    const uint64_t first_key = cells_key(first), last_key = cells_key(last);
    for (uint32_t i = 0; i < cells->n_slots; i++) {
        uint64_t low = (cells->keys[i] - 1) << cells->shift;
        uint64_t high = low + ((UINT64_C(1) << cells->shift) - 1);
        if (low >= first_key && high < last_key)
            continue; /* nearly all */
        if (cells->keys[i] == 0 || cells->counts[i] == 0)
            continue;
        struct cell cell = {cells_value(low), cells_value(high), cells->counts[i]};
        if (cell.low < first || cell.high >= last)
            sketch[n_sketch++] = cell;
    }
    qsort(sketch, n_sketch, sizeof(*sketch), by_low);
    double low, high;
    size_t n = 0;
    if (below) {
        grid_bounds(grid, 0, &low, &high);
        n = *n_low = read_end(sketch, n_sketch, low, high, below, out);
    }
    if (above) {
        grid_bounds(grid, grid->n_cuts, &low, &high);
        n += read_end(sketch, n_sketch, low, high, above, out + n);
    }
    return n;
}

size_t numbers_read(const struct numbers *numbers, const struct grid *grid, struct cell *out)
{
    if (!grid || numbers->n_counts != grid->n_cuts + 1 || grid->n_cuts == 0)
        return cells_read(&numbers->cells, out);
    AUTO_FREE struct cell *ends = malloc(numbers_room(numbers) * sizeof(*ends));
    if (!ends)
        return cells_read(&numbers->cells, out);
    size_t n_low, n_ends = numbers_read_ends(numbers, grid, ends, &n_low), n = 0;
    for (size_t i = 0; i < n_low; i++)
        out[n++] = ends[i];
    for (uint32_t i = 1; i < grid->n_cuts; i++) {
        uint64_t count = numbers_count(numbers, i);
        if (count == 0)
            continue;
        out[n].count = count;
        grid_bounds(grid, i, &out[n].low, &out[n].high);
        n++;
    }
    for (size_t i = n_low; i < n_ends; i++)
        out[n++] = ends[i];
    return n;
}

int numbers_on_grid(const struct numbers *numbers, struct numbers_grid on, struct numbers *out)
{
    *out = (struct numbers){0};
    if (numbers->overflowed || !on.grid)
        return -EINVAL;
    out->n_counts = on.grid->n_cuts + 1;
    out->reference = on.reference;
    out->overflowed = true;
    out->n = numbers->n;
    out->wide = calloc(out->n_counts, sizeof(*out->wide));
    if (!out->wide)
        return -ENOMEM;
    cells_init(&out->cells, numbers->cells.limit);
    const int rc = add_singles(out, numbers, on.grid, &out->cells);
    if (rc)
        numbers_finish(out);
    return rc;
}
