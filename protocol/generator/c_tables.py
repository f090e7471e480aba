"""Emits what looks at all messages at once: API keys, API rows, record types, descriptions."""

from c_model import c_field, count_field, default_text
from names import constant, snake

CHUNKS = 6  # sources that describe all messages; several, so that they compile in parallel

FAMILIES = {'metadata': 'METADATA_RECORD', 'group': 'GROUP_RECORD',
            'transaction': 'TRANSACTION_RECORD', 'share': 'SHARE_RECORD'}


def guarded(name, includes, lines):
    guard = 'KLAMM_PROTOCOL_%s_H' % name.upper()
    return '\n'.join(['/* Generated from protocol/schema/. */', '#ifndef ' + guard,
                      '#define ' + guard, ''] + includes + lines + ['', '#endif', ''])


def apis(files):
    return sorted((file for file in files if file.is_api), key=lambda file: file.key)


def api_keys_text(files):
    lines = ['enum api_key {']
    lines += ['    API_KEY_%s = %d,' % (constant(file.name), file.key) for file in apis(files)]
    return guarded('api_keys', [], lines + ['};'])


def api_rows_text(files):
    rows = []
    for file in apis(files):
        stable = file.stable
        advertise = file.advertise or stable
        flexible = 'INT16_MAX' if file.flexible.empty() else str(file.flexible.low)
        rows.append('    {%d, "%s", %d, %d, %d, %d, %s, %s, %s},' % (
            file.key, file.name, stable.low, stable.high, advertise.low, advertise.high, flexible,
            'true' if 'broker' in file.listeners else 'false',
            'true' if 'controller' in file.listeners else 'false'))
    lines = ['enum { API_INFO_ROWS_COUNT = %d };' % len(rows), '',
             'static const struct api_info api_info_rows[API_INFO_ROWS_COUNT] = {'] + rows + ['};']
    return guarded('api_info_rows', ['#include "protocol/api_info.h"', ''], lines)


def record_types_text(files):
    lines = []
    for folder, prefix in FAMILIES.items():
        lines.append('enum %s_type {' % prefix.lower())
        rows = {}
        for file in files:
            if file.folder != folder or file.key is None or file.kind == 'coordinator-value':
                continue
            name = file.name
            for suffix in ('Record', 'Key'):
                if name.endswith(suffix):
                    name = name[:-len(suffix)]
            rows[file.key] = '    %s_%s = %d,' % (prefix, constant(name), file.key)
        lines += [rows[key] for key in sorted(rows)] + ['};', '']
    return guarded('record_types', [], lines[:-1])


def range_text(versions):
    return '1, 0' if versions.empty() else '%d, %d' % (versions.low, versions.high)


def field_row(field, struct):
    c_struct = 'struct ' + struct.c_name
    kind = 'MESSAGE_FIELD_STRUCT' if field.struct else 'MESSAGE_FIELD_' + field.type.upper()
    default = '0'
    if field.is_scalar and field.type != 'uuid':
        default = default_text(field)
    return ('    {"%s", %s, %s, %s, %s, %s, %d, {%s}, {%s}, {%s}, %s, offsetof(%s, %s), %s, %s},'
            % (field.name, kind, 'true' if field.is_array else 'false',
               'true' if field.is_pointer else 'false',
               'true' if field.ignorable else 'false',
               'true' if field.default == 'null' else 'false',
               -1 if field.tag is None else field.tag,
               range_text(field.versions), range_text(field.nullable), range_text(field.tagged),
               default, c_struct, c_field(field),
               'offsetof(%s, %s)' % (c_struct, count_field(field)) if field.is_array else '0',
               '&struct_' + field.struct.c_name if field.struct else 'NULL'))


