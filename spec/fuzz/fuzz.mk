# Fuzz targets (libFuzzer, with the sanitizers for addresses and undefined behaviour):
#
#   make fuzz                     each target for FUZZ_SECONDS (60), all side by side
#   make fuzz FUZZ_SECONDS=3600   for longer; FUZZ_TARGETS="encoder answer" for some
#   make fuzz-leaks               the corpus and some more, looking for leaks
#   make fuzz-corpus              takes what the runs found that is new into spec/fuzz/corpus

FUZZ = build/fuzz
FUZZ_TARGETS = encoder headers record options answer sequence
FUZZ_SECONDS = 60

FUZZ_CC = clang -std=c11 -g -O2 -fno-omit-frame-pointer $(WARNINGS) $(FEATURES) \
  -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all
FUZZ_INCLUDES = $(call pkg,--cflags,lua5.4,liblua5.4-dev) $(CURL_CFLAGS)
FUZZ_LIBS = $(call pkg,--libs,lua5.4,liblua5.4-dev) $(CURL_LIBS) -lm
FUZZ_SOURCES = $(patsubst src/%.c,$(FUZZ)/src/%.o,$(SOURCES)) $(FUZZ)/fuzz.o
FUZZ_BINARIES = $(FUZZ_TARGETS:%=$(FUZZ)/%)

.PHONY: fuzz fuzz-build fuzz-leaks fuzz-corpus
.SECONDARY: $(FUZZ_SOURCES)
fuzz-build: $(FUZZ_BINARIES)

fuzz fuzz-leaks fuzz-corpus: fuzz%: fuzz-build
	@FUZZ=$(FUZZ) FUZZ_SECONDS=$(FUZZ_SECONDS) spec/fuzz/run fuzz$* $(FUZZ_TARGETS)

$(FUZZ)/src/%.o: src/%.c $(HEADERS)
	@mkdir -p $(@D)
	$(FUZZ_CC) -fsanitize=fuzzer-no-link $(FUZZ_INCLUDES) -c -o $@ $<

$(FUZZ)/%.o: spec/fuzz/%.c $(wildcard spec/fuzz/*.h) $(HEADERS)
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_INCLUDES) -c -o $@ $<

$(FUZZ)/encoder: $(FUZZ)/model.o $(FUZZ)/model_check.o
$(FUZZ)/record: $(FUZZ)/json.o
$(FUZZ)/answer $(FUZZ)/sequence: $(FUZZ)/world.o
$(FUZZ_BINARIES): $(FUZZ)/%: $(FUZZ)/%.o $(FUZZ_SOURCES)
	$(FUZZ_CC) -fsanitize=fuzzer -o $@ $^ $(FUZZ_LIBS)
