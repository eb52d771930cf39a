/* SPDX-License-Identifier: MIT
 * require "payment_records.core": the C core. It serves without the Lua layer, for blocking and for
 * asynchronous use. */
#include "lua_call.h"
#include "lua_client.h"
#include "lua_encode.h"
#include "lua_error.h"
#include "lua_params.h"
#include "lua_response.h"
#include "payment_records.h"

int luaopen_payment_records_core(lua_State *L);

__attribute__((visibility("default"))) int luaopen_payment_records_core(lua_State *L) {
  static const luaL_Reg functions[] = {{"new", lua_client_new},
                                       {"encode", lua_encode},
                                       {"describe", lua_params_describe},
                                       {NULL, NULL}};
  const char *fault = transport_library_fault();
  if (fault)
    return luaL_error(L, "payment_records: %s", fault);
  lua_encode_register(L);
  lua_error_register(L);
  lua_call_register(L);
  lua_client_register(L);
  luaL_newlib(L, functions);
  lua_client_push_calls(L);
  lua_pushliteral(L, PR_VERSION);
  lua_setfield(L, -2, "_VERSION");
  return 1;
}
