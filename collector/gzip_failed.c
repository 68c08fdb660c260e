#include "collector/gzip_failed.h"

#include <string.h>

int gzip_failed(gzFile file, const char *path, struct err *err)
{
    int code;
    const char *text = gzerror(file, &code);
    const char *words = strrchr(text, ':'); /* behind zlib's name for the file */
    if (code == Z_OK || code == Z_STREAM_END)
        return 0;
    return err_set(err, code == Z_ERRNO || code == Z_MEM_ERROR ? ERR_IO : ERR_DATA, "%s: %s", path,
                   words ? words + 2 : text);
}
