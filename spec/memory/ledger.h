/* SPDX-License-Identifier: MIT
 * What a scenario's calls were told, beside what the server has seen of them. */
#ifndef MEMORY_LEDGER_H
#define MEMORY_LEDGER_H

#include "../../src/compat.h"
#include "faults.h"

#include <stdbool.h>

/* Forgets the calls of the last point. `plan` is armed when the scenario asks for it. */
void ledger_reset(struct fault_plan plan);

/* The scenario has returned, or raised: a call that did not end then has raised, unless it was
 * started, and may not be sent later. */
void ledger_stop(void);

/* Compares with what the server has seen. NULL, or what is wrong. `told_all`: the calls that were
 * started must have ended by now. */
const char *ledger_fault(bool told_all);

/* Sets the global table `memory`, by which scenarios talk to this program. */
void ledger_register(lua_State *L, const char *certificates);

#endif
