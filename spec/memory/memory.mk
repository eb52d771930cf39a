# Memory that runs out, at every moment of every scenario (spec/memory/sweep.c):
#
#   make oom             on Lua 5.4 and LuaJIT; scenarios of many points are sampled (SAMPLED=20 in each mode)
#   make sweep           on $(LUA); LEAST= fails when there are fewer points
#   make oom FULL=1      every point; ONLY=, MODE= choose scenarios and modes, JOBS= processes
#   make oom-asan        a part of it with sanitizers, which look for leaks of their own accord

MEMORY_SOURCES = spec/memory/sweep.c spec/memory/ledger.c spec/memory/faults.c spec/memory/server.c
MEMORY_HEADERS = $(wildcard spec/memory/*.h)

# What of libc and of the module is called by way of the program: see faults.c and server.c. What is inlined across
# files would not be.
MEMORY_WRAPPED = malloc calloc realloc strdup free epoll_wait retry_delay
MEMORY_LIBS = $(call pkg,--libs,$(LUA),$(LUA_PACKAGE)) $(CURL_LIBS) $(call pkg,--libs,libssl,libssl-dev)

$(BUILD)/sweep: $(MEMORY_SOURCES) $(MEMORY_HEADERS) $(OBJECTS)
	$(COMPILE) -fno-lto -o $@ $(MEMORY_SOURCES) $(OBJECTS) \
	  $(addprefix -Wl$(comma)--wrap=,$(MEMORY_WRAPPED)) $(MEMORY_LIBS)

.PHONY: oom oom-asan sweep
sweep: $(BUILD)/sweep
	@spec/support/certificates build/certificates
	@env $(if $(FULL),FULL=1) JOBS="$(JOBS)" SAMPLED="$(SAMPLED)" LEAST="$(LEAST)" \
	  GLIBC_TUNABLES=glibc.malloc.tcache_count=0 ONLY="$(ONLY)" MODE="$(MODE)" LUA_PATH="lua/?.lua;lua/?/init.lua;?.lua" \
	  LSAN_OPTIONS=suppressions=spec/memory/leaks.supp:print_suppressions=0 \
	  $(BUILD)/sweep spec/memory/scenarios.lua build/certificates

oom:
	@$(MAKE) --no-print-directory LUA=lua5.4 sweep
	@$(MAKE) --no-print-directory LUA=luajit sweep

oom-asan:
	@$(MAKE) --no-print-directory LUA=lua5.4 CC=clang BUILD=build/asan/lua5.4 HARDENING= OPTIMIZATION= \
	  CFLAGS='-g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined' sweep
