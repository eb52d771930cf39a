/* SPDX-License-Identifier: MIT
 * Memory that runs out, at every moment of every scenario:   sweep SCENARIOS CERTIFICATES
 *
 * Each scenario is run in a new Lua state, with the first request for memory refused, then with the
 * second, and so on until it gets through: one point each. After each point nothing may be left
 * over, and what the calls were told must be true of what the server has seen.
 *
 * From the environment: FULL=1 takes every point (else SAMPLED of them, of each scenario in each
 * mode), both with the scenario's end and with the state closed at once; ONLY and MODE choose
 * scenarios and modes by a part of the name; JOBS is how many processes run at a time; LEAST is how
 * many points there must be. */
#include "../../src/compat.h"
#include "faults.h"
#include "ledger.h"
#include "server.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <lualib.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
  MOST_SCENARIOS = 160,
  MOST_JOBS = 16,
  SECONDS = 60,     /* that a point may take before it is ended */
  SLOW = 8,         /* seconds: no call may wait for its whole timeout */
  MOST_CRASHES = 3, /* of a scenario in a mode */
  DESCRIPTORS = 512,
  LIBCURL = SOURCE_CURL,
  EVERYTHING = SOURCE_LUA | SOURCE_CURL | SOURCE_OWN
};

static const struct mode {
  const char *name;
  unsigned long length;
  unsigned sources;
  bool tls;
} modes[] = {
    {"Lua", FAULT_FOREVER, SOURCE_LUA, false},
    {"Lua, three times", 3, SOURCE_LUA, false},
    {"libcurl", FAULT_FOREVER, LIBCURL, false},
    {"libcurl, once", 1, LIBCURL, false},
    {"libcurl over TLS", FAULT_FOREVER, LIBCURL, true},
    {"libcurl over TLS, once", 1, LIBCURL, true},
    {"module", FAULT_FOREVER, SOURCE_OWN, false},
    {"module, once", 1, SOURCE_OWN, false},
    {"everything", FAULT_FOREVER, EVERYTHING, false},
    {"everything, three times", 3, EVERYTHING, false},
};

enum { MODES = sizeof modes / sizeof modes[0] };

/* What a process tells its parent of a scenario in a mode. */
struct account {
  unsigned long points, failures, leaking; /* points that leaked within lua-cjson */
  long leaked;                             /* bytes, in these */
  unsigned long at;                        /* the point that is being taken */
  unsigned crashes;
  bool done;
};

static struct {
  const char *script, *certificates;
  char cjson[512]; /* path of the module */
  char names[MOST_SCENARIOS][64];
  int scenarios;
  bool full;
  unsigned long sampled;
  struct account (*accounts)[MODES]; /* shared with the processes */
} all;

/* --- lua-cjson ----------------------------------------------------------------------------------
 */

/* It loses its buffer when memory runs out while it decodes. Each decoding that does not return is
 * counted, so that nothing else is excused. */
static lua_CFunction open_cjson;
static unsigned long decodings_cut;

/* decode(text), around the upvalue. */
static int decode(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  decodings_cut++;
  lua_call(L, lua_gettop(L) - 1, 1);
  decodings_cut--;
  return 1;
}

/* new(), around the upvalue. */
static int new_decoder(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_call(L, 0, 1);
  lua_getfield(L, -1, "decode");
  lua_pushcclosure(L, decode, 1);
  lua_setfield(L, -2, "decode");
  return 1;
}

static int load_cjson(lua_State *L) {
  lua_pushcfunction(L, open_cjson);
  lua_call(L, 0, 1);
  lua_getfield(L, -1, "new");
  lua_pushcclosure(L, new_decoder, 1);
  lua_setfield(L, -2, "new");
  return 1;
}

/* It stays in the process: the library of a leak must be known when leaks are looked for. */
static bool find_cjson(void) {
  void *library = dlopen(all.cjson, RTLD_NOW);
  void *symbol = library ? dlsym(library, "luaopen_cjson") : NULL;
  memcpy(&open_cjson, &symbol, sizeof symbol);
  return symbol != NULL;
}

/* --- a point ------------------------------------------------------------------------------------
 */

int luaopen_payment_records_core(lua_State *L);

enum { SCENARIO = 1, STATE = 2 }; /* stack indexes */

static struct point {
  const struct mode *mode;
  int scenario;
  unsigned long first; /* request that is refused */
  bool loads;          /* modules: the C library keeps things then, and LuaJIT a file open */
  struct account *account;
} point;

