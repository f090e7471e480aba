"""Reads Kafka's published message definitions (JSON with comments) into the model of schema.py.

Only names, types, versions, tags, defaults and nullability are read. What no version of the message
can carry is dropped, so that two descriptions of the same bytes compare equal.
"""

import json
import os
import zipfile

from schema import NONE, Field, Message, Range, Struct, SCALARS, VARIABLE


def strip_comments(text):
    lines = []
    for line in text.split('\n'):
        inside, i = False, 0
        while i < len(line):
            if line[i] == '\\' and inside:
                i += 1
            elif line[i] == '"':
                inside = not inside
            elif not inside and line.startswith('//', i):
                line = line[:i]
                break
            i += 1
        lines.append(line)
    return '\n'.join(lines)


def parse_range(text):
    if text is None or text == 'none':
        return NONE
    return Range.parse(text)


def normal_default(field, value):
    if value is None:
        return None
    text = 'true' if value is True else 'false' if value is False else str(value)
    if field.type.startswith('int') and not field.is_array and text != 'null':
        text = str(int(text, 0))
    return None if text in ('', '0', 'false') else text


def convert_field(raw, message, versions, shared):
    field = Field(raw['name'], raw['type'])
    own = parse_range(raw.get('versions', raw.get('taggedVersions')))
    field.versions = own.cut(versions)
    if field.versions.empty():
        return None
    field.nullable = parse_range(raw.get('nullableVersions')).cut(field.versions)
    if 'tag' in raw:
        tagged = parse_range(raw.get('taggedVersions')).cut(field.versions)
        if not tagged.empty():
            field.tag, field.tagged = int(raw['tag']), tagged
    if 'default' in raw and raw['default'] is None:
        field.default = 'null'
    else:
        field.default = normal_default(field, raw.get('default'))
    field.ignorable = bool(raw.get('ignorable', False))
    field.inflexible = raw.get('flexibleVersions') == 'none'
    if raw.get('fields'):
        field.struct = convert_struct(field.type, raw['fields'], message, field.versions, shared)
    elif field.type not in SCALARS and field.type not in VARIABLE:
        field.struct = shared.get(field.type) or Struct(field.type)
    return field


def convert_struct(name, raw_fields, message, versions, shared):
    struct = Struct(name)
    for raw in raw_fields:
        field = convert_field(raw, message, versions, shared)
        if field is not None:
            struct.fields.append(field)
    return struct


def convert(raw):
    """One definition as a Message; None when no version of it is left."""
    if raw['validVersions'] == 'none':
        return None
    message = Message(raw['name'], raw['type'])
    message.key = raw.get('apiKey')
    message.versions = Range.parse(raw['validVersions'])
    message.flexible = parse_range(raw['flexibleVersions']).cut(message.versions)
    message.unstable = bool(raw.get('latestVersionUnstable', False))
    message.listeners = raw.get('listeners', [])
    shared = {}
    for common in raw.get('commonStructs', []):
        whole = parse_range(common.get('versions', '0+')).cut(message.versions)
        struct = convert_struct(common['name'], common['fields'], message, whole, shared)
        shared[common['name']] = struct
        message.structs.append(struct)
    message.body = convert_struct(raw['name'], raw['fields'], message, message.versions, shared)
    return message


def load_texts(texts):
    messages = []
    for origin, text in texts:
        raw = json.loads(strip_comments(text))
        message = convert(raw) if 'validVersions' in raw else None
        if message is not None:
            message.origin = origin
            messages.append(message)
    return sorted(messages, key=lambda message: message.name)


def jar_texts(path):
    """(artifact, text) of every definition in one jar."""
    origin = os.path.basename(path).rsplit('-', 1)[0]
    texts = []
    with zipfile.ZipFile(path) as jar:
        for entry in jar.namelist():
            if ('message/' in entry or 'metadata/' in entry) and entry.endswith('.json'):
                texts.append((origin, jar.read(entry).decode('utf-8')))
    return texts


def from_jars(folder):
    """Every definition in the Kafka jars of `folder`."""
    texts = []
    for name in sorted(os.listdir(folder)):
        if name.startswith('kafka') and name.endswith('.jar'):
            texts += jar_texts(os.path.join(folder, name))
    return load_texts(texts)


def from_maven(folder, release):
    """Every definition in the Kafka jars of a local Maven repository."""
    texts = []
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        path = os.path.join(folder, name, release, '%s-%s.jar' % (name, release))
        if os.path.exists(path):
            texts += jar_texts(path)
    return load_texts(texts)


def from_folder(folder):
    """Every definition below `folder`, as files."""
    texts = []
    for directory, _, names in os.walk(folder):
        for name in names:
            if name.endswith('.json'):
                with open(os.path.join(directory, name), encoding='utf-8') as handle:
                    texts.append((os.path.basename(directory), handle.read()))
    return load_texts(texts)


