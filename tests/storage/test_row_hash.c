/* What is hashed piece by piece has the hash of the whole: stored rows are checked either way. */
#include "common/rng.h"
#include "storage/row_hash.h"
#include "tests/test.h"

enum {
    BYTES = 5000
};

static int64_t by_pieces(int64_t key, const unsigned char *bytes, int64_t n, int64_t piece)
{
    struct row_hashing hashing;
    row_hash_begin(&hashing, key);
    for (int64_t at = 0; at < n; at += piece)
        row_hash_add(&hashing, bytes + at, n - at < piece ? n - at : piece);
    return row_hash_end(&hashing);
}

static void pieces_have_the_hash_of_the_whole(void **state)
{
    (void)state;
    unsigned char bytes[BYTES];
    struct rng rng = rng_of(3);
    for (int i = 0; i < BYTES; i++)
        bytes[i] = (unsigned char)rng_u64(&rng);
    for (int64_t n = 0; n <= BYTES; n = n * 3 + 1)
        for (int64_t piece = 1; piece <= BYTES; piece = piece * 7 + 1)
            for (int64_t key = -1; key <= 1; key++)
                assert_true(by_pieces(key, bytes, n, piece) == row_hash(key, bytes, n));
}

static void another_key_and_another_byte_give_another_hash(void **state)
{
    (void)state;
    unsigned char bytes[BYTES] = {0};
    const int64_t hash = by_pieces(0, bytes, BYTES, 64);
    assert_true(by_pieces(1, bytes, BYTES, 64) != hash);
    bytes[BYTES - 1] = 1;
    assert_true(by_pieces(0, bytes, BYTES, 64) != hash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_have_the_hash_of_the_whole),
        cmocka_unit_test(another_key_and_another_byte_give_another_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
