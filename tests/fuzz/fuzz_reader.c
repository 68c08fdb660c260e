/* Any bytes into common/buf's reader: it stays inside them, and says when it ran past their end. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum {
    MANY = 0xf8 /* from there on: many varints at once */
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct reader r = reader_of(bytes, n);

    while (!reader_failed(&r) && reader_left(&r) > 0) {
        size_t before = reader_left(&r);
        size_t length = 0;
        uint64_t some[200];
        const uint8_t what = reader_u8(&r);

        switch (what < MANY ? what % 8 : what % 2 ? 8 : 9) {
        case 0:
            reader_varint(&r);
            break;
        case 1:
            reader_zigzag(&r);
            break;
        case 2:
            reader_int128(&r);
            break;
        case 3:
            reader_double(&r);
            break;
        case 4:
            reader_string(&r, &length);
            assert(length <= n);
            break;
        case 5:
            reader_u32(&r);
            break;
        case 6:
            reader_u64(&r);
            break;
        case 8:
            reader_varints(&r, some, before % 200);
            break;
        case 9:
            reader_skip_varints(&r, before);
            break;
        default:
            reader_bytes(&r, before / 2);
        }
        assert(reader_failed(&r) || reader_left(&r) < before);
    }
    return 0;
}
