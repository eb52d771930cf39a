-- Lists and their pages.

local sandbox = require "payment_records.sandbox"
local sandbox_client = require "spec.support.sandbox_client"

describe("a list of", function()
  local client, now

  before_each(function()
    now = 1000
    client = sandbox_client.new(sandbox.new { now = function() return now end })
  end)

  local function ids(list)
    local found = {}
    for i, object in ipairs(list.data) do found[i] = object.id end
    return found
  end

  --- Elements `first` down to `last` of what was created in order.
  local function down(created, first, last)
    local slice = {}
    for i = first, last, -1 do slice[#slice + 1] = created[i] end
    return slice
  end

  describe("records", function()
    local PATH = "/v1/payment_records"
    local created

    local function create(count)
      created = {}
      for i = 1, count do
        now = 1000 + i
        created[i] = client:pay().id
      end
    end

    it("is empty at first", function()
      local list, response = client:get(PATH)
      assert.same({ object = "list", url = PATH, has_more = false, data = {} }, list)
      assert.equal('{"object":"list","url":"/v1/payment_records","has_more":false,"data":[]}', response.body)
    end)

    it("has the newest first, ten on a page", function()
      create(11)
      local list = client:get(PATH)
      assert.same(down(created, 11, 2), ids(list))
      assert.is_true(list.has_more)
      assert.equal("payment_record", list.data[1].object)
    end)

    it("has up to a hundred on a page", function()
      create(100)
      local list = client:get(PATH, { limit = 100 })
      assert.same(down(created, 100, 1), ids(list))
      assert.is_false(list.has_more)
    end)

    it("goes on after an id, until nothing is left", function()
      create(5)
      local page = client:get(PATH, { limit = 2, starting_after = created[4] })
      assert.same(down(created, 3, 2), ids(page))
      assert.is_true(page.has_more)
      page = client:get(PATH, { limit = 2, starting_after = created[2] })
      assert.same(down(created, 1, 1), ids(page))
      assert.is_false(page.has_more)
      assert.same({}, ids(client:get(PATH, { starting_after = created[1] })))
    end)

    it("goes back before an id, with the page next to it", function()
      create(5)
      local page = client:get(PATH, { limit = 2, ending_before = created[1] })
      assert.same(down(created, 3, 2), ids(page))
      assert.is_true(page.has_more)
      page = client:get(PATH, { limit = 2, ending_before = created[3] })
      assert.same(down(created, 5, 4), ids(page))
      assert.is_false(page.has_more)
    end)

    it("is not disturbed by records that are created between two pages", function()
      create(4)
      local cursor = client:get(PATH, { limit = 2 }).data[2].id
      client:pay()
      assert.same(down(created, 2, 1), ids(client:get(PATH, { limit = 2, starting_after = cursor })))
    end)

    it("may be limited to what was created after or before a time", function()
      create(5)
      assert.same(down(created, 5, 4), ids(client:get(PATH, { created_after = 1003 })))
      assert.same(down(created, 2, 1), ids(client:get(PATH, { created_before = 1003 })))
      local page = client:get(PATH, { created_after = 1001, created_before = 1005, limit = 2 })
      assert.same(down(created, 4, 3), ids(page))
      assert.is_true(page.has_more)
      page = client:get(PATH, { created_after = 1001, created_before = 1005, limit = 2, starting_after = created[3] })
      assert.same(down(created, 2, 2), ids(page))
      assert.is_false(page.has_more)
    end)

    for _, name in ipairs { "starting_after", "ending_before" } do
      it("is refused when " .. name .. " is unknown", function()
        local answer, response = client:get(PATH, { [name] = "pr_unknown" })
        assert.equal(400, response.status)
        assert.equal("resource_missing", answer.error.code)
        assert.equal(name, answer.error.param)
        assert.equal("No such payment record: 'pr_unknown'", answer.error.message)
      end)
    end
  end)

  describe("attempts", function()
    local PATH = "/v1/payment_attempt_records"
    local record, created

    before_each(function()
      record = client:pay()
      created = { record.latest_payment_attempt_record }
      for i = 2, 4 do
        client:report(record.id, "report_payment_attempt_failed", { failed_at = 1 })
        local retried = client:report(record.id, "report_payment_attempt", { initiated_at = 1 })
        created[i] = retried.latest_payment_attempt_record
      end
    end)

    it("has those of one record, the newest first", function()
      client:pay()
      local list = client:get(PATH, { payment_record = record.id })
      assert.same(down(created, 4, 1), ids(list))
      assert.is_false(list.has_more)
      assert.equal("list", list.object)
      assert.equal(PATH, list.url)
      assert.equal("payment_attempt_record", list.data[1].object)
    end)

    it("goes on after an id", function()
      local page = client:get(PATH, { payment_record = record.id, limit = 2 })
      assert.same(down(created, 4, 3), ids(page))
      assert.is_true(page.has_more)
      page = client:get(PATH, { payment_record = record.id, limit = 2, starting_after = created[3] })
      assert.same(down(created, 2, 1), ids(page))
      assert.is_false(page.has_more)
    end)

    it("is 404 for a record that does not exist", function()
      local answer, response = client:get(PATH, { payment_record = "pr_unknown" })
      assert.equal(404, response.status)
      assert.equal("resource_missing", answer.error.code)
      assert.equal("payment_record", answer.error.param)
    end)

    it("is refused when starting_after is not an attempt of the record", function()
      local other = client:pay().latest_payment_attempt_record
      for _, cursor in ipairs { "par_unknown", other } do
        local answer, response = client:get(PATH, { payment_record = record.id, starting_after = cursor })
        assert.equal(400, response.status)
        assert.equal("resource_missing", answer.error.code)
        assert.equal("starting_after", answer.error.param)
      end
    end)
  end)
end)
