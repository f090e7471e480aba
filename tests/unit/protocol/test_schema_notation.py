"""The schema notation: what a field line means, and what is refused with its place."""

import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', '..', '..', 'protocol', 'generator'))

from c_model import annotate, condition, size_min, size_min_text  # noqa: E402
from names import snake  # noqa: E402
from schema import NONE, Parser, Range, SchemaError  # noqa: E402

HEAD = 'api 3 Sample\nlisteners broker\nversions 0-9\nflexible 6+\n'


def request(fields, head=HEAD):
    return Parser('sample', head + 'request {\n' + fields + '\n}\n').parse().messages[0]


class Notation(unittest.TestCase):
    def test_versions_default_to_those_of_the_block(self):
        message = request('A int32\nB []Inner 2-7 {\n C string\n D int8 4+\n}')
        a, b = message.body.fields
        self.assertEqual(a.versions, Range(0, 9))
        self.assertEqual(b.versions, Range(2, 7))
        c, d = b.struct.fields
        self.assertEqual(c.versions, Range(2, 7))
        self.assertEqual(d.versions, Range(4, 7))

    def test_words_behind_the_type(self):
        field = request('A []string 3+ null 5+ tag 2 7+ default null ignorable').body.fields[0]
        self.assertTrue(field.is_array and field.ignorable)
        self.assertEqual((field.tag, field.default), (2, 'null'))
        self.assertEqual(field.nullable, Range(5, 9))
        self.assertEqual(field.tagged, Range(7, 9))
        self.assertEqual(field.plain, Range(3, 6))

    def test_tags_need_flexible_versions(self):
        self.assertEqual(request('A int8 tag 0').body.fields[0].tagged, Range(6, 9))

    def test_shared_structs_stand_ahead(self):
        message = request('struct Pair {\n K string\n}\nA []Pair\nB []Pair 2+')
        self.assertIs(message.body.fields[0].struct, message.body.fields[1].struct)

    def test_comments_and_empty_lines_are_skipped(self):
        self.assertEqual(len(request('# a comment\n\nA int8 # another').body.fields), 1)

    def test_errors_name_the_line(self):
        for fields, problem in (
                ('A int24', 'unknown type int24'),
                ('A int32 null', 'cannot be null'),
                ('A string default null', 'never null'),
                ('A int32 10+', 'in no version'),
                ('A Inner null {\n B int8\n}', 'null by default'),
                ('A int32 surprising', 'unknown word'),
                ('A []Inner {\n B int8', 'unknown|ends')):
            with self.assertRaisesRegex(SchemaError, r'sample:\d+: .*(%s)' % problem):
                request(fields)
        with self.assertRaisesRegex(SchemaError, 'unknown statement'):
            Parser('sample', 'nonsense 1').parse()
        with self.assertRaisesRegex(SchemaError, 'no message'):
            Parser('sample', HEAD).parse()


class Ranges(unittest.TestCase):
    def test_cut_and_minus(self):
        self.assertEqual(Range(2, 8).cut(Range(5, 20)), Range(5, 8))
        self.assertEqual(Range(2, 8).minus(Range(5, 20)), Range(2, 4))
        self.assertEqual(Range(2, 8).minus(Range(0, 3)), Range(4, 8))
        self.assertEqual(Range(2, 8).minus(Range(9, 9)), Range(2, 8))
        self.assertTrue(Range(2, 8).minus(Range(2, 8)).empty())
        with self.assertRaises(SchemaError):
            Range(2, 8).minus(Range(4, 5))

    def test_conditions_are_as_short_as_their_context_allows(self):
        outer = Range(2, 9)
        self.assertEqual(condition(Range(0, 9), outer), '')
        self.assertEqual(condition(Range(4, 9), outer), 'version >= 4')
        self.assertEqual(condition(Range(2, 3), outer), 'version <= 3')
        self.assertEqual(condition(Range(4, 6), outer), 'version >= 4 && version <= 6')
        self.assertTrue(NONE.empty())


class Sizes(unittest.TestCase):
    def test_the_fewest_bytes_of_a_struct(self):
        message = request('A string\nB int32 3+\nC []int8\nD uuid 7+ tag 0\nE S null 8+ default null'
                          ' {\n F int64\n}')
        annotate(message)
        sizes = [size_min(message.body, version, message.flexible) for version in (0, 3, 6, 7, 8)]
        # Version 8 on: E can be null and takes a byte; before, its number and its tag section.
        self.assertEqual(sizes, [2 + 4 + 8, 2 + 4 + 4 + 8, 1 + 4 + 1 + 1 + 9, 1 + 4 + 1 + 1 + 9, 8])
        self.assertEqual(size_min_text(message.body, message.versions, message.flexible),
                         'version >= 8 ? 8 : version >= 6 ? 16 : version >= 3 ? 18 : 14')


class Names(unittest.TestCase):
    def test_snake_case(self):
        for name, expected in (('ThrottleTimeMs', 'throttle_time_ms'),
                               ('KRaftVersionFeature', 'kraft_version_feature'),
                               ('V3AndBelowTopics', 'v3_and_below_topics'),
                               ('topicId', 'topic_id'), ('Default', 'default_')):
            self.assertEqual(snake(name), expected)


if __name__ == '__main__':
    unittest.main()
