#!/usr/bin/env bash
# What the scripts that start an nginx with the Lua module share. They source it, and have fail() and configure().
# SPDX-License-Identifier: MIT

PATH=$PATH:/usr/sbin:/usr/local/sbin  # where an ordinary user's PATH may not lead
nginx=${NGINX:-nginx}
command -v "$nginx" >/dev/null || fail "nginx is missing (Debian: apt-get install nginx libnginx-mod-http-lua)"
server_pid=

# Debian builds the Lua module as a dynamic one, which needs the NDK module; OpenResty has both built in, and then there
# is no such file. Elsewhere set NGINX_MODULES to the directory of ngx_http_lua_module.so.
load_modules() {
  local modules=${NGINX_MODULES:-$("$nginx" -V 2>&1 | sed -n 's/.*--modules-path=\([^ ]*\).*/\1/p')}
  local name
  for name in ndk_http_module ngx_http_lua_module; do
    [ ! -f "$modules/$name.so" ] || printf 'load_module "%s";' "$modules/$name.so"
  done
}

# Below the range from which systems give ports to outgoing connections.
random_port() {
  echo $((20000 + (RANDOM * 32768 + RANDOM) % 12000))
}

# replace NAME VALUE: a sed command; a path may hold what sed takes for its own.
replace() {
  printf 's|@%s@|%s|g\n' "$1" "$(printf '%s' "$2" | sed 's/[\\&|]/\\&/g')"
}

# By the shell's own book: once it has ended, its number may be another process's. grep reads it to the end, or the
# shell may fail to write it.
is_running() {
  jobs -rp | grep -x "$server_pid" >/dev/null
}

# The process id file appears when every address is bound.
wait_until_bound() { # directory
  while is_running; do
    [ ! -s "$1/nginx.pid" ] || return 0
    sleep 0.02
  done
  wait "$server_pid"
  server_pid=
  return 1
}

# nginx cannot bind port 0: configure() picks a port, and another one when it turns out to be taken.
start_nginx() { # directory, whether the ports are fixed
  for _ in 1 2 3 4 5; do
    configure
    "$nginx" -p "$1" -e error.log -c nginx.conf </dev/null >"$1/start.log" 2>&1 &
    server_pid=$!
    wait_until_bound "$1" && return 0
    grep -q "Address already in use" "$1/start.log" || break
    [ -z "$2" ] || break
  done
  fail "nginx does not start: $(cat "$1/start.log")"
}

# Once may not do: a signal that comes between nginx's look at its flags and its wait is heard with the next one.
stop_nginx() {
  [ -n "$server_pid" ] || return 0
  while is_running; do
    kill "$server_pid" 2>/dev/null
    sleep 0.05
  done
  wait "$server_pid" 2>/dev/null
}
