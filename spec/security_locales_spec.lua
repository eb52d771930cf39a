--- S-09: the locale of the host program changes no byte of what is sent, and no value of what is read.

local files = require "spec.support.files"

local SOURCES = "/usr/share/i18n/locales/"

if not files.read(SOURCES .. "de_DE") then
  pending("locales: needs the sources of locales (Debian: locales)")
  return
end

describe("a locale", function()
  local directory

  setup(function()
    directory = files.temporary_directory()
    for _, name in ipairs { "de_DE", "tr_TR" } do
      files.shell(("localedef -i %s -f UTF-8 %s/%s.UTF-8 2>/dev/null"):format(name, directory, name))
    end
  end)
  teardown(function() files.remove(directory) end)

  local function output_in(locale, when)
    local output, status = files.capture(('LOCPATH=%s "$LUA" spec/security/locales.lua "%s" %s 2>&1'):format(directory,
      locale, when))
    assert(status == 0, output)
    return output
  end

  it("is another one at all: German has a decimal comma, Turkish a dotless i", function()
    local output = files.capture(([[LOCPATH=%s "$LUA" -e 'assert(os.setlocale("de_DE.UTF-8"))
      io.write(os.setlocale(nil), " ", ("%%.1f"):format(0.5))' 2>&1]]):format(directory))
    assert.matches("de_DE.UTF%-8 0[,.]5", output) -- LuaJIT prints numbers by itself
    assert.truthy(files.read(directory .. "/tr_TR.UTF-8/LC_CTYPE"))
  end)

  for _, locale in ipairs { "C.UTF-8", "de_DE.UTF-8", "tr_TR.UTF-8" } do
    for _, when in ipairs { "before", "after" } do
      it(("%s, set %s the library is loaded, changes nothing"):format(locale, when), function()
        local expected = output_in("", when)
        assert.truthy(expected:find("response.request_id=req_I", 1, true))
        assert.equal(expected, output_in(locale, when))
      end)
    end
  end
end)
