/*
 * Rows are kept column by column, because which features and classes there are shows only as the
 * events come. Fitting wants them side by side: gathered once, at the end.
 */
#include "collector/reference_rows.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row {
    uint64_t id;
    uint64_t predicted, label; /* classes; 0: none */
    double value, label_value; /* regression; NaN: none */
    bool here;                 /* its prediction has come */
};

struct rows {
    enum task task;
    uint64_t positive;
    double threshold;
    unsigned level; /* rows whose id ends in so many 0 bits are kept */
    struct id_set places;
    struct row *rows;
    uint32_t n, room;
    struct row_value *features[ROWS_FEATURES]; /* room values each; by slot - N_OWN_SLOTS */
    uint32_t n_features;
    double *scores[ESTIMATOR_CLASSES];
    uint64_t classes[ESTIMATOR_CLASSES];
    uint32_t n_classes;
};

static const struct row_value no_value = {(double)NAN, 0};

int rows_new(struct rows **out, enum task task, const char *positive, double threshold,
             struct err *err)
{
    struct rows *rows = calloc(1, sizeof(*rows));
    if (!rows)
        return err_set(err, -ENOMEM, "reference: no memory");
    rows->task = task;
    rows->positive = class_id(positive, strlen(positive));
    rows->threshold = threshold;
    *out = rows;
    return 0;
}

void rows_free(struct rows *rows)
{
    if (!rows)
        return;
    id_set_finish(&rows->places);
    for (uint32_t i = 0; i < rows->n_features; i++)
        free(rows->features[i]);
    for (uint32_t i = 0; i < rows->n_classes; i++)
        free(rows->scores[i]);
    free(rows->rows);
    free(rows);
}

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, "reference: no memory for its rows");
}

/* --- room --- */

static int grow(struct rows *rows, struct err *err)
{
    const uint32_t room = rows->room ? rows->room * 2 : 1024;
    struct row *more = realloc(rows->rows, room * sizeof(*more));
    if (!more)
        return no_memory(err);
    rows->rows = more;
    for (uint32_t i = 0; i < rows->n_features; i++) {
        struct row_value *column = realloc(rows->features[i], room * sizeof(*column));
        if (!column)
            return no_memory(err);
        rows->features[i] = column;
    }
    for (uint32_t i = 0; i < rows->n_classes; i++) {
        double *column = realloc(rows->scores[i], room * sizeof(*column));
        if (!column)
            return no_memory(err);
        rows->scores[i] = column;
    }
    rows->room = room;
    return 0;
}

static bool kept(const struct rows *rows, uint64_t id)
{
    return (id & ((UINT64_C(1) << rows->level) - 1)) == 0;
}

static void move_row(struct rows *rows, uint32_t from, uint32_t to)
{
    rows->rows[to] = rows->rows[from];
    for (uint32_t i = 0; i < rows->n_features; i++)
        rows->features[i][to] = rows->features[i][from];
    for (uint32_t i = 0; i < rows->n_classes; i++)
        rows->scores[i][to] = rows->scores[i][from];
}

/* Keeps every second row, until they are few enough. */
static int thin_out(struct rows *rows, struct err *err)
{
    int rc = 0;
    while (!rc && (rows->n > ROWS_MOST ||
                   (uint64_t)rows->n * (rows->n_features + rows->n_classes) > ROWS_MOST_CELLS)) {
        const uint32_t n = rows->n;
        rows->level++;
        rows->n = 0;
        id_set_finish(&rows->places);
        for (uint32_t i = 0; !rc && i < n; i++) {
            if (!kept(rows, rows->rows[i].id))
                continue;
            move_row(rows, i, rows->n);
            rc = id_set_put(&rows->places, rows->rows[rows->n].id, rows->n, err);
            rows->n++;
        }
    }
    return rc;
}

