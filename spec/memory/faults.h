/* SPDX-License-Identifier: MIT
 * Memory that runs out: the three allocators that a call uses (Lua's, libcurl's, the module's own),
 * each counted, and each made to refuse what it is asked for from some request on. */
#ifndef MEMORY_FAULTS_H
#define MEMORY_FAULTS_H

#include <stdbool.h>
#include <stddef.h>

enum source { SOURCE_LUA = 1, SOURCE_CURL = 2, SOURCE_OWN = 4 };

/* Requests of `sources` are counted while armed, from 1; those from `first` on, `length` of them,
 * are refused. */
struct fault_plan {
  unsigned sources;
  unsigned long first, length;
};

#define FAULT_FOREVER ((unsigned long)-1)

/* Gives libcurl its allocator. Before anything else initialises it. */
bool faults_give_to_curl(void);

/* Begins to count anew, and to refuse. */
void faults_arm(struct fault_plan plan);

/* Goes on after faults_suspend(). */
void faults_resume(void);

/* Nothing is counted or refused from here on. Returns whether it was before. */
bool faults_suspend(void);

/* Requests since faults_arm(). */
unsigned long faults_requests(void);

/* Blocks that were given out and not given back. */
long faults_live(enum source source);

/* Bytes that the C library's heap has given out, to whomever; 0 where that is not known. */
long faults_heap(void);

/* A lua_Alloc. */
void *faults_lua_allocate(void *user, void *block, size_t old_size, size_t size);

#endif
