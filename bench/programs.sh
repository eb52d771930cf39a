#!/usr/bin/env bash
# The programs that are measured, beside what, and how each is called; sourced after common.sh.
# BENCH and PEERS (where programs are) come from bench/bench.mk, the addresses and DIRECTORY from bench/with_server.

# shellcheck disable=SC2034 # for those that source this
transports=("HTTP/1.1:${PLAIN:-}" "HTTP/1.1 over TLS:${TLS:-}" "HTTP/2 over TLS:${HTTP2:-}")

# What bare libcurl and the peers send. To be called before set_command.
write_payloads() {
  local payload
  for payload in example full; do
    "$LUA" bench/calls.lua body "$payload" >"$DIRECTORY/$payload.body"
    "$LUA" bench/calls.lua json "$payload" >"$DIRECTORY/$payload.json"
  done
}

# shellcheck disable=SC2034 # for those that source this
declare -A labels=(
  [bare]="bare libcurl, easy" [bare_multi]="bare libcurl, multi with epoll"
  [bare_multi_decoding]="the same, and lua-cjson's decoding"
  [ours]="**payment_records**" [flight]="**payment_records**"
  [luasocket]="LuaSocket and LuaSec" [node]=stripe-node [python]=stripe-python [go]=stripe-go
  [nginx_cosockets]="nginx worker: cosockets" [nginx_payment_records]="nginx worker: **payment_records**"
)

# Sets `command` to what makes WARM_UP calls and then COUNT, and prints what these cost:
# microseconds of CPU time per call, peak kB after the warm-up and at the end, calls per second.
set_command() { # program, url, payload, warm-up, count, in flight (for those that can)
  local json=("$2" "$DIRECTORY/$3.json" "$CA_FILE" "$4" "$5" "${6:-1}")
  case $1 in
  bare) command=("$BENCH/bare" "$2" "$DIRECTORY/$3.body" "$CA_FILE" "$4" "$5") ;;
  bare_multi | bare_multi_decoding) command=("$BENCH/$1" "$2" "$DIRECTORY/$3.body" "$CA_FILE" "$4" "$5" "$6") ;;
  ours) command=("$LUA" bench/calls.lua "$2" "$3" "$CA_FILE" "$4" "$5") ;;
  flight) command=("$LUA" bench/flight.lua "$2" "$3" "$CA_FILE" "$4" "$5" "$6") ;;
  luasocket) command=(lua5.4 bench/peers/luasocket/calls.lua "$2" "$3" "$CA_FILE" "$4" "$5") ;;
  node) command=(env STRIPE_NODE="$PEERS/node" node bench/peers/node/calls.mjs "${json[@]}") ;;
  python) command=("$PEERS/python/bin/python" bench/peers/python/calls.py "${json[@]}") ;;
  go) command=("$PEERS/go/calls" "${json[@]}") ;;
  esac
}

# The peers are those that bench/peers/install could install.
is_there() { # program
  case $1 in
  node | python | go | luasocket) [ -e "$PEERS/$1/installed" ] ;;
  esac
}

# What cannot be asked for: LuaSocket has HTTP/1.1 only, and so have the two SDKs.
can_speak() { # program, transport
  case $1:$2 in
  luasocket:HTTP/2* | node:HTTP/2* | python:HTTP/2*) return 1 ;;
  esac
}
