/* The yardstick of bench_decode.c: simdjson alone parses a text, and nobody looks at the result. */
#include <cstddef>

#include <simdjson.h>

extern "C" bool bare_simdjson_parse(const char *bytes, size_t n);

extern "C" bool bare_simdjson_parse(const char *bytes, size_t n)
{
    static simdjson::dom::parser parser;
    simdjson::dom::element root;
    return parser.parse(bytes, n, true).get(root) == simdjson::SUCCESS; /* true: copied, padded */
}
