"""Reads the schema notation of protocol/schema/ into a model.

The notation, line by line ('#' starts a comment):

    api 3 Metadata                  the API's key and name; the file then has request and response
    record metadata 2 TopicRecord   any other message: its family, its type in that family, its name
    listeners broker controller     where the API is served (api only)
    versions 0-13                   versions that are described and can be encoded and decoded
    flexible 9+                     versions with compact lengths and tagged sections; absent: none
    unstable 6                      versions from here on are described, but not advertised
    advertise 0-13                  range told to clients, where it is not the stable versions
    request { ... }                 fields of the request; likewise 'response {' and 'fields {'

A field is one line: name, type, then in this order and all optional

    10+ or 8-10      versions that have it (default: all that the message has)
    null 1+          versions in which null is possible; 'null' alone: all that the field has
    tag 0 12+        tag and the versions in which it is tagged; 'tag 0' alone: all of the field's
    default -1       value where it is absent; without: 0, false, zero uuid, empty
    ignorable        a value that a version cannot carry is dropped silently
    inflexible       never in the compact form (one field of the request header)
    {                the fields of its struct follow, up to '}'

Types are bool, int8, int16, uint16, int32, uint32, int64, float64, uuid, string, bytes, records, a
struct name, and an array of one of them ('[]int32'). A struct that is used twice is written ahead of
the fields as 'struct Name { ... }'.
"""

import os
import re

SCALARS = {
    'bool': 1, 'int8': 1, 'int16': 2, 'uint16': 2, 'int32': 4, 'uint32': 4, 'int64': 8,
    'float64': 8, 'uuid': 16,
}
VARIABLE = ('string', 'bytes', 'records')
VERSIONS = re.compile(r'^(\d+)(?:(\+)|-(\d+))?$')
OPEN = 32767  # "and all later ones"


class SchemaError(Exception):
    pass


class Range:
    """Versions low to high, both included; empty when low > high."""

    def __init__(self, low, high):
        self.low, self.high = low, high

    @staticmethod
    def parse(text):
        match = VERSIONS.match(text)
        if not match:
            raise SchemaError('not a version range: %s' % text)
        low = int(match.group(1))
        if match.group(2):
            return Range(low, OPEN)
        return Range(low, int(match.group(3) or low))

    def cut(self, other):
        return Range(max(self.low, other.low), min(self.high, other.high))

    def minus(self, other):
        """What is left of self; `other` must cut off one end or nothing."""
        cut = self.cut(other)
        if cut.empty():
            return self
        if cut.low == self.low:
            return Range(cut.high + 1, self.high)
        if cut.high == self.high:
            return Range(self.low, cut.low - 1)
        raise SchemaError('a range with a hole')

    def empty(self):
        return self.low > self.high

    def __contains__(self, version):
        return self.low <= version <= self.high

    def __eq__(self, other):
        return (self.empty() and other.empty()) or \
            (self.low, self.high) == (other.low, other.high)

    def __hash__(self):
        return hash((self.low, self.high))

    def __repr__(self):
        return 'none' if self.empty() else '%d-%d' % (self.low, self.high)


NONE = Range(1, 0)


class Field:
    def __init__(self, name, type_name):
        self.name = name
        self.is_array = type_name.startswith('[]')
        self.type = type_name[2:] if self.is_array else type_name
        self.versions = None   # all versions that have it, tagged or not
        self.nullable = NONE
        self.tag = None
        self.tagged = NONE
        self.default = None    # text, or None
        self.ignorable = False
        self.inflexible = False
        self.struct = None     # Struct, when type names one
        self.is_inline = False  # the struct is written in place, so that only this field uses it

    @property
    def plain(self):
        """Versions that have it as an ordinary field."""
        return self.versions.minus(self.tagged)

    @property
    def is_scalar(self):
        return not self.is_array and self.type in SCALARS

    @property
    def is_pointer(self):
        """A struct that can be null."""
        return self.struct is not None and not self.is_array and not self.nullable.empty()


class Struct:
    def __init__(self, name):
        self.name = name
        self.fields = []


class Message:
    def __init__(self, name, kind):
        self.name = name
        self.kind = kind          # request, response, or a record's family
        self.key = None           # API key or record type
        self.versions = None
        self.flexible = NONE
        self.body = Struct(name)
        self.structs = []         # inner first, the body last

    def shared(self, name):
        for struct in self.structs:
            if struct.name == name:
                return struct
        return None


class File:
    """One schema file: an API with its two messages, or one record."""

    def __init__(self, path):
        self.path = path
        self.stem = os.path.splitext(os.path.basename(path))[0]
        self.folder = os.path.basename(os.path.dirname(path))
        self.is_api = False
        self.key = None
        self.name = None
        self.kind = None
        self.listeners = []
        self.versions = None
        self.flexible = NONE
        self.unstable = None
        self.advertise = None
        self.messages = []

    @property
    def stable(self):
        if self.unstable is None:
            return self.versions
        return Range(self.versions.low, self.unstable - 1)


