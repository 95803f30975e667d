/* SPDX-License-Identifier: BSD-3-Clause */
/* Injected write faults for tests of the whole program: the environment variable WS_FAULT. */
#ifndef WS_APP_FAULT_H
#define WS_APP_FAULT_H

#include "writer/writer.h"

/* Reads WS_FAULT into a writer's configuration; unset or empty changes nothing. A list
 * "key=value,...":
 *   output=TEXT   only outputs whose path contains TEXT (default: all of this process)
 *   bytes=SIZE    writes succeed up to so many bytes of these outputs, in each writer
 *   error=NAME    then fail with this errno: ENOSPC, EIO, EDQUOT, EBADF or a number
 *   recover=N     until N writes have failed (default: for ever)
 *   short=K       every K-th write is cut in half
 *   rate=SIZE     each writer takes so many bytes a second
 *   stall=TIME    one write hangs so long ...
 *   stall_at=SIZE ... the one that passes this place
 *   retry=TIME    how long a failed output stays suspended (default 1 s)
 * 0 or exit code 2 with the message printed. */
int fault_from_environment(struct ws_writer_config *w);

#endif
