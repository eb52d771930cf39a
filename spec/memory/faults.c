/* SPDX-License-Identifier: MIT */
#include "faults.h"

#include <curl/curl.h>

#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* The linker's option --wrap sends calls of malloc() within this program, the module's among them,
 * to __wrap_malloc, and those of __real_malloc to malloc(). */
void *real_malloc(size_t size) __asm__("__real_malloc");
void *real_calloc(size_t number, size_t size) __asm__("__real_calloc");
void *real_realloc(void *block, size_t size) __asm__("__real_realloc");
char *real_strdup(const char *text) __asm__("__real_strdup");
void real_free(void *block) __asm__("__real_free");
double real_retry_delay(double base, int retry, double fraction,
                        double retry_after) __asm__("__real_retry_delay");

void *wrapped_malloc(size_t size) __asm__("__wrap_malloc");
void *wrapped_calloc(size_t number, size_t size) __asm__("__wrap_calloc");
void *wrapped_realloc(void *block, size_t size) __asm__("__wrap_realloc");
char *wrapped_strdup(const char *text) __asm__("__wrap_strdup");
void wrapped_free(void *block) __asm__("__wrap_free");
double wrapped_retry_delay(double base, int retry, double fraction,
                           double retry_after) __asm__("__wrap_retry_delay");

static struct fault_plan current;
static atomic_ulong requests;
static bool armed;
static atomic_long live[SOURCE_OWN + 1]; /* libcurl has a thread when it looks up a name */

void faults_arm(struct fault_plan plan) {
  current = plan;
  requests = 0;
  armed = true;
}

void faults_resume(void) {
  armed = true;
}

bool faults_suspend(void) {
  bool was_armed = armed;
  armed = false;
  return was_armed;
}

unsigned long faults_requests(void) {
  return requests;
}

long faults_live(enum source source) {
  return live[source];
}

long faults_heap(void) {
  struct mallinfo2 info = mallinfo2();
  return (long)(info.uordblks + info.hblkhd);
}

static bool is_refused(enum source source) {
  if (!armed || !(current.sources & source))
    return false;
  unsigned long number = ++requests;
  return number >= current.first && number - current.first < current.length;
}

static void *count(enum source source, void *block) {
  live[source] += block ? 1 : 0;
  return block;
}

static void *allocate(enum source source, size_t size) {
  return is_refused(source) ? NULL : count(source, real_malloc(size));
}

static void *allocate_zeroed(enum source source, size_t number, size_t size) {
  return is_refused(source) ? NULL : count(source, real_calloc(number, size));
}

/* What is asked of it with size 0 is malloc's affair: none of the three does. */
static void *reallocate(enum source source, void *block, size_t size) {
  if (is_refused(source))
    return NULL;
  return block ? real_realloc(block, size) : count(source, real_malloc(size));
}

static char *duplicate(enum source source, const char *text) {
  return is_refused(source) ? NULL : count(source, real_strdup(text));
}

static void release(enum source source, void *block) {
  live[source] -= block ? 1 : 0;
  real_free(block);
}

/* A block that shrinks always does: Lua counts on it. */
void *faults_lua_allocate(void *user, void *block, size_t old_size, size_t size) {
  (void)user;
  if (size == 0) {
    release(SOURCE_LUA, block);
    return NULL;
  }
  if (block && size <= old_size)
    return real_realloc(block, size);
  return reallocate(SOURCE_LUA, block, size);
}

static void *curl_allocate(size_t size) {
  return allocate(SOURCE_CURL, size);
}

static void *curl_allocate_zeroed(size_t number, size_t size) {
  return allocate_zeroed(SOURCE_CURL, number, size);
}

static void *curl_reallocate(void *block, size_t size) {
  return reallocate(SOURCE_CURL, block, size);
}

static char *curl_duplicate(const char *text) {
  return duplicate(SOURCE_CURL, text);
}

static void curl_release(void *block) {
  release(SOURCE_CURL, block);
}

bool faults_give_to_curl(void) {
  return curl_global_init_mem(CURL_GLOBAL_DEFAULT, curl_allocate, curl_release, curl_reallocate,
                              curl_duplicate, curl_allocate_zeroed) == CURLE_OK;
}

void *wrapped_malloc(size_t size) {
  return allocate(SOURCE_OWN, size);
}

void *wrapped_calloc(size_t number, size_t size) {
  return allocate_zeroed(SOURCE_OWN, number, size);
}

void *wrapped_realloc(void *block, size_t size) {
  return reallocate(SOURCE_OWN, block, size);
}

char *wrapped_strdup(const char *text) {
  return duplicate(SOURCE_OWN, text);
}

void wrapped_free(void *block) {
  release(SOURCE_OWN, block);
}

/* A hundredth of the time between attempts: there are many thousands. */
double wrapped_retry_delay(double base, int retry, double fraction, double retry_after) {
  return real_retry_delay(base, retry, fraction, retry_after) / 100;
}
