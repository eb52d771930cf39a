# The specs under watch:
#
#   make asan        with AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer (SPEC=, LUA=lua5.4 or luajit)
#   make coverage    the same, then what the specs reach of src/; fails when that is too little
#   make valgrind    under valgrind's memcheck (SPEC= for some); valgrind-short: three minutes of it
#   make tsan        threads with ThreadSanitizer, for TSAN_SECONDS=600

SANITIZERS = spec/sanitizers
WATCHED_CFLAGS = -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all

.PHONY: asan coverage valgrind valgrind-short tsan watched-programs

# A build of its own has the core, an interpreter and a program of threads, all with the sanitizer in them.
watched = $(MAKE) --no-print-directory -s BUILD=$(1) CC=clang HARDENING= OPTIMIZATION= \
  CFLAGS='$(WATCHED_CFLAGS) $(2)' LUA=$(LUA) all watched-programs
watched-programs: $(BUILD)/bin/$(LUA) $(BUILD)/threads

LUA_LIBS = $(call pkg,--libs,$(LUA),$(LUA_PACKAGE))

# LUA_SOURCE: the directory of the sources of this Lua, to build it with the checks of its API.
$(BUILD)/bin/$(LUA): $(SANITIZERS)/lua.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(COMPILE) -DCORE_PATH='"$(CURDIR)/$(BUILD)/?.so"' $(if $(LUA_SOURCE),-w -fvisibility=default -DLUA_USE_LINUX -DLUA_USE_APICHECK) \
	  -o $@ $< $(if $(LUA_SOURCE),$(filter-out %/lua.c %/luac.c,$(wildcard $(LUA_SOURCE)/*.c)),$(LUA_LIBS)) \
	  -Wl,-E -ldl -lm

$(BUILD)/threads: spec/support/threads.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(COMPILE) -o $@ $< $(LUA_LIBS) -Wl,-E -pthread

# --- asan, coverage ----------------------------------------------------------------------------

# The counts of the coverage are mapped from a file that all processes share, so that they are there however one ends.
ASAN = build/asan/$(LUA)
ASAN_CFLAGS = -fsanitize=address,undefined -fprofile-instr-generate=$(CURDIR)/$(ASAN)/counts/%c%m.profraw \
  -fcoverage-mapping -fprofile-update=atomic -mllvm -runtime-counter-relocation \
  -mllvm -do-counter-promotion=false -Wno-unused-command-line-argument
ASAN_ENVIRONMENT = WATCHED=asan PATH="$(CURDIR)/$(ASAN)/bin:$$PATH" \
  ASAN_OPTIONS=$(REPORTS):detect_leaks=1:allocator_may_return_null=1:detect_stack_use_after_return=1 \
  LSAN_OPTIONS=suppressions=$(CURDIR)/$(SANITIZERS)/leaks.supp:print_suppressions=0 \
  UBSAN_OPTIONS=$(REPORTS):print_stacktrace=1
REPORTS = log_path=$(CURDIR)/$(ASAN)/reports/of

# Left out: one that searches a heap for keys, as that of AddressSanitizer is another; one whose libfaketime and
# AddressSanitizer wait for each other; and those in which nothing that is watched runs, but nginx and other programs.
UNWATCHED = security_memory retry/clock nginx sandbox_server servers curl
ASAN_SPECS = $(filter-out $(UNWATCHED:%=spec/%_spec.lua),$(shell find $(SPEC) -name '*_spec.lua'))

asan:
	.ci/install sanitize
	$(call watched,$(ASAN),$(ASAN_CFLAGS))
	rm -rf $(ASAN)/counts $(ASAN)/reports && mkdir $(ASAN)/counts $(ASAN)/reports
	+$(ASAN_ENVIRONMENT) .ci/test "$(ASAN_SPECS)" $(LUA); status=$$?; ! cat $(ASAN)/reports/* 2>/dev/null && exit $$status

COUNTS = $(ASAN)/counts/all
coverage: asan
	llvm-profdata merge -o $(COUNTS) $(ASAN)/counts/*.profraw
	llvm-cov export -format=lcov -instr-profile=$(COUNTS) $(ASAN)/payment_records/core.so >$(COUNTS).lcov
	lua5.4 $(SANITIZERS)/coverage.lua $(COUNTS).lcov

# --- tsan ----------------------------------------------------------------------------------------

TSAN = build/tsan/$(LUA)
TSAN_SECONDS = 600

tsan:
	.ci/install sanitize
	$(call watched,$(TSAN),-fsanitize=thread)
	TSAN_OPTIONS=halt_on_error=1 LUA_PATH="lua/?.lua;lua/?/init.lua;?.lua;;" \
	  lua5.4 $(SANITIZERS)/tsan.lua $(TSAN)/threads "$(CURDIR)/$(TSAN)/?.so" $(TSAN_SECONDS)

# --- valgrind ------------------------------------------------------------------------------------

VALGRIND = build/valgrind/$(LUA)
# valgrind-short: those that reach most of src/ in the least time.
VALGRIND_SHORT = $(patsubst %,spec/%_spec.lua,answer_limits answers callbacks checks describe encode engine \
  engine_limits lifecycle_coroutines network_retries transport)

valgrind-short: SPEC = $(VALGRIND_SHORT)
valgrind-short: valgrind

valgrind:
	.ci/install sanitize
	$(MAKE) --no-print-directory -s BUILD=$(VALGRIND) CFLAGS="-O1 -g" LUA=$(LUA) all
	+$(SANITIZERS)/valgrind $(VALGRIND) $(LUA) $(SPEC)