static void fail(const char *what, const char *detail) {
  if (point.account->failures++ < 5)
    printf("FAILED %s | %s | %lu: %s%s\n", all.names[point.scenario], point.mode->name, point.first,
           what, detail);
}

static int panic(lua_State *L) {
  fprintf(stderr, "unprotected error: %s\n", lua_tostring(L, -1));
  abort();
}

static void preload(lua_State *L) {
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, luaopen_payment_records_core);
  lua_setfield(L, -2, "payment_records.core");
  lua_pushcfunction(L, load_cjson);
  lua_setfield(L, -2, "cjson");
  lua_pop(L, 2);
}

/* A state with the table of the scenario at SCENARIO. */
static lua_State *open_state(void) {
  lua_State *L = lua_newstate(faults_lua_allocate, NULL);
  lua_atpanic(L, panic);
  luaL_openlibs(L);
  preload(L);
  ledger_register(L, all.certificates);
  if (luaL_loadfile(L, all.script) || lua_pcall(L, 0, 1, 0))
    panic(L);
  lua_rawgeti(L, -1, point.scenario + 1);
  lua_replace(L, SCENARIO);
  return L;
}

/* Pushes a function of the scenario and its argument. False when the scenario has none. */
static bool push_function(lua_State *L, const char *name) {
  lua_getfield(L, SCENARIO, name);
  lua_pushvalue(L, STATE);
  return lua_isfunction(L, -2);
}

static int registry_size(lua_State *L) {
  int size = 0;
  lua_gc(L, LUA_GCCOLLECT, 0);
  lua_pushnil(L);
  while (lua_next(L, LUA_REGISTRYINDEX)) {
    size++;
    lua_pop(L, 1);
  }
  return size;
}

static bool has_field(lua_State *L, const char *name) {
  lua_getfield(L, SCENARIO, name);
  bool has = lua_toboolean(L, -1) != 0;
  lua_pop(L, 1);
  return has;
}

/* Only for lack of memory, and saying so: "stack overflow" is what Lua says where its stack cannot
 * grow. "boom" is what callbacks of the scenarios raise. */
static void check_raised(lua_State *L) {
  static const char *const reasons[] = {"not enough memory", "stack overflow", "boom"};
  const char *text = lua_tostring(L, -1);
  for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
    if (text && strstr(text, reasons[i]))
      return;
  fail("raised ", text ? text : luaL_typename(L, -1));
}

/* Runs the scenario with memory running out. Returns how many requests there were. */
static unsigned long run(lua_State *L) {
  struct fault_plan plan = {
      .sources = point.mode->sources, .first = point.first, .length = point.mode->length};
  ledger_reset(plan);
  bool at_once = !has_field(L, "arms");
  push_function(L, "run");
  faults_arm(plan);
  if (!at_once)
    faults_suspend();
  bool succeeded = lua_pcall(L, 1, 0, 0) == 0;
  faults_suspend();
  if (!succeeded)
    check_raised(L);
  lua_settop(L, STATE);
  ledger_stop();
  return faults_requests();
}

/* Memory is back: what was started ends as it should. */
static void finish(lua_State *L, int registered) {
  if (push_function(L, "after") && lua_pcall(L, 1, 0, 0) != 0)
    fail("afterwards raised ", lua_tostring(L, -1));
  lua_settop(L, STATE);
  if (registry_size(L) != registered && !point.loads)
    fail("the registry has another size than before", "");
}

static int open_descriptors(void) {
  int count = 0;
  for (int i = 0; i < DESCRIPTORS; i++)
    count += fcntl(i, F_GETFD) != -1;
  return count;
}

struct levels {
  long own, curl, heap;
  int descriptors;
};

static struct levels measure(void) {
  return (struct levels){faults_live(SOURCE_OWN), faults_live(SOURCE_CURL), faults_heap(),
                         open_descriptors()};
}

static void check_level(const char *what, long before, long after) {
  char text[64];
  snprintf(text, sizeof text, ": %ld before, %ld after", before, after);
  if (before != after)
    fail(what, text);
}

/* libcurl leaves a thread that looks up a name to itself: it gives back what it has when it ends.
 */
