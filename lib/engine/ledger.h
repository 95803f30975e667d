/* SPDX-License-Identifier: BSD-3-Clause */
/* The ledger: the equations between counters that show that nothing is unaccounted for (6a.14). */
#ifndef WS_ENGINE_LEDGER_H
#define WS_ENGINE_LEDGER_H

#include <stdio.h>
#include "base/counters.h"

struct ws_ledger_equation {
    const char *name;
    uint64_t left, right;
};

#define WS_LEDGER_EQUATIONS 4u

/* Evaluates the equations over summed counters of a run that was drained. Returns how many do not hold. Pure. */
unsigned ws_ledger_check(const struct ws_counters *sum, struct ws_ledger_equation eq[WS_LEDGER_EQUATIONS]);

/* Whether the result of a file run is the same for any number of workers: NULL, or the name of the first counter that
 * says that a cap was hit or something lost (6a.2). */
const char *ws_ledger_not_deterministic(const struct ws_counters *sum);

/* Prints every non-zero counter with unit and help, then each equation. */
void ws_ledger_print(FILE *out, const struct ws_counters *sum);

/* The counters of one thread, as a part of the sum. */
struct ws_ledger_part {
    const char *kind; /* "worker", "receiver", "writer" */
    unsigned number;
    const struct ws_counters *counters;
};

/* The same as one JSON object; with the parts' counters that are not 0, and more ("" or ",\"key\":value") as given. */
void ws_ledger_print_json(FILE *out, const struct ws_counters *sum, const struct ws_ledger_part *part, unsigned parts,
                          const char *more);

/* The counters of what we (not the traffic) lost: sheds, failed writes, lost records. Ends with WS_C_COUNT. */
extern const enum ws_counter ws_ledger_losses[];

/* Their sum, over different units: 0 means that nothing was lost. */
uint64_t ws_ledger_lost(const struct ws_counters *sum);

#endif
