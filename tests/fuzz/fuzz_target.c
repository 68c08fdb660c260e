/* Any text as what stands in a request line, and any pair as a header. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "web/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    AUTO_FREE char *text = malloc(n + 1);
    char host[256];
    struct target target = {0};
    struct err err = {0};

    if (!text)
        return 0;
    memcpy(text, bytes, n);
    text[n] = '\0';

    if (target_parse(&target, text, &err) == 0) {
        assert(target.n_segments <= TARGET_MAX_SEGMENTS && target.n_params <= API_MAX_PARAMS);
        for (size_t i = 0; i < target.n_segments; i++)
            assert(strcmp(target.segments[i], "..") != 0 && strcmp(target.segments[i], ".") != 0);
    } else {
        assert(err.text[0] != '\0');
    }
    target_finish(&target);
    if (host_name(host, sizeof host, text)) {
        assert(strlen(host) < sizeof host);
        host_is_address(host);
        host_is_loopback(host);
    }
    header_is_clean(text, n / 2, text + n / 2, n - n / 2);
    return 0;
}