/* The row of an id, made when new; NULL in *out: it is not kept. */
static int row_of(struct rows *rows, struct view text, uint32_t *at, bool *is_kept, struct err *err)
{
    const uint64_t id = class_id(text.data, text.size);
    int rc = 0;
    *is_kept = kept(rows, id);
    if (!*is_kept)
        return 0;
    *at = id_set_find(&rows->places, id);
    if (*at != ID_NONE)
        return 0;
    if (rows->n == rows->room)
        rc = grow(rows, err);
    if (!rc)
        rc = id_set_put(&rows->places, id, rows->n, err);
    if (rc)
        return rc;
    *at = rows->n++;
    rows->rows[*at] = (struct row){.id = id, .value = (double)NAN, .label_value = (double)NAN};
    for (uint32_t i = 0; i < rows->n_features; i++)
        rows->features[i][*at] = no_value;
    for (uint32_t i = 0; i < rows->n_classes; i++)
        rows->scores[i][*at] = (double)NAN;
    rc = thin_out(rows, err);
    *is_kept = kept(rows, id);
    *at = id_set_find(&rows->places, id);
    return rc;
}

static int feature_room(struct rows *rows, uint32_t feature, struct err *err)
{
    for (; rows->n_features <= feature; rows->n_features++) {
        struct row_value *column = malloc(rows->room * sizeof(*column));
        if (!column)
            return no_memory(err);
        for (uint32_t i = 0; i < rows->n; i++)
            column[i] = no_value;
        rows->features[rows->n_features] = column;
    }
    return 0;
}

/* The column of a class; ESTIMATOR_CLASSES: there is none left. */
static int class_column(struct rows *rows, uint64_t id, uint32_t *out, struct err *err)
{
    for (*out = 0; *out < rows->n_classes; ++*out)
        if (rows->classes[*out] == id)
            return 0;
    if (*out == ESTIMATOR_CLASSES)
        return 0;
    double *column = malloc(rows->room * sizeof(*column));
    if (!column)
        return no_memory(err);
    for (uint32_t i = 0; i < rows->n; i++)
        column[i] = (double)NAN;
    rows->classes[*out] = id;
    rows->scores[rows->n_classes++] = column;
    return 0;
}

/* --- events --- */

static int take_score(struct rows *rows, uint32_t at, uint64_t class, double score, struct err *err)
{
    uint32_t column;
    int rc = class_column(rows, class, &column, err);
    if (!rc && column < ESTIMATOR_CLASSES)
        rows->scores[column][at] = fmin(fmax(score, 0), 1);
    return rc;
}

/* Scores as the metric states take them: divided by their sum where it is not 1. */
static int take_scores(struct rows *rows, uint32_t at, const struct sample *sample, struct err *err)
{
    if (rows->task == TASK_BINARY)
        return isnan(sample->score) ? 0 : take_score(rows, at, rows->positive, sample->score, err);
    double sum = 0;
    int rc = 0;
    for (uint32_t i = 0; i < sample->n_scores; i++)
        sum += sample->scores[i].score;
    if (fabs(sum - 1) < 1e-6 || !(sum > 0))
        sum = 1;
    for (uint32_t i = 0; !rc && i < sample->n_scores; i++)
        rc = take_score(rows, at, sample->scores[i].class_id, sample->scores[i].score / sum, err);
    return rc;
}

static void take_feature(struct rows *rows, uint32_t at, const struct profile_item *item)
{
    struct row_value *value = &rows->features[item->slot - N_OWN_SLOTS][at];
    if (item->kind == VALUE_NUMBER)
        value->number = item->number;
    else if (item->kind == VALUE_TEXT || item->kind == VALUE_BOOL)
        value->category = item->category;
}

int rows_prediction(struct rows *rows, struct view id, const struct sample *sample,
                    const struct profile_item *items, size_t n, struct err *err)
{
    uint32_t at;
    bool is_kept;
    int rc = row_of(rows, id, &at, &is_kept, err);
    if (rc || !is_kept || rows->rows[at].here)
        return rc;
    struct row *row = &rows->rows[at];
    row->here = true;
    row->value = sample->value;
    row->predicted = sample->predicted;
    if (rows->task == TASK_BINARY && !row->predicted && !isnan(sample->score))
        row->predicted = sample->score >= rows->threshold ? rows->positive : ~rows->positive;
    if (rows->task <= TASK_MULTICLASS)
        rc = take_scores(rows, at, sample, err);
    for (size_t i = 0; !rc && i < n; i++) {
        if (items[i].slot < N_OWN_SLOTS || items[i].slot - N_OWN_SLOTS >= ROWS_FEATURES)
            continue;
        rc = feature_room(rows, items[i].slot - N_OWN_SLOTS, err);
        if (!rc)
            take_feature(rows, at, &items[i]);
    }
    return rc ? rc : thin_out(rows, err);
}

