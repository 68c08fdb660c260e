/*
 * Regression: errors of predicted values against labels.
 *
 * Shape    error = prediction - label. Sums keep every bit; |errors| go into a histogram whose
 *          bins know their value while they hold one, so max_error is exact unless two errors
 *          share its bin
 * Source   sklearn.metrics: mean_absolute_error, mean_squared_error, root_mean_squared_error,
 *          mean_absolute_percentage_error (a fraction; |label| floored at DBL_EPSILON), r2_score
 *          (null below two labels or without spread), median_absolute_error, max_error
 */
#pragma once

#include "stats/exact_sum.h"
#include "stats/metric_result.h"

enum regression_sum { /* of labelled predictions */
    SUM_ABSOLUTE,
    SUM_SQUARE,
    SUM_FOURTH,
    SUM_ERROR,
    SUM_PERCENTAGE,
    SUM_PERCENTAGE_SQUARE,
    SUM_LABEL,
    SUM_LABEL_SQUARE,
    SUM_LABEL_SQUARE_REST, /* what rounding the square lost */
    N_SUMS
};

struct regression_state {
    int64_t valued; /* predictions with a value */
    int64_t judged; /* labelled ones */
    struct wide_sum value, value_squares;
    struct wide_sum sums[N_SUMS];
    struct histogram values, errors;
};

extern const struct state_kind regression_kind;

metric_result_fn regression_mae, regression_mse, regression_rmse, regression_mape, regression_r2,
    regression_bias, regression_median_absolute_error, regression_max_error,
    regression_prediction_mean, regression_prediction_p50;
