#!/usr/bin/env bash
# What the bench's scripts share; sourced from the root of the repository.

# LUA and BUILD (where the module is) come from bench/bench.mk.
export LUA_PATH="$PWD/lua/?.lua;$PWD/lua/?/init.lua;$PWD/?.lua;${RESTY_HTTP:+$RESTY_HTTP/?.lua;};" LUA_CPATH="$PWD/$BUILD/?.so;;"

# Thousands of connections need as many descriptors as this user may have.
ulimit -n "$(ulimit -Hn)"

# The one that is loaded: the program curl loads the same.
libcurl_version() {
  curl --version | sed -n '1s|.*libcurl/\([^ ]*\).*|\1|p'
}

median() { # file, column (the first by default)
  awk -v column="${2:-1}" '{ print $column }' "$1" | sort -n |
    awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'
}

ratio() { # dividend, divisor
  awk -v dividend="$1" -v divisor="$2" 'BEGIN { printf "%.2f", dividend / divisor }'
}

# Where the lines of a program's runs are kept, for bench/print_results.
figures_file() { # in flight, delay, payload, transport, program
  local IFS=,
  echo "$FIGURES/${*//\//}"
}