int rows_label(struct rows *rows, struct view id, const struct sample *sample, struct err *err)
{
    uint32_t at;
    bool is_kept;
    int rc = row_of(rows, id, &at, &is_kept, err);
    if (rc || !is_kept)
        return rc;
    rows->rows[at].label = sample->label_class;
    rows->rows[at].label_value = sample->label_value;
    return 0;
}

/* --- fit --- */

/* One column of what is fitted on. */
struct column {
    uint64_t name_id;
    bool categorical;
    const struct row_value *values; /* NULL: the predicted value */
};

struct table {
    struct column columns[ROWS_FEATURES + 1];
    uint32_t n_columns;
    uint32_t *rows; /* which of them */
    size_t n;
    struct row_value *values; /* n × n_columns */
};

static void table_finish(struct table *table)
{
    free(table->rows);
    free(table->values);
}

static void choose_columns(const struct rows *rows, const struct reference *reference,
                           const struct profile_feature *features, uint32_t n_features,
                           struct table *table)
{
    for (uint32_t i = 0; i < rows->n_features && i + N_OWN_SLOTS < n_features; i++) {
        const uint64_t name_id = features[i + N_OWN_SLOTS].name_id;
        const struct reference_feature *known = reference_find(reference, name_id);
        if (known && (known->kind == PROFILE_NUMERIC || known->kind == PROFILE_CATEGORICAL))
            table->columns[table->n_columns++] =
                (struct column){name_id, known->kind == PROFILE_CATEGORICAL, rows->features[i]};
    }
}

static bool is_labelled(const struct rows *rows, const struct row *row)
{
    if (!row->here)
        return false;
    return rows->task == TASK_REGRESSION ? isfinite(row->value) && isfinite(row->label_value)
                                         : row->label != 0;
}

/* Gathers the rows side by side: all predictions, or the labelled ones. */
static int gather(const struct rows *rows, bool labelled, struct table *table, struct err *err)
{
    table->rows = malloc((rows->n + 1) * sizeof(*table->rows));
    if (!table->rows)
        return no_memory(err);
    for (uint32_t i = 0; i < rows->n; i++)
        if (labelled ? is_labelled(rows, &rows->rows[i]) : rows->rows[i].here)
            table->rows[table->n++] = i;
    const uint32_t k = table->n_columns;
    table->values = malloc((table->n * k + 1) * sizeof(*table->values));
    if (!table->values)
        return no_memory(err);
    for (size_t i = 0; i < table->n; i++) {
        const uint32_t row = table->rows[i];
        for (uint32_t c = 0; c < k; c++)
            table->values[i * k + c] = table->columns[c].values
                                           ? table->columns[c].values[row]
                                           : (struct row_value){rows->rows[row].value, 0};
    }
    return 0;
}

/* What cannot be fitted is told in words; only want of memory is an error. */
static int told(int rc, const struct err *why, char *words, size_t n, struct err *err)
{
    if (rc == ERR_DATA) {
        snprintf(words, n, "%.*s", (int)n - 1, why->text);
        return 0;
    }
    if (rc && err)
        *err = *why;
    return rc;
}

static int fit_components(const struct rows *rows, struct table *table, struct fitted *fitted,
                          struct err *err)
{
    struct multivariate_feature features[ROWS_FEATURES];
    struct err why = {0};
    int rc = gather(rows, false, table, err);
    if (rc)
        return rc;
    for (uint32_t c = 0; c < table->n_columns; c++)
        features[c] = (struct multivariate_feature){.name_id = table->columns[c].name_id,
                                                    .categorical = table->columns[c].categorical};
    rc = multivariate_fit(&fitted->components, features, table->n_columns, table->values, table->n,
                          &why);
    return told(rc, &why, fitted->no_components, sizeof(fitted->no_components), err);
}

