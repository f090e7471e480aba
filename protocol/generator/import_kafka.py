#!/usr/bin/env python3
"""Writes schema files from Kafka's published definitions: a starting point for a new Kafka release.

    import_kafka.py <folder of jars or of JSON files> <schema folder>

Comments in existing files are lost; look at the difference before keeping it. Definitions of tiered
storage's metadata topic are left out.
"""

import os
import sys

import kafka_definitions
from names import snake
from schema import OPEN

FOLDERS = {
    'kafka-group-coordinator': 'group', 'kafka-transaction-coordinator': 'transaction',
    'kafka-share-coordinator': 'share', 'kafka-metadata': 'metadata', 'kafka-raft': 'file',
    'kafka-storage': 'file',
}
CONTROL = ('LeaderChangeMessage', 'SnapshotHeaderRecord', 'SnapshotFooterRecord',
           'KRaftVersionRecord', 'VotersRecord', 'EndTxnMarker')
LEFT_OUT = ('RemoteLogSegmentMetadata', 'RemotePartitionDeleteMetadata')
# Kafka answers ApiVersions with versions that it does not serve, for old librdkafka.
ADVERTISE = {'Produce': '0-13'}


def range_text(versions, whole):
    if versions.high >= min(whole.high, OPEN) and versions.low < versions.high or \
            versions.high == whole.high:
        return '%d+' % versions.low
    if versions.low == versions.high:
        return '%d' % versions.low
    return '%d-%d' % (versions.low, versions.high)


def field_lines(field, message, outer, depth, lines):
    words = [field.name, ('[]' if field.is_array else '') + field.type]
    if field.versions != outer:
        words.append(range_text(field.versions, message.versions))
    if not field.nullable.empty():
        words.append('null')
        if field.nullable != field.versions:
            words.append(range_text(field.nullable, message.versions))
    if field.tag is not None:
        words += ['tag', str(field.tag)]
        if field.tagged != field.versions.cut(message.flexible):
            words.append(range_text(field.tagged, message.versions))
    if field.default is not None:
        words += ['default', field.default]
    if field.ignorable:
        words.append('ignorable')
    if field.inflexible:
        words.append('inflexible')
    shared = [struct.name for struct in message.structs]
    indent = '    ' * depth
    if field.struct is None or field.struct.name in shared:
        lines.append(indent + ' '.join(words))
        return
    lines.append(indent + ' '.join(words) + ' {')
    for inner in field.struct.fields:
        field_lines(inner, message, field.versions, depth + 1, lines)
    lines.append(indent + '}')


def inner_first(structs):
    """Each struct behind those that it uses."""
    ordered = []

    def add(struct):
        if struct.name in (other.name for other in ordered):
            return
        for field in struct.fields:
            for other in structs:
                if field.type == other.name:
                    add(other)
        ordered.append(struct)

    for struct in structs:
        add(struct)
    return ordered


def block_lines(word, message, lines):
    lines += ['', word + ' {']
    for struct in inner_first(message.structs):
        lines.append('    struct %s {' % struct.name)
        for field in struct.fields:
            field_lines(field, message, message.versions, 2, lines)
        lines.append('    }')
    for field in message.body.fields:
        field_lines(field, message, message.versions, 1, lines)
    lines.append('}')


def range_lines(message, lines):
    low, high = message.versions.low, message.versions.high
    lines.append('versions %d-%d' % (low, high) if low != high else 'versions %d' % low)
    if not message.flexible.empty():
        lines.append('flexible %d+' % message.flexible.low)


def api_lines(request, response):
    name = request.name[:-len('Request')]
    if request.versions != response.versions or request.flexible != response.flexible:
        raise SystemExit('%s: request and response differ in versions' % name)
    lines = ['api %d %s' % (request.key, name), 'listeners ' + ' '.join(sorted(request.listeners))]
    range_lines(request, lines)
    if request.unstable:
        lines.append('unstable %d' % request.versions.high)
    if name in ADVERTISE:
        lines.append('advertise ' + ADVERTISE[name])
    block_lines('request', request, lines)
    block_lines('response', response, lines)
    return name, lines


def record_lines(message):
    key = [] if message.key is None else [str(message.key)]
    lines = [' '.join(['record', message.kind] + key + [message.name])]
    range_lines(message, lines)
    block_lines('fields', message, lines)
    return lines


def record_folder(message):
    if message.origin in FOLDERS:
        return FOLDERS[message.origin]
    if message.kind == 'header':
        return 'header'
    return 'control' if message.name in CONTROL else 'data'


def write(root, folder, name, lines):
    os.makedirs(os.path.join(root, folder), exist_ok=True)
    with open(os.path.join(root, folder, snake(name) + '.schema'), 'w', encoding='utf-8') as out:
        out.write('\n'.join(lines) + '\n')


def main():
    source, root = sys.argv[1:]
    jars = [name for name in os.listdir(source) if name.endswith('.jar')]
    read = kafka_definitions.from_jars if jars else kafka_definitions.from_folder
    messages = read(source)
    by_name = {message.name: message for message in messages}
    for message in messages:
        if message.kind == 'request':
            response = by_name[message.name[:-len('Request')] + 'Response']
            name, lines = api_lines(message, response)
            write(root, 'api', name, lines)
        elif message.kind != 'response' and not message.name.startswith(LEFT_OUT):
            write(root, record_folder(message), message.name, record_lines(message))


if __name__ == '__main__':
    main()
