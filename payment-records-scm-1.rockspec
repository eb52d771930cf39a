rockspec_format = "3.0"
package = "payment-records"
version = "scm-1"

source = {
  url = "git+https://github.com/payment-records/lua-payment-records.git",
}

description = {
  summary = "Report payments made outside Stripe to Stripe's Payment Records API",
  detailed = [[
A C module over libcurl. Nested tables become the API's form bodies, answers come back as plain
tables; calls block, yield or run beside each other in one engine. A payment is never lost and never
reported twice, and when the truth is not known the caller is told so.]],
  license = "MIT",
  labels = { "stripe", "payments", "http", "openresty" },
}

supported_platforms = { "unix" }

dependencies = {
  "lua >= 5.1, < 5.5",
  "lua-cjson >= 2.1.0",
}

-- A header entry would not be found where headers live in a directory of the architecture (Debian).
external_dependencies = {
  CURL = { library = "curl" },
}

build = {
  type = "builtin",
  modules = {
    ["payment_records"] = "lua/payment_records/init.lua",
    ["payment_records.client"] = "lua/payment_records/client.lua",
    ["payment_records.curl"] = "lua/payment_records/curl.lua",
    ["payment_records.minor_units"] = "lua/payment_records/minor_units.lua",
    ["payment_records.nginx"] = "lua/payment_records/nginx.lua",
    ["payment_records.pages"] = "lua/payment_records/pages.lua",
    ["payment_records.types"] = "lua/payment_records/types.lua",
    ["payment_records.sandbox"] = "lua/payment_records/sandbox.lua",
    ["payment_records.sandbox.auth"] = "lua/payment_records/sandbox/auth.lua",
    ["payment_records.sandbox.calls"] = "lua/payment_records/sandbox/calls.lua",
    ["payment_records.sandbox.check"] = "lua/payment_records/sandbox/check.lua",
    ["payment_records.sandbox.faults"] = "lua/payment_records/sandbox/faults.lua",
    ["payment_records.sandbox.form"] = "lua/payment_records/sandbox/form.lua",
    ["payment_records.sandbox.idempotency"] = "lua/payment_records/sandbox/idempotency.lua",
    ["payment_records.sandbox.ids"] = "lua/payment_records/sandbox/ids.lua",
    ["payment_records.sandbox.injection"] = "lua/payment_records/sandbox/injection.lua",
    ["payment_records.sandbox.json"] = "lua/payment_records/sandbox/json.lua",
    ["payment_records.sandbox.ledger"] = "lua/payment_records/sandbox/ledger.lua",
    ["payment_records.sandbox.pages"] = "lua/payment_records/sandbox/pages.lua",
    ["payment_records.sandbox.params"] = "lua/payment_records/sandbox/params.lua",
    ["payment_records.sandbox.render"] = "lua/payment_records/sandbox/render.lua",
    ["payment_records.sandbox.routes"] = "lua/payment_records/sandbox/routes.lua",
    ["payment_records.sandbox.utf8"] = "lua/payment_records/sandbox/utf8.lua",
    ["payment_records.core"] = {
      sources = {
        "src/base_url.c",
        "src/buffer.c",
        "src/core.c",
        "src/curl_faults.c",
        "src/endpoints.c",
        "src/exchange.c",
        "src/forks.c",
        "src/form.c",
        "src/headers.c",
        "src/lua_call.c",
        "src/lua_callback.c",
        "src/lua_checks.c",
        "src/lua_client.c",
        "src/lua_encode.c",
        "src/lua_engine.c",
        "src/lua_error.c",
        "src/lua_options.c",
        "src/lua_params.c",
        "src/lua_raise.c",
        "src/lua_record.c",
        "src/lua_redact.c",
        "src/lua_request.c",
        "src/lua_response.c",
        "src/lua_walk.c",
        "src/nearest.c",
        "src/params.c",
        "src/poller.c",
        "src/random.c",
        "src/retry.c",
        "src/timers.c",
        "src/transport.c",
        "src/utf8.c",
      },
      defines = { "_GNU_SOURCE" },
      libraries = { "curl" },
      incdirs = { "$(CURL_INCDIR)" },
      libdirs = { "$(CURL_LIBDIR)" },
    },
  },
}

test_dependencies = { "busted" }
test = { type = "busted" }
