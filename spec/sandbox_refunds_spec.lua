-- Refunds of a guaranteed attempt.

local sandbox = require "payment_records.sandbox"
local sandbox_client = require "spec.support.sandbox_client"

describe("a refund", function()
  local box, client

  before_each(function()
    box = sandbox.new()
    client = sandbox_client.new(box)
  end)

  local function refused(answer, response, param)
    assert.equal(400, response.status)
    assert.equal("invalid_request_error", answer.error.type)
    assert.equal(param, answer.error.param)
  end

  local function amount(value, currency)
    return { amount = { currency = currency or "usd", value = value } }
  end

  it("may take part of the amount, several times, up to all of it", function()
    local record = client:pay_guaranteed()
    assert.equal(300, client:refund(record.id, amount(300)).amount_refunded.value)
    local refunded = client:refund(record.id, amount(700))
    assert.equal(1000, refunded.amount_refunded.value)
    assert.equal(1000, refunded.amount_requested.value)
    local attempt = client:get("/v1/payment_attempt_records/" .. refunded.latest_payment_attempt_record)
    assert.equal(1000, attempt.amount_refunded.value)
  end)

  it("takes what is left when no amount is given", function()
    local record = client:pay_guaranteed()
    client:refund(record.id, amount(300))
    assert.equal(1000, client:refund(record.id).amount_refunded.value)
  end)

  it("takes the optional times and may have no custom hash", function()
    local record = client:pay_guaranteed()
    local _, response = client:refund(record.id, {
      initiated_at = 1, refunded = { refunded_at = 2 }, processor_details = { type = "custom" },
    })
    assert.equal(200, response.status)
  end)

  it("may not exceed what is left", function()
    local record = client:pay_guaranteed()
    client:refund(record.id, amount(300))
    local answer, response = client:refund(record.id, amount(701))
    refused(answer, response, "amount[value]")
    assert.equal("The refund (701) is greater than the unrefunded amount of the payment (700).", answer.error.message)
    assert.equal(300, box:records()[1].amount_refunded.value)
  end)

  it("is refused when all is refunded", function()
    local record = client:pay_guaranteed()
    client:refund(record.id)
    local answer, response = client:refund(record.id)
    refused(answer, response, nil)
    assert.matches("already been refunded in full", answer.error.message)
    refused(answer, response, nil)
    local again, with_amount = client:refund(record.id, amount(1))
    refused(again, with_amount, "amount[value]")
  end)

  for _, value in ipairs { 0, -1 } do
    it("may not be of " .. value, function()
      local record = client:pay_guaranteed()
      local answer, response = client:refund(record.id, amount(value))
      refused(answer, response, "amount[value]")
    end)
  end

  it("must be in the currency of the payment", function()
    local record = client:pay_guaranteed()
    local answer, response = client:refund(record.id, amount(100, "eur"))
    refused(answer, response, "amount[currency]")
  end)

  it("needs a reference that no other refund has, of any record", function()
    local first, second = client:pay_guaranteed(), client:pay_guaranteed()
    local reference = { processor_details = { type = "custom", custom = { refund_reference = "same" } } }
    client:refund(first.id, reference)
    local answer, response = client:refund(second.id, reference)
    refused(answer, response, "processor_details[custom][refund_reference]")
    assert.equal(0, box:records()[2].amount_refunded.value)
  end)

  it("that was refused leaves its reference free", function()
    local record = client:pay_guaranteed()
    local reference = { type = "custom", custom = { refund_reference = "same" } }
    client:refund(record.id, { processor_details = reference, amount = { currency = "usd", value = 1001 } })
    local _, response = client:refund(record.id, { processor_details = reference })
    assert.equal(200, response.status)
  end)

  for outcome, at in pairs { canceled = "canceled_at", failed = "failed_at" } do
    it("is refused when the attempt is " .. outcome, function()
      local record = client:pay { outcome = outcome, [outcome] = { [at] = 1 } }
      local answer, response = client:refund(record.id)
      refused(answer, response, nil)
      assert.matches("Only a guaranteed attempt can be refunded; par_%w+ is " .. outcome, answer.error.message)
    end)
  end

  it("is refused when the attempt is open", function()
    local answer, response = client:refund(client:pay().id)
    refused(answer, response, nil)
    assert.matches("is open", answer.error.message)
  end)

  it("leaves no room for another attempt", function()
    local record = client:pay_guaranteed()
    client:refund(record.id)
    local _, response = client:report(record.id, "report_payment_attempt", { initiated_at = 1 })
    assert.equal(400, response.status)
  end)

  it("is taken off the guaranteed amount where the sandbox is told so", function()
    local moving = sandbox_client.new(sandbox.new { move_refunded = true })
    local record = moving:pay_guaranteed()
    assert.equal(700, moving:refund(record.id, amount(300)).amount_guaranteed.value)
    assert.equal(0, moving:refund(record.id).amount_guaranteed.value)
  end)
end)
