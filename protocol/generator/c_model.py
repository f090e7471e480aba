"""What header and source generation share: C types, version conditions, smallest encoded sizes."""

from names import snake, struct_name
from schema import SCALARS

C_SCALARS = {
    'bool': 'bool', 'int8': 'int8_t', 'int16': 'int16_t', 'uint16': 'uint16_t', 'int32': 'int32_t',
    'uint32': 'uint32_t', 'int64': 'int64_t', 'float64': 'double', 'uuid': 'struct uuid',
}
C_VARIABLE = {'string': 'struct view', 'bytes': 'struct view', 'records': 'struct records_field'}
ARRAY_SUFFIX = {'int8': 'i8', 'int16': 'i16', 'int32': 'i32', 'int64': 'i64', 'uuid': 'uuid',
                'string': 'string'}


def annotate(message):
    """Gives every struct its C name, its versions and the flexible ones among them."""
    for struct in message.structs:
        struct.c_name = struct_name(message, struct)
        struct.versions = message.versions
        struct.needs_is_default = False
    for struct in message.structs:
        for field in struct.fields:
            if field.is_inline:
                field.struct.versions = field.versions
    for struct in message.structs:
        struct.flexible = struct.versions.cut(message.flexible)
    # Inner structs come first, so the need for is_default spreads when walked backwards.
    for struct in reversed(message.structs):
        for field in struct.fields:
            if field.struct is None or field.is_array:
                continue
            if field.is_pointer and field.tagged.empty():
                continue
            partial = field.versions != struct.versions and not field.ignorable
            if struct.needs_is_default or not field.tagged.empty() or partial:
                field.struct.needs_is_default = True


def element_type(field):
    if field.struct is not None:
        return 'struct ' + field.struct.c_name
    return C_SCALARS.get(field.type) or C_VARIABLE[field.type]


def c_field(field):
    return snake(field.name)


def count_field(field):
    return snake(field.name) + '_count'


def condition(versions, outer):
    """C text that is true for the versions, given that `version` is in outer; '' for always."""
    parts = []
    if versions.low > outer.low:
        parts.append('version >= %d' % versions.low)
    if versions.high < outer.high:
        parts.append('version <= %d' % versions.high)
    return ' && '.join(parts)


def absence(versions, outer):
    """C text that is true for the versions of outer outside of `versions`."""
    parts = []
    if versions.low > outer.low:
        parts.append('version < %d' % versions.low)
    if versions.high < outer.high:
        parts.append('version > %d' % versions.high)
    return ' || '.join(parts)


def truth(versions, outer):
    """The same as condition, as an expression that is always there."""
    if versions.cut(outer).empty():
        return 'false'
    text = condition(versions.cut(outer), outer)
    return text or 'true'


def size_min(struct, version, flexible):
    """Fewest bytes that the struct takes in a version."""
    compact = version in flexible
    total = 1 if compact else 0
    for field in struct.fields:
        if version in field.plain:
            total += field_size_min(field, version, flexible, compact)
    return total


def field_size_min(field, version, flexible, compact):
    if not field.is_array:
        if field.type in SCALARS:
            return SCALARS[field.type]
        if field.struct is not None:
            if version in field.nullable:
                return 1
            return size_min(field.struct, version, flexible)
    if compact and not field.inflexible:
        return 1
    return 2 if field.type == 'string' and not field.is_array else 4


def size_min_text(struct, versions, flexible):
    """size_min of every version in the range, as a C expression; at least 1."""
    steps = []
    for version in range(versions.low, versions.high + 1):
        size = max(1, size_min(struct, version, flexible))
        if not steps or steps[-1][1] != size:
            steps.append((version, size))
    text = str(steps[0][1])
    for version, size in steps[1:]:
        text = 'version >= %d ? %d : %s' % (version, size, text)
    return text


def default_text(field):
    """The default of a scalar as a C constant."""
    value = field.default
    if field.type == 'bool':
        return value or 'false'
    if value is None:
        return '0'
    special = {-2 ** 31: 'INT32_MIN', 2 ** 31 - 1: 'INT32_MAX', -2 ** 63: 'INT64_MIN',
               2 ** 63 - 1: 'INT64_MAX'}
    return special.get(int(value), value)
