"""Stock clients against a real klammd: kcat as in the README, kafka-python, confluent-kafka's admin.

usage: test_clients.py KLAMMD
"""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import processes  # noqa: E402

import confluent_kafka  # noqa: E402
import confluent_kafka.admin  # noqa: E402
import kafka  # noqa: E402
import kafka.admin  # noqa: E402

PASSED = []


def kcat(node, *arguments, stdin=None):
    done = subprocess.run(["kcat", "-b", node.address, *arguments], input=stdin,
                          timeout=processes.DEADLINE_S, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False)
    assert done.returncode == 0, f"kcat {arguments}: {done.stderr.decode()}"
    return done.stdout.decode()


def kcat_as_in_the_readme(node):
    kcat(node, "-P", "-t", "greetings", stdin=b"hello\n")
    assert kcat(node, "-C", "-t", "greetings", "-e", "-q") == "hello\n"
    assert "greetings" in kcat(node, "-L")


def kcat_keys_headers_and_codecs(node):
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        topic = f"kcat-{codec}"
        lines = b"".join(b"k%d:value %d %s\n" % (i, i, b"z" * 200) for i in range(2000))
        kcat(node, "-P", "-t", topic, "-K:", "-z", codec, "-H", "origin=test", stdin=lines)
        out = kcat(node, "-C", "-t", topic, "-e", "-q", "-K:", "-o", "beginning")
        assert out.encode() == lines, f"{codec}: {len(out)} of {len(lines)} bytes"
        one = kcat(node, "-C", "-t", topic, "-e", "-q", "-c", "1", "-f", "%p %o %k %h %T\n")
        assert one.startswith("0 0 k0 origin=test "), one


def kcat_offsets(node):
    kcat(node, "-P", "-t", "places", stdin=b"a\nb\nc\nd\n")
    assert kcat(node, "-C", "-t", "places", "-p", "0", "-o", "2", "-e", "-q") == "c\nd\n"
    assert kcat(node, "-C", "-t", "places", "-p", "0", "-o", "-1", "-e", "-q") == "d\n"
    assert kcat(node, "-Q", "-t", "places:0:-1").strip() == "places [0] offset 4"
    assert kcat(node, "-Q", "-t", "places:0:-2").strip() == "places [0] offset 0"
    assert "(empty)" not in kcat(node, "-C", "-t", "places", "-p", "0", "-o", "s@0", "-e", "-q")


def kafka_python(node):
    admin = kafka.admin.KafkaAdminClient(bootstrap_servers=node.address, **processes.KAFKA_PYTHON)
    admin.create_topics([kafka.admin.NewTopic("pure", 3, 1, topic_configs={
        "retention.ms": "100000"})])
    assert "pure" in admin.list_topics()
    producer = kafka.KafkaProducer(bootstrap_servers=node.address, acks="all", **processes.KAFKA_PYTHON)
    for number in range(3000):
        producer.send("pure", key=b"%d" % number, value=b"v%d" % number, partition=number % 3,
                      headers=[("n", b"%d" % number)], timestamp_ms=1700000000000 + number)
    producer.flush(processes.DEADLINE_S)
    producer.close()
    consumer = kafka.KafkaConsumer(bootstrap_servers=node.address, auto_offset_reset="earliest",
                                   enable_auto_commit=False, consumer_timeout_ms=60000,
                                   **processes.KAFKA_PYTHON)
    places = [kafka.TopicPartition("pure", p) for p in range(3)]
    consumer.assign(places)
    assert consumer.end_offsets(places) == {place: 1000 for place in places}
    seen = {0: 0, 1: 1, 2: 2}
    for message in consumer:
        number = seen[message.partition]
        assert message.value == b"v%d" % number and message.key == b"%d" % number
        assert message.timestamp == 1700000000000 + number and message.headers[0][0] == "n"
        seen[message.partition] += 3
        if sum(seen.values()) == 3 * 3000 + 3:
            break
    assert seen == {0: 3000, 1: 3001, 2: 3002}, seen
    found = consumer.offsets_for_times({places[0]: 1700000000000 + 1500})
    assert found[places[0]].offset == 500
    consumer.close()
    admin.create_partitions({"pure": kafka.admin.NewPartitions(5)})
    admin.delete_topics(["pure"])
    admin.close()


def confluent_admin(node):
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": node.address})
    new = confluent_kafka.admin.NewTopic("managed", 2, 1, config={"segment.bytes": "2000000"})
    admin.create_topics([new])["managed"].result(processes.DEADLINE_S)
    again = admin.create_topics([new])["managed"].exception(processes.DEADLINE_S)
    assert again.args[0].code() == confluent_kafka.KafkaError.TOPIC_ALREADY_EXISTS
    resource = confluent_kafka.admin.ConfigResource("topic", "managed")
    configs = admin.describe_configs([resource])[resource].result(processes.DEADLINE_S)
    assert configs["segment.bytes"].value == "2000000"
    assert not configs["segment.bytes"].is_default and configs["retention.ms"].is_default
    changed = confluent_kafka.admin.ConfigResource("topic", "managed",
                                                   set_config={"retention.ms": "12345"})
    admin.alter_configs([changed])[changed].result(processes.DEADLINE_S)
    configs = admin.describe_configs([resource])[resource].result(processes.DEADLINE_S)
    assert configs["retention.ms"].value == "12345"
    assert configs["segment.bytes"].is_default, "AlterConfigs replaces the whole set"
    admin.create_partitions([confluent_kafka.admin.NewPartitions("managed", 4)])[
        "managed"].result(processes.DEADLINE_S)
    assert len(admin.list_topics("managed", timeout=60).topics["managed"].partitions) == 4
    admin.delete_topics(["managed"])["managed"].result(processes.DEADLINE_S)
    assert "managed" not in admin.list_topics(timeout=60).topics


def idempotent_producer(node):
    producer = confluent_kafka.Producer({"bootstrap.servers": node.address,
                                         "enable.idempotence": True})
    results = []
    for number in range(5000):
        producer.produce("once", b"%d" % number,
                         on_delivery=lambda error, message: results.append(error))
    assert producer.flush(processes.DEADLINE_S) == 0
    assert len(results) == 5000 and not any(results), results[:3]


def main():
    with processes.Klamm(sys.argv[1]) as node:
        node.start()
        for case in (kcat_as_in_the_readme, kcat_keys_headers_and_codecs, kcat_offsets,
                     kafka_python, confluent_admin, idempotent_producer):
            case(node)
            PASSED.append(case.__name__)
            print(f"ok: {case.__name__}", flush=True)
        assert node.stop() == 0, node.output()[-2000:]
    print(f"{len(PASSED)} passed, 0 failed")


if __name__ == "__main__":
    main()
