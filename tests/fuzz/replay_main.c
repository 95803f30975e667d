/* SPDX-License-Identifier: BSD-3-Clause */
/* Replays the files of a corpus folder through a fuzz target, then seeded mutations of them. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { INPUT_MAX = 1 << 20, MUTANTS_PER_FILE = 200 };

static uint64_t rng_state = UINT64_C(0x9e3779b97f4a7c15);

static uint64_t rng(void)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return rng_state;
}

/* Runs the target on an exact-size heap copy, so that the sanitizer sees any read beyond it. */
static void run(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    if (!copy)
        abort();
    memcpy(copy, data, len);
    LLVMFuzzerTestOneInput(copy, len);
    free(copy);
}

static void run_mutants(uint8_t *buf, size_t len)
{
    uint8_t *m = malloc(len + 1);
    if (!m)
        abort();
    for (int i = 0; i < MUTANTS_PER_FILE && len; i++) {
        memcpy(m, buf, len);
        for (uint64_t n = 1 + rng() % 8; n; n--)
            m[rng() % len] = (uint8_t)rng();
        run(m, rng() % 4 ? len : (size_t)(rng() % (len + 1)));
    }
    free(m);
}

int main(int argc, char **argv)
{
    unsigned files = 0;
    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS_DIR\n", argv[0]);
        return 2;
    }
    DIR *d = opendir(argv[1]);
    if (!d) {
        perror(argv[1]);
        return 1;
    }
    static uint8_t buf[INPUT_MAX];
    for (struct dirent *e; (e = readdir(d));) {
        char path[4096];
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", argv[1], e->d_name);
        FILE *f = fopen(path, "rb");
        if (!f)
            continue;
        size_t len = fread(buf, 1, sizeof(buf), f);
        fclose(f);
        run(buf, len);
        run_mutants(buf, len);
        files++;
    }
    closedir(d);
    run(buf, 0);
    printf("%u inputs and their mutants replayed\n", files);
    return files ? 0 : 1;
}
