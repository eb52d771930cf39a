# How fast, beside what (bench/README.md):   make bench, bench-quick, or a part: bench-calls, bench-instructions, bench-flight,
# bench-flight-instructions, bench-queue, bench-nginx, bench-nginx-instructions, bench-profile, bench-nginx-profile

BENCH = $(BUILD)/bench
BENCH_ENVIRONMENT = BENCH=$(BENCH) BUILD=$(BUILD) LUA=$(LUA) PEERS=$(CURDIR)/build/peers

$(BENCH)/bare $(BENCH)/bare_multi $(BENCH)/connect: bench/bare.h
$(BENCH)/bare_multi: bench/decoder.h
$(BENCH)/%: bench/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(COMPILE) -o $@ $< $(CURL_LIBS)

# bare_multi, which also has lua-cjson decode the answers.
$(BENCH)/bare_multi_decoding: bench/bare_multi.c bench/bare.h bench/decoder.h $(BUILD)/flags
	@mkdir -p $(@D)
	$(COMPILE) -DDECODES -o $@ $< $(CURL_LIBS) $(call pkg,--libs,$(LUA),$(LUA_PACKAGE))

$(BENCH)/%.so: bench/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(COMPILE) -shared -o $@ $<

# What is to be installed comes first: what is made after that may need it.
.PHONY: bench bench-quick
bench bench-quick:
	.ci/install bench
	@$(MAKE) --no-print-directory LUA=luajit all
	@$(MAKE) --no-print-directory $@-run

.PHONY: bench-run bench-quick-run
bench-run bench-quick-run: $(CORE) $(addprefix $(BENCH)/,bare bare_multi probe count_allocations.so)
	@$(BENCH_ENVIRONMENT) bench/run $(if $(filter bench-run,$@),full,quick)

.PHONY: bench-calls bench-instructions bench-flight bench-flight-instructions bench-queue bench-nginx
bench-calls bench-instructions: bench-%: $(CORE) $(BENCH)/bare
	@$(BENCH_ENVIRONMENT) bench/with_server bench/run_calls $*

bench-flight bench-flight-instructions: bench-%: $(CORE) $(BENCH)/bare_multi
	@$(BENCH_ENVIRONMENT) bench/with_server bench/run_calls $*

# What our own code costs; -compare fails when it costs more than what bench/instructions.txt has.
.PHONY: bench-own bench-own-keep bench-own-compare
bench-own: bench-own-print
bench-own-print bench-own-keep bench-own-compare: bench-own-%: $(CORE)
	@$(BENCH_ENVIRONMENT) bench/with_server bench/run_instructions $*

bench-queue: $(CORE)
	@$(BENCH_ENVIRONMENT) bench/with_server bench/run_queue

# The client is told of other certificates for the system's by what is preloaded.
$(BENCH)/system_libcurl.so: spec/tls/system_libcurl.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(COMPILE) -fvisibility=default -shared -o $@ $< -Wl,--no-as-needed $(CURL_LIBS) -ldl

.PHONY: bench-connect
bench-connect: $(CORE) $(BENCH)/connect $(BENCH)/system_libcurl.so
	@$(BENCH_ENVIRONMENT) SERVER=closing bench/with_server bench/run_connect

.PHONY: bench-profile
bench-profile: $(CORE) $(addprefix $(BENCH)/,bare_multi bare_multi_decoding)
	@$(BENCH_ENVIRONMENT) bench/with_server bench/run_profile flight

# nginx runs LuaJIT, whatever LUA is.
.PHONY: bench-nginx-instructions bench-nginx-profile
ifeq ($(LUA),luajit)
bench-nginx: $(CORE) $(BENCH)/probe
	@$(BENCH_ENVIRONMENT) SERVER=delayed DELAY=$${DELAY:-0.1} bench/with_server bench/run_nginx

bench-nginx-instructions: $(CORE)
	@$(BENCH_ENVIRONMENT) bench/with_server bench/run_nginx_instructions

bench-nginx-profile: $(CORE)
	@$(BENCH_ENVIRONMENT) SERVER=$(if $(DELAY),delayed,ready) bench/with_server bench/run_profile nginx
else
bench-nginx bench-nginx-instructions bench-nginx-profile:
	@$(MAKE) --no-print-directory LUA=luajit $@
endif
