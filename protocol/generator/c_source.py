"""Emits the C source of one schema file: init, decode, size and encode of every struct.

Runs of numbers that are there in the same versions are read and written with one bounds check.
"""

import re

from c_model import (ARRAY_SUFFIX, absence, c_field, condition, count_field, default_text,
                     size_min_text, truth)
from schema import SCALARS

LOADS = {
    'bool': 'p[%d] != 0', 'int8': '(int8_t)p[%d]', 'int16': 'load_i16(p + %d)',
    'uint16': 'load_u16(p + %d)', 'int32': 'load_i32(p + %d)', 'uint32': 'load_u32(p + %d)',
    'int64': 'load_i64(p + %d)', 'float64': 'load_f64(p + %d)', 'uuid': 'load_uuid(p + %d)',
}
STORES = {
    'bool': 'p[%d] = %s ? 1 : 0;', 'int8': 'p[%d] = (uint8_t)%s;',
    'int16': 'store_u16(p + %d, (uint16_t)%s);', 'uint16': 'store_u16(p + %d, %s);',
    'int32': 'store_u32(p + %d, (uint32_t)%s);', 'uint32': 'store_u32(p + %d, %s);',
    'int64': 'store_u64(p + %d, (uint64_t)%s);', 'float64': 'store_f64(p + %d, %s);',
    'uuid': 'store_uuid(p + %d, %s);',
}


class Code:
    """Lines with indentation, and functions whose unused parameters are silenced."""

    def __init__(self):
        self.lines = []
        self.depth = 0

    def add(self, text):
        self.lines.append('    ' * self.depth + text if text else '')

    def open(self, text):
        self.add(text + ' {' if text else '{')
        self.depth += 1

    def close(self, text=''):
        self.depth -= 1
        self.add('}' + text)

    def function(self, head, parameters, body):
        """`body` adds the statements; of `parameters`, those that they do not use are voided."""
        self.add(head)
        self.add('{')
        self.depth += 1
        start = len(self.lines)
        body()
        text = '\n'.join(self.lines[start:])
        unused = [name for name in parameters
                  if not re.search(r'(?<![>.])\b%s\b' % name, text)]
        indent = '    ' * self.depth
        self.lines[start:start] = [indent + '(void)%s;' % name for name in unused]
        self.depth -= 1
        self.add('}')
        self.add('')


