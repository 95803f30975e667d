/* SPDX-License-Identifier: BSD-3-Clause */
/* MD5 of a finished file, read back from the page cache. */
#include <errno.h>
#include <openssl/evp.h>
#include <unistd.h>

#include "format/text.h"
#include "post/internal.h"

int ws_post_md5(struct ws_post *p, int fd, char hex[33])
{
    uint8_t sum[EVP_MAX_MD_SIZE];
    struct ws_text t;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    off_t off = 0;
    int rc = c && EVP_DigestInit_ex(c, EVP_md5(), NULL) == 1 ? 0 : -ENOMEM;
    while (rc == 0 && !ws_post_aborted(p)) {
        ssize_t n = pread(fd, p->buf, WS_POST_READ, off);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = -errno;
        if (n <= 0)
            break;
        off += n;
        if (EVP_DigestUpdate(c, p->buf, (size_t)n) != 1)
            rc = -EIO;
    }
    if (rc == 0 && ws_post_aborted(p))
        rc = -ECANCELED;
    if (rc == 0 && EVP_DigestFinal_ex(c, sum, NULL) != 1)
        rc = -EIO;
    EVP_MD_CTX_free(c);
    if (rc < 0)
        return rc;
    ws_text_init(&t, hex, 33);
    ws_text_hex(&t, sum, 16, false);
    return ws_text_end(&t) < 0 ? -ENOBUFS : 0;
}