static int fit_loss(const struct rows *rows, struct table *table, struct fitted *fitted,
                    double **errors, struct err *err)
{
    struct dle_feature features[ROWS_FEATURES + 1];
    struct err why = {0};
    table->columns[table->n_columns++] = (struct column){class_id("@prediction", 11), false, NULL};
    int rc = gather(rows, true, table, err);
    *errors = malloc((table->n + 1) * sizeof(**errors));
    if (rc || !*errors)
        return rc ? rc : no_memory(err);
    for (size_t i = 0; i < table->n; i++) {
        const struct row *row = &rows->rows[table->rows[i]];
        (*errors)[i] = row->value - row->label_value;
    }
    for (uint32_t c = 0; c < table->n_columns; c++)
        features[c] = (struct dle_feature){.name_id = table->columns[c].name_id,
                                           .categorical = table->columns[c].categorical};
    rc = dle_fit(&fitted->loss, features, table->n_columns, table->values, *errors, table->n, &why);
    return told(rc, &why, fitted->no_loss, sizeof(fitted->no_loss), err);
}

struct pair_columns {
    uint64_t classes[ESTIMATOR_CLASSES];
    double *scores;
    uint64_t *predicted, *labels;
    size_t n;
    uint32_t n_classes;
};

static void pair_columns_finish(struct pair_columns *pairs)
{
    free(pairs->scores);
    free(pairs->predicted);
    free(pairs->labels);
}

static int by_class(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int gather_pairs(const struct rows *rows, struct pair_columns *out, struct err *err)
{
    const uint32_t k = out->n_classes = rows->n_classes;
    out->scores = malloc(((size_t)rows->n * k + 1) * sizeof(*out->scores));
    out->predicted = malloc((rows->n + 1) * sizeof(*out->predicted));
    out->labels = malloc((rows->n + 1) * sizeof(*out->labels));
    if (!out->scores || !out->predicted || !out->labels)
        return no_memory(err);
    memcpy(out->classes, rows->classes, k * sizeof(*out->classes));
    qsort(out->classes, k, sizeof(*out->classes), by_class);
    for (uint32_t i = 0; i < rows->n; i++) {
        const struct row *row = &rows->rows[i];
        if (!is_labelled(rows, row))
            continue;
        for (uint32_t c = 0; c < k; c++) {
            const uint64_t *sorted =
                bsearch(&rows->classes[c], out->classes, k, sizeof(*out->classes), by_class);
            out->scores[out->n * k + (size_t)(sorted - out->classes)] = rows->scores[c][i];
        }
        out->predicted[out->n] = row->predicted;
        out->labels[out->n++] = row->label;
    }
    return 0;
}

static int fit_estimator(const struct rows *rows, uint64_t reference, const double *errors,
                         size_t n_errors, struct fitted *fitted, struct err *err)
{
    struct pair_columns columns = {0};
    struct estimator_pairs pairs = {.task = rows->task, .reference = reference};
    int rc = 0;
    if (rows->task == TASK_REGRESSION) {
        pairs.n = n_errors;
        pairs.errors = errors;
    } else if (rows->task <= TASK_MULTICLASS) {
        rc = gather_pairs(rows, &columns, err);
        pairs.n = columns.n;
        pairs.n_classes = columns.n_classes;
        pairs.classes = columns.classes;
        pairs.scores = columns.scores;
        pairs.predicted = columns.predicted;
        pairs.labels = columns.labels;
    }
    if (!rc)
        rc = estimator_fit(&fitted->estimator, &pairs, err);
    pair_columns_finish(&columns);
    return rc;
}

int rows_fit(const struct rows *rows, const struct reference *reference,
             const struct profile_feature *features, uint32_t n_features, struct fitted **out,
             struct err *err)
{
    AUTO(fitted) struct fitted *fitted = calloc(1, sizeof(*fitted));
    AUTO_FREE struct table *tables = calloc(2, sizeof(*tables));
    AUTO_FREE double *errors = NULL;
    if (!fitted || !tables)
        return no_memory(err);
    choose_columns(rows, reference, features, n_features, &tables[0]);
    tables[1] = tables[0];
    int rc = fit_components(rows, &tables[0], fitted, err);
    if (!rc && rows->task == TASK_REGRESSION)
        rc = fit_loss(rows, &tables[1], fitted, &errors, err);
    if (!rc)
        rc = fit_estimator(rows, reference->id, errors, tables[1].n, fitted, err);
    table_finish(&tables[0]);
    table_finish(&tables[1]);
    if (rc)
        return rc;
    *out = fitted;
    fitted = NULL; /* the caller owns it now */
    return 0;
}
