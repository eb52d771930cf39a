-- How the sandbox reads forms and queries.

local form = require "payment_records.sandbox.form"
local sandbox = require "payment_records.sandbox"
local sandbox_client = require "spec.support.sandbox_client"

describe("a form", function()
  local readable = {
    { "", {} },
    { "a=1&b=2", { a = "1", b = "2" } },
    { "a[b][c]=1&a[b][d]=2", { a = { b = { c = "1", d = "2" } } } },
    { "a%5Bb%5D=1", { a = { b = "1" } } },
    { "a=x+y%20z", { a = "x y z" } },
    { "a=%2B%26%3D%25", { a = "+&=%" } },
    { "a=caf%C3%A9", { a = "caf\195\169" } },
    { "a=%00", { a = "\0" } },
    { "a=b=c", { a = "b=c" } },
    { "metadata=", { metadata = "" } },
    { "metadata[k]=", { metadata = { k = "" } } },
    { "a", { a = "" } },
    { "a=1&&b=2&", { a = "1", b = "2" } },
    { "a=1&a=2", { a = "2" } },
    { "expand[]=x&expand[]=y", { expand = { "x", "y" } } },
    { "expand[0]=x&expand[1]=y", { expand = { ["0"] = "x", ["1"] = "y" } } },
    { "a[1]=x&a[b]=y", { a = { ["1"] = "x", b = "y" } } },
    { "items[][k]=v", { items = { { k = "v" } } } },
  }
  for _, case in ipairs(readable) do
    it("reads " .. (case[1] == "" and "nothing" or case[1]), function()
      assert.same(case[2], form.decode(case[1]))
    end)
  end

  local unreadable = {
    { "a=%4", "Invalid %-encoding in a=%4" },
    { "a%zz=1", "Invalid %-encoding in a%zz=1" },
    { "a=caf%E9", "Invalid UTF-8 in a=caf%E9" },
    { "a%FF=1", "Invalid UTF-8 in a%FF=1" },
    { "a[b=1", "Invalid parameter name: a[b" },
    { "a]=1", "Invalid parameter name: a]" },
    { "a[b]c=1", "Invalid parameter name: a[b]c" },
    { "[a]=1", "Invalid parameter name: [a]" },
    { "metadata[a[b]]=1", "Invalid parameter name: metadata[a[b]]" },
    { "=1", "Invalid parameter name: " },
    { "a=1&a[b]=2", "Conflicting values for parameter: a[b]" },
    { "a[b]=1&a=2", "Conflicting values for parameter: a" },
    { "a[]=1&a[b]=2", "Conflicting values for parameter: a[b]" },
    { "a=1&a[b][c]=2", "Conflicting values for parameter: a[b][c]" },
    { "a[]=1&a[b][c]=2", "Conflicting values for parameter: a[b][c]" },
    { "a[b]=1&a[]=2", "Conflicting values for parameter: a[]" },
    { "a" .. ("[b]"):rep(32) .. "=1", "Parameters are nested too deeply: a" .. ("[b]"):rep(32) },
  }
  for _, case in ipairs(unreadable) do
    it("refuses " .. case[1]:sub(1, 20), function()
      local tree, message = form.decode(case[1])
      assert.is_nil(tree)
      assert.equal(case[2], message)
    end)
  end

  it("may be nested 32 deep", function()
    local node = form.decode("a" .. ("[b]"):rep(31) .. "=1").a
    for _ = 1, 30 do node = node.b end
    assert.same({ b = "1" }, node)
  end)

  it("has one canonical text whatever the order and the escaping of its pairs", function()
    local one = form.canonical(form.decode "a[x]=1&a[y]=2&b=z%20z")
    assert.equal(one, form.canonical(form.decode "b=z+z&a%5By%5D=2&a[x]=1"))
  end)

  it("has different canonical texts for different trees", function()
    local texts, count = {}, 0
    for _, text in ipairs {
      "a=1", "a=2", "b=1", "a[]=1", "a[b]=1", "a[1]=1", "a=1&b=", "a=1:b", "a[]=1&a[]=2", "a[]=2&a[]=1",
      "a[b][c]=1", "", "a[b]=1&c=2", "a[b]=1&a[c]=2", "a=1&b=2", "0=1&b=2",
    } do
      texts[form.canonical(form.decode(text))] = true
    end
    for _ in pairs(texts) do count = count + 1 end
    assert.equal(16, count)
  end)
end)

describe("a request's form", function()
  local REPORT = "/v1/payment_records/report_payment"
  local BODY = "amount_requested[currency]=usd&amount_requested[value]=1000&initiated_at=1"
    .. "&payment_method_details[type]=custom"
  local client

  before_each(function()
    client = sandbox_client.new(sandbox.new())
  end)

  for _, expand in ipairs { "expand[]=a&expand[]=b", "expand[0]=a&expand[1]=b", "expand%5B%5D=a" } do
    it("may carry " .. expand, function()
      local record, response = client:post(REPORT, BODY .. "&" .. expand)
      assert.equal(200, response.status)
      assert.equal("payment_record", record.object)
    end)
  end

  it("may have its brackets escaped", function()
    local record = client:post(REPORT, (BODY:gsub("%[", "%%5B"):gsub("%]", "%%5D")))
    assert.equal(1000, record.amount_requested.value)
  end)

  it("may be in the query of a POST", function()
    local record = client:post(REPORT .. "?" .. BODY, "description=hi")
    assert.equal("hi", record.description)
    assert.equal("usd", record.amount_requested.currency)
  end)

  it("gets 400 when it cannot be read", function()
    local answer, response = client:post(REPORT, "a=%4")
    assert.equal(400, response.status)
    assert.equal("Invalid %-encoding in a=%4", answer.error.message)
  end)

  it("may name its type in any case and with a charset", function()
    local headers = { ["content-type"] = "Application/X-WWW-Form-Urlencoded; charset=utf-8", ["Content-Type"] = false }
    local _, response = client:post(REPORT, BODY, headers)
    assert.equal(200, response.status)
  end)

  for _, content_type in ipairs { "application/json", "text/plain", "application/x-www-form-urlencoded2" } do
    it("gets 400 when it is sent as " .. content_type, function()
      local answer, response = client:post(REPORT, BODY, { ["Content-Type"] = content_type })
      assert.equal(400, response.status)
      assert.matches("check that your POST content type is application/x%-www%-form%-urlencoded", answer.error.message)
    end)
  end

  it("gets 400 when it is sent without a type", function()
    local _, response = client:post(REPORT, BODY, { ["Content-Type"] = false })
    assert.equal(400, response.status)
  end)

  it("needs no type when there is no body", function()
    local record = client:pay()
    local path = "/v1/payment_records/" .. record.id .. "/report_payment_attempt_informational"
    local _, response = client:post(path, "", { ["Content-Type"] = false })
    assert.equal(200, response.status)
  end)
end)
