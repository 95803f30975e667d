/* SPDX-License-Identifier: BSD-3-Clause */
/* The page of --chart: draws counted traffic as a one-page PDF. */
#ifndef WS_APP_CHART_PAGE_H
#define WS_APP_CHART_PAGE_H

#include <stdio.h>

#include "sink/traffic.h"

struct chart_text {
    const char *const *input; /* files or interfaces, any bytes; borrowed */
    unsigned n_input;
    int64_t made_ns; /* when the page was made, ns since the Unix epoch: stands in it */
    bool selected;   /* some packets were left out on request */
};

/* Writes the page to f. The same counts and text give the same bytes with the same cairo and fonts.
 * 0, or -errno of what f could not take, -ENOMEM, -ENOTSUP when built without cairo. */
int chart_page_write(FILE *f, const struct ws_traffic *t, const struct chart_text *text);

#endif
