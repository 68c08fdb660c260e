#include "collector/prometheus_text.h"

#include <stdlib.h>
#include <xxhash.h>

struct line {
    char *at, *end;
};

static bool is_name(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' ||
           (!first && c >= '0' && c <= '9');
}

static void skip_blanks(struct line *line)
{
    while (line->at < line->end && (*line->at == ' ' || *line->at == '\t'))
        line->at++;
}

static bool skip_char(struct line *line, char c)
{
    skip_blanks(line);
    if (line->at == line->end || *line->at != c)
        return false;
    line->at++;
    return true;
}

static bool take_name(struct line *line, struct view *out)
{
    skip_blanks(line);
    char *start = line->at;
    while (line->at < line->end && is_name(*line->at, line->at == start))
        line->at++;
    *out = (struct view){start, (uint32_t)(line->at - start)};
    return out->size > 0;
}

/* "…" with \\ \" \n inside, which become what they stand for. */
static bool take_quoted(struct line *line, struct view *out)
{
    if (!skip_char(line, '"'))
        return false;
    char *start = line->at, *to = line->at;
    while (line->at < line->end && *line->at != '"') {
        char c = *line->at++;
        if (c == '\\' && line->at < line->end) {
            c = *line->at++;
            if (c == 'n')
                c = '\n';
        }
        *to++ = c;
    }
    if (line->at == line->end)
        return false;
    line->at++;
    *out = (struct view){start, (uint32_t)(to - start)};
    return true;
}

static bool take_labels(struct line *line, struct prometheus_sample *sample)
{
    while (!skip_char(line, '}')) {
        if (sample->n_labels == PROMETHEUS_MAX_LABELS)
            return false;
        struct prometheus_label *label = &sample->labels[sample->n_labels++];
        if (!take_name(line, &label->name) || !skip_char(line, '=') ||
            !take_quoted(line, &label->value))
            return false;
        if (!skip_char(line, ',') && (line->at == line->end || *line->at != '}'))
            return false;
    }
    return true;
}

/* Where the labels' closing brace stands, quoted ones apart; NULL: nowhere. */
static const char *labels_end(const struct line *line)
{
    bool quoted = false;
    for (const char *at = line->at; at < line->end; at++) {
        if (quoted && *at == '\\')
            at++;
        else if (*at == '"')
            quoted = !quoted;
        else if (*at == '}' && !quoted)
            return at;
    }
    return NULL;
}

static bool take_series(struct line *line, struct prometheus_sample *sample)
{
    sample->n_labels = 0;
    if (!take_name(line, &sample->name))
        return false;
    const char *start = sample->name.data;
    skip_blanks(line);
    if (line->at < line->end && *line->at != '{') {
        sample->id = XXH3_64bits(start, sample->name.size);
        return true;
    }
    const char *end = line->at < line->end ? labels_end(line) : line->at;
    if (!end)
        return false;
    sample->id = XXH3_64bits(start, (size_t)(end - start)); /* before escapes are taken out */
    return !skip_char(line, '{') || take_labels(line, sample);
}

static bool take_value(struct line *line, double *out)
{
    char text[64];
    skip_blanks(line);
    size_t n = 0;
    while (line->at < line->end && *line->at != ' ' && *line->at != '\t' && n < sizeof(text) - 1)
        text[n++] = *line->at++;
    text[n] = '\0';
    char *end;
    *out = strtod(text, &end);
    return n > 0 && end == text + n;
}

void prometheus_read(char *text, size_t n,
                     void (*each)(void *context, const struct prometheus_sample *sample),
                     void *context, struct prometheus_counts *counts)
{
    char *end = text + n;
    *counts = (struct prometheus_counts){0, 0};
    while (text < end) {
        char *newline = memchr(text, '\n', (size_t)(end - text));
        struct line line = {text, newline ? newline : end};
        text = newline ? newline + 1 : end;
        if (line.end > line.at && line.end[-1] == '\r')
            line.end--;
        skip_blanks(&line);
        if (line.at == line.end || *line.at == '#')
            continue;
        struct prometheus_sample sample;
        if (take_series(&line, &sample) && take_value(&line, &sample.value)) {
            counts->samples++;
            each(context, &sample);
        } else {
            counts->malformed++;
        }
    }
}

struct view prometheus_label(const struct prometheus_sample *sample, const char *name)
{
    for (uint32_t i = 0; i < sample->n_labels; i++)
        if (view_is(sample->labels[i].name, name))
            return sample->labels[i].value;
    return (struct view){NULL, 0};
}

bool prometheus_selector(char *text, size_t n, struct prometheus_sample *out)
{
    struct line line = {text, text + n};
    bool there = take_series(&line, out);
    skip_blanks(&line);
    return there && line.at == line.end;
}