static struct levels measure_at_rest(const struct levels *before) {
  struct levels after = measure();
  for (int i = 0;
       i < 500 && (after.curl != before->curl || after.descriptors != before->descriptors); i++) {
    usleep(1000);
    after = measure();
  }
  return after;
}

/* The heap as a whole would show a leak of libraries that are not counted; TLS keeps things of its
 * own there. */
static void check_levels(const struct levels *before) {
  struct levels after = measure_at_rest(before);
  long leaked = after.heap - before->heap;
  check_level("blocks of Lua", 0, faults_live(SOURCE_LUA));
  check_level("blocks of the module", before->own, after.own);
  check_level("blocks of libcurl", before->curl, after.curl);
  if (!point.loads)
    check_level("descriptors", before->descriptors, after.descriptors);
  if (leaked > 0 && decodings_cut > 0) {
    point.account->leaking++;
    point.account->leaked += leaked;
  } else if (leaked > 0 && !point.mode->tls && !point.loads) {
    check_level("bytes of the heap", before->heap, after.heap);
  }
}

/* Returns how many requests for memory there were. `at_once`: the state is closed while memory is
 * still short, otherwise the scenario's end follows when it is back. */
static unsigned long take_point(unsigned long first, bool at_once) {
  struct levels before = measure();
  point.first = point.account->at = first;
  decodings_cut = 0;
  time_t begin = time(NULL);
  alarm(SECONDS);
  lua_State *L = open_state();
  lua_settop(L, SCENARIO);
  point.loads = has_field(L, "loads");
  lua_getfield(L, SCENARIO, "setup");
  if (lua_pcall(L, 0, 1, 0))
    panic(L);
  int registered = registry_size(L);
  unsigned long requests = run(L);
  if (at_once)
    faults_resume();
  else
    finish(L, registered);
  lua_close(L);
  faults_suspend();
  const char *fault = ledger_fault(!at_once);
  if (fault)
    fail(fault, "");
  server_reset();
  if (time(NULL) - begin > SLOW)
    fail("took too long", "");
  if (first != FAULT_FOREVER)
    check_levels(&before);
  return requests;
}

/* --- a scenario in a mode -----------------------------------------------------------------------
 */

static void take_points(unsigned long first, unsigned long stride, bool at_once) {
  for (; take_point(first, at_once) >= first; first += stride) {
    point.account->points++;
    at_once = all.full ? at_once : !at_once;
  }
}

/* What the C library makes once when a thread looks up a name. libcurl, out of memory, may do so
 * even with an address. */
static void *look_up_a_name(void *nothing) {
  struct addrinfo *found = NULL;
  if (getaddrinfo("127.0.0.1", "80", NULL, &found) == 0)
    freeaddrinfo(found);
  return nothing;
}

/* The first runs make what libraries make once. */
static void run_job(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, look_up_a_name, NULL) == 0)
    pthread_join(thread, NULL);
  signal(SIGPIPE, SIG_IGN); /* OpenSSL's writes of the server raise it */
  if (!find_cjson() || !faults_give_to_curl() ||
      !server_open(point.mode->tls ? all.certificates : NULL)) {
    fprintf(stderr, "cannot begin\n");
    exit(1);
  }
  unsigned long begin = point.account->at + 1;
  take_point(FAULT_FOREVER, false);
  unsigned long total = take_point(FAULT_FOREVER, false);
  unsigned long stride = all.full ? 1 : 1 + total / all.sampled;
  if (point.account->failures == 0 || point.account->crashes > 0)
    take_points(begin, stride, false);
  if (all.full)
    take_points(1, 1, true);
  point.account->done = true;
}

static pid_t start_job(int scenario, const struct mode *mode) {
  fflush(NULL);
  pid_t pid = fork();
  if (pid != 0)
    return pid;
  point.scenario = scenario;
  point.mode = mode;
  point.account = &all.accounts[scenario][mode - modes];
  run_job();
  exit(0); /* looks for leaks, where the sanitizer is in */
}

static struct job {
  pid_t pid;
  int scenario;
  const struct mode *mode;
} jobs[MOST_JOBS];

static struct job *job_of(pid_t pid) {
  struct job *job = jobs;
  while (job < jobs + MOST_JOBS && job->pid != pid)
    job++;
  return job;
}

