#!/usr/bin/env python3
"""Turns config/settings/*.txt into the tables of config/definition.h.

usage: generate.py source SETTINGS_DIR OUTPUT.c      rows of every scope and the field bindings
       generate.py header SETTINGS_DIR OUTPUT.h      struct broker_settings
       generate.py manual SETTINGS_DIR OUTPUT.md     the reference for people
       generate.py check SETTINGS_DIR FILE.md        fails when FILE.md is not what manual writes

The notation is described at the top of each settings file. Errors name file and line.
"""
import re
import sys

SCOPES = ['broker', 'topic', 'group', 'client_metrics']
TYPES = {'BOOLEAN': 'bool', 'STRING': 'struct view', 'INT': 'int32_t', 'SHORT': 'int16_t',
         'LONG': 'int64_t', 'DOUBLE': 'double', 'LIST': 'struct config_list',
         'CLASS': 'struct view', 'PASSWORD': 'struct view'}
NUMERIC = ('INT', 'SHORT', 'LONG', 'DOUBLE')
FLAGS = ('filled', 'per-broker', 'cluster', 'field', 'internal', 'unlisted', 'dynamic-only')
LONG_MAX = 2**63 - 1


class Row:
    """One setting as read from its file."""

    def __init__(self, where, words):
        if len(words) < 4:
            raise SystemExit(f'{where}: want: key TYPE default rule [flags]')
        self.where = where
        self.name, self.type, self.default, self.rule = words[:4]
        self.flags = words[4:]
        self.text = ''
        self.no_effect = None
        self.synonyms = []
        if self.type not in TYPES:
            raise SystemExit(f'{where}: unknown type {self.type}')
        for flag in self.flags:
            if flag not in FLAGS:
                raise SystemExit(f'{where}: unknown flag {flag}')
        plain = self.type in NUMERIC + ('BOOLEAN',)
        if 'field' in self.flags and plain and self.default in ('null', 'required'):
            raise SystemExit(f'{where}: a {self.type} field needs a default')

    @property
    def field(self):
        return re.sub(r'[^a-z0-9]', '_', self.name)


def read_reasons(folder):
    reasons = {}
    for line in open(f'{folder}/reasons.txt', encoding='utf-8'):
        if line.strip() and not line.startswith('#'):
            key, text = line.split('=', 1)
            reasons[key.strip()] = text.strip()
    return reasons


def read_scope(folder, scope, reasons):
    rows = []
    path = f'{folder}/{scope}.txt'
    for number, line in enumerate(open(path, encoding='utf-8'), 1):
        where = f'{path}:{number}'
        line = line.rstrip()
        if not line or line.startswith('#'):
            continue
        if not line.startswith(' '):
            rows.append(Row(where, line.split()))
            continue
        line = line.strip()
        if line.startswith('no effect: '):
            reason = line[len('no effect: '):]
            if reason not in reasons:
                raise SystemExit(f'{where}: reason {reason} is not in reasons.txt')
            rows[-1].no_effect = reasons[reason]
        elif line.startswith('synonyms: '):
            for word in line[len('synonyms: '):].split():
                name, _, factor = word.partition('*')
                rows[-1].synonyms.append((name, int(factor or 1)))
        else:
            rows[-1].text += (' ' if rows[-1].text else '') + line
    names = [row.name for row in rows]
    for row, name, after in zip(rows[1:], names, names[1:]):
        if name.encode() >= after.encode():
            raise SystemExit(f'{row.where}: {after} must stand before {name}')
    for row in rows:
        if not row.text:
            raise SystemExit(f'{row.where}: {row.name} has no text')
    return rows


def read_all(folder):
    reasons = read_reasons(folder)
    return {scope: read_scope(folder, scope, reasons) for scope in SCOPES}


def quote(text):
    return '"' + text.replace('\\', '\\\\').replace('"', '\\"') + '"'


def view(text):
    return '{NULL, 0}' if text is None else \
        '{(const uint8_t *)' + quote(text) + f', {len(text.encode())}' + '}'


def integer(text):
    value = int(text)
    return 'INT64_MIN' if value == -2**63 else f'INT64_C({value})'


