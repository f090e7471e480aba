"""How names of messages, structs and fields become names in C."""

KEYWORDS = frozenset('''
    auto break case char const continue default do double else enum extern float for goto if inline
    int long register restrict return short signed sizeof static struct switch typedef union
    unsigned void volatile while bool true false'''.split())


def snake(name):
    """MetadataRequest -> metadata_request, KRaftVersion -> kraft_version."""
    name = name.replace('KRaft', 'Kraft')
    out = []
    for i, character in enumerate(name):
        if character.isupper() and i > 0:
            out.append('_')
        out.append(character.lower())
    text = ''.join(out)
    return text + '_' if text in KEYWORDS else text


def struct_name(message, struct):
    """The C struct of a struct of a message: prefixed with the message unless it begins with it."""
    if struct.name.startswith(message.name):
        return snake(struct.name)
    return snake(message.name) + '_' + snake(struct.name)


def constant(name):
    return snake(name).upper()
