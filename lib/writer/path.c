/* SPDX-License-Identifier: BSD-3-Clause */
/* Names below an output directory: checked, opened without following links, renamed.
 *
 * Names come from templates over hostile traffic: none may leave the directory.
 */
#include "writer/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int ws_path_check(const char *path)
{
    size_t len = strlen(path);
    if (len == 0 || path[0] == '/' || path[len - 1] == '/')
        return -EINVAL;
    for (const char *p = path; *p;) {
        const char *end = strchrnul(p, '/');
        size_t n = (size_t)(end - p);
        if ((n == 2 && p[0] == '.' && p[1] == '.') || (!*end && n == 1 && p[0] == '.'))
            return -EINVAL;
        if (n > NAME_MAX)
            return -ENAMETOOLONG;
        p = *end ? end + 1 : end;
    }
    return 0;
}

int ws_path_open(struct ws_output *out, const char *path, int flags)
{
    return ws_path_open_below(out->dirfd, path, flags, &out->no_openat2);
}

int ws_path_open_below(int dirfd, const char *path, int flags, bool *no_openat2)
{
    flags |= O_CLOEXEC | O_NOFOLLOW;
    if (!*no_openat2) {
        /* Links in the middle of the path are refused too. */
        struct open_how how = {
            .flags = (uint64_t)(unsigned)flags,
            .mode = flags & O_CREAT ? 0666 : 0,
            .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
        };
        long fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
        if (fd >= 0)
            return (int)fd;
        if (errno != ENOSYS && errno != EPERM)
            return -errno;
        /* No such call, or forbidden by a sandbox: the last component is still guarded. (A true
         * EPERM comes again from openat.) */
        if (errno == ENOSYS)
            *no_openat2 = true;
    }
    int fd = openat(dirfd, path, flags, 0666);
    return fd >= 0 ? fd : -errno;
}

int ws_path_mkdirs(int dirfd, const char *path)
{
    int at = dirfd, rc = 0;
    for (const char *slash; (slash = strchr(path, '/')) != NULL; path = slash + 1) {
        char name[NAME_MAX + 1];
        size_t n = (size_t)(slash - path);
        if (n == 0 || (n == 1 && path[0] == '.'))
            continue;
        if (n > NAME_MAX) {
            rc = -ENAMETOOLONG;
            break;
        }
        memcpy(name, path, n);
        name[n] = '\0';
        if (mkdirat(at, name, 0777) != 0 && errno != EEXIST) {
            rc = -errno;
            break;
        }
        int next = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0) {
            rc = -errno;
            break;
        }
        if (at != dirfd)
            close(at);
        at = next;
    }
    if (at != dirfd)
        close(at);
    return rc;
}

int ws_path_mkdir_p(const char *path)
{
    char buf[PATH_MAX];
    size_t len = strlen(path);
    if (len >= sizeof(buf))
        return -ENAMETOOLONG;
    memcpy(buf, path, len + 1);
    for (char *p = buf + 1; p[-1]; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        char c = *p;
        *p = '\0';
        /* A directory above that we may not make can be there all the same. */
        if (mkdir(buf, 0777) != 0 && errno != EEXIST && (c == '\0' || errno != EACCES) &&
            !(errno == EROFS && c != '\0'))
            return -errno;
        *p = c;
        if (c == '\0')
            break;
    }
    return 0;
}

int ws_path_parent(const char *path, const char **name)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? WS_MAX((size_t)(slash - path), (size_t)1) : 1;
    if (n >= sizeof(dir))
        return -ENAMETOOLONG;
    memcpy(dir, slash ? path : ".", n);
    dir[n] = '\0';
    *name = slash ? slash + 1 : path;
    int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 ? fd : -errno;
}

int ws_path_rename(int dirfd, const char *from, const char *to, bool replace)
{
    struct stat st;
    /* A rename over /dev/null would take it from everybody on the machine. (A link, which is replaced itself, may.) */
    if (replace && fstatat(dirfd, to, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
        return S_ISDIR(st.st_mode) ? -EISDIR : -EEXIST;
    if (replace)
        return renameat(dirfd, from, dirfd, to) == 0 ? 0 : -errno;
    if (renameat2(dirfd, from, dirfd, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -errno;
    /* A file system without RENAME_NOREPLACE: a hard link refuses an existing name as well. */
    if (linkat(dirfd, from, dirfd, to, 0) != 0) {
        if (errno != EPERM && errno != EOPNOTSUPP)
            return -errno;
        /* None of both (FAT): look, then rename. */
        if (faccessat(dirfd, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
            return -EEXIST;
        return renameat(dirfd, from, dirfd, to) == 0 ? 0 : -errno;
    }
    return unlinkat(dirfd, from, 0) == 0 ? 0 : -errno;
}

int ws_path_sync_dir(int dirfd, const char *path)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    int rc = 0;
    if (n >= sizeof(dir))
        return -ENAMETOOLONG;
    memcpy(dir, path, n);
    dir[n] = '\0';
    const char *name = n ? dir : slash ? "/" : ".";
    int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (fsync(fd) != 0)
        rc = -errno;
    close(fd);
    return rc;
}