def rule_members(row, allowed):
    """C initializers for the rule of a row; lists of values are collected in `allowed`."""
    rule = row.rule
    if rule == '-':
        return '.rule = CONFIG_RULE_ANY'
    match = re.match(r'^\[(-?[\d.]+),(-?[\d.]*)\](?:\|(-?\d+))?$', rule)
    if match:
        low, high, also = match.groups()
        kind = 'CONFIG_RULE_RANGE_OR' if also else 'CONFIG_RULE_RANGE'
        if row.type == 'DOUBLE':
            return (f'.rule = {kind}, .minimum_real = {float(low)}, '
                    f'.maximum_real = {float(high) if high else "DBL_MAX"}')
        text = f'.rule = {kind}, .minimum = {integer(low)}, .maximum = ' + \
               (integer(high) if high else 'INT64_MAX')
        return text + (f', .also_allowed = {integer(also)}' if also else '')
    if rule.startswith('{'):
        any_case = rule.endswith('~')
        words = rule.rstrip('~')[1:-1].split(',')
        name = f'allowed_{len(allowed)}'
        allowed.append((name, words))
        kind = 'CONFIG_RULE_ONE_OF_ANY_CASE' if any_case else 'CONFIG_RULE_ONE_OF'
        return f'.rule = {kind}, .allowed = {name}, .allowed_count = {len(words)}'
    named = {'not-empty': 'NOT_EMPTY', 'throttled': 'THROTTLED', 'offset-reset': 'OFFSET_RESET',
             'metrics-match': 'METRICS_MATCH', 'voters': 'VOTERS', 'servers': 'SERVERS'}
    if rule not in named:
        raise SystemExit(f'{row.where}: unknown rule {rule}')
    return f'.rule = CONFIG_RULE_{named[rule]}'


def default_text(row):
    return {'null': None, 'required': None, '""': ''}.get(row.default, row.default)


def row_source(row, scope, allowed, synonyms):
    dynamic = 'CONFIG_CLUSTER_WIDE'
    if scope == 'broker':
        dynamic = 'CONFIG_PER_BROKER' if 'per-broker' in row.flags else \
                  'CONFIG_CLUSTER_WIDE' if 'cluster' in row.flags else 'CONFIG_READ_ONLY'
    parts = [f'.name = {view(row.name)}', f'.type = CONFIG_{row.type}',
             f'.scope = CONFIG_SCOPE_{scope.upper()}', f'.dynamic = {dynamic}',
             f'.default_value = {view(default_text(row))}', rule_members(row, allowed),
             f'.documentation = {view(row.text)}']
    if row.no_effect:
        parts.append(f'.no_effect = {view(row.no_effect)}')
    if row.synonyms:
        name = f'synonyms_{len(synonyms)}'
        synonyms.append((name, row.synonyms))
        parts.append(f'.synonyms = {name}, .synonym_count = {len(row.synonyms)}')
    for flag, member in (('filled', 'filled'), ('internal', 'internal'), ('unlisted', 'unlisted'),
                         ('dynamic-only', 'dynamic_only')):
        if flag in row.flags:
            parts.append(f'.{member} = true')
    if row.default == 'required':
        parts.append('.required = true')
    return '    {' + ',\n     '.join(parts) + '},'


def source(scopes):
    allowed, synonyms, tables = [], [], []
    for scope, rows in scopes.items():
        body = '\n'.join(row_source(row, scope, allowed, synonyms) for row in rows)
        tables.append(f'static const struct config_definition {scope}_rows[] = {{\n{body}\n}};\n')
    out = ['/* Generated by config/generate.py from config/settings/. */',
           '#include "config/definition_tables.h"', '#include <float.h>', '']
    for name, words in allowed:
        out.append(f'static const struct view {name}[] = {{')
        out += [f'    {view(word)},' for word in words] + ['};']
    for name, entries in synonyms:
        out.append(f'static const struct config_synonym {name}[] = {{')
        out += [f'    {{{view(key)}, {factor}}},' for key, factor in entries] + ['};']
    out += tables
    out.append('const struct config_definitions config_tables[CONFIG_SCOPES] = {')
    out += [f'    [CONFIG_SCOPE_{scope.upper()}] = {{{scope}_rows, {len(rows)}}},'
            for scope, rows in scopes.items()] + ['};', '']
    fields = [row for row in scopes['broker'] if 'field' in row.flags]
    out.append('const struct config_binding broker_bindings[] = {')
    for row in fields:
        out.append(f'    {{&broker_rows[{scopes["broker"].index(row)}], '
                   f'offsetof(struct broker_settings, {row.field})}},')
    out += ['};', f'const size_t broker_binding_count = {len(fields)};', '']
    return '\n'.join(out)


def wrap(text, width, first, after):
    lines, line = [], first
    for word in text.split():
        if len(line) + len(word) + 1 > width and line.strip():
            lines.append(line.rstrip())
            line = after
        line += word + ' '
    return lines + [line.rstrip()]


