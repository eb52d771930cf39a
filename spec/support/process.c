/* SPDX-License-Identifier: MIT
 * What the life-cycle specs need of the system and Lua has not: a Lua library that
 * spec/support/processes.lua builds and loads. */
#include "../../src/compat.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int give(lua_State *L, lua_Integer number) {
  lua_pushinteger(L, number);
  return 1;
}

/* fork() -> 0 in the child, its id in the parent. */
static int process_fork(lua_State *L) {
  return give(L, fork());
}

/* exit(status): at once, nothing is flushed or finalised. */
static int process_exit(lua_State *L) {
  _exit((int)luaL_checknumber(L, 1));
}

/* wait(pid) -> exit status, or 128 + the signal that ended it. */
static int process_wait(lua_State *L) {
  int status = 0;
  pid_t pid = (pid_t)luaL_checknumber(L, 1);
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
    ;
  return give(L, WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

/* now() -> seconds of a clock that only goes forward. */
static int process_now(lua_State *L) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  lua_pushnumber(L, (double)now.tv_sec + (double)now.tv_nsec / 1e9);
  return 1;
}

/* sleeps() -> how often this thread has given up its processor, because it waited for something. */
static int process_sleeps(lua_State *L) {
  struct rusage usage;
  getrusage(RUSAGE_THREAD, &usage);
  return give(L, usage.ru_nvcsw);
}

/* pause(seconds): nothing else. A signal may end it sooner. */
static int process_pause(lua_State *L) {
  double seconds = luaL_checknumber(L, 1);
  struct timespec time = {.tv_sec = (time_t)seconds};
  time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
  nanosleep(&time, NULL);
  return 0;
}

/* descriptors() -> how many are open, the lowest number that is free. */
static int process_descriptors(lua_State *L) {
  int open_count = 0, lowest = -1;
  for (int i = 0; i < 4096; i++) {
    if (fcntl(i, F_GETFD) != -1)
      open_count++;
    else if (lowest < 0)
      lowest = i;
  }
  lua_pushinteger(L, open_count);
  lua_pushinteger(L, lowest);
  return 2;
}

/* fill(below): opens descriptors until every number below is taken; returns the list of them. */
static int process_fill(lua_State *L) {
  int below = (int)luaL_checknumber(L, 1);
  lua_newtable(L);
  for (int i = 1, fd; (fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0; i++) {
    if (fd >= below) {
      close(fd);
      break;
    }
    lua_pushinteger(L, fd);
    lua_rawseti(L, -2, i);
  }
  return 1;
}

/* close(descriptor) */
static int process_close(lua_State *L) {
  return give(L, close((int)luaL_checknumber(L, 1)));
}

/* limit_descriptors(limit) -> the limit before. */
static int process_limit_descriptors(lua_State *L) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  rlim_t before = limit.rlim_cur;
  limit.rlim_cur = (rlim_t)luaL_checknumber(L, 1);
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
    return luaL_error(L, "setrlimit: %s", strerror(errno));
  return give(L, (lua_Integer)before);
}

/* limit_memory(more): so many bytes on top of what the process has now; without: no limit. */
static int process_limit_memory(lua_State *L) {
  char line[128] = "";
  struct rlimit limit;
  FILE *file = fopen("/proc/self/statm", "r");
  if (!file || !fgets(line, sizeof line, file))
    return luaL_error(L, "/proc/self/statm cannot be read");
  unsigned long pages = strtoul(line, NULL, 10);
  fclose(file);
  getrlimit(RLIMIT_AS, &limit);
  limit.rlim_cur = limit.rlim_max;
  if (!lua_isnoneornil(L, 1))
    limit.rlim_cur = pages * (rlim_t)sysconf(_SC_PAGESIZE) + (rlim_t)lua_tonumber(L, 1);
  return give(L, setrlimit(RLIMIT_AS, &limit));
}

static volatile sig_atomic_t interruptions;

static void interrupted(int signal) {
  (void)signal;
  interruptions++;
}

/* interrupt(microseconds): a SIGALRM each, that system calls are not restarted after; 0: no more.
 * Returns how many there have been. */
static int process_interrupt(lua_State *L) {
  suseconds_t period = (suseconds_t)luaL_checknumber(L, 1);
  struct itimerval timer = {{0, period}, {0, period}};
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = interrupted;
  sigaction(SIGALRM, &action, NULL);
  setitimer(ITIMER_REAL, &timer, NULL);
  return give(L, interruptions);
}

/* default_sigpipe(): it ends the process again, whatever the parent had said. */
static int process_default_sigpipe(lua_State *L) {
  (void)L;
  signal(SIGPIPE, SIG_DFL);
  return 0;
}

/* heap() -> bytes that malloc has given out, Lua's own among them but for LuaJIT. */
static int process_heap(lua_State *L) {
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
  struct mallinfo2 info = mallinfo2();
  return give(L, (lua_Integer)info.uordblks + (lua_Integer)info.hblkhd);
#else
  return give(L, 0);
#endif
}

/* trim(): what malloc keeps of freed memory goes back to the system. */
static int process_trim(lua_State *L) {
  (void)L;
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
  return 0;
}

int luaopen_process(lua_State *L) {
  static const luaL_Reg functions[] = {{"fork", process_fork},
                                       {"exit", process_exit},
                                       {"wait", process_wait},
                                       {"now", process_now},
                                       {"sleeps", process_sleeps},
                                       {"pause", process_pause},
                                       {"descriptors", process_descriptors},
                                       {"fill", process_fill},
                                       {"close", process_close},
                                       {"limit_descriptors", process_limit_descriptors},
                                       {"limit_memory", process_limit_memory},
                                       {"interrupt", process_interrupt},
                                       {"default_sigpipe", process_default_sigpipe},
                                       {"heap", process_heap},
                                       {"trim", process_trim},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
