#!/usr/bin/env python3
"""Whether the settings that claim to act are read by somebody, and the others are not.

usage: check_effects.py SOURCE_ROOT

A broker key acts when its member of struct broker_settings is named in a source outside config/
(settings->key, x_settings(y)->key or settings_of(y)->key), or config/ itself turns it into something (a topic default,
a listener). A key that acts although the settings file says "no effect" is as wrong as the reverse:
the manual and the start-up lines would mislead.
"""
import pathlib
import re
import sys

# Read by config/ itself, which makes listeners, directories, identity and quorum of them, and
# bounds for the settings of groups.
BUILT_IN = {
    'advertised.listeners', 'broker.id', 'controller.listener.names',
    'controller.quorum.bootstrap.servers', 'controller.quorum.voters',
    'group.consumer.max.heartbeat.interval.ms', 'group.consumer.max.session.timeout.ms',
    'group.consumer.min.heartbeat.interval.ms', 'group.consumer.min.session.timeout.ms',
    'inter.broker.listener.name', 'listener.security.protocol.map', 'listeners', 'log.dir',
    'log.dirs', 'metadata.log.dir', 'node.id', 'process.roles', 'security.inter.broker.protocol',
}


def read_rows(path):
    """key -> (field or None, acts, synonyms)"""
    rows = {}
    key = None
    for line in path.read_text(encoding='utf-8').splitlines():
        if not line or line.startswith('#'):
            continue
        if not line.startswith(' '):
            words = line.split()
            key = words[0]
            field = re.sub(r'[^a-z0-9]', '_', key) if 'field' in words[4:] else None
            rows[key] = [field, True, []]
        elif line.strip().startswith('no effect: '):
            rows[key][1] = False
        elif line.strip().startswith('synonyms: '):
            rows[key][2] = [word.partition('*')[0] for word in line.split()[1:]]
    return rows


def main():
    root = pathlib.Path(sys.argv[1])
    words = set()
    for folder in ('broker', 'cluster', 'connection', 'consumer', 'coordinator', 'log',
                   'replication', 'transaction', 'runtime'):
        for path in (root / folder).rglob('*.[ch]'):
            text = path.read_text(encoding='utf-8')
            words.update(re.findall(r'settings(?:_of)?(?:\((?:[^()]|\([^()]*\))*\))?(?:\.|->)(\w+)', text))
    rows = read_rows(root / 'config/settings/broker.txt')
    topic_rows = read_rows(root / 'config/settings/topic.txt')
    topic_keys = {name for row in topic_rows.values() for name in row[2]}
    wrong = []
    for key, (field, acts, _) in rows.items():
        if key in BUILT_IN or key in topic_keys:
            used = True
        else:
            used = field in words if field else False
        if acts and not used:
            wrong.append(f'{key} claims to act, but nobody reads it')
        if not acts and used and key not in topic_keys:
            wrong.append(f'{key} is read, but says that it has no effect')
    print('\n'.join(wrong))
    sys.exit(1 if wrong else 0)


main()
