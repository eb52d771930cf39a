# Payment Records for Lua: build, install, test and lint, with GNU make.
#
#   make                 the C core for $(LUA); make LUA=luajit, lua5.3, lua5.1 for another
#   make test            install what is missing, build, run the specs (SPEC=spec/x_spec.lua for one)
#   make test-all        the same on lua5.4, lua5.3, lua5.1 and luajit
#   make demo            install what is missing, build, report a payment to the sandbox
#   make install         into PREFIX (DESTDIR, LUADIR, LIBDIR are honoured); make uninstall
#   make lint            formatter check and linters; make format rewrites src
#   make help            this list

LUA    = lua5.4
ABI    = $(if $(findstring luajit,$(LUA)),5.1,$(patsubst lua%,%,$(LUA)))
BUILD  = build/$(LUA)
PREFIX = /usr/local
LUADIR = $(PREFIX)/share/lua/$(ABI)
LIBDIR = $(PREFIX)/lib/lua/$(ABI)

CORE    = $(BUILD)/payment_records/core.so
SOURCES = $(sort $(wildcard src/*.c))
HEADERS = $(sort $(wildcard src/*.h))
OBJECTS = $(patsubst src/%.c,$(BUILD)/obj/%.o,$(SOURCES))
MODULES = $(patsubst lua/%,%,$(sort $(shell find lua -name '*.lua' 2>/dev/null)))

ifeq ($(filter 5.1 5.3 5.4,$(ABI)),)
  $(error LUA=$(LUA): expected lua5.4, lua5.3, lua5.1 or luajit)
endif

.DELETE_ON_ERROR:
.PHONY: all help env install uninstall clean test test-all demo lint lint-all format
all: $(CORE)

help:
	@sed -n '/^# Payment/,/^$$/s/^# *//p' Makefile

# --- compiler and linker ---------------------------------------------------------------------

WARNINGS = -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wformat=2 -Wimplicit-fallthrough \
  -Wcast-qual -Wstrict-prototypes -Wold-style-definition -Wmissing-prototypes -Wwrite-strings \
  -Wundef -Wpointer-arith -Wvla -Wdouble-promotion -Werror=format-security $(if $(WERROR),-Werror)

# Set HARDENING= for a build with sanitizers or without optimization. Not -Wl,-z,defs: a Lua module
# finds the Lua API in the program that loads it.
HARDENING = -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong \
  -fno-delete-null-pointer-checks -fno-strict-overflow $(OPTIONAL_HARDENING)
accepted  = $(shell $(CC) -Werror $(1) -x c -c /dev/null -o /dev/null 2>/dev/null && echo $(1))
OPTIONAL_HARDENING := $(foreach flag,-fstack-clash-protection -fcf-protection=full \
  -ftrivial-auto-var-init=zero,$(call accepted,$(flag)))

# Functions are inlined across files where the linker can do that: 5 to 8% fewer instructions. Objects
# can be linked without it, too. Set OPTIMIZATION= to choose your own.
LTO = -flto=auto -ffat-lto-objects
OPTIMIZATION := -O2 $(call accepted,-fno-plt) $(shell echo 'int main(void) { return 0; }' | \
  $(CC) -Werror $(LTO) -x c - -o /dev/null 2>/dev/null && echo $(LTO))

ifeq ($(shell uname -s),Darwin)
  MODULE_LDFLAGS = -bundle -undefined dynamic_lookup
else
  MODULE_LDFLAGS = -shared $(if $(HARDENING),-Wl$(comma)-z$(comma)relro$(comma)-z$(comma)now$(comma)-z$(comma)noexecstack) \
    -Wl,--as-needed
endif
comma = ,
FEATURES = $(if $(filter Linux,$(shell uname -s)),-D_GNU_SOURCE)

# $(call pkg,--cflags,name,Debian package). Headers of others are not held to our warnings.
pkg = $(if $(shell pkg-config --exists $(2) 2>&1 || echo missing),$(error pkg-config does not know \
  $(2): install pkg-config and $(3) (Debian's names), or run .ci/install build))$(patsubst \
  -I%,-isystem %,$(shell pkg-config $(1) $(2)))
LUA_PACKAGE_lua5.1 = liblua5.1-0-dev
LUA_PACKAGE_luajit = libluajit2-5.1-dev
LUA_PACKAGE = $(or $(LUA_PACKAGE_$(LUA)),lib$(LUA)-dev)

LUA_CFLAGS  = $(call pkg,--cflags,$(LUA),$(LUA_PACKAGE))
CURL_CFLAGS = $(call pkg,--cflags,libcurl,libcurl4-openssl-dev)
CURL_LIBS   = $(call pkg,--libs,libcurl,libcurl4-openssl-dev)

COMPILE = $(CC) -std=c11 $(OPTIMIZATION) -fPIC -fvisibility=hidden $(WARNINGS) $(HARDENING) $(FEATURES) \
  $(LUA_CFLAGS) $(CURL_CFLAGS) $(CPPFLAGS) $(CFLAGS)

$(CORE): $(OBJECTS)
	@mkdir -p $(@D)
	$(CC) $(OPTIMIZATION) $(MODULE_LDFLAGS) $(CFLAGS) -o $@ $^ $(CURL_LIBS) $(LDFLAGS)

$(BUILD)/obj/%.o: src/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(COMPILE) -MMD -MP -c -o $@ $<

# Objects are made again when the compiler or its flags change.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(COMPILE) $(OBJECTS)' | cmp -s - $@ || echo '$(COMPILE) $(OBJECTS)' >$@
FORCE:

-include $(OBJECTS:.o=.d)

# --- install -----------------------------------------------------------------------------------

install: $(CORE)
	install -d $(DESTDIR)$(LIBDIR)/payment_records
	install -m 755 $(CORE) $(DESTDIR)$(LIBDIR)/payment_records/core.so
	for f in $(MODULES); do \
	  install -d $(DESTDIR)$(LUADIR)/$$(dirname $$f) && \
	  install -m 644 lua/$$f $(DESTDIR)$(LUADIR)/$$f || exit 1; \
	done

uninstall:
	rm -rf $(DESTDIR)$(LIBDIR)/payment_records $(DESTDIR)$(LUADIR)/payment_records

clean:
	rm -rf build

# eval "$$(make -s env)": the module as built here, without installing it.
env:
	@echo 'export LUA_PATH="$(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;$${LUA_PATH:-;}"'
	@echo 'export LUA_CPATH="$(CURDIR)/$(BUILD)/?.so;$${LUA_CPATH:-;}"'

# --- run ---------------------------------------------------------------------------------------

SPEC = spec
test:
	.ci/install $(if $(filter lua5.4,$(LUA)),test,test-all)
	+.ci/test "$(SPEC)" $(LUA)

test-all:
	.ci/install test-all
	+.ci/test "$(SPEC)" lua5.4 lua5.3 lua5.1 luajit

demo:
	.ci/install demo
	$(MAKE) all
	LUA=$(LUA) examples/demo/run

# --- lint --------------------------------------------------------------------------------------

# missingIncludeSystem: the headers of libc, Lua and libcurl are not its business.
# constParameter: the types of callbacks are their caller's.
# unusedFunction is asked of src/ alone: what only a spec uses is not used.
CPPCHECK = cppcheck --std=c11 --quiet --error-exitcode=1 --inline-suppr \
  --enable=warning,style,performance,portability --suppress=missingIncludeSystem \
  --suppress=constParameter

OTHER_C = $(wildcard bench/*.c examples/embed/*.c spec/*/*.c)
OTHER_H = $(wildcard bench/*.h examples/embed/*.h spec/*/*.h)

SCRIPTS = $(shell grep -lE '^.!.*sh$$' .ci/* $(wildcard spec/*/* examples/* examples/*/* bench/* bench/*/*) 2>/dev/null)

lint:
	.ci/install lint
	$(MAKE) --no-print-directory lint-all

lint-all:
	clang-format --dry-run -Werror $(SOURCES) $(HEADERS) $(OTHER_C) $(OTHER_H)
	luacheck --quiet .
	$(CPPCHECK) src bench examples/embed spec
	$(CPPCHECK) --enable=unusedFunction src
	.ci/tidy '-std=c11 $(FEATURES) $(LUA_CFLAGS) $(CURL_CFLAGS)' $(SOURCES) $(OTHER_C)
	shellcheck $(SCRIPTS)

format:
	clang-format -i $(SOURCES) $(HEADERS) $(OTHER_C) $(OTHER_H)

-include bench/bench.mk $(wildcard spec/*/*.mk)
