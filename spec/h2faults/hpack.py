"""Header compression for HTTP/2 (RFC 7541), as much as a test server needs: requests are decoded,
answers are written without any compression."""

# Its code is canonical: the characters by the length of their code, in the order of the codes. What
# is not printable, but for the NUL, has longer ones, and is in no request.
CHARACTERS = {
    5: "012aceiost",
    6: " %-./3456789=A_bdfghlmnpru",
    7: ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz",
    8: "&*,;XZ",
    10: '!"()?',
    11: "'+|",
    12: "#>",
    13: "\0$@[]~",
    14: "^}",
    15: "<`{",
}

# Without the one value that has a space, which nobody sends.
STATIC_TABLE = [tuple(line.partition("=")[::2]) for line in """
:authority :method=GET :method=POST :path=/ :path=/index.html :scheme=http :scheme=https :status=200
:status=204 :status=206 :status=304 :status=400 :status=404 :status=500 accept-charset
accept-encoding accept-language accept-ranges accept access-control-allow-origin
age allow authorization cache-control content-disposition content-encoding content-language
content-length content-location content-range content-type cookie date etag expect expires from host
if-match if-modified-since if-none-match if-range if-unmodified-since last-modified link location
max-forwards proxy-authenticate proxy-authorization range referer refresh retry-after server
set-cookie strict-transport-security transfer-encoding user-agent vary via www-authenticate
""".split()]


def make_codes():
    codes, code, last = {}, 0, 0
    for length, characters in CHARACTERS.items():
        code <<= length - last
        for character in characters:
            codes[length, code] = character
            code += 1
        last = length
    return codes


CODES = make_codes()


def plain(data):
    """The text that these bytes are the Huffman code of; the padding is a code too long to be there."""
    text, code, length = "", 0, 0
    for byte in data:
        for bit in range(7, -1, -1):
            code, length = code << 1 | byte >> bit & 1, length + 1
            if (length, code) in CODES:
                text += CODES[length, code]
                code = length = 0
    return text


class Decoder:
    """Of the header blocks of one connection, in their order."""

    def __init__(self):
        self.table = []  # the dynamic one, the newest first
        self.limit = 4096

    def decode(self, block):
        self.block, self.place = block, 0
        fields = []
        while self.place < len(block):
            field = self.field(block[self.place])
            if field:
                fields.append(field)
        return fields

    def field(self, first):
        """The next field. None: it was a change of the table's size."""
        if first & 0x80:
            return self.indexed(self.integer(7))
        if first & 0xE0 == 0x20:
            self.limit = self.integer(5)
            return self.evict()
        index = self.integer(6 if first & 0x40 else 4)
        name = self.indexed(index)[0] if index else self.text()
        field = (name, self.text())
        if first & 0x40:
            self.table.insert(0, field)
            self.evict()
        return field

    def indexed(self, index):
        return (STATIC_TABLE + self.table)[index - 1]

    def evict(self):
        while sum(len(name) + len(value) + 32 for name, value in self.table) > self.limit:
            self.table.pop()

    def integer(self, prefix):
        most = (1 << prefix) - 1
        value, shift = self.block[self.place] & most, 0
        self.place += 1
        while value >= most and (shift == 0 or self.block[self.place - 1] & 0x80):
            value += (self.block[self.place] & 0x7F) << shift
            self.place, shift = self.place + 1, shift + 7
        return value

    def text(self):
        is_coded = self.block[self.place] & 0x80
        length = self.integer(7)
        data = self.block[self.place : self.place + length]
        self.place += length
        return plain(data) if is_coded else data.decode("utf-8", "surrogateescape")


def encode_integer(value):
    """With a prefix of seven bits."""
    if value < 127:
        return bytes([value])
    encoded, value = b"\x7f", value - 127
    while value > 127:
        encoded, value = encoded + bytes([value & 127 | 128]), value >> 7
    return encoded + bytes([value])


def encode(fields):
    """Literals, which need no table and no Huffman code."""
    block = b""
    for pair in fields:
        block += b"\0"
        for text in (str(pair[0]).lower().encode(), str(pair[1]).encode()):
            block += encode_integer(len(text)) + text
    return block
