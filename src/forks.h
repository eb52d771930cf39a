/* SPDX-License-Identifier: MIT
 * Notices that the process was forked: a child must not use what its parent has open, and a parent
 * does not know what its child sends. */
#ifndef PR_FORKS_H
#define PR_FORKS_H

#include <stdbool.h>

#pragma GCC visibility push(hidden)

/* To be called once in the process, before the others. False: not enough memory. */
bool forks_watch(void);

/* A number that a child does not share with its parent. It takes no system call where the system
 * can tell by its memory (Linux 4.14 and later): a process asks for it three times a payment. */
unsigned forks_process(void);

/* How often this process was forked since it was watched. In the child it is the parent's number.
 */
unsigned forks_made(void);

#pragma GCC visibility pop

#endif