def header(scopes):
    out = ['/*',
           ' * The typed settings of a broker, one member per key (dots are underscores).',
           ' *',
           ' * Generated by config/generate.py from config/settings/broker.txt, where each key that',
           ' * has the flag "field" gets its member here. Filled by broker_settings_resolve.',
           ' */',
           '#ifndef KLAMM_CONFIG_BROKER_SETTINGS_H', '#define KLAMM_CONFIG_BROKER_SETTINGS_H', '',
           '#include "config/value.h"', '', 'struct broker_settings {']
    for row in scopes['broker']:
        if 'field' in row.flags:
            out += wrap(row.text + ' */', 100, '    /* ', '     * ')
            kind = TYPES[row.type]
            out.append(f'    {kind}{" "}{row.field};')
    return '\n'.join(out + ['};', '', '#endif', ''])


def allowed_text(row):
    match = re.match(r'^\[(-?[\d.]+),(-?[\d.]*)\](?:\|(-?\d+))?$', row.rule)
    if match:
        low, high, also = match.groups()
        text = f'{low} to {high}' if high else f'at least {low}'
        return text + (f', or {also}' if also else '')
    if row.rule.startswith('{'):
        return ', '.join(row.rule.rstrip('~')[1:-1].split(','))
    return {'-': '', 'not-empty': 'not empty', 'throttled': 'partition:broker pairs, or *',
            'offset-reset': 'latest, earliest, by_duration:P…',
            'metrics-match': 'selector=pattern pairs', 'voters': 'id@host:port',
            'servers': 'host:port'}[row.rule]


def changeable(row, scope):
    if scope != 'broker':
        return 'any time'
    if 'cluster' in row.flags:
        return 'any time'
    return 'any time, per broker' if 'per-broker' in row.flags else 'restart'


TITLES = {'broker': 'Broker and controller', 'topic': 'Topics', 'group': 'Groups',
          'client_metrics': 'Client metrics'}
INTRO = '''# Configuration

<!-- Generated by config/generate.py from config/settings/; do not edit by hand. -->

`klammd [server.properties] [--override key=value]...` takes Kafka's property names, defaults and
units. A later override wins over an earlier one, and any override wins over the file. Unknown keys
are warned about once, with the nearest known name; keys without effect are named once with the
reason; a bad value ends the start with one line and exit status 2.

Without a file the node is broker and controller in one, keeps its data in `./klamm-data`, listens
on `localhost:9092` and creates topics on first use.

A topic takes each value from the first of: its own setting, the broker's dynamic setting of a
synonym, the cluster's dynamic default of it, server.properties, the default. Settings that change
"any time" are set with Kafka's own tools (`kafka-configs.sh`) or with any admin client.
'''


def manual(scopes):
    out = [INTRO]
    for scope, rows in scopes.items():
        shown = [row for row in rows if 'internal' not in row.flags]
        acting = [row for row in shown if not row.no_effect]
        idle = [row for row in shown if row.no_effect]
        out += [f'## {TITLES[scope]}', '']
        if acting:
            extra = ' Broker synonyms |' if scope == 'topic' else ' Changes |'
            out += ['| Key | Type | Default | Allowed |' + extra + ' Meaning |',
                    '|---|---|---|---|---|---|']
        for row in acting:
            where = ', '.join(name for name, _ in row.synonyms) if scope == 'topic' \
                else changeable(row, scope)
            out.append(f'| `{row.name}` | {row.type} | {show_default(row)} | {allowed_text(row)} | '
                       f'{where} | {row.text} |')
        if idle:
            out += ['', f'### {TITLES[scope]}: accepted and shown, without effect here', '',
                    '| Key | Type | Default | Allowed | Why |', '|---|---|---|---|---|']
        for row in idle:
            out.append(f'| `{row.name}` | {row.type} | {show_default(row)} | {allowed_text(row)} | '
                       f'{row.no_effect} |')
        out.append('')
    return '\n'.join(out)


def show_default(row):
    return {'null': '', 'required': 'required', '""': 'empty'}.get(row.default, f'`{row.default}`')


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in ('source', 'header', 'manual', 'check'):
        raise SystemExit(__doc__)
    mode, folder, path = sys.argv[1:]
    scopes = read_all(folder)
    if mode == 'check':
        if open(path, encoding='utf-8').read() != manual(scopes):
            raise SystemExit(f'{path} is out of date: run config/generate.py manual')
        return
    text = {'source': source, 'header': header, 'manual': manual}[mode](scopes)
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)


main()
