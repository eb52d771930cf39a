--- What the libcurl that is loaded can do, going by its version: the program curl loads the same.

local files = require "spec.support.files"

local major, minor = files.capture("curl --version"):match "libcurl/(%d+)%.(%d+)"
local version = major * 1000 + minor

return {
  shares_connections = version >= 8005, -- see can_share() of transport.c
  restores_trust = version >= 8021, -- see RESTORING_LIBCURL of exchange.h
}
