"""One member of a consumer group as a process of its own; says what happens to it as lines of JSON.

usage: group_worker.py LIBRARY ADDRESS TOPIC GROUP PROTOCOL ASSIGNOR

LIBRARY is confluent (librdkafka) or kafka-python, PROTOCOL classic or consumer (KIP-848). Ends and
leaves the group at SIGTERM. Commits after every handful of records, synchronously.

events: {"time", "event": "assigned" | "revoked" | "records" | "committed" | "left" | "note", ...}
"""

import json
import signal
import sys
import time

LIBRARY, ADDRESS, TOPIC, GROUP, PROTOCOL, ASSIGNOR = sys.argv[1:7]
SESSION_MS = 6000
stopping = False


def say(event, **values):
    sys.stdout.write(json.dumps({"time": time.time(), "event": event, **values}) + "\n")
    sys.stdout.flush()


def on_term(*unused):
    global stopping
    stopping = True


def say_records(batch):
    """`batch`: [(partition, offset)]"""
    for partition in sorted({partition for partition, _ in batch}):
        offsets = [offset for number, offset in batch if number == partition]
        say("records", partition=partition, offsets=offsets)


def run_confluent():
    from confluent_kafka import Consumer, KafkaError, KafkaException

    settings = {"bootstrap.servers": ADDRESS, "group.id": GROUP, "auto.offset.reset": "earliest",
                "enable.auto.commit": False, "reconnect.backoff.max.ms": 200,
                "topic.metadata.refresh.interval.ms": 2000, "log_level": 0}
    if PROTOCOL == "consumer":
        settings["group.protocol"] = "consumer"
        if ASSIGNOR:
            settings["group.remote.assignor"] = ASSIGNOR
    else:
        settings.update({"session.timeout.ms": SESSION_MS, "heartbeat.interval.ms": 1000,
                         "partition.assignment.strategy": ASSIGNOR or "range"})
    consumer = Consumer(settings)
    is_incremental = PROTOCOL == "consumer" or ASSIGNOR == "cooperative-sticky"

    def assigned(_, partitions):
        say("assigned", partitions=[p.partition for p in partitions])

    def revoked(_, partitions):
        say("revoked", partitions=[p.partition for p in partitions])
        if is_incremental:
            consumer.incremental_unassign(partitions)
        else:
            consumer.unassign()

    consumer.subscribe([TOPIC], on_assign=assigned, on_revoke=revoked, on_lost=revoked)
    while not stopping:
        batch = []  # by single polls: old librdkafka may drop records of a batch in a rebalance
        message = consumer.poll(0.1)
        while message is not None and len(batch) < 50:
            if message.error():
                say("note", text=str(message.error()))
            else:
                batch.append((message.partition(), message.offset()))
            message = consumer.poll(0)
        if message is not None and not message.error():
            batch.append((message.partition(), message.offset()))
        if not batch:
            continue
        say_records(batch)
        try:
            consumer.commit(asynchronous=False)
            say("committed")
        except KafkaException as problem:
            if problem.args[0].code() != KafkaError._NO_OFFSET:
                say("note", text=str(problem))
    consumer.close()


def run_kafka_python():
    import kafka
    from kafka.errors import KafkaError

    consumer = kafka.KafkaConsumer(
        bootstrap_servers=ADDRESS, group_id=GROUP, auto_offset_reset="earliest",
        enable_auto_commit=False, session_timeout_ms=SESSION_MS, heartbeat_interval_ms=1000,
        max_poll_records=50, metadata_max_age_ms=2000, reconnect_backoff_max_ms=200,
        api_version_auto_timeout_ms=120000)

    class Listener(kafka.ConsumerRebalanceListener):
        def on_partitions_assigned(self, assigned):
            say("assigned", partitions=[p.partition for p in assigned])

        def on_partitions_revoked(self, revoked):
            say("revoked", partitions=[p.partition for p in revoked])

    consumer.subscribe([TOPIC], listener=Listener())
    while not stopping:
        records = consumer.poll(100)
        batch = [(place.partition, record.offset) for place, some in records.items()
                 for record in some]
        if not batch:
            continue
        say_records(batch)
        try:
            consumer.commit()
            say("committed")
        except KafkaError as problem:
            say("note", text=repr(problem))
    say("revoked", partitions=[p.partition for p in consumer.assignment()])  # its close says nothing
    consumer.close(autocommit=False)


signal.signal(signal.SIGTERM, on_term)
if LIBRARY == "confluent":
    run_confluent()
else:
    run_kafka_python()
say("left")
