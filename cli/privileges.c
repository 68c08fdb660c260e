#include "cli/privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    KEPT = 1 << CAP_NET_BIND_SERVICE /* of the first 32 capabilities */
};

static int cannot(struct err *err, const char *what)
{
    return err_set(err, -errno, "cannot give up %s: %s; start it as another user", what,
                   err_words(errno));
}

/* Out of the bounding set no program that is run could get it back. */
static void shrink_bounds(void)
{
    for (unsigned long capability = 0; capability < 64; capability++) {
        if (capability != CAP_NET_BIND_SERVICE)
            prctl(PR_CAPBSET_DROP, capability, 0, 0,
                  0); /* fails in a container that did it before */
    }
}

static int drop_root(struct err *err)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2] = {0};
    if (syscall(SYS_capget, &header, sets))
        return cannot(err, "root's powers");
    shrink_bounds();
    for (int i = 0; i < 2; i++) {
        sets[i].permitted &= i == 0 ? KEPT : 0;
        sets[i].effective = sets[i].permitted;
        sets[i].inheritable = 0;
    }
    return syscall(SYS_capset, &header, sets) ? cannot(err, "root's powers") : 0;
}

int privileges_drop(struct err *err)
{
    const struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none))
        return cannot(err, "core dumps");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return cannot(err, "new privileges");
    return geteuid() == 0 ? drop_root(err) : 0;
}
