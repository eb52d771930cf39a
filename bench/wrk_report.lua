--- For wrk: prints the requests per second and the median and the 99th percentile of their time in milliseconds, on
--- a line that begins with "figures"; status 1 when a request failed.

-- luacheck: globals done

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  if failed > 0 then
    io.stderr:write(failed, " requests failed\n")
    os.exit(1)
  end
  print(("figures %.0f %.1f %.1f"):format(summary.requests / summary.duration * 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
