#include "stats/empirical_bernstein.h"

#include <math.h>

void empirical_bernstein_init(struct empirical_bernstein *eb, double alpha, double truncation)
{
    *eb = (struct empirical_bernstein){
        .alpha = alpha, .truncation = truncation, .lower = 0, .upper = 1};
}

void empirical_bernstein_update(struct empirical_bernstein *eb, double value)
{
    double x = fmin(1, fmax(0, value)), t = (double)eb->n + 1;
    /* the bet is fixed before x is looked at, from what came before and one value of variance 1/4
     */
    double variance_before = (0.25 + eb->squares) / t;
    double log_1_alpha = log(2 / eb->alpha);
    double bet = fmin(eb->truncation, sqrt(2 * log_1_alpha / (t * log1p(t) * variance_before)));
    /* nothing came before the first value: each side then measures from its own zero */
    double below = eb->n ? x - eb->sum / (double)eb->n : x;
    double above = eb->n ? below : 1 - x;

    eb->n++;
    eb->sum += x;
    double mean_after = (0.5 + eb->sum) / (t + 1);
    eb->squares += (x - mean_after) * (x - mean_after);
    double price = -log1p(-bet) - bet;
    eb->sum_bets += bet;
    eb->sum_bet_values += bet * x;
    eb->cost_lower += below * below * price;
    eb->cost_upper += above * above * price;

    double centre = eb->sum_bet_values / eb->sum_bets;
    eb->lower = fmax(eb->lower, centre - (log_1_alpha + eb->cost_lower) / eb->sum_bets);
    eb->upper = fmin(eb->upper, centre + (log_1_alpha + eb->cost_upper) / eb->sum_bets);
}
