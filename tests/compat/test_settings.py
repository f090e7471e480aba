"""Settings of a real klammd: files and overrides, mistakes, and changes while it runs.

usage: test_settings.py KLAMMD
"""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import processes  # noqa: E402

import confluent_kafka  # noqa: E402
import confluent_kafka.admin  # noqa: E402

RESOURCES = confluent_kafka.admin.ConfigResource


def run(binary, arguments, text=None, deadline_s=processes.DEADLINE_S):
    """Runs klammd to its end with a file of `text`; returns (status, output)."""
    with processes.Process() as place:
        if text is not None:
            path = os.path.join(place.directory, "server.properties")
            with open(path, "w") as file:
                file.write(text)
            arguments = ["server.properties", *arguments]
        done = subprocess.run([os.path.abspath(binary), *arguments], cwd=place.directory,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=deadline_s, check=False)
        return done.returncode, done.stdout.decode()


def mistakes_end_with_status_2_and_one_line(binary):
    for text, arguments, want in (
            ("num.partitions=many\n", [], "server.properties:1: num.partitions = many: "),
            ("\n\nlog.segment.bytes=1\n", [], "server.properties:3: log.segment.bytes = 1: "),
            (None, ["--override", "klamm.durability=never"], "klamm.durability = never: "),
            ("listeners=PLAINTEXT://:70000\n", [], "PLAINTEXT://:70000"),
            ("listeners=SSL://:9093\nsecurity.inter.broker.protocol=SSL\n", [], "SSL")):
        status, output = run(binary, arguments, text)
        assert status == 2, f"{text} {arguments}: status {status}\n{output}"
        lines = [line for line in output.splitlines() if want in line]
        assert len(lines) == 1, f"{text} {arguments}: {output}"


def unknown_and_idle_keys_are_said_once(binary):
    with processes.Klamm(binary, {"log.retention.hour": "1", "num.io.threads": "8"}) as node:
        node.start()
        output = node.output()
        assert output.count("did you mean log.retention.hours?") == 1, output
        assert output.count("num.io.threads has no effect here") == 1, output
        assert node.stop() == 0


def alter(admin, kind, name, settings):
    """Replaces the settings of a resource; the error code, or None."""
    resource = RESOURCES(kind, name, set_config=settings)
    error = admin.alter_configs([resource])[resource].exception(processes.DEADLINE_S)
    return error.args[0].code() if error else None


def describe(admin, kind, name):
    resource = RESOURCES(kind, name)
    return admin.describe_configs([resource])[resource].result(processes.DEADLINE_S)


def deliver(node, topic, size):
    """Produces one value of `size` bytes; the error code, or None."""
    errors = []
    producer = confluent_kafka.Producer({"bootstrap.servers": node.address,
                                         "message.timeout.ms": 100000})
    producer.produce(topic, b"x" * size, on_delivery=lambda error, _: errors.append(error))
    assert producer.flush(processes.DEADLINE_S) == 0
    return errors[0].code() if errors[0] else None


def changes_act_at_once_and_survive_a_restart(binary):
    too_large = confluent_kafka.KafkaError.MSG_SIZE_TOO_LARGE
    with processes.Klamm(binary) as node:
        node.start()
        admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": node.address})
        topic = confluent_kafka.admin.NewTopic("changing", 1, 1)
        admin.create_topics([topic])["changing"].result(processes.DEADLINE_S)
        assert deliver(node, "changing", 2000) is None
        assert alter(admin, "topic", "changing", {"max.message.bytes": "1000"}) is None
        assert deliver(node, "changing", 2000) == too_large
        assert alter(admin, "topic", "changing", {}) is None
        assert deliver(node, "changing", 2000) is None
        assert alter(admin, "broker", "1", {"message.max.bytes": "900"}) is None
        assert deliver(node, "changing", 2000) == too_large
        assert node.stop() == 0
        node.start()
        assert deliver(node, "changing", 2000) == too_large
        shown = describe(admin, "topic", "changing")["max.message.bytes"]
        assert shown.value == "900" and shown.source == 2, (shown.value, shown.source)
        assert alter(admin, "topic", "changing", {"max.message.bytes": "-1"}) == \
            confluent_kafka.KafkaError.INVALID_CONFIG
        assert alter(admin, "broker", "1", {"num.partitions": "3"}) == \
            confluent_kafka.KafkaError.INVALID_REQUEST
        assert alter(admin, "broker", "1", {}) is None
        assert deliver(node, "changing", 2000) is None
        assert node.stop() == 0


def connection_limits_follow_their_settings(binary):
    with processes.Klamm(binary) as node:
        node.start()
        admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": node.address})
        assert alter(admin, "broker", "1", {
            "max.connections.per.ip.overrides": "127.0.0.1:0, 10.1.1.1:7"}) is None
        stranger = confluent_kafka.admin.AdminClient({"bootstrap.servers": node.address})
        try:
            stranger.list_topics(timeout=3)
            raise AssertionError("a connection beyond the limit was served")
        except confluent_kafka.KafkaException:
            pass
        processes.wait_until(lambda: "max.connections.per.ip reached" in node.output(), "the line")
        assert alter(admin, "broker", "1", {}) is None
        processes.wait_until(lambda: stranger.list_topics(timeout=60), "service again")
        assert node.stop() == 0


def main():
    cases = (mistakes_end_with_status_2_and_one_line, unknown_and_idle_keys_are_said_once,
             changes_act_at_once_and_survive_a_restart, connection_limits_follow_their_settings)
    for case in cases:
        case(sys.argv[1])
        print(f"ok: {case.__name__}", flush=True)
    print(f"{len(cases)} passed, 0 failed")


if __name__ == "__main__":
    main()
