/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands for finished files, a bounded number at once; lines to alert descriptors. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "post/internal.h"

extern char **environ;

static void command_failed(struct ws_post *p, const char *what, int n)
{
    ws_count(&p->counters, WS_C_POST_COMMANDS_FAILED, 1);
    if (!p->command_failed_said)
        ws_log(WS_LOG_WARN, "a command for a finished file %s %d; said once, all are counted", what,
               n);
    p->command_failed_said = true;
}

static void command_not_started(struct ws_post *p, int error)
{
    ws_count(&p->counters, WS_C_POST_COMMANDS_FAILED, 1);
    if (!p->command_failed_said)
        ws_log(WS_LOG_WARN, "a command for a finished file could not be started by /bin/sh: %s; said once, all are counted",
               strerror(error));
    p->command_failed_said = true;
}

/* Looks after the children, without waiting. */
static void reap_ended(struct ws_post *p)
{
    for (unsigned i = 0; i < p->n_child;) {
        int status;
        pid_t pid = waitpid(p->child[i], &status, WNOHANG);
        if (pid == 0 || (pid < 0 && errno == EINTR)) {
            i++;
            continue;
        }
        if (pid > 0 && WIFSIGNALED(status))
            command_failed(p, "was killed by signal", WTERMSIG(status));
        else if (pid > 0 && WEXITSTATUS(status))
            command_failed(p, "ended with code", WEXITSTATUS(status));
        p->child[i] = p->child[--p->n_child];
    }
}

void ws_post_reap(struct ws_post *p, bool all)
{
    static const struct timespec nap = {0, 2000000};
    reap_ended(p);
    while (all && p->n_child && !ws_post_aborted(p)) {
        nanosleep(&nap, NULL);
        reap_ended(p);
    }
}

void ws_post_run(struct ws_post *p, const char *command, const char *path)
{
    static const struct timespec nap = {0, 2000000};
    char *script = NULL;
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, usual;
    pid_t pid;
    int rc;

    reap_ended(p);
    while (p->n_child == WS_POST_CHILDREN && !ws_post_aborted(p)) {
        nanosleep(&nap, NULL);
        reap_ended(p);
    }
    if (p->n_child == WS_POST_CHILDREN)
        return;
    /* The path is an argument, never text of the script. */
    if (asprintf(&script, "%s \"$1\"", command) < 0) {
        command_not_started(p, ENOMEM);
        return;
    }
    char sh[] = "sh", flag[] = "-c";
    char *copy = strdup(path);
    char *argv[] = {sh, flag, script, sh, copy, NULL};
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", 0, 0);
    posix_spawn_file_actions_addclosefrom_np(&files, 3);
    posix_spawnattr_init(&attr);
    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGINT);
    sigaddset(&usual, SIGTERM);
    sigaddset(&usual, SIGPIPE);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &usual);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    rc = copy ? posix_spawn(&pid, "/bin/sh", &files, &attr, argv, environ) : ENOMEM;
    if (rc == 0) {
        p->child[p->n_child++] = pid;
        ws_count(&p->counters, WS_C_POST_COMMANDS, 1);
    } else {
        command_not_started(p, rc);
    }
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    free(copy);
    free(script);
}

void ws_post_alert(struct ws_post *p, unsigned which, const char *what, const char *path)
{
    int fd = which ? p->cfg.http_alert_fd : p->cfg.alert_fd;
    char line[WS_POST_SHOWN + 16];
    if (fd < 0)
        return;
    int len = snprintf(line, sizeof(line), "%s\t%s\n", what, path);
    for (int done = 0; done < len && !p->alert_failed[which];) {
        struct pollfd f = {.fd = fd, .events = POLLOUT};
        if (ws_post_aborted(p))
            break;
        if (poll(&f, 1, 100) <= 0) /* nobody reads: wait, but heed an abort */
            continue;
        ssize_t n = write(fd, line + done, (size_t)(len - done));
        if (n >= 0) {
            done += (int)n;
        } else if (errno != EINTR && errno != EAGAIN) {
            ws_log(WS_LOG_WARN, "alert descriptor %d: %s: no more lines go there", fd,
                   strerror(errno));
            p->alert_failed[which] = true;
        }
    }
    if (p->alert_failed[which] || ws_post_aborted(p))
        ws_count(&p->counters, WS_C_POST_ALERTS_LOST, 1);
}
