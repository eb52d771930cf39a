-- How records and attempts change: the rules of the Payment Records API, documented and inferred.

local cjson = require "cjson"
local sandbox = require "payment_records.sandbox"
local sandbox_client = require "spec.support.sandbox_client"

local AMOUNTS = { "authorized", "canceled", "failed", "guaranteed", "refunded", "requested" }

--- The amounts that are not zero.
local function amounts(record)
  local found = {}
  for _, name in ipairs(AMOUNTS) do
    local value = record["amount_" .. name].value
    if value ~= 0 then found[name] = value end
  end
  return found
end

local function keys(ids)
  local list = {}
  for i, object in ipairs(ids) do list[i] = object.id end
  return list
end

local ENDS = {
  canceled = { canceled_at = 1730253460 },
  failed = { failed_at = 1730253460 },
  guaranteed = { guaranteed_at = 1730253460 },
}

describe("payment records", function()
  local box, client, now

  before_each(function()
    now = 1730253453
    box = sandbox.new { now = function() return now end }
    client = sandbox_client.new(box)
  end)

  local function attempt_of(record)
    return (client:get("/v1/payment_attempt_records/" .. record.latest_payment_attempt_record))
  end

  local function attempts_of(record)
    return client:get("/v1/payment_attempt_records", { payment_record = record.id }).data
  end

  local function settle(record, outcome)
    return client:report(record.id, "report_payment_attempt_" .. outcome, ENDS[outcome])
  end

  local function refused(answer, response, pattern)
    assert.equal(400, response.status)
    assert.equal("invalid_request_error", answer.error.type)
    assert.matches(pattern, answer.error.message)
    return answer.error
  end

  describe("report_payment", function()
    it("creates a record and its first attempt", function()
      local record = client:pay()
      assert.matches("^pr_%w+$", record.id)
      assert.equal(27, #record.id)
      assert.matches("^par_%w+$", record.latest_payment_attempt_record)
      local attempt = attempt_of(record)
      assert.equal("payment_attempt_record", attempt.object)
      assert.equal(record.id, attempt.payment_record)
      assert.equal(1, #attempts_of(record))
    end)

    it("leaves an attempt without an outcome open", function()
      local record = client:pay()
      assert.same({ requested = 1000 }, amounts(record))
      assert.equal(1000, record.amount.value)
      assert.same({ requested = 1000 }, amounts(attempt_of(record)))
    end)

    for outcome, params in pairs(ENDS) do
      it("may start " .. outcome, function()
        local record = client:pay { outcome = outcome, [outcome] = params }
        assert.same({ requested = 1000, [outcome] = 1000 }, amounts(record))
        assert.same({ requested = 1000, [outcome] = 1000 }, amounts(attempt_of(record)))
      end)
    end

    it("keeps every field it is given, on the record and on the attempt", function()
      local address = {
        city = "Bern", country = "CH", line1 = "Gasse 1", line2 = "3. Stock", postal_code = "3000", state = "BE",
      }
      local fields = {
        amount_requested = { currency = "chf", value = 9007199254740992 },
        customer_details = { customer = "cus_1", email = "a@example.com", name = "Ada", phone = "+41" },
        customer_presence = "off_session",
        description = "two lines\n\"quoted\" \\ \1",
        metadata = { order = "17", note = "caf\195\169" },
        payment_method_details = {
          billing_details = { address = address, email = "b@example.com", name = "Bob", phone = "+42" },
          custom = { display_name = "newpay", type = "cpmt_1" },
          payment_method = "pm_1",
          type = "custom",
        },
        processor_details = { type = "custom", custom = { payment_reference = "npp1" } },
        shipping_details = { address = address, name = "Cleo", phone = "+43" },
      }
      fields.amount_requested.value = "9007199254740992"
      local record, response = client:pay(fields)
      assert.matches('"amount_requested":{"currency":"chf","value":9007199254740992}', response.body, 1, true)
      local attempt = attempt_of(record)
      for name, value in pairs(fields) do
        if name ~= "amount_requested" then
          assert.same(value, record[name], name)
          assert.same(value, attempt[name], name)
        end
      end
    end)

    it("answers null for what it is not given, and an empty hash for metadata", function()
      local record = client:pay()
      for _, name in ipairs {
        "application", "customer_details", "customer_presence", "description", "shipping_details",
      } do
        assert.equal(cjson.null, record[name], name)
      end
      assert.same({}, record.metadata)
      assert.same({ type = "custom" }, record.processor_details)
      assert.equal("self", record.reported_by)
      assert.equal(1730253453, record.created)
      assert.is_false(record.livemode)
    end)

    it("shows custom as the type of a payment method that is only named", function()
      local record = client:pay { payment_method_details = { payment_method = "pm_1" } }
      assert.equal("custom", record.payment_method_details.type)
      assert.equal("pm_1", record.payment_method_details.payment_method)
    end)

    it("takes timestamps in any order and in the future", function()
      local _, response = client:pay {
        initiated_at = 99999999999, outcome = "failed", failed = { failed_at = 1 },
      }
      assert.equal(200, response.status)
    end)
  end)

  describe("report_payment_attempt", function()
    for _, outcome in ipairs { "failed", "canceled" } do
      it("adds an attempt after one that is " .. outcome, function()
        local record = settle(client:pay(), outcome)
        now = now + 60
        local retried = client:report(record.id, "report_payment_attempt", { initiated_at = 1 })
        assert.equal(record.id, retried.id)
        assert.equal(record.created, retried.created)
        assert.not_equal(record.latest_payment_attempt_record, retried.latest_payment_attempt_record)
        assert.same({ requested = 1000 }, amounts(retried))
        local attempts = attempts_of(record)
        assert.same({ retried.latest_payment_attempt_record, record.latest_payment_attempt_record }, keys(attempts))
        assert.same({ requested = 1000, [outcome] = 1000 }, amounts(attempts[2]))
        assert.equal(record.created + 60, attempts[1].created)
      end)
    end

    it("is refused while an attempt is open", function()
      local record = client:pay()
      local answer, response = client:report(record.id, "report_payment_attempt", { initiated_at = 1 })
      refused(answer, response, "every other attempt is canceled or failed")
      assert.equal(1, #attempts_of(record))
    end)

    it("is refused after a guaranteed attempt, so that there is never a second one", function()
      local record = client:pay_guaranteed()
      local params = { initiated_at = 1, outcome = "guaranteed", guaranteed = ENDS.guaranteed }
      local answer, response = client:report(record.id, "report_payment_attempt", params)
      refused(answer, response, "every other attempt is canceled or failed")
      assert.equal(1, #attempts_of(record))
    end)

    it("may start in a terminal state", function()
      local record = settle(client:pay(), "failed")
      local params = { initiated_at = 1, outcome = "guaranteed", guaranteed = ENDS.guaranteed }
      local retried = client:report(record.id, "report_payment_attempt", params)
      assert.same({ requested = 1000, guaranteed = 1000 }, amounts(retried))
    end)

    it("inherits what it is not given and shows what it is given on the record", function()
      local record = client:pay {
        description = "first", customer_details = { name = "Ada" }, customer_presence = "on_session",
        payment_method_details = { type = "custom", custom = { display_name = "one" } },
        processor_details = { type = "custom", custom = { payment_reference = "npp1" } },
      }
      settle(record, "failed")
      local second = client:report(record.id, "report_payment_attempt", { initiated_at = 1 })
      for _, name in ipairs {
        "description", "customer_details", "customer_presence", "payment_method_details", "processor_details",
      } do
        assert.same(record[name], second[name], name)
      end
      settle(record, "failed")
      local third = client:report(record.id, "report_payment_attempt", {
        initiated_at = 1, description = "third", shipping_details = { name = "Cleo" },
        payment_method_details = { type = "custom", custom = { display_name = "two" } },
      })
      assert.equal("third", third.description)
      assert.equal("Cleo", third.shipping_details.name)
      assert.equal("two", third.payment_method_details.custom.display_name)
      assert.equal("one", attempts_of(record)[2].payment_method_details.custom.display_name)
    end)
  end)

  describe("reporting the end of an attempt", function()
    for outcome in pairs(ENDS) do
      it("moves the latest attempt to " .. outcome, function()
        local record = settle(client:pay(), "failed")
        client:report(record.id, "report_payment_attempt", { initiated_at = 1 })
        local settled = settle(record, outcome)
        assert.same({ requested = 1000, [outcome] = 1000 }, amounts(settled))
        local attempts = attempts_of(record)
        assert.same({ requested = 1000, [outcome] = 1000 }, amounts(attempts[1]))
        assert.same({ requested = 1000, failed = 1000 }, amounts(attempts[2]))
      end)

      for first in pairs(ENDS) do
        it("is refused as " .. outcome .. " when the attempt is already " .. first, function()
          local record = settle(client:pay(), first)
          local answer, response = settle(record, outcome)
          refused(answer, response, "is already " .. first .. " and cannot be reported as " .. outcome)
          assert.same({ requested = 1000, [first] = 1000 }, amounts(box:records()[1]))
        end)
      end
    end
  end)

  describe("report_payment_attempt_informational", function()
    it("edits the record and its latest attempt", function()
      local record = client:pay { description = "old" }
      local params = {
        customer_details = { email = "a@example.com" }, description = "new", metadata = { k = "v" },
        shipping_details = { address = { city = "Bern" } },
      }
      local edited = client:report(record.id, "report_payment_attempt_informational", params)
      for _, object in ipairs { edited, attempt_of(record) } do
        assert.equal("new", object.description)
        assert.equal("a@example.com", object.customer_details.email)
        assert.equal("Bern", object.shipping_details.address.city)
        assert.same({ k = "v" }, object.metadata)
      end
    end)

    local function described()
      return client:pay {
        description = "old", shipping_details = { name = "Cleo" }, customer_details = { name = "Ada" },
        metadata = { k = "v" },
      }
    end

    it("keeps what is not sent", function()
      local record = described()
      assert.same(record, (client:report(record.id, "report_payment_attempt_informational", {})))
    end)

    it("clears what is sent empty", function()
      local record = described()
      local cleared = client:report(record.id, "report_payment_attempt_informational", "description=&shipping_details=")
      assert.equal(cjson.null, cleared.description)
      assert.equal(cjson.null, cleared.shipping_details)
      assert.equal("Ada", cleared.customer_details.name)
      assert.same({ k = "v" }, cleared.metadata)
    end)

    for outcome in pairs(ENDS) do
      it("is allowed when the attempt is " .. outcome, function()
        local record = settle(client:pay(), outcome)
        local edited = client:report(record.id, "report_payment_attempt_informational", { description = "late" })
        assert.equal("late", edited.description)
        assert.same({ requested = 1000, [outcome] = 1000 }, amounts(edited))
      end)
    end
  end)

  describe("metadata", function()
    local changes = {
      report_payment_attempt = { initiated_at = 1 },
      report_payment_attempt_canceled = ENDS.canceled,
      report_payment_attempt_failed = ENDS.failed,
      report_payment_attempt_guaranteed = ENDS.guaranteed,
      report_payment_attempt_informational = {},
      report_refund = { outcome = "refunded", processor_details = { type = "custom" } },
    }
    for name, params in pairs(changes) do
      it("is merged by " .. name .. "; an empty value removes a key", function()
        local extra = { metadata = { kept = "1", changed = "1", removed = "1" } }
        local record
        if name == "report_refund" then
          record = client:pay_guaranteed(extra)
        else
          record = client:pay(extra)
          if name == "report_payment_attempt" then settle(record, "failed") end
        end
        local sent = { metadata = { changed = "2", removed = "", added = "2" } }
        for key, value in pairs(params) do sent[key] = value end
        local changed, response = client:report(record.id, name, sent)
        assert.equal(200, response.status)
        assert.same({ kept = "1", changed = "2", added = "2" }, changed.metadata)
      end)
    end

    it("is cleared by an empty string", function()
      local record = client:pay { metadata = { a = "1", b = "2" } }
      assert.same({}, client:report(record.id, "report_payment_attempt_informational", "metadata=").metadata)
    end)

    it("may not grow beyond 50 keys by merging, and a refused merge changes nothing", function()
      local function numbered(first, last)
        local metadata = {}
        for i = first, last do metadata["k" .. i] = "v" end
        return metadata
      end
      local record = client:pay { metadata = numbered(1, 50) }
      local answer, response = client:report(record.id, "report_payment_attempt_failed", {
        failed_at = 1, metadata = { k51 = "v" },
      })
      assert.equal("metadata", refused(answer, response, "at most 50 keys").param)
      assert.same({ requested = 1000 }, amounts(box:records()[1]))
      local swapped = client:report(record.id, "report_payment_attempt_failed", {
        failed_at = 1, metadata = { k1 = "", k51 = "v" },
      })
      assert.same(numbered(2, 51), swapped.metadata)
    end)
  end)
end)
