#include "stats/drift_categorical.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats/distribution.h"
#include "stats/same_shares.h"

#define OFTEN 24 /* events of the reference: fewer say little of a category's share */

/* A window's events of ids that the reference never saw go to the rest when it is partial. */
static size_t unseen_row(const struct reference_feature *reference)
{
    return category_bins_count(reference->bins) + !reference->partial;
}

size_t drift_category_bins(const struct reference_feature *reference, uint64_t reference_id,
                           const struct categories *window, struct drift_bin *bins)
{
    size_t n_bins = category_bins_count(reference->bins), unseen = unseen_row(reference);
    const struct categories_many *many = window->many;
    if (many && (many->reference != reference_id || !many->tracked))
        return 0;
    for (size_t i = 0; i < DRIFT_MAX_ROWS; i++)
        bins[i] = (struct drift_bin){0};
    for (size_t i = 0; i <= n_bins; i++)
        bins[i].reference = (double)reference->bin_counts[i];
    if (many) {
        for (size_t i = 0; i <= n_bins; i++)
            bins[i].window = many->tracked[i];
        /* tracked counts have their rest right behind the bins, as the reference's have */
        bins[unseen].window += (double)many->unseen;
    }
    for (uint32_t i = 0; !many && i < window->n_slots; i++) {
        if (window->ids[i] == 0)
            continue;
        int bin = category_bin(reference->bins, window->ids[i]);
        bins[bin < 0 ? unseen : (size_t)bin].window += window->counts[i];
    }
    return n_bins + 2;
}

static void all_none(struct drift_categorical *out, const char *why)
{
    out->psi = out->js_distance = out->hellinger = drift_none(why);
    out->chi2 = out->l_infinity = out->unseen_rate = drift_none(why);
    out->chi2_p = out->chi2_dof = (double)NAN;
    out->same_shares_p = 0;
}

/* Bins with every unseen id for itself; returns how many. */
static size_t split_unseen(const struct reference_feature *reference,
                           const struct categories *window, struct drift_bin *bins, size_t n)
{
    if (window->many || reference->partial)
        return n;
    n--; /* all of them together: in the last bin */
    for (uint32_t i = 0; i < window->n_slots; i++) {
        if (window->ids[i] && window->counts[i] &&
            category_bin(reference->bins, window->ids[i]) < 0)
            bins[n++] = (struct drift_bin){0, window->counts[i]};
    }
    return n;
}

size_t drift_judged_bins(const struct reference_feature *reference)
{
    const size_t n = category_bins_count(reference->bins);
    size_t often = 0;
    if (reference->bin_counts[n] == 0)
        return n;
    while (often < n && reference->bin_counts[often] >= OFTEN)
        often++;
    return often;
}

/* `bins` with unseen ones together, last. */
static struct drift_known known_of(const struct reference_feature *reference,
                                   const struct drift_bin *bins, size_t n_bins, double n)
{
    const size_t others = drift_judged_bins(reference);
    struct drift_bin known[DRIFT_MAX_ROWS];
    double n_ref = (double)reference->valid, dof;
    if (bins[category_bins_count(reference->bins)].reference == 0)
        return (struct drift_known){0};
    memcpy(known, bins, (others + 1) * sizeof(*bins));
    for (size_t i = others + 1; i < n_bins; i++) {
        known[others].reference += bins[i].reference;
        known[others].window += bins[i].window;
    }
    n_bins = others + 1;
    return (struct drift_known){
        .judged = true,
        .psi = drift_psi(known, n_bins, n_ref, n),
        .js_distance = drift_js(known, n_bins, n_ref, n),
        .hellinger = drift_hellinger(known, n_bins, n_ref, n),
        .chi2 = drift_chi2(known, n_bins, n_ref, n, &dof),
        .l_infinity = drift_l_infinity(known, n_bins, n_ref, n),
    };
}

int drift_categorical(const struct reference_feature *reference, uint64_t reference_id,
                      const struct categories *window, struct drift_categorical *out)
{
    *out = (struct drift_categorical){.n = window ? window->n : 0};
    if (out->n == 0) {
        all_none(out, "no values in the window");
        return 0;
    }
    if (!reference || reference->valid == 0 || !reference->bins) {
        all_none(out, "no values in the reference");
        return 0;
    }
    AUTO_FREE struct drift_bin *bins = malloc((DRIFT_MAX_ROWS + window->n_ids) * sizeof(*bins));
    if (!bins)
        return -ENOMEM;
    size_t n_bins = drift_category_bins(reference, reference_id, window, bins);
    if (n_bins == 0) {
        all_none(out, "too many categories, counted under another reference");
        return 0;
    }
    double n_ref = (double)reference->valid, n = (double)window->n;
    out->psi = drift_defined(drift_psi(bins, n_bins, n_ref, n), 0);
    out->js_distance = drift_defined(drift_js(bins, n_bins, n_ref, n), 0);
    out->hellinger = drift_defined(drift_hellinger(bins, n_bins, n_ref, n), 0);
    if (reference->partial)
        out->unseen_rate = drift_none("the reference has more categories than are kept");
    else
        out->unseen_rate = drift_defined(bins[n_bins - 1].window / n, 0);

    out->known = known_of(reference, bins, n_bins, n);
    n_bins = split_unseen(reference, window, bins, n_bins);
    out->l_infinity = drift_defined(drift_l_infinity(bins, n_bins, n_ref, n), 0);
    out->chi2 = drift_defined(drift_chi2(bins, n_bins, n_ref, n, &out->chi2_dof), 0);
    out->chi2_p = out->chi2_dof > 0 ? chi2_sf(out->chi2.value, out->chi2_dof) : 1;
    const bool each_has_a_bin = reference->bin_counts[category_bins_count(reference->bins)] == 0;
    out->same_shares_p = each_has_a_bin && !window->many ? same_shares_p(bins, n_bins) : 0;
    return 0;
}
