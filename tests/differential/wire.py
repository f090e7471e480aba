"""A second, independent codec for Kafka's protocol, driven by protocol/schema at run time.

Messages are dictionaries by Kafka's field names. Nothing here is shared with the C code but the
schema files, so a mistake in the generated codec does not repeat itself here.
"""

import contextlib
import ctypes
import itertools
import os
import socket
import struct
import sys
import uuid

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "protocol", "generator"))
import schema  # noqa: E402

FORMATS = {"bool": ">?", "int8": ">b", "int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I",
           "int64": ">q", "float64": ">d"}


class Malformed(Exception):
    pass


def default_of(field, version):
    if field.is_array:
        return None if field.default == "null" and version in field.nullable else []
    if field.default == "null":
        return None
    if field.type in ("string", "bytes", "records"):
        text = (field.default or "").strip('"')
        return text if field.type == "string" else text.encode()
    if field.type == "uuid":
        return uuid.UUID(int=0)
    if field.type == "bool":
        return field.default == "true"
    if field.type in FORMATS:
        number = field.default or "0"
        return float(number) if field.type == "float64" else int(number, 0)
    return {inner.name: default_of(inner, version) for inner in field.struct.fields}


class Writer:
    def __init__(self):
        self.parts = []

    def put(self, kind, value):
        self.parts.append(struct.pack(FORMATS[kind], value))

    def uvarint(self, value):
        out = bytearray()
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        out.append(value)
        self.parts.append(bytes(out))

    def bytes(self):
        return b"".join(self.parts)

    def length(self, size, flexible, kind):
        if flexible:
            self.uvarint(0 if size is None else size + 1)
        else:
            self.put(kind, -1 if size is None else size)

    def value(self, field, value, version, flexible):
        if field.type in FORMATS:
            self.put(field.type, value)
        elif field.type == "uuid":
            self.parts.append(value.bytes)
        elif field.type in ("string", "bytes", "records"):
            raw = value.encode() if isinstance(value, str) else value
            kind = "int16" if field.type == "string" else "int32"
            self.length(None if raw is None else len(raw), flexible and not field.inflexible, kind)
            self.parts.append(raw or b"")
        else:
            if field.is_pointer and not field.is_array:
                self.put("int8", -1 if value is None else 1)
                if value is None:
                    return
            self.fields(field.struct, value, version, flexible)

    def field(self, field, value, version, flexible):
        if field.is_array:
            self.length(None if value is None else len(value), flexible, "int32")
            for item in value or []:
                self.value(field, item, version, flexible)
        else:
            self.value(field, value, version, flexible)

    def fields(self, body, values, version, flexible):
        # Kafka writes some names with a small first letter; callers need not know which.
        lower = {field.name for field in body.fields if field.name[0].islower()}
        values = {name[0].lower() + name[1:] if name[0].lower() + name[1:] in lower else name: value
                  for name, value in values.items()}
        unknown = set(values) - {field.name for field in body.fields}
        if unknown:
            raise KeyError(f"{body.name} has no {sorted(unknown)}")
        tagged = []
        for field in body.fields:
            value = values.get(field.name, default_of(field, version))
            if version in field.tagged:
                if value != default_of(field, version):
                    tagged.append((field, value))
            elif version in field.plain:
                self.field(field, value, version, flexible)
        if flexible:
            self.uvarint(len(tagged))
            for field, value in sorted(tagged, key=lambda pair: pair[0].tag):
                inner = Writer()
                inner.field(field, value, version, flexible)
                content = inner.bytes()
                self.uvarint(field.tag)
                self.uvarint(len(content))
                self.parts.append(content)


class Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, size):
        if size < 0 or self.at + size > len(self.data):
            raise Malformed(f"{size} bytes wanted at {self.at} of {len(self.data)}")
        self.at += size
        return self.data[self.at - size:self.at]

    def get(self, kind):
        return struct.unpack(FORMATS[kind], self.take(struct.calcsize(FORMATS[kind])))[0]

    def uvarint(self):
        value = 0
        for shift in range(0, 35, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise Malformed("a number of more than five bytes")

    def length(self, flexible, kind):
        return self.uvarint() - 1 if flexible else self.get(kind)

    def value(self, field, version, flexible):
        if field.type in FORMATS:
            return self.get(field.type)
        if field.type == "uuid":
            return uuid.UUID(bytes=self.take(16))
        if field.type in ("string", "bytes", "records"):
            kind = "int16" if field.type == "string" else "int32"
            size = self.length(flexible and not field.inflexible, kind)
            if size < 0:
                return None
            raw = self.take(size)
            return raw.decode() if field.type == "string" else raw
        if field.is_pointer and not field.is_array and self.get("int8") < 0:
            return None
        return self.fields(field.struct, version, flexible)

    def field(self, field, version, flexible):
        if not field.is_array:
            return self.value(field, version, flexible)
        count = self.length(flexible, "int32")
        if count < 0:
            return None
        return [self.value(field, version, flexible) for _ in range(count)]

    def fields(self, body, version, flexible):
        values = {}
        for field in body.fields:
            if version in field.plain:
                values[field.name] = self.field(field, version, flexible)
            elif version in field.versions:
                values[field.name] = default_of(field, version)
        if flexible:
            by_tag = {field.tag: field for field in body.fields if version in field.tagged}
            for _ in range(self.uvarint()):
                tag = self.uvarint()
                inner = Reader(self.take(self.uvarint()))
                if tag in by_tag:
                    values[by_tag[tag].name] = inner.field(by_tag[tag], version, flexible)
                else:
                    values[f"tag {tag}"] = inner.data
        return values


APIS = {file.name: file for file in schema.load_folder(os.path.join(ROOT, "protocol", "schema"))
        if file.is_api}


class Closed(Exception):
    """The broker closed the connection instead of answering."""


class Connection:
    """One connection to a broker; `call` sends a request and waits for its answer."""

    def __init__(self, port, client_id="differential", timeout_s=60):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.client_id = client_id
        self.correlation = itertools.count(1)

    def close(self):
        self.socket.close()

    def raw(self, data):
        self.socket.sendall(data)

    def receive(self, size):
        data = b""
        while len(data) < size:
            try:
                more = self.socket.recv(size - len(data))
            except ConnectionError:
                more = b""
            if not more:
                raise Closed()
            data += more
        return data

    def frame(self, name, version, values):
        """The bytes of a request, with its size in front; returns (bytes, correlation id)."""
        api = APIS[name]
        request = api.messages[0]
        flexible = version in request.flexible
        writer = Writer()
        number = next(self.correlation)
        client = self.client_id.encode()
        writer.parts.append(struct.pack(">hhih", api.key, version, number, len(client)) + client)
        if flexible:
            writer.uvarint(0)
        writer.fields(request.body, values, version, flexible)
        body = writer.bytes()
        return struct.pack(">i", len(body)) + body, number

    def send(self, name, version, values):
        data, number = self.frame(name, version, values)
        self.raw(data)
        return number

    def answer(self, name, version):
        api = APIS[name]
        response = api.messages[1]
        size = struct.unpack(">i", self.receive(4))[0]
        reader = Reader(self.receive(size))
        number = reader.get("int32")
        flexible = version in response.flexible
        if flexible and name != "ApiVersions" and reader.uvarint() != 0:
            raise Malformed("tags in a response header")
        values = reader.fields(response.body, version, flexible)
        if reader.at != len(reader.data):
            raise Malformed(f"{name} v{version}: {len(reader.data) - reader.at} bytes are left")
        return number, values

    def call(self, name, version, values=None):
        number = self.send(name, version, values or {})
        answered, response = self.answer(name, version)
        if answered != number:
            raise Malformed(f"answer {answered} to request {number}")
        return response


CRC_TABLE = []
for _byte in range(256):
    _crc = _byte
    for _ in range(8):
        _crc = (_crc >> 1) ^ (0x82F63B78 if _crc & 1 else 0)
    CRC_TABLE.append(_crc)


def crc32c_of_bytes(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def quick_crc32c():
    """The same from a library, where that is there and says the same: a megabyte by bytes takes a tenth of a
    second."""
    with contextlib.suppress(OSError, AttributeError):
        of_library = ctypes.CDLL("libisal.so.2").crc32_iscsi
        of_library.restype = ctypes.c_uint32
        of_library.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_uint32]

        def quick(data):
            return of_library(data, len(data), 0xFFFFFFFF) ^ 0xFFFFFFFF

        if all(quick(text) == crc32c_of_bytes(text) for text in (b"", b"123456789", bytes(range(256)) * 3)):
            return quick
    return crc32c_of_bytes


crc32c = quick_crc32c()


def varint(value):
    value = (value << 1) ^ (value >> 63)
    writer = Writer()
    writer.uvarint(value & 0xFFFFFFFFFFFFFFFF)
    return writer.bytes()


def record(offset_delta, key, value, timestamp_delta=0, headers=()):
    def sized(data):
        return varint(-1) if data is None else varint(len(data)) + data

    body = b"\0" + varint(timestamp_delta) + varint(offset_delta) + sized(key) + sized(value)
    body += varint(len(headers))
    for name, content in headers:
        body += sized(name) + sized(content)
    return varint(len(body)) + body


def batch(records, timestamp, attributes=0, producer=(-1, -1, -1), base_offset=0, count=None,
          delta=None, max_timestamp=None, magic=2, crc=None, epoch=-1, length=None):
    """A record batch; each keyword overrides a header field so that it can lie."""
    count = len(records) if count is None else count
    delta = max(count - 1, 0) if delta is None else delta
    max_timestamp = timestamp if max_timestamp is None else max_timestamp
    body = struct.pack(">hiqqqhii", attributes, delta, timestamp, max_timestamp, producer[0],
                       producer[1], producer[2], count) + b"".join(records)
    crc = crc32c(body) if crc is None else crc
    rest = struct.pack(">ibI", epoch, magic, crc) + body
    return struct.pack(">qi", base_offset, len(rest) if length is None else length) + rest