class Parser:
    def __init__(self, path, text):
        self.file = File(path)
        self.lines = text.split('\n')
        self.at = 0
        self.message = None

    def fail(self, problem):
        raise SchemaError('%s:%d: %s' % (self.file.path, self.at, problem))

    def next_line(self):
        """The words of the next line that has any, or None at the end."""
        while self.at < len(self.lines):
            line = self.lines[self.at].split('#')[0].split()
            self.at += 1
            if line:
                return line
        return None

    def parse(self):
        try:
            words = self.next_line()
            while words is not None:
                self.statement(words)
                words = self.next_line()
        except SchemaError as error:
            if str(error).startswith(self.file.path):
                raise
            self.fail(str(error))
        if not self.file.messages:
            self.fail('no message')
        return self.file

    def statement(self, words):
        file = self.file
        if words[0] == 'api':
            file.is_api, file.key, file.name = True, int(words[1]), words[2]
        elif words[0] == 'record':
            file.kind, file.name = words[1], words[-1]
            file.key = int(words[2]) if len(words) == 4 else None
        elif words[0] == 'listeners':
            file.listeners = words[1:]
        elif words[0] == 'versions':
            file.versions = Range.parse(words[1])
        elif words[0] == 'flexible':
            file.flexible = Range.parse(words[1]).cut(file.versions)
        elif words[0] == 'unstable':
            file.unstable = int(words[1])
        elif words[0] == 'advertise':
            file.advertise = Range.parse(words[1])
        elif words[0] in ('request', 'response', 'fields') and words[1:] == ['{']:
            self.block(words[0])
        else:
            self.fail('unknown statement %s' % words[0])

    def block(self, word):
        file = self.file
        if word == 'fields':
            message = Message(file.name, file.kind)
        else:
            message = Message(file.name + word.capitalize(), word)
        message.key, message.versions = file.key, file.versions
        message.flexible = file.flexible
        self.message = message
        self.fields(message.body, message.versions)
        message.structs.append(message.body)
        file.messages.append(message)

    def fields(self, struct, versions):
        while True:
            words = self.next_line()
            if words is None:
                self.fail('the file ends inside a block')
            if words == ['}']:
                return
            if words[0] == 'struct' and words[2:] == ['{']:
                shared = Struct(words[1])
                self.fields(shared, self.message.versions)
                self.message.structs.append(shared)
            else:
                struct.fields.append(self.field(words, versions))

    def field(self, words, versions):
        field = Field(words[0], words[1])
        words = words[2:]

        def take_range(otherwise):
            if words and VERSIONS.match(words[0]):
                return Range.parse(words.pop(0)).cut(self.message.versions)
            return otherwise

        field.versions = take_range(versions).cut(versions)
        while words:
            word = words.pop(0)
            if word == 'null':
                field.nullable = take_range(field.versions)
            elif word == 'tag':
                field.tag = int(words.pop(0))
                field.tagged = take_range(field.versions.cut(self.message.flexible))
            elif word == 'default':
                field.default = words.pop(0)
            elif word == 'ignorable':
                field.ignorable = True
            elif word == 'inflexible':
                field.inflexible = True
            elif word == '{' and not words:
                field.struct, field.is_inline = Struct(field.type), True
                self.fields(field.struct, field.versions)
                self.message.structs.append(field.struct)
            else:
                self.fail('unknown word %s' % word)
        self.check(field)
        return field

    def check(self, field):
        if field.struct is None and field.type not in SCALARS and field.type not in VARIABLE:
            field.struct = self.message.shared(field.type)
            if field.struct is None:
                self.fail('unknown type %s' % field.type)
        if field.versions.empty():
            self.fail('%s is in no version' % field.name)
        if not field.nullable.empty() and field.is_scalar:
            self.fail('%s cannot be null' % field.name)
        if field.default == 'null' and field.nullable.empty():
            self.fail('%s is null by default but never null' % field.name)
        if field.is_pointer and field.default != 'null':
            self.fail('%s: a struct that can be null is null by default' % field.name)


def load_file(path):
    with open(path, encoding='utf-8') as handle:
        return Parser(path, handle.read()).parse()


def schema_paths(folder):
    """All schema files below `folder`, in an order that does not depend on the machine."""
    found = []
    for directory, _, names in os.walk(folder):
        found += [os.path.join(directory, name) for name in names if name.endswith('.schema')]
    return sorted(found)


def load_folder(folder):
    return [load_file(path) for path in schema_paths(folder)]
