--- What the benchmarks report: the API reference's own example, a payment with every field filled, and, as metadata_30
--- and its like, the example with so many metadata keys.

local function address(city)
  return {
    city = city, country = "US", state = "CA", postal_code = "94103",
    line1 = "510 Townsend Street", line2 = "Suite 100",
  }
end

local function metadata(count)
  local values = {}
  for place = 1, count do values["key_" .. place] = "value number " .. place end
  return values
end

local NAME, EMAIL, PHONE = "Jenny Rosen", "jenny@example.com", "+1 555 0100"

local function example()
  return {
    amount_requested = { currency = "usd", value = 1000 },
    customer_presence = "on_session",
    description = "computer software",
    initiated_at = 1730253453,
    payment_method_details = {
      custom = { display_name = "newpay", type = "cpmt_125kjj3hn3sdf" },
      payment_method = "pm_5j23kjksibjlks",
      type = "custom",
    },
  }
end

local payloads = {
  example = example(),
  full = {
    amount_requested = { currency = "usd", value = 1000 },
    customer_details = { customer = "cus_123", email = EMAIL, name = NAME, phone = PHONE },
    customer_presence = "on_session",
    description = "computer software",
    expand = { "customer_details", "payment_method_details" },
    guaranteed = { guaranteed_at = 1730253460 },
    initiated_at = 1730253453,
    metadata = metadata(10),
    outcome = "guaranteed",
    payment_method_details = {
      billing_details = { address = address "San Francisco", email = EMAIL, name = NAME, phone = PHONE },
      custom = { display_name = "newpay", type = "cpmt_125kjj3hn3sdf" },
      payment_method = "pm_5j23kjksibjlks",
      type = "custom",
    },
    processor_details = { type = "custom", custom = { payment_reference = "npp2358872734k" } },
    shipping_details = { address = address "Oakland", name = NAME, phone = PHONE },
  },
}

return setmetatable(payloads, {
  __index = function(_, name)
    local payload = example()
    payload.metadata = metadata(assert(tonumber(name:match "^metadata_(%d+)$"), name))
    return payload
  end,
})