class Source:
    def __init__(self, message):
        self.message = message
        self.code = Code()
        self.struct = None

    # What holds for the struct at hand.

    def flexible(self, field=None):
        if field is not None and field.inflexible:
            return 'false'
        text = truth(self.struct.flexible, self.struct.versions)
        return text if text in ('true', 'false') else 'flexible'

    def declare_flexible(self):
        text = truth(self.struct.flexible, self.struct.versions)
        return 'const bool flexible = %s;' % text

    def with_flexible(self, body):
        """Runs body, declaring `flexible` ahead of it when it was used."""
        start = len(self.code.lines)
        body()
        if any(re.search(r'\bflexible\b', line) for line in self.code.lines[start:]):
            self.code.lines.insert(start, '    ' * self.code.depth + self.declare_flexible())

    def nullable(self, field, given):
        return truth(field.nullable, given)

    def tagged_fields(self):
        fields = [field for field in self.struct.fields if not field.tagged.empty()]
        return sorted(fields, key=lambda field: field.tag)

    def groups(self):
        """Plain fields in order, as (versions, fields): neighbours of equal versions together."""
        groups = []
        for field in self.struct.fields:
            if field.plain.empty():
                continue
            if groups and groups[-1][0] == field.plain:
                groups[-1][1].append(field)
            else:
                groups.append((field.plain, [field]))
        return groups

    @staticmethod
    def runs(fields):
        """Splits fields into lists of neighbouring scalars, and single other fields."""
        runs = []
        for field in fields:
            if field.is_scalar and runs and runs[-1][0].is_scalar:
                runs[-1].append(field)
            else:
                runs.append([field])
        return runs

    def each_group(self, handle_scalars, handle_field):
        for versions, fields in self.groups():
            text = condition(versions, self.struct.versions)
            if text:
                self.code.open('if (%s)' % text)
            for run in self.runs(fields):
                if run[0].is_scalar:
                    handle_scalars(run)
                else:
                    handle_field(run[0], versions)
            if text:
                self.code.close()

    # Defaults.

    def default_lines(self, field):
        name = 'out->' + c_field(field)
        if field.is_array:
            value = 'NULL' if field.default == 'null' else 'message_empty_array()'
            return ['%s = %s;' % (name, value), 'out->%s = 0;' % count_field(field)]
        if field.is_pointer:
            return ['%s = NULL;' % name]
        if field.struct is not None:
            return ['%s_init(&%s);' % (field.struct.c_name, name)]
        if field.type == 'uuid':
            return ['%s = UUID_ZERO;' % name]
        if field.type == 'records':
            return ['%s = RECORDS_NULL;' % name]
        if field.type in ('string', 'bytes'):
            return ['%s = %s;' % (name, 'VIEW_NULL' if field.default == 'null'
                                  else 'VIEW_LITERAL("")')]
        return ['%s = %s;' % (name, default_text(field))]

    def not_default(self, field, strict):
        """C condition; strict tells null from empty, for fields that may be left out by value."""
        name = 'message->' + c_field(field)
        if field.is_array:
            if field.default == 'null':
                return name + ' != NULL'
            if strict and not field.nullable.empty():
                return '(%s == NULL || message->%s != 0)' % (name, count_field(field))
            return 'message->%s != 0' % count_field(field)
        if field.is_pointer and not field.tagged.empty():
            return '(%s == NULL || !%s_is_default(%s))' % (name, field.struct.c_name, name)
        if field.is_pointer:
            return name + ' != NULL'
        if field.struct is not None:
            return '!%s_is_default(&%s)' % (field.struct.c_name, name)
        if field.type == 'uuid':
            return '!uuid_is_zero(%s)' % name
        if field.type == 'records':
            return '!records_is_null(&%s)' % name
        if field.type in ('string', 'bytes'):
            if field.default == 'null':
                return name + '.data != NULL'
            if strict and not field.nullable.empty():
                return '(%s.data == NULL || %s.size != 0)' % (name, name)
            return name + '.size != 0'
        if field.type == 'bool':
            return name if field.default in (None, 'false') else '!' + name
        return '%s != %s' % (name, default_text(field))

    def emit_init(self):
        struct, code = self.struct, self.code

        def body():
            for field in struct.fields:
                for line in self.default_lines(field):
                    code.add(line)
            if not struct.fields:
                code.add('out->no_fields = 0;')

        code.function('void %s_init(struct %s *out)' % (struct.c_name, struct.c_name), [], body)

    def emit_is_default(self):
        struct, code = self.struct, self.code

        def body():
            tests = [self.not_default(field, True) for field in struct.fields]
            code.add('return !(%s);' % ' || '.join(tests))

        code.function('static bool %s_is_default(const struct %s *message)'
                      % (struct.c_name, struct.c_name), [], body)

    # Decoding.

    def decode_scalars(self, run, reader):
        code = self.code
        total = sum(SCALARS[field.type] for field in run)
        code.open('')
        code.add('const uint8_t *p = reader_take(%s, %d);' % (reader, total))
        code.add('if (!p)')
        code.add('    return false;')
        at = 0
        for field in run:
            code.add('out->%s = %s;' % (c_field(field), LOADS[field.type] % at))
            at += SCALARS[field.type]
        code.close()

    def decode_call(self, call):
        self.code.add('if (!%s)' % call)
        self.code.add('    return false;')

    def decode_field(self, field, versions, reader):
        name = c_field(field)
        flexible, nullable = self.flexible(field), self.nullable(field, versions)
        if field.is_array:
            self.decode_array(field, versions, reader)
        elif field.is_pointer:
            self.decode_pointer(field, nullable, reader)
        elif field.struct is not None:
            self.decode_call('%s_decode(&out->%s, %s, version, arena)'
                             % (field.struct.c_name, name, reader))
        else:
            self.decode_call('message_read_%s(%s, %s, %s, &out->%s)'
                             % (field.type, reader, flexible, nullable, name))

    def decode_array(self, field, versions, reader):
        code, name = self.code, c_field(field)
        flexible, nullable = self.flexible(field), self.nullable(field, versions)
        if field.struct is None:
            self.decode_call('message_read_array_%s(%s, arena, %s, %s, &out->%s, &out->%s)' % (
                ARRAY_SUFFIX[field.type], reader, flexible, nullable, name, count_field(field)))
            return
        inner = field.struct
        code.open('')
        code.add('const struct array_form form = {%s, %s, sizeof(struct %s),' % (
            flexible, nullable, inner.c_name))
        code.add('    %s};' % size_min_text(inner, versions, self.message.flexible))
        code.add('void *items;')
        self.decode_call('message_read_array(%s, arena, &form, &items, &out->%s)'
                         % (reader, count_field(field)))
        code.add('out->%s = items;' % name)
        code.open('for (size_t i = 0; i < out->%s; i++)' % count_field(field))
        self.decode_call('%s_decode(&out->%s[i], %s, version, arena)'
                         % (inner.c_name, name, reader))
        code.close()
        code.close()

    def decode_pointer(self, field, nullable, reader):
        code, name = self.code, c_field(field)
        code.open('')
        if reader == 'in':
            code.add('bool present;')
            self.decode_call('message_read_presence(%s, %s, &present)' % (reader, nullable))
        else:
            code.add('const bool present = read_u8(%s) != 0;' % reader)
        code.add('out->%s = NULL;' % name)
        code.open('if (present)')
        code.add('out->%s = arena_get(arena, sizeof(*out->%s));' % (name, name))
        self.decode_call('out->%s' % name)
        self.decode_call('%s_decode(out->%s, %s, version, arena)'
                         % (field.struct.c_name, name, reader))
        code.close()
        code.close()

    def decode_tagged(self, field):
        code = self.code
        text = condition(field.tagged, self.struct.flexible)
        code.add('case %d:' % field.tag)
        code.depth += 1
        if text:
            code.open('if (%s)' % text)
        if field.is_scalar:
            self.decode_scalars([field], '&tags.field')
        else:
            self.decode_field(field, field.tagged, '&tags.field')
        if field.is_pointer:
            code.add('has_%s = true;' % c_field(field))
        code.add('if (reader_left(&tags.field) != 0)')
        code.add('    return false;')
        if text:
            code.close()
        code.add('break;')
        code.depth -= 1

    def decode_tags(self):
        code, tagged = self.code, self.tagged_fields()
        if self.struct.flexible.empty():
            return
        flexible = self.flexible()
        if not tagged:
            guard = '' if flexible == 'true' else flexible + ' && '
            code.add('if (%s!message_skip_tags(in))' % guard)
            code.add('    return false;')
            return
        code.open('' if flexible == 'true' else 'if (%s)' % flexible)
        code.add('struct tag_reader tags = tag_reader_of(in);')
        pointers = [field for field in tagged if field.is_pointer]
        for field in pointers:
            code.add('bool has_%s = false;' % c_field(field))
        code.open('while (tag_reader_next(&tags))')
        code.add('switch (tags.tag) {')
        for field in tagged:
            self.decode_tagged(field)
        code.add('default:')
        code.add('    break;')
        code.add('}')
        code.close()
        code.add('if (in->failed)')
        code.add('    return false;')
        for field in pointers:
            # Without its tag such a struct is not null: Kafka gives it the defaults of its fields.
            name = c_field(field)
            code.open('if (!has_%s)' % name)
            code.add('out->%s = arena_get(arena, sizeof(*out->%s));' % (name, name))
            self.decode_call('out->%s' % name)
            code.add('%s_init(out->%s);' % (field.struct.c_name, name))
            code.close()
        code.close()

    def emit_decode(self, linkage):
        struct, code = self.struct, self.code

        def statements():
            for field in struct.fields:
                if field.plain != struct.versions:
                    for line in self.default_lines(field):
                        code.add(line)
            if not struct.fields:
                code.add('out->no_fields = 0;')
            self.each_group(lambda run: self.decode_scalars(run, 'in'),
                            lambda field, versions: self.decode_field(field, versions, 'in'))
            self.decode_tags()
            code.add('return true;')

        head = '%sbool %s_decode(struct %s *out, struct reader *in, int16_t version,\n' \
            '    struct arena *arena)' % (linkage, struct.c_name, struct.c_name)
        code.function(head, ['version', 'arena', 'in'], lambda: self.with_flexible(statements))

    # Sizes.

    def size_text(self, field):
        """C expression of the size of one field that is not a number nor an array of structs."""
        name, flexible = 'message->' + c_field(field), self.flexible(field)
        if field.is_array:
            if field.type == 'string':
                return 'message_array_string_size(%s, %s, message->%s)' % (
                    flexible, name, count_field(field))
            return 'message_count_size(%s, message->%s) + message->%s * %d' % (
                flexible, count_field(field), count_field(field), SCALARS[field.type])
        if field.is_pointer:
            return '1 + (%s ? %s_size(%s, version) : 0)' % (name, field.struct.c_name, name)
        if field.struct is not None:
            return '%s_size(&%s, version)' % (field.struct.c_name, name)
        if field.type == 'records':
            return 'message_records_size(%s, &%s)' % (flexible, name)
        if field.is_scalar:
            return str(SCALARS[field.type])
        return 'message_%s_size(%s, %s)' % (field.type, flexible, name)

    def size_field(self, field, versions, total='size'):
        code, name = self.code, c_field(field)
        if field.is_array and field.struct is not None:
            count = 'message->' + count_field(field)
            code.add('%s += message_count_size(%s, %s);' % (total, self.flexible(field), count))
            code.add('for (size_t i = 0; i < %s; i++)' % count)
            code.add('    %s += %s_size(&message->%s[i], version);' % (
                total, field.struct.c_name, name))
        elif field.is_pointer and not versions.minus(field.nullable.cut(versions)).empty():
            code.add('%s += (%s ? 1 : 0) + (message->%s ? %s_size(message->%s, version) : 0);' % (
                total, self.nullable(field, versions), name, field.struct.c_name, name))
        else:
            code.add('%s += %s;' % (total, self.size_text(field)))

    def present(self, field):
        """C condition: the tagged field goes out."""
        text = condition(field.tagged, self.struct.flexible)
        given = self.not_default(field, True)
        return '%s && %s' % (text, given) if text else given

    def size_tags(self):
        code, tagged = self.code, self.tagged_fields()
        if self.struct.flexible.empty():
            return
        flexible = self.flexible()
        if not tagged:
            code.add('size += 1;' if flexible == 'true' else 'size += %s ? 1 : 0;' % flexible)
            return
        code.open('' if flexible == 'true' else 'if (%s)' % flexible)
        code.add('uint32_t tag_count = 0;')
        for field in tagged:
            code.open('if (%s)' % self.present(field))
            code.add('size_t tag_size = 0;')
            self.size_field(field, field.tagged, 'tag_size')
            code.add('size += message_tag_size(%d, tag_size);' % field.tag)
            code.add('tag_count++;')
            code.close()
        code.add('size += uvarint_size(tag_count);')
        code.close()

    def emit_size(self, linkage):
        struct, code = self.struct, self.code

        def scalars(run):
            code.add('size += %d;' % sum(SCALARS[field.type] for field in run))

        def statements():
            code.add('size_t size = 0;')
            self.each_group(scalars, self.size_field)
            self.size_tags()
            code.add('return size;')

        head = '%ssize_t %s_size(const struct %s *message, int16_t version)' % (
            linkage, struct.c_name, struct.c_name)
        code.function(head, ['version', 'message'], lambda: self.with_flexible(statements))

    # Encoding.

    def refuse_lost(self):
        """Values that the version cannot carry make the encode fail."""
        for field in self.struct.fields:
            absent = absence(field.versions, self.struct.versions)
            if not absent or field.ignorable:
                continue
            if ' || ' in absent:
                absent = '(%s)' % absent
            self.code.add('if (%s && %s)' % (absent, self.not_default(field, False)))
            self.code.add('    out->bytes.failed = true;')

    def encode_scalars(self, run):
        code = self.code
        code.open('')
        total = sum(SCALARS[field.type] for field in run)
        code.add('uint8_t *p = writer_reserve(&out->bytes, %d);' % total)
        code.add('if (!p)')
        code.add('    return;')
        at = 0
        for field in run:
            code.add(STORES[field.type] % (at, 'message->' + c_field(field)))
            at += SCALARS[field.type]
        code.close()

    def encode_field(self, field, versions):
        code, name = self.code, 'message->' + c_field(field)
        flexible, nullable = self.flexible(field), self.nullable(field, versions)
        if field.is_array and field.struct is not None:
            count = 'message->' + count_field(field)
            code.add('message_write_count(&out->bytes, %s, %s, %s, %s);' % (
                flexible, nullable, name, count))
            code.add('for (size_t i = 0; i < %s; i++)' % count)
            code.add('    %s_encode(&%s[i], out, version);' % (field.struct.c_name, name))
        elif field.is_array:
            code.add('message_write_array_%s(&out->bytes, %s, %s, %s, message->%s);' % (
                ARRAY_SUFFIX[field.type], flexible, nullable, name, count_field(field)))
        elif field.is_pointer:
            if field.tagged.empty():
                code.add('message_write_presence(&out->bytes, %s, %s != NULL);' % (nullable, name))
            else:
                code.add('write_u8(&out->bytes, %s != NULL);' % name)
            code.add('if (%s)' % name)
            code.add('    %s_encode(%s, out, version);' % (field.struct.c_name, name))
        elif field.struct is not None:
            code.add('%s_encode(&%s, out, version);' % (field.struct.c_name, name))
        elif field.type == 'records':
            code.add('message_write_records(out, %s, %s, &%s);' % (flexible, nullable, name))
        else:
            code.add('message_write_%s(&out->bytes, %s, %s, %s);' % (
                field.type, flexible, nullable, name))

    def encode_tags(self):
        code, tagged = self.code, self.tagged_fields()
        if self.struct.flexible.empty():
            return
        flexible = self.flexible()
        if not tagged:
            if flexible != 'true':
                code.add('if (%s)' % flexible)
                code.depth += 1
            code.add('write_u8(&out->bytes, 0);')
            if flexible != 'true':
                code.depth -= 1
            return
        code.open('' if flexible == 'true' else 'if (%s)' % flexible)
        for field in tagged:
            code.add('const bool has_%d = %s;' % (field.tag, self.present(field)))
        total = ' + '.join('(has_%d ? 1u : 0u)' % field.tag for field in tagged)
        code.add('write_uvarint(&out->bytes, %s);' % total)
        for field in tagged:
            code.open('if (has_%d)' % field.tag)
            code.add('size_t tag_size = 0;')
            self.size_field(field, field.tagged, 'tag_size')
            code.add('message_write_tag(&out->bytes, %d, tag_size);' % field.tag)
            if field.is_scalar:
                self.encode_scalars([field])
            else:
                self.encode_field(field, field.tagged)
            code.close()
        code.close()

    def emit_encode(self, linkage):
        struct, code = self.struct, self.code

        def statements():
            self.refuse_lost()
            self.each_group(self.encode_scalars, self.encode_field)
            self.encode_tags()

        head = '%svoid %s_encode(const struct %s *message, struct message_writer *out,\n' \
            '    int16_t version)' % (linkage, struct.c_name, struct.c_name)
        code.function(head, ['version', 'message', 'out'],
                      lambda: self.with_flexible(statements))

    def emit(self):
        for struct in self.message.structs:
            self.struct = struct
            linkage = '' if struct is self.message.body else 'static '
            self.emit_init()
            if struct.needs_is_default:
                self.emit_is_default()
            self.emit_decode(linkage)
            self.emit_size(linkage)
            self.emit_encode(linkage)
        return self.code.lines


def source_text(file, shown_path):
    lines = ['/* Generated from %s. */' % shown_path,
             '#include "protocol/messages/%s.h"' % file.stem, '']
    for message in file.messages:
        lines += Source(message).emit()
    return '\n'.join(lines)

