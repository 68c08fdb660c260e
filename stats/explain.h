/*
 * Where does a change come from? Slices ranked by what they contribute.
 *
 * Shape    slices: the change of a mean or rate over a partition of the events splits exactly into
 *          Σ (shift of the slice's own value, at the mean of both shares) + Σ (shift of its share,
 *          at its distance from the overall mean)
 * Units    contributions: those of the metric; share: of the whole change, may exceed 1 or be
 *          negative where slices work against each other
 * Threads  any
 * Source   Oaxaca 1973 / Kitagawa 1955, symmetric decomposition
 */
#pragma once

#include <stddef.h>

struct explain_slice {
    const char *name; /* "country=de" */
    double n_before, sum_before;
    double n_now, sum_now;
    /* answers */
    double within;  /* because its own value changed */
    double between; /* because its share changed */
    double share;   /* (within + between) / the whole change; NaN when nothing changed */
};

/* Fills the answers and sorts by |within + between|, largest first; returns the whole change
   (mean now - mean before), NaN when a side has no events. */
double explain_slices(struct explain_slice *slices, size_t n);
