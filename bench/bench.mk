# How fast, beside what (bench/README.md):   make bench-calls, make bench-instructions

BARE = $(BUILD)/bench/bare

$(BARE): bench/bare.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(COMPILE) -o $@ $< $(CURL_LIBS)

.PHONY: bench-calls bench-instructions
bench-calls bench-instructions: bench-%: $(CORE) $(BARE)
	@BARE=$(BARE) BUILD=$(BUILD) LUA=$(LUA) bench/with_server bench/run_calls $*
