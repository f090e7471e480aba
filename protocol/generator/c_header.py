"""Emits the C header of one schema file."""

from c_model import c_field, count_field, element_type
from names import constant, snake


def field_note(field, struct, message):
    notes = []
    if field.versions != struct.versions:
        if field.versions.high == message.versions.high:
            notes.append('%d+' % field.versions.low)
        elif field.versions.low == field.versions.high:
            notes.append('%d' % field.versions.low)
        else:
            notes.append('%r' % field.versions)
    if not field.nullable.empty():
        whole = field.nullable == field.versions
        notes.append('null' if whole else 'null in %d+' % field.nullable.low)
    if field.default is not None:
        notes.append('default ' + field.default)
    if field.tag is not None:
        notes.append('tag %d' % field.tag)
    if field.ignorable:
        notes.append('ignorable')
    return '; '.join(notes)


def struct_lines(struct, message):
    lines = ['struct %s {' % struct.c_name]
    for field in struct.fields:
        star = '*' if field.is_array or field.is_pointer else ''
        line = '    %s %s%s;' % (element_type(field), star, c_field(field))
        note = field_note(field, struct, message)
        lines.append(line + (' /* %s */' % note if note else ''))
        if field.is_array:
            lines.append('    size_t %s;' % count_field(field))
    if not struct.fields:
        lines.append('    uint8_t no_fields; /* keeps the struct from being empty */')
    return lines + ['};', '']


def message_lines(message):
    name = snake(message.name)
    upper = constant(message.name)
    lines = ['/* %s, versions %r. */' % (message.name, message.versions), 'enum {']
    lines.append('    %s_VERSION_MIN = %d,' % (upper, message.versions.low))
    lines.append('    %s_VERSION_MAX = %d,' % (upper, message.versions.high))
    if not message.flexible.empty():
        lines.append('    %s_FLEXIBLE_SINCE = %d,' % (upper, message.flexible.low))
    if message.kind not in ('request', 'response') and message.key is not None:
        lines.append('    %s_TYPE = %d,' % (upper, message.key))
    lines += ['};', '']
    for struct in message.structs:
        lines += struct_lines(struct, message)
    lines.append('/* Set every field to its default; an array is empty, and null only where noted. */')
    for struct in message.structs:
        lines.append('void %s_init(struct %s *message);' % (struct.c_name, struct.c_name))
    lines += [
        '/* Sets every field; views point into the input, arrays are in the arena. False: malformed,'
        ' or', ' * the arena refused. Bytes behind the message are left in the reader. */',
        'bool %s_decode(struct %s *out, struct reader *in, int16_t version,' % (name, name),
        '    struct arena *arena);',
        '/* Bytes that encode writes: without external records. */',
        'size_t %s_size(const struct %s *message, int16_t version);' % (name, name),
        '/* Fails the writer when it is full or when the version cannot carry a value. */',
        'void %s_encode(const struct %s *message, struct message_writer *out,' % (name, name),
        '    int16_t version);', '']
    return lines


def header_text(file, shown_path):
    guard = 'KLAMM_PROTOCOL_MESSAGES_%s_H' % file.stem.upper()
    lines = ['/* Generated from %s. */' % shown_path, '#ifndef ' + guard, '#define ' + guard, '',
             '#include "protocol/message_codec.h"', '']
    for message in file.messages:
        lines += message_lines(message)
    return '\n'.join(lines + ['#endif', ''])