def struct_lines(struct):
    name = struct.c_name
    lines = ['static void init_%s(void *message)' % name, '{', '    %s_init(message);' % name, '}',
             '']
    fields = 'NULL'
    if struct.fields:
        fields = 'fields_' + name
        lines.append('static const struct message_field %s[] = {' % fields)
        lines += [field_row(field, struct) for field in struct.fields]
        lines += ['};', '']
    lines.append('static const struct message_struct struct_%s = {"%s", sizeof(struct %s), %d, %s, '
                 'init_%s};' % (name, struct.name, name, len(struct.fields), fields, name))
    return lines + ['']


KINDS = {'request': 'REQUEST', 'response': 'RESPONSE', 'header': 'HEADER', 'metadata': 'METADATA',
         'coordinator-key': 'KEY', 'coordinator-value': 'VALUE', 'data': 'DATA'}


def message_lines(file, message):
    name = snake(message.name)
    lines = []
    for struct in message.structs:
        lines += struct_lines(struct)
    lines += [
        'static bool decode_%s(void *out, struct reader *in, int16_t version, struct arena *arena)'
        % name, '{', '    return %s_decode(out, in, version, arena);' % name, '}', '',
        'static size_t size_%s(const void *message, int16_t version)' % name, '{',
        '    return %s_size(message, version);' % name, '}', '',
        'static void encode_%s(const void *message, struct message_writer *out, int16_t version)'
        % name, '{', '    %s_encode(message, out, version);' % name, '}', '',
        'const struct message_type message_type_%s = {' % name,
        '    "%s", MESSAGE_%s, %d, %d, %d, %s, &struct_%s,' % (
            message.name, KINDS[message.kind], -1 if message.key is None else message.key,
            message.versions.low, message.versions.high,
            'INT16_MAX' if message.flexible.empty() else str(message.flexible.low), name),
        '    decode_%s, size_%s, encode_%s};' % (name, name, name), '']
    return lines


def description_text(files, chunk):
    """The descriptions of every CHUNKS-th file."""
    mine = files[chunk::CHUNKS]
    lines = ['/* Generated from protocol/schema/. */', '#include "protocol/message_inspect.h"', '']
    lines += ['#include "protocol/messages/%s.h"' % file.stem for file in mine] + ['']
    lines.append('#include "protocol/message_types.h"')
    lines.append('')
    for file in mine:
        for message in file.messages:
            lines += message_lines(file, message)
    return '\n'.join(lines)


def all_messages(files):
    return [message for file in files for message in file.messages]


def types_header_text(files):
    lines = ['enum { MESSAGE_TYPES_COUNT = %d };' % len(all_messages(files)), '']
    lines += ['extern const struct message_type message_type_%s;' % snake(message.name)
              for message in all_messages(files)]
    lines += ['', 'extern const struct message_type *const message_types[MESSAGE_TYPES_COUNT];']
    return guarded('message_types', ['#include "protocol/message_inspect.h"', ''], lines)


def types_source_text(files):
    lines = ['/* Generated from protocol/schema/. */', '#include "protocol/message_types.h"', '',
             'const struct message_type *const message_types[MESSAGE_TYPES_COUNT] = {']
    lines += ['    &message_type_%s,' % snake(message.name) for message in all_messages(files)]
    return '\n'.join(lines + ['};', ''])


def index_text(files):
    """The committed index of names, for people."""
    lines = ['# Generated headers and what they declare', '',
             'Written by `protocol/generator/generate.py index`; a test keeps it up to date. Include'
             ' `protocol/messages/<header>`;', 'every struct has `_init`, every message (named'
             ' first) also `_decode`, `_size`, `_encode`.', '']
    for title, chosen in (('APIs, by key', apis(files)),
                          ('Records and other messages', [f for f in files if not f.is_api])):
        lines += ['## ' + title, '', '| type | header | structs |', '|---|---|---|']
        for file in chosen:
            names = []
            for message in file.messages:
                structs = [struct.c_name for struct in reversed(message.structs)]
                names.append('**%s**' % structs[0] + ''.join(', ' + name for name in structs[1:]))
            key = '' if file.key is None else str(file.key)
            lines.append('| %s | %s.h | %s |' % (key, file.stem, '; '.join(names)))
        lines.append('')
    return '\n'.join(lines)
