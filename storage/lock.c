#include "storage/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/cleanup.h"

static int lock_held(const char *database, int fd, struct err *err)
{
    char pid[32] = "";
    ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);
    pid[n > 0 ? strcspn(pid, "\n") : 0] = '\0';
    return err_set(err, ERR_USAGE,
                   "%s: in use by process %s; stop that one, or give this one another "
                   "storage.path",
                   database, pid[0] ? pid : "(unknown)");
}

int lock_take(const char *database, int *out, struct err *err)
{
    char path[4096];
    int length = snprintf(path, sizeof(path), "%s.lock", database);
    if (length < 0 || (size_t)length >= sizeof(path))
        return err_set(err, -ENAMETOOLONG, "%s: the path is too long", database);

    AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && (errno == ENOSPC || errno == EDQUOT))
        return err_set(err, ERR_FULL, "%s: no room to make it: %s", path, err_words(errno));
    if (fd < 0)
        return err_set(err, -errno, "%s: cannot open: %s", path, err_words(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            return lock_held(database, fd, err);
        return err_set(err, -errno, "%s: cannot lock: %s", path, err_words(errno));
    }

    /* Only the message of a second daemon wants the pid: a full disk may leave it out. */
    int n = snprintf(path, sizeof(path), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) == 0 && pwrite(fd, path, (size_t)n, 0) != n)
        errno = 0;
    *out = fd; /* the caller owns it now */
    fd = -1;
    return 0;
}
