#!/usr/bin/env python3
"""Compares our schemas with Kafka's published definitions, field by field and version by version.

Looks for Kafka's jars of the release that the schemas describe (KLAMM_KAFKA_LIBS, the local Maven
repository, kafka/libs beside the clone). Where there are none, an older set of definitions does
(KLAMM_KAFKA_MESSAGES, or shared/reference/kafka-messages beside the clone): then only what both
describe is compared. With neither, the check is skipped (exit status 77).
"""

import os
import sys

import kafka_definitions
from generate import SCHEMA
from schema import load_folder

RELEASE = '4.2.0'
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SKIPPED = 77

# Kafka messages that we do not describe, by the beginning of their names, and why.
LEFT_OUT = {
    'RemoteLogSegmentMetadata': 'topic of tiered storage, which Klamm does not have',
    'RemotePartitionDeleteMetadata': 'the same',
}

# Differences from the release that are meant: message, what differs, why.
MEANT = {}

# Differences from older definitions: message and why.
OLDER = {
    'ConsumerGroupMetadataValue': 'MetadataHash joined version 0, tagged',
    'OffsetCommitValue': 'version 4 was not there yet',
    'ReadShareGroupStateSummaryResponse': 'LeaderEpoch joined version 0',
    'ShareGroupMetadataValue': 'share groups were early access',
    'ShareGroupStatePartitionMetadataValue': 'the same',
    'ShareSnapshotValue': 'the same',
    'ShareUpdateValue': 'the same',
    'TransactionLogValue': 'NextProducerEpoch joined version 1, tagged',
    'VoteRequest': 'candidate became replica in field names',
}


def beside(*parts):
    return os.path.join(os.path.dirname(ROOT), *parts)


def find_jars():
    """A folder of jars, or None."""
    for folder in (os.environ.get('KLAMM_KAFKA_LIBS'), beside('kafka', 'libs')):
        if folder and os.path.exists(os.path.join(folder, 'kafka-clients-%s.jar' % RELEASE)):
            return folder
    return None


def load_published():
    """(messages, whether they are of our release), or None."""
    jars = find_jars()
    if jars:
        return kafka_definitions.from_jars(jars), True
    maven = os.path.expanduser('~/.m2/repository/org/apache/kafka')
    messages = kafka_definitions.from_maven(maven, RELEASE)
    if messages:
        return messages, True
    for folder in (os.environ.get('KLAMM_KAFKA_MESSAGES'),
                   beside('shared', 'reference', 'kafka-messages')):
        if folder and os.path.isdir(folder):
            return kafka_definitions.from_folder(folder), False
    return None


def layout(struct, version, flexible, path=''):
    """What is on the wire in a version: plain fields in order, then tagged ones by tag."""
    rows = []
    for field in struct.fields:
        if version not in field.versions:
            continue
        here = path + field.name
        tag = field.tag if version in field.tagged else None
        rows.append((here, ('[]' if field.is_array else '') + field.type,
                     'null' if version in field.nullable else '',
                     '' if tag is None else 'tag %d' % tag,
                     'default %s' % field.default if field.default is not None else '',
                     'ignorable' if field.ignorable else '',
                     'inflexible' if field.inflexible or version not in flexible else ''))
        if field.struct is not None:
            rows += layout(field.struct, version, flexible, here + '.')
    return sorted(rows, key=lambda row: (row[3] != '', 0))


def resolve(message):
    """Points uses of shared structs at their definitions."""
    shared = {struct.name: struct for struct in message.structs}

    def walk(struct):
        for field in struct.fields:
            if field.struct is not None:
                field.struct = shared.get(field.struct.name, field.struct) \
                    if not field.struct.fields else field.struct
                walk(field.struct)

    for struct in message.structs:
        walk(struct)
    walk(message.body)


def compare_layouts(ours, theirs, exact, report):
    both = ours.versions.cut(theirs.versions)
    for version in range(both.low, both.high + 1):
        mine = layout(ours.body, version, ours.flexible)
        other = layout(theirs.body, version, theirs.flexible)
        if not exact:
            # Names of structs and fields, defaults and 'ignorable' may change between releases.
            mine, other = [row[:4] for row in mine], [row[:4] for row in other]
        for row in mine:
            if row not in other:
                report('v%d: ours alone: %s' % (version, ' '.join(row)))
        for row in other:
            if row not in mine:
                report('v%d: Kafka alone: %s' % (version, ' '.join(row)))
        if sorted(mine) == sorted(other) and mine != other:
            report('v%d: another order' % version)


def compare(ours, theirs, file, exact, report):
    if ours.key != theirs.key and (exact or theirs.key is not None):
        report('key %s, Kafka has %s' % (ours.key, theirs.key))
    if exact:
        if ours.versions != theirs.versions:
            report('versions %r, Kafka has %r' % (ours.versions, theirs.versions))
        if ours.kind == 'request':
            unstable = file.unstable is not None
            if unstable != theirs.unstable or (unstable and file.unstable != theirs.versions.high):
                report('the unstable version differs')
            if sorted(file.listeners) != sorted(theirs.listeners):
                report('listeners %s, Kafka has %s' % (file.listeners, theirs.listeners))
    compare_layouts(ours, theirs, exact, report)


def main():
    published = load_published()
    if published is None:
        print('skipped: no definitions of Kafka found; set KLAMM_KAFKA_LIBS to its jars')
        return SKIPPED
    messages, exact = published
    theirs = {message.name: message for message in messages}
    ours = {}
    for file in load_folder(SCHEMA):
        for message in file.messages:
            ours[message.name] = (message, file)
    problems = []
    compared = 0
    for name in sorted(set(ours) | set(theirs)):
        def report(text, name=name):
            if name not in (MEANT if exact else OLDER):
                problems.append('%s: %s' % (name, text))
        if name not in ours:
            if exact and not name.startswith(tuple(LEFT_OUT)):
                report('not described')
        elif name not in theirs:
            if exact:
                report('Kafka does not have it')
        else:
            message, file = ours[name]
            resolve(theirs[name])
            compare(message, theirs[name], file, exact, report)
            compared += 1
    print('%d messages compared with %s definitions, %d differences'
          % (compared, 'the release\'s' if exact else 'older', len(problems)))
    print('\n'.join(problems))
    return 1 if problems or compared == 0 else 0


if __name__ == '__main__':
    sys.exit(main())
