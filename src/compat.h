/* SPDX-License-Identifier: MIT
 * What the Lua C APIs differ in: 5.1 and LuaJIT, 5.3, 5.4. Every binding file includes this one. */
#ifndef PR_COMPAT_H
#define PR_COMPAT_H

#include <lauxlib.h>
#include <lua.h>

#if LUA_VERSION_NUM >= 504
#define compat_newuserdata(L, size) lua_newuserdatauv((L), (size), 1)
#define compat_getstore(L, index) ((void)lua_getiuservalue((L), (index), 1))
#define compat_setstore(L, index) ((void)lua_setiuservalue((L), (index), 1))
#elif LUA_VERSION_NUM >= 502
#define compat_newuserdata lua_newuserdata
#define compat_getstore(L, index) ((void)lua_getuservalue((L), (index)))
#define compat_setstore(L, index) lua_setuservalue((L), (index))
#else
#define compat_newuserdata lua_newuserdata
#define compat_getstore(L, index) lua_getfenv((L), (index))
#define compat_setstore(L, index) ((void)lua_setfenv((L), (index)))
#define lua_rawlen lua_objlen
#define lua_absindex(L, index) \
  ((index) > 0 || (index) <= LUA_REGISTRYINDEX ? (index) : lua_gettop(L) + (index) + 1)
#endif

/* Plain 5.1 alone: LuaJIT 2.1 brings these along. */
#if LUA_VERSION_NUM < 502 && !defined(LUA_LJDIR)
#define luaL_newlib(L, functions) (lua_newtable(L), luaL_setfuncs((L), (functions), 0))
#define luaL_setmetatable(L, name) (luaL_getmetatable((L), (name)), (void)lua_setmetatable((L), -2))
static inline void luaL_setfuncs(lua_State *L, const luaL_Reg *functions, int upvalues) {
  for (; functions->name; functions++) {
    for (int i = 0; i < upvalues; i++)
      lua_pushvalue(L, -upvalues);
    lua_pushcclosure(L, functions->func, upvalues);
    lua_setfield(L, -(upvalues + 2), functions->name);
  }
  lua_pop(L, upvalues);
}
#endif

#if LUA_VERSION_NUM >= 503
#define compat_isinteger(L, index) lua_isinteger((L), (index))
#else
#define compat_isinteger(L, index) 0
#endif

#endif
