/*
 * The fuzz targets without a fuzzer: each input of a corpus, and some thousand seeded mutations of
 * them, through the same LLVMFuzzerTestOneInput, in every ordinary build and sanitizer.
 *
 *     smoke_NAME DIRECTORY [MUTATIONS]
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum {
    MAX_INPUTS = 1000,
    MAX_BYTES = 64 * 1024,
};

struct input {
    uint8_t *bytes;
    size_t n;
};

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static int read_input(const char *directory, const char *name, struct input *out)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "rb");
    if (!file)
        return -1;
    out->bytes = malloc(MAX_BYTES);
    out->n = out->bytes ? fread(out->bytes, 1, MAX_BYTES, file) : 0;
    fclose(file);
    return out->bytes ? 0 : -1;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static size_t read_corpus(const char *directory, struct input inputs[MAX_INPUTS])
{
    struct dirent **entries = NULL;
    int n_entries = scandir(directory, &entries, NULL, by_name);
    size_t n = 0;
    for (int i = 0; i < n_entries; i++) {
        if (entries[i]->d_name[0] != '.' && n < MAX_INPUTS &&
            read_input(directory, entries[i]->d_name, &inputs[n]) == 0)
            n++;
        free(entries[i]);
    }
    free(entries);
    return n;
}

/* Tokens that a blind change of bytes hardly ever meets. */
static const char *const words[] = {
    "{",       "}",    "[",   "]",     ":",  ",",      "\"",        "\\u0000",
    "\\ud800", "null", "NaN", "1e999", "-0", "1e-400", "\xff",      "\n",
    "&a ",     "*a",   "${",  "- ",    "\t", "true",   "!!binary ", "18446744073709551616",
    "\\",      " ",
};

/* A few changes to a copy: bits, words put in, runs cut out, doubled, or taken from another. */
static size_t mutate(uint8_t *bytes, size_t n, const struct input *other, uint64_t *random)
{
    for (uint64_t changes = 1 + next_random(random) % 4; changes; changes--) {
        size_t at = n ? next_random(random) % n : 0;
        size_t run = 1 + next_random(random) % 16;
        const char *word = words[next_random(random) % (sizeof(words) / sizeof(words[0]))];
        const uint8_t *from = (const uint8_t *)word;
        switch (next_random(random) % 5) {
        case 0:
            if (n)
                bytes[at] ^= (uint8_t)(1U << (next_random(random) % 8));
            continue;
        case 1:
            run = run > n - at ? n - at : run;
            memmove(bytes + at, bytes + at + run, n - at - run);
            n -= run;
            continue;
        case 2:
            run = strlen(word);
            break;
        case 3:
            from = bytes + at;
            run = run > n - at ? n - at : run;
            break;
        default:
            if (!other->n)
                continue;
            from = other->bytes + next_random(random) % other->n;
            run = run > (size_t)(other->bytes + other->n - from)
                      ? (size_t)(other->bytes + other->n - from)
                      : run;
        }
        uint8_t copy[64];
        if (run > sizeof(copy) || n + run > MAX_BYTES)
            continue;
        memcpy(copy, from, run);
        memmove(bytes + at + run, bytes + at, n - at);
        memcpy(bytes + at, copy, run);
        n += run;
    }
    return n;
}

/* From a block of its own size, so that a read past the end is seen. */
static void try_input(const uint8_t *bytes, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    if (!copy)
        return;
    memcpy(copy, bytes, n);
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: smoke DIRECTORY [MUTATIONS]\n");
        return 64;
    }
    static struct input inputs[MAX_INPUTS];
    static uint8_t bytes[MAX_BYTES];
    size_t n_inputs = read_corpus(argv[1], inputs);
    long mutations = argc > 2 ? strtol(argv[2], NULL, 10) : 20000;
    uint64_t random = 88172645463325252;
    if (n_inputs == 0) {
        fprintf(stderr, "smoke: nothing in %s\n", argv[1]);
        return 65;
    }
    for (size_t i = 0; i < n_inputs; i++)
        try_input(inputs[i].bytes, inputs[i].n);
    for (long i = 0; i < mutations; i++) {
        const struct input *input = &inputs[next_random(&random) % n_inputs];
        memcpy(bytes, input->bytes, input->n);
        size_t n = mutate(bytes, input->n, &inputs[next_random(&random) % n_inputs], &random);
        try_input(bytes, n);
    }
    printf("%zu inputs, %ld mutations\n", n_inputs, mutations);
    for (size_t i = 0; i < n_inputs; i++)
        free(inputs[i].bytes);
    return 0;
}
