/* SPDX-License-Identifier: BSD-3-Clause */
/* The python function: one python3 child for the run, asked once for each finished file.
 *
 * Question: 8 bytes of length (big-endian), then the file's bytes. Answer: a byte (0 nothing, 1 a
 * string, 2 an error), 8 bytes of length, then as many bytes of UTF-8.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/log.h"
#include "post/internal.h"

#define ANSWER_MAX  (256u * 1024u)
#define PAYLOAD_MAX (UINT64_C(1) << 30)
#define START_MS    30000

extern char **environ;

struct ws_post_python {
    pid_t pid;
    int fd; /* -1: it is gone */
    char *spec;
    const char *path, *module, *function;
    bool error_said;
    char answer[ANSWER_MAX + 1];
};

/* The child's end. The payload is a str whose characters are the bytes (latin-1). What it prints
 * goes to standard error. */
static const char script[] = "import sys\n"
                             "sys.path = [x for x in sys.path if x]\n" /* not the working directory */
                             "import socket, struct\n"
                             "path, module, function = sys.argv[1:4]\n"
                             "s = socket.socket(fileno=3)\n"
                             "f = s.makefile('rb')\n"
                             "def answer(kind, text):\n"
                             "    b = text.encode('utf-8', 'replace')\n"
                             "    s.sendall(struct.pack('>BQ', kind, len(b)) + b)\n"
                             "try:\n"
                             "    sys.path.insert(0, path)\n"
                             "    call = getattr(__import__(module, fromlist=['*']), function)\n"
                             "    answer(0, '')\n"
                             "except BaseException as e:\n"
                             "    answer(2, '%s: %s' % (type(e).__name__, e))\n"
                             "    sys.exit(1)\n"
                             "while True:\n"
                             "    head = f.read(8)\n"
                             "    if len(head) < 8:\n"
                             "        break\n"
                             "    data = f.read(struct.unpack('>Q', head)[0]).decode('latin-1')\n"
                             "    try:\n"
                             "        r = call(data)\n"
                             "        answer(0, '') if r is None else answer(1, str(r))\n"
                             "    except Exception as e:\n"
                             "        answer(2, '%s: %s' % (type(e).__name__, e))\n";

bool ws_post_python_split(char *text, const char **path, const char **module, const char **function)
{
    char *f = strrchr(text, ':');
    if (!f)
        return false;
    *f++ = '\0';
    char *m = strrchr(text, ':');
    if (!m)
        return false;
    *m++ = '\0';
    *path = text;
    *module = m;
    *function = f;
    return *text && *m && *f;
}

/* Waits until the child can take or has something. False: abort, or over after timeout_ms (-1:
 * never). */
static bool wait_for(const struct ws_post *p, int fd, short events, int timeout_ms)
{
    struct pollfd f = {.fd = fd, .events = events};
    for (int waited = 0; timeout_ms < 0 || waited < timeout_ms; waited += 100) {
        if (ws_post_aborted(p))
            return false;
        if (poll(&f, 1, 100) > 0)
            return true;
    }
    return false;
}

static bool send_all(struct ws_post *p, const uint8_t *buf, size_t len)
{
    for (size_t done = 0; done < len;) {
        if (!wait_for(p, p->python->fd, POLLOUT, -1))
            return false;
        ssize_t n = send(p->python->fd, buf + done, len - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0)
            done += (size_t)n;
        else if (n < 0 && errno != EINTR && errno != EAGAIN)
            return false;
    }
    return true;
}

