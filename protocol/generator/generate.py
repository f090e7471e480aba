#!/usr/bin/env python3
"""Generates the C code of all messages from the schemas. Run by meson.

    generate.py inputs                       paths of all schema files
    generate.py outputs messages|tables      names of the files that 'emit' writes
    generate.py emit messages|tables <dir>   writes them
    generate.py index [check]                writes, or checks, the committed index of names

A file that would not change is left alone, so that nothing is compiled again.
"""

import os
import sys

import c_header
import c_source
import c_tables
from c_model import annotate
from schema import SchemaError, load_folder, schema_paths

HERE = os.path.dirname(os.path.abspath(__file__))
PROTOCOL = os.path.dirname(HERE)
SCHEMA = os.path.join(PROTOCOL, 'schema')
INDEX = os.path.join(PROTOCOL, 'messages', 'INDEX.md')


def load():
    files = load_folder(SCHEMA)
    seen = {}
    for file in files:
        for message in file.messages:
            annotate(message)
            for struct in message.structs:
                if struct.c_name in seen:
                    sys.exit('struct %s is in %s and in %s'
                             % (struct.c_name, seen[struct.c_name], file.path))
                seen[struct.c_name] = file.path
    stems = [file.stem for file in files]
    if len(set(stems)) != len(stems):
        sys.exit('two schema files have the same name')
    return files


def message_outputs(files):
    """Name and function that gives the text, of every file of protocol/messages/."""
    outputs = []
    for file in files:
        shown = os.path.relpath(file.path, os.path.dirname(PROTOCOL))
        outputs.append((file.stem + '.h', lambda f=file, s=shown: c_header.header_text(f, s)))
        outputs.append((file.stem + '.c', lambda f=file, s=shown: c_source.source_text(f, s)))
    return outputs


def table_outputs(files):
    outputs = [
        ('api_keys.h', lambda: c_tables.api_keys_text(files)),
        ('api_info_rows.h', lambda: c_tables.api_rows_text(files)),
        ('record_types.h', lambda: c_tables.record_types_text(files)),
        ('message_types.h', lambda: c_tables.types_header_text(files)),
        ('message_types.c', lambda: c_tables.types_source_text(files)),
    ]
    for chunk in range(c_tables.CHUNKS):
        outputs.append(('message_types_%d.c' % chunk,
                        lambda c=chunk: c_tables.description_text(files, c)))
    return outputs


OUTPUTS = {'messages': message_outputs, 'tables': table_outputs}


def write_if_changed(path, text):
    if os.path.exists(path):
        with open(path, encoding='utf-8') as handle:
            if handle.read() == text:
                return
    with open(path, 'w', encoding='utf-8') as handle:
        handle.write(text)


def index(files, check):
    text = c_tables.index_text(files)
    if check:
        with open(INDEX, encoding='utf-8') as handle:
            if handle.read() != text:
                sys.exit('%s is out of date: run generate.py index' % INDEX)
    else:
        write_if_changed(INDEX, text)


def main(arguments):
    if arguments == ['inputs']:
        print('\n'.join(schema_paths(SCHEMA)))
    elif arguments[0] == 'outputs':
        print('\n'.join(name for name, _ in OUTPUTS[arguments[1]](load())))
    elif arguments[0] == 'emit':
        for name, text in OUTPUTS[arguments[1]](load()):
            write_if_changed(os.path.join(arguments[2], name), text())
    elif arguments[0] == 'index':
        index(load(), arguments[1:] == ['check'])
    else:
        sys.exit(__doc__)


if __name__ == '__main__':
    try:
        main(sys.argv[1:])
    except SchemaError as error:
        sys.exit(str(error))
