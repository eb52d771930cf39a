/* SPDX-License-Identifier: MIT
 * require "payment_records.core": the C core. It serves without the Lua layer, for blocking and for
 * asynchronous use. */
#include "lua_call.h"
#include "lua_client.h"
#include "lua_encode.h"
#include "lua_error.h"
#include "lua_params.h"
#include "lua_raise.h"
#include "payment_records.h"

#include <dlfcn.h>
#include <string.h>

int luaopen_payment_records_core(lua_State *L);

/* Keeps this library in the process. Lua unloads it when a state closes, but on some versions
 * before the last finalizers run, and libcurl may have a thread left that asks a name server. */
static void stay_loaded(void) {
  static const char here = 0;
  Dl_info library;
  if (dladdr(&here, &library))
    (void)dlopen(library.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

/* Metatables belong to the Lua state: another build of this library there, loaded before the file
 * was replaced, would take our objects for its own. */
static void check_build(lua_State *L) {
  const char *build =
      lua_pushfstring(L, PR_VERSION " %d %d", (int)sizeof(struct client), (int)sizeof(struct call));
  lua_getfield(L, LUA_REGISTRYINDEX, "payment_records.build");
  const char *other = lua_tostring(L, -1);
  if (other && strcmp(other, build) != 0)
    lua_raise(L, "payment_records: another version of the C core is loaded in this Lua state");
  lua_pop(L, 1);
  lua_setfield(L, LUA_REGISTRYINDEX, "payment_records.build");
}

/* cppcheck-suppress unusedFunction; Lua calls it */
__attribute__((visibility("default"))) int luaopen_payment_records_core(lua_State *L) {
  static const luaL_Reg functions[] = {{"new", lua_client_new},
                                       {"encode", lua_encode},
                                       {"describe", lua_params_describe},
                                       {NULL, NULL}};
  const char *fault = transport_library_fault();
  if (fault)
    return lua_raise(L, "payment_records: %s", fault);
  check_build(L);
  stay_loaded();
  lua_encode_register(L);
  lua_error_register(L);
  lua_call_register(L);
  lua_client_register(L);
  luaL_newlib(L, functions);
  lua_pushliteral(L, PR_VERSION);
  lua_setfield(L, -2, "_VERSION");
  return 1;
}