static bool receive_all(struct ws_post *p, uint8_t *buf, size_t len, int timeout_ms)
{
    for (size_t done = 0; done < len;) {
        if (!wait_for(p, p->python->fd, POLLIN, timeout_ms))
            return false;
        ssize_t n = recv(p->python->fd, buf + done, len - done, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
            return false;
        if (n > 0)
            done += (size_t)n;
    }
    return true;
}

/* The answer's kind, -1 when the child is gone. A longer text is cut. */
static int receive_answer(struct ws_post *p, size_t *len, int timeout_ms)
{
    uint8_t head[9], waste[4096];
    struct ws_post_python *y = p->python;
    if (!receive_all(p, head, sizeof(head), timeout_ms))
        return -1;
    uint64_t n = (uint64_t)ws_load_be32(head + 1) << 32 | ws_load_be32(head + 5);
    *len = (size_t)WS_MIN(n, ANSWER_MAX);
    if (!receive_all(p, (uint8_t *)y->answer, *len, timeout_ms))
        return -1;
    y->answer[*len] = '\0';
    for (uint64_t left = n - *len; left;) {
        size_t k = (size_t)WS_MIN(left, sizeof(waste));
        if (!receive_all(p, waste, k, timeout_ms))
            return -1;
        left -= k;
    }
    return head[0];
}

static bool send_file(struct ws_post *p, int fd, uint64_t size)
{
    uint8_t head[8];
    ws_store_be32(head, (uint32_t)(size >> 32));
    ws_store_be32(head + 4, (uint32_t)size);
    if (!send_all(p, head, sizeof(head)))
        return false;
    for (uint64_t done = 0; done < size;) {
        size_t want = (size_t)WS_MIN(size - done, WS_POST_READ);
        ssize_t n = pread(fd, p->buf, want, (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) { /* somebody cut the file: its length was told */
            memset(p->buf, 0, want);
            n = (ssize_t)want;
        }
        if (!send_all(p, p->buf, (size_t)n))
            return false;
        done += (uint64_t)n;
    }
    return true;
}

/* The child went, or does not speak as it should: said once; the flows that it does not see are
 * counted. */
static void gone(struct ws_post *p)
{
    struct ws_post_python *y = p->python;
    if (y->fd < 0)
        return;
    close(y->fd);
    y->fd = -1;
    kill(y->pid, SIGKILL);
    while (waitpid(y->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    if (!ws_post_aborted(p))
        ws_log(WS_LOG_WARN, "--python %s:%s: python3 ended; further files go without it", y->module,
               y->function);
}

bool ws_post_python_call(struct ws_post *p, int fd, uint64_t size, const char **text, size_t *len)
{
    struct ws_post_python *y = p->python;
    int kind = -1;
    if (y->fd >= 0 && size <= PAYLOAD_MAX) {
        kind = send_file(p, fd, size) ? receive_answer(p, len, -1) : -1;
        if (kind < 0 || kind > 2)
            gone(p);
    }
    ws_count(&p->counters, kind == 0 || kind == 1 ? WS_C_POST_PYTHON : WS_C_POST_PYTHON_FAILED, 1);
    if (kind == 2 && !y->error_said) {
        ws_log(WS_LOG_WARN, "--python %s:%s: %s; said once, all are counted", y->module,
               y->function, y->answer);
        y->error_said = true;
    }
    *text = y->answer;
    return kind == 1;
}

void ws_post_python_names(const struct ws_post *p, struct ws_dfxml_object *o)
{
    o->result_path = p->python->path;
    o->result_module = p->python->module;
    o->result_function = p->python->function;
}

static int spawn(struct ws_post_python *y, int child_fd)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, usual;
    char name[] = "python3", flag[] = "-c", text[sizeof(script)];
    char *part[3] = {strdup(y->path), strdup(y->module), strdup(y->function)};
    char *argv[] = {name, flag, text, part[0], part[1], part[2], NULL};
    int rc = part[0] && part[1] && part[2] ? 0 : ENOMEM;

    memcpy(text, script, sizeof(script));
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, child_fd, 3);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", 0, 0);
    posix_spawn_file_actions_adddup2(&files, 2, 1);
    posix_spawn_file_actions_addclosefrom_np(&files, 4);
    posix_spawnattr_init(&attr);
    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    /* A Ctrl-C is for us: what it closes still goes to the function. */
    sigaddset(&none, SIGINT);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &usual);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (rc == 0)
        rc = posix_spawnp(&y->pid, name, &files, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    for (unsigned i = 0; i < 3; i++)
        free(part[i]);
    return -rc;
}

int ws_post_python_start(struct ws_post *p, char *err, size_t err_len)
{
    struct ws_post_python *y = calloc(1, sizeof(*y));
    int pair[2], rc;
    size_t len;
    if (y)
        y->spec = strdup(p->cfg.python);
    if (!y || !y->spec) {
        free(y);
        snprintf(err, err_len, "--python: %s", strerror(ENOMEM));
        return -ENOMEM;
    }
    y->fd = -1;
    p->python = y;
    if (!ws_post_python_split(y->spec, &y->path, &y->module, &y->function))
        return -EINVAL; /* ws_post_check() has told */
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        rc = -errno;
        snprintf(err, err_len, "--python: %s", strerror(-rc));
        return rc;
    }
    rc = spawn(y, pair[1]);
    close(pair[1]);
    if (rc < 0) {
        close(pair[0]);
        snprintf(err, err_len, "--python: python3: %s", strerror(-rc));
        return rc;
    }
    y->fd = pair[0];
    int kind = receive_answer(p, &len, START_MS);
    if (kind == 0)
        return 0;
    snprintf(err, err_len, "--python %s:%s:%s: %s", y->path, y->module, y->function,
             kind == 2 ? y->answer : "python3 does not answer");
    ws_post_python_stop(p);
    return -ENOENT;
}

void ws_post_python_stop(struct ws_post *p)
{
    struct ws_post_python *y = p->python;
    static const struct timespec nap = {0, 2000000};
    if (!y)
        return;
    if (y->fd >= 0) {
        close(y->fd); /* the end of its input ends it */
        int status, rc;
        while ((rc = waitpid(y->pid, &status, WNOHANG)) == 0 || (rc < 0 && errno == EINTR)) {
            if (ws_post_aborted(p))
                kill(y->pid, SIGKILL);
            nanosleep(&nap, NULL);
        }
    }
    free(y->spec);
    free(y);
    p->python = NULL;
}
