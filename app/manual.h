/* SPDX-License-Identifier: BSD-3-Clause */
/* Man pages and shell completion out of the option tables. */
#ifndef WS_APP_MANUAL_H
#define WS_APP_MANUAL_H

/* What the exit codes mean, for help and man pages. */
extern const char manual_exit_codes[];

/* --man [NAME]: the man page of wirespool, or of a front-end. Exit code. */
int manual_print(const char *name);

/* --completion SHELL: a script for wirespool and all front-ends. Exit code. */
int manual_completion(const char *shell);

#endif