/* A process that was ended by a point goes on after it. */
static void wait_for_job(void) {
  int status;
  struct job *job = job_of(wait(&status));
  if (job == jobs + MOST_JOBS)
    return;
  job->pid = 0;
  if (status == 0)
    return;
  struct account *account = &all.accounts[job->scenario][job->mode - modes];
  account->failures++;
  printf("FAILED %s | %s | %lu: ended with status %d, signal %d\n", all.names[job->scenario],
         job->mode->name, account->at, WEXITSTATUS(status), WTERMSIG(status));
  if (!account->done && ++account->crashes <= MOST_CRASHES)
    job->pid = start_job(job->scenario, job->mode);
}

static unsigned long wanted_number(const char *variable, unsigned long otherwise) {
  const char *wanted = getenv(variable);
  return wanted && *wanted ? strtoul(wanted, NULL, 10) : otherwise;
}

static bool is_chosen(const char *variable, const char *name) {
  const char *wanted = getenv(variable);
  return !wanted || !*wanted || strstr(name, wanted);
}

static void run_jobs(void) {
  int most = (int)wanted_number("JOBS", 2), running = 0;
  for (int i = 0; i < all.scenarios * MODES; i++) {
    int scenario = i / MODES;
    const struct mode *mode = &modes[i % MODES];
    if (!is_chosen("MODE", mode->name) || !is_chosen("ONLY", all.names[scenario]))
      continue;
    for (running = MOST_JOBS; running >= (most < MOST_JOBS ? most : MOST_JOBS);) {
      running = 0;
      for (int j = 0; j < MOST_JOBS; j++)
        running += jobs[j].pid != 0;
      if (running >= most)
        wait_for_job();
    }
    *job_of(0) = (struct job){start_job(scenario, mode), scenario, mode};
  }
  for (int j = 0; j < MOST_JOBS;)
    if (jobs[j].pid != 0)
      wait_for_job();
    else
      j++;
}

/* --- the account --------------------------------------------------------------------------------
 */

static struct account sum(const struct mode *mode) {
  struct account sum = {.points = 0};
  for (int i = 0; i < all.scenarios; i++) {
    const struct account *account = &all.accounts[i][mode - modes];
    sum.points += account->points;
    sum.failures += account->failures;
    sum.leaking += account->leaking;
    sum.leaked += account->leaked;
  }
  return sum;
}

static int report(void) {
  unsigned long points = 0, failures = 0, least = wanted_number("LEAST", 1);
  printf("%-26s %8s %8s   %s\n", LUA_VERSION, "points", "failed", "leaked within lua-cjson");
  for (int i = 0; i < MODES; i++) {
    struct account account = sum(&modes[i]);
    printf("%-26s %8lu %8lu   %ld bytes at %lu points\n", modes[i].name, account.points,
           account.failures, account.leaked, account.leaking);
    points += account.points;
    failures += account.failures;
  }
  printf("%d scenarios, %lu points, %lu failed\n", all.scenarios, points, failures);
  if (points < least)
    printf("at least %lu points are wanted\n", least);
  return failures > 0 || points < least;
}

/* Asks the script for the names of the scenarios, and Lua for the path of lua-cjson. */
static void read_script(void) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  if (luaL_dostring(L, "return package.searchpath('cjson', package.cpath)"))
    panic(L);
  snprintf(all.cjson, sizeof all.cjson, "%s", luaL_checkstring(L, -1));
  if (luaL_loadfile(L, all.script) || lua_pcall(L, 0, 1, 0))
    panic(L);
  all.scenarios = (int)lua_rawlen(L, -1);
  for (int i = 0; i < all.scenarios && i < MOST_SCENARIOS; i++) {
    lua_rawgeti(L, -1, i + 1);
    lua_getfield(L, -1, "name");
    snprintf(all.names[i], sizeof all.names[i], "%s", luaL_checkstring(L, -1));
    lua_pop(L, 2);
  }
  lua_close(L);
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "sweep SCENARIOS CERTIFICATES\n");
    return 2;
  }
  all.script = argv[1];
  all.certificates = argv[2];
  all.full = getenv("FULL") != NULL;
  all.sampled = wanted_number("SAMPLED", 20);
  static char line[4096]; /* of our own: a block of the heap would look like a leak */
  setvbuf(stdout, line, _IOLBF, sizeof line);
  read_script();
  if (all.scenarios > MOST_SCENARIOS)
    return 2;
  all.accounts = mmap(NULL, sizeof *all.accounts * MOST_SCENARIOS, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (all.accounts == MAP_FAILED)
    return 2;
  run_jobs();
  return report();
}
