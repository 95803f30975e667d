/* SPDX-License-Identifier: BSD-3-Clause */
/* Names below an output directory, for others who write there: none may leave it. */
#ifndef WS_WRITER_PATH_H
#define WS_WRITER_PATH_H

#include <stdbool.h>

/* 0, or -errno of a name that must not be used below an output directory. */
int ws_path_check(const char *path);

/* Opens path below dirfd without following symbolic links anywhere in it (openat2(2), RESOLVE_BENEATH). *no_openat2
 * begins false and remembers a kernel without that call, where only the last component is guarded. fd or -errno. */
int ws_path_open_below(int dirfd, const char *path, int flags, bool *no_openat2);

#endif
