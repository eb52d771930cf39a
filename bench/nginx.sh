#!/usr/bin/env bash
# Starts nginx with a configuration of bench/server, or of SERVERS; sourced from the root of the repository.
# The caller sets DIRECTORY, a temporary one with the certificates; NGINX when it is to be run by another program.

NGINX=(nginx)
HANDLERS=${HANDLERS:-"payment_records payment_records_http2 cosockets ${RESTY_HTTP:+resty_http}"} # of bench/handlers.lua

# Below the range from which systems give ports to outgoing connections.
random_port() {
  echo $((20000 + (RANDOM * 32768 + RANDOM) % 12000))
}

# Debian builds the Lua module as a dynamic one, which needs the NDK module; OpenResty has both built in.
load_modules() {
  local modules name
  modules=$(nginx -V 2>&1 | sed -n 's/.*--modules-path=\([^ ]*\).*/\1/p')
  for name in ndk_http_module ngx_http_lua_module; do
    [ ! -f "$modules/$name.so" ] || printf 'load_module "%s";' "$modules/$name.so"
  done
}

# Fills in what stands between @ signs, in the configuration and in what it includes.
# shellcheck disable=SC2153 # DIRECTORY is the caller's
configure() { # directory
  local file
  plain_port=$(random_port) tls_port=$(random_port) http2_port=$(random_port)
  for file in "${SERVERS:-bench/server}"/*.conf bench/server/http.conf; do
    sed -e "s|@DIRECTORY@|$DIRECTORY|" -e "s|@PLAIN_PORT@|$plain_port|" -e "s|@TLS_PORT@|$tls_port|" \
      -e "s|@HTTP2_PORT@|$http2_port|" -e "s|@DELAY@|${DELAY:-0}|" -e "s|@LOAD_MODULES@|$(load_modules)|" -e "s|@SOURCE@|$PWD|" \
      "$file" >"$1/${file##*/}"
  done
}

# By the shell's own book: once it has ended, its number may be another process's. grep reads it to the end, or the
# shell may fail to write it.
is_running() {
  jobs -rp | grep -x "$nginx_pid" >/dev/null
}

# The process id file appears when every address is bound.
start() { # name, directory
  "${NGINX[@]}" -p "$2" -e stderr -c "$1.conf" </dev/null >"$2/log" 2>&1 &
  nginx_pid=$!
  while is_running; do
    [ ! -s "$2/nginx.pid" ] || return 0
    sleep 0.02
  done
  nginx_pid=
  return 1
}

# Starts bench/server/NAME.conf, and sets nginx_pid, plain_port, tls_port and http2_port.
# nginx cannot bind port 0: a port that turns out to be taken is answered with another one.
start_nginx() { # name
  local directory=$DIRECTORY/$1
  mkdir -p "$directory"
  for _ in 1 2 3 4 5; do
    configure "$directory"
    start "$1" "$directory" && return
    grep -q "Address already in use" "$directory/log" || break
  done
  cat "$directory/log" >&2
  exit 1
}

# Once may not do: a signal that comes between nginx's look at its flags and its wait is heard with the next one.
stop_nginx() {
  while [ -n "$nginx_pid" ] && is_running; do
    kill "$nginx_pid" 2>/dev/null || true
    sleep 0.05
  done
  nginx_pid=
}

# The worker whose handlers are compared, and requests to one of them.

start_worker() { # connections
  CONNECTIONS=$1 start_nginx worker
}

load() { # location, connections, seconds
  wrk --threads 1 --connections "$2" --duration "$3" --timeout 60 --script bench/wrk_report.lua \
    "http://127.0.0.1:$plain_port/$1" >"$DIRECTORY/load" || {
    head -n 20 "$DIRECTORY/load" "$DIRECTORY"/*/log >&2
    exit 1
  }
}
