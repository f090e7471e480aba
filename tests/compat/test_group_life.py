"""Stock clients in consumer groups: members join, leave, crash and pause while records flow.

For each kind of member (library and protocol) one group goes through a life: three members start, a
fourth joins and leaves, one is killed, one is stopped for longer than its session and goes on. In
the end everything must have been delivered and committed; no partition had two owners at a time and
no committed offset went back.

usage: test_group_life.py KLAMMD|kafka FOLDER [KIND ...]

FOLDER keeps a current confluent-kafka, which speaks the consumer protocol (KIP-848). Without kinds:
one of each code base, and all of them with KLAMM_NIGHTLY. Given "kafka", Apache Kafka is asked to
pass the same test.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import group_members as members  # noqa: E402
import processes  # noqa: E402

PARTITIONS = 6
SHORT = ("librdkafka range", "kafka-python", "librdkafka consumer")


def kinds(folder):
    found = [members.Kind("librdkafka range", "confluent", "classic", "range"),
             members.Kind("librdkafka cooperative", "confluent", "classic", "cooperative-sticky"),
             members.Kind("kafka-python", "kafka-python", "classic")]
    python = members.current_confluent(folder)
    if python:
        found.append(members.Kind("librdkafka consumer", "confluent", "consumer", python=python))
        found.append(members.Kind("librdkafka consumer range", "confluent", "consumer", "range",
                                  python=python))
    if processes.kafka_libraries():
        found.append(members.Kind("java classic", "java", "classic"))
        found.append(members.Kind("java consumer", "java", "consumer"))
    return found


def life(node, kind, number):
    topic, group = f"topic-{number}", f"group-{number}"
    members.create_topic(node.address, topic, PARTITIONS)
    history = members.History(PARTITIONS, node.directory)
    source = members.Source(node.address, topic, PARTITIONS)
    watch = members.CommitWatch(node.address, topic, group, PARTITIONS)

    def start(name):
        return members.Member(kind, node.address, topic, group, history, name)

    def await_owners(*expected):
        members.wait(lambda: history.is_covered(expected), f"{kind.name}: the partitions belong to "
                     f"{[member.name for member in expected]}; now "
                     f"{ {member.name: member.owned() for member in history.members} }")

    a, b, c = start("a"), start("b"), start("c")
    await_owners(a, b, c)
    d = start("d")
    await_owners(a, b, c, d)
    d.leave()
    await_owners(a, b, c)
    b.kill()
    await_owners(a, c)
    if kind.library == "java":  # that program ends when it finds itself fenced
        c.kill()
        await_owners(a)
        c = start("e")
    else:
        c.stop()
        await_owners(a)
        c.go_on()
    await_owners(a, c)
    ends = source.finish()
    members.wait(lambda: watch.last == ends, f"{kind.name}: everything is committed")
    watch.finish()
    history.check(ends)
    for member in (a, c):
        member.leave()
    print(f"ok  {kind.name}: {sum(ends)} records, {history.commits} commits, {watch.reads} reads "
          "of the offsets", flush=True)


def main():
    binary, folder, wanted = sys.argv[1], sys.argv[2], sys.argv[3:]
    if not wanted and not os.environ.get("KLAMM_NIGHTLY"):
        wanted = SHORT
    broker = (processes.Kafka(members.SETTINGS) if binary == "kafka"
              else processes.Klamm(binary, members.SETTINGS))
    with broker as node:
        node.start()
        for number, kind in enumerate(kinds(folder)):
            if not wanted or kind.name in wanted:
                life(node, kind, number)
        assert node.stop() == (143 if binary == "kafka" else 0)


main()
