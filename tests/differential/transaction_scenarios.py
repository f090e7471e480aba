"""Producer ids and transactions of both protocol versions: requests that are sent to both brokers.

Ids of producers are named in the order in which they are met, because which ones a broker gives out
is chance. The end of a transaction is answered before its markers are written, so a step that
depends on it waits until DescribeTransactions says so (not noted).
"""

import struct

import processes
import wire
from group_scenarios import java_hash, records_of, settle_coordinator
from scenarios import NOW, create, fetch_values, retry
from target import versions_of

OLD, ABORTABLE, NEW = 9, 11, 12  # Produce versions before and after KIP-890
ENDED = ("Empty", "CompleteCommit", "CompleteAbort")
MISSING = 2000000000  # no producer


class Producer:
    """A transactional producer: requests under the id and epoch that it has at the time."""

    def __init__(self, target, name):
        self.target, self.name = target, name
        self.id, self.epoch = -1, -1

    def note(self, label, answer):
        self.target.note(f"{self.name}: {label}", named(self.target, sort_partitions(answer)))

    def call(self, api, version, values, label="", note=True):
        answer = self.target.call(api, version, values, note=False)
        if note:
            self.note(f"{api} v{version} {label}".strip(), answer)
        return answer

    def init(self, version=5, label="", note=True, expected=None, **changes):
        """Asks until no earlier transaction is in the way; only the last answer is noted."""
        values = {"TransactionalId": self.name, "TransactionTimeoutMs": 60000}
        if version >= 3 and expected:
            values.update(ProducerId=expected[0], ProducerEpoch=expected[1])
        values.update(changes)
        answer = retry(lambda: self.call("InitProducerId", version, values, note=False), 51, 14)
        if note:
            self.note(f"InitProducerId v{version} {label}".strip(), answer)
        if answer["ErrorCode"] == 0:
            self.id, self.epoch = answer["ProducerId"], answer["ProducerEpoch"]
        return answer

    def own(self, **changes):
        return {"TransactionalId": self.name, "ProducerId": self.id, "ProducerEpoch": self.epoch,
                **changes}

    def add(self, topic, *partitions, version=3, label="", **changes):
        own = {f"V3AndBelow{key}": value for key, value in self.own(**changes).items()}
        return self.call("AddPartitionsToTxn", version, {**own, "V3AndBelowTopics": [
            {"Name": topic, "Partitions": list(partitions)}]}, label)

    def ask(self, topic, *partitions, verify=True, version=5, label="", **changes):
        """The form of brokers."""
        return self.call("AddPartitionsToTxn", version, {"Transactions": [{
            **self.own(**changes), "VerifyOnly": verify,
            "Topics": [{"Name": topic, "Partitions": list(partitions)}]}]}, label)

    def add_offsets(self, group, version=3, label="", **changes):
        return self.call("AddOffsetsToTxn", version, {**self.own(**changes), "GroupId": group},
                         label)

    def end(self, commit, version=4, label="", settles=True, **changes):
        answer = self.call("EndTxn", version, {**self.own(**changes), "Committed": commit},
                           f"{'commit' if commit else 'abort'} {label}".strip())
        if settles:
            self.settle()
        if version >= 5 and answer["ErrorCode"] == 0:
            self.id, self.epoch = answer["ProducerId"], answer["ProducerEpoch"]
        return answer

    def produce(self, topic, sequence, partition=0, version=OLD, label="", producer=None,
                transactional=True, name=True):
        identity = producer or (self.id, self.epoch)
        batch = wire.batch([wire.record(i, b"k%d" % i, b"v%d" % i) for i in range(2)], NOW,
                           attributes=0x10 if transactional else 0,
                           producer=(*identity, sequence))
        return self.call("Produce", version, {
            "TransactionalId": self.name if name else None, "Acks": -1, "TimeoutMs": 10000,
            "TopicData": [{"Name": topic, "PartitionData": [
                {"Index": partition, "Records": batch}]}]}, f"{partition} {label}".strip())

    def commit_offset(self, group, topic, offset, version=3, label="", partition=0, **changes):
        values = {**self.own(), "GroupId": group, "Topics": [{"Name": topic, "Partitions": [
            {"PartitionIndex": partition, "CommittedOffset": offset, "CommittedMetadata": "m"}]}]}
        if version >= 3:
            values.update(GenerationId=-1, MemberId="", GroupInstanceId=None)
        values.update(changes)
        return self.call("TxnOffsetCommit", version, values, label)

    def describe(self):
        answer = self.call("DescribeTransactions", 0, {"TransactionalIds": [self.name]},
                           note=False)
        return answer["TransactionStates"][0]

    def settle(self):
        def is_over():
            state = self.describe()
            return state["ErrorCode"] != 0 or not state["TransactionState"].startswith("Prepare")

        processes.wait_until(is_over, f"{self.target.name}: the end of {self.name}")

    def note_state(self, label):
        state = self.describe()
        if state.get("TransactionStartTimeMs", -1) > 0:
            state["TransactionStartTimeMs"] = "<a time>"
        for topic in state["Topics"]:
            topic["Partitions"].sort()
        state["Topics"].sort(key=lambda topic: topic["Topic"])
        self.note(f"DescribeTransactions {label}", state)


def sort_partitions(value):
    """Kafka lists what it refuses and what it does in the order of a hash map."""
    if isinstance(value, list):
        value = [sort_partitions(item) for item in value]
        if value and isinstance(value[0], dict) and "PartitionIndex" in value[0]:
            value.sort(key=lambda item: item["PartitionIndex"])
        return value
    if isinstance(value, dict):
        return {key: sort_partitions(item) for key, item in value.items()}
    return value


def named(target, value):
    """Ids of producers replaced by names."""
    if isinstance(value, list):
        return [named(target, item) for item in value]
    if isinstance(value, dict):
        return {key: producer_name(target, item) if key == "ProducerId" else named(target, item)
                for key, item in value.items()}
    return value


def producer_name(target, number):
    if not isinstance(number, int) or number < 0 or number == MISSING:
        return number
    known = target.random_ids.setdefault("producers", {})
    return known.setdefault(number, f"<producer {len(known) + 1}>")


def settle_transactions(target, name):
    """Waits until the coordinator of a transactional id is there and has loaded (not noted)."""
    def is_there():
        found = target.call("FindCoordinator", 3, {"Key": name, "KeyType": 1}, note=False)
        if found["ErrorCode"] != 0:
            return False
        answer = target.call("DescribeTransactions", 0, {"TransactionalIds": [name]}, note=False)
        return answer["TransactionStates"][0]["ErrorCode"] in (0, 105)

    processes.wait_until(is_there, f"{target.name}: a coordinator of {name}", 60)


def begin(target, name, **options):
    settle_transactions(target, name)
    producer = Producer(target, name)
    producer.init(**options)
    return producer


def note_fetch(target, topic, label, partition=0, committed=1):
    values = fetch_values(target, topic, 12, partition=partition)
    answer = target.call("Fetch", 12, {**values, "IsolationLevel": committed}, note=False)
    data = answer["Responses"][0]["Partitions"][0]
    aborted = data.get("AbortedTransactions")
    if aborted:
        aborted = sorted(([producer_name(target, a["ProducerId"]), a["FirstOffset"]]
                          for a in aborted), key=lambda pair: pair[1])
    batches = [batch_head(target, batch) for batch in each_batch(data["Records"] or b"")]
    target.note(f"Fetch {label} {partition}", [data["ErrorCode"], data["HighWatermark"],
                                               data["LastStableOffset"], aborted, batches])
    for isolation in (0, 1):
        target.call("ListOffsets", 7, {"ReplicaId": -1, "IsolationLevel": isolation, "Topics": [
            {"Name": topic, "Partitions": [{"PartitionIndex": partition, "Timestamp": -1}]}]},
            f"{label} {partition} {isolation}")


def each_batch(data):
    while len(data) >= 61:
        size = 12 + struct.unpack_from(">i", data, 8)[0]
        yield data[:size]
        data = data[size:]


def batch_head(target, batch):
    """What a reader of transactions looks at: offset, attributes, producer, the marker's record."""
    base, = struct.unpack_from(">q", batch, 0)
    attributes, = struct.unpack_from(">h", batch, 21)
    identity, epoch, sequence, count = struct.unpack_from(">qhii", batch, 43)
    control = batch[61:].hex() if attributes & 0x20 else ""
    return [base, attributes, producer_name(target, identity), epoch, sequence, count, control]


# ---- Scenarios ----

def producer_ids(target, topic):
    """InitProducerId in every version and case."""
    settle_transactions(target, topic)
    for version in versions_of("InitProducerId"):
        producer = Producer(target, f"{topic}-{version}")
        settle_transactions(target, producer.name)
        fresh = producer.init(version, "no transactional id", note=False, TransactionalId=None)
        producer.note(f"no transactional id v{version}",
                      [fresh["ErrorCode"], fresh["ProducerId"] >= 0, fresh["ProducerEpoch"]])
        producer.init(version, "empty", TransactionalId="")
        for timeout in (0, -1, 900001, 2147483647):
            producer.init(version, f"timeout {timeout}", TransactionTimeoutMs=timeout)
        producer.init(version, "timeout 900000", TransactionTimeoutMs=900000)
        producer.init(version, "again")
        if version < 3:
            continue
        first = (producer.id, producer.epoch)
        producer.init(version, "id without epoch", ProducerId=producer.id)
        producer.init(version, "epoch without id", ProducerEpoch=0)
        producer.init(version, "continues", expected=first)
        producer.init(version, "continues again", expected=first)
        producer.init(version, "other id", expected=(MISSING, 0))
        producer.init(version, "newer epoch", expected=(producer.id, producer.epoch + 1))
        producer.init(version, "much older epoch", expected=(first[0], first[1] - 1))
        producer.init(version, "anew")
        producer.init(version, "the one before", expected=(producer.id, producer.epoch - 1))
        unknown = Producer(target, f"{topic}-unknown-{version}")
        settle_transactions(target, unknown.name)
        unknown.init(version, "unknown", expected=(MISSING, 7))
    target.call("InitProducerId", 3, {"TransactionalId": None, "TransactionTimeoutMs": 0,
                                      "ProducerId": 5}, "id without epoch, no transactional id")


def transaction_unknown(target, topic):
    """Every request of an id that nobody has begun, and of the empty id."""
    create(target, topic)
    settle_transactions(target, topic)
    settle_coordinator(target, topic)
    for name in (topic + "-nobody", ""):
        producer = Producer(target, name)
        if name:
            settle_transactions(target, name)
        producer.id, producer.epoch = MISSING, 0
        for version in range(0, 4):
            producer.add(topic, 0, version=version)
            producer.add(topic, 0, 7, version=version, label="unknown partition")
            producer.add("missing-" + topic, 0, version=version, label="unknown topic")
        for version in (4, 5):
            for verify in (False, True):
                producer.ask(topic, 0, verify=verify, version=version, label=f"verify {verify}")
        for version in versions_of("AddOffsetsToTxn"):
            producer.add_offsets(topic, version)
        for version in versions_of("EndTxn"):
            for commit in (False, True):
                producer.end(commit, version, settles=False)
        if name:
            for version in (OLD, ABORTABLE, NEW):
                producer.produce(topic, 0, version=version)
            for version in versions_of("TxnOffsetCommit"):
                producer.commit_offset(topic, topic, 1, version)
        producer.note_state("unknown")
    producer = Producer(target, topic)
    producer.id, producer.epoch = MISSING, 0
    for version in (OLD, ABORTABLE, NEW):
        producer.produce(topic, 0, version=version, name=False, label="no transactional id")


def transaction_adds(target, topic):
    """AddPartitionsToTxn and AddOffsetsToTxn in every version and state."""
    create(target, topic, 3)
    settle_coordinator(target, topic)
    for version in range(0, 4):
        producer = begin(target, f"{topic}-{version}")
        producer.add(topic, 0, 7, version=version, label="some unknown")
        producer.add(topic, 0, version=version, label="other id", ProducerId=MISSING)
        producer.add(topic, 0, version=version, label="older epoch", ProducerEpoch=-1)
        producer.add(topic, 0, version=version, label="newer epoch", ProducerEpoch=9)
        producer.note_state("before")
        producer.add(topic, 0, 1, version=version)
        producer.add(topic, 1, version=version, label="again")
        producer.add_offsets(topic, version, "other id", ProducerId=MISSING)
        producer.add_offsets(topic, version, "newer epoch", ProducerEpoch=9)
        producer.add_offsets(topic, version)
        producer.add_offsets(topic, version, "again")
        producer.note_state("after")
        producer.end(True)
        producer.note_state("committed")
        producer.add(topic, 2, version=version, label="next")
        producer.note_state("next")
        producer.end(False)
        producer.note_state("aborted")
    for version in (4, 5):
        producer = begin(target, f"{topic}-{version}")
        producer.ask(topic, 0, version=version, label="not ongoing")
        producer.ask(topic, 0, version=version, label="other id", ProducerId=MISSING)
        producer.ask(topic, 0, version=version, label="newer epoch", ProducerEpoch=9)
        producer.ask(topic, 0, verify=False, version=version, label="add")
        producer.ask(topic, 0, 1, version=version, label="one of two")
        producer.ask(topic, 0, 7, verify=False, version=version, label="some unknown")
        producer.note_state("ongoing")
        other = begin(target, f"{topic}-{version}-other")
        producer.call("AddPartitionsToTxn", version, {"Transactions": [
            {**one.own(), "VerifyOnly": verify, "Topics": [{"Name": topic, "Partitions": [1]}]}
            for one, verify in ((producer, True), (other, False))]}, "two transactions")
        for one in (producer, other):
            one.end(False)
    target.call("AddOffsetsToTxn", 4, {"TransactionalId": topic, "ProducerId": MISSING,
                                       "ProducerEpoch": 0, "GroupId": ""}, "empty group")


def transaction_ends(target, topic):
    """EndTxn of the older protocol in every version and resting state."""
    create(target, topic, 2)
    for version in range(0, 5):
        producer = begin(target, f"{topic}-{version}")
        for commit in (False, True):
            producer.end(commit, version, "empty")
            producer.end(commit, version, "other id", ProducerId=MISSING)
            producer.end(commit, version, "older epoch", ProducerEpoch=-1)
            producer.end(commit, version, "newer epoch", ProducerEpoch=9)
        for commit in (True, False):
            producer.add(topic, 0)
            producer.end(commit, version, "older epoch, ongoing", ProducerEpoch=-1)
            producer.end(commit, version, "ongoing")
            producer.note_state("ended")
            producer.end(commit, version, "again")
            producer.end(not commit, version, "the other way")
        producer.init(label="after all")
    note_fetch(target, topic, "after")


def transaction_records(target, topic):
    """Data, markers and aborted ranges as readers see them, in the older protocol."""
    create(target, topic, 2)
    first, second = begin(target, topic + "-1"), begin(target, topic + "-2")
    sequence = {first: 0, second: 0}

    def write(producer, partition=0, **options):
        producer.produce(topic, sequence[producer], partition, **options)
        sequence[producer] += 2 if partition == 0 else 0

    for version in (3, 8, 9, 10, 11):
        first.add(topic, 0, 1)
        write(first, version=version)
        note_fetch(target, topic, f"open {version}")
        second.add(topic, 0)
        write(second, version=version)
        write(first, version=version)
        first.end(version % 2 == 0, label=f"round {version}")
        note_fetch(target, topic, f"one open {version}")
        second.end(version % 2 == 1, label=f"round {version}")
        note_fetch(target, topic, f"ended {version}")
        note_fetch(target, topic, f"marker alone {version}", 1)
    answer = target.call("DescribeProducers", 0, {"Topics": [
        {"Name": topic, "PartitionIndexes": [0, 1]}]}, note=False)
    for part in answer["Topics"][0]["Partitions"]:
        for producer in part["ActiveProducers"]:
            producer["LastTimestamp"] = "<a time>"
        part["ActiveProducers"].sort(key=lambda found: producer_name(target, found["ProducerId"]))
    first.note("DescribeProducers", answer)


def transaction_unverified(target, topic):
    """Transactional batches that do not belong, in every form of Produce."""
    create(target, topic, 3)
    producer = begin(target, topic)
    for version in (3, OLD, 10, ABORTABLE):
        producer.produce(topic, 0, version=version, label="not added")
        producer.produce(topic, 0, version=version, label="other id", producer=(MISSING, 0))
        producer.produce(topic, 0, version=version, label="newer epoch",
                         producer=(producer.id, 9))
    producer.add(topic, 0)
    producer.produce(topic, 0, label="added")
    for version in (OLD, ABORTABLE):
        producer.produce(topic, 0, 1, version, label="another partition")
        producer.produce(topic, 2, version=version, label="newer epoch",
                         producer=(producer.id, 9))
    producer.produce(topic, 0, label="duplicate")
    producer.produce(topic, 6, label="gap")
    producer.produce(topic, 2, label="not transactional", transactional=False)
    producer.end(True)
    for version in (OLD, ABORTABLE):
        producer.produce(topic, 2, version=version, label="late")
    producer.init(label="successor")
    for version in (OLD, ABORTABLE, NEW):
        producer.produce(topic, 2, version=version, label="fenced",
                         producer=(producer.id, producer.epoch - 1))
    note_fetch(target, topic, "after")


def transaction_fences(target, topic):
    """A successor aborts what its predecessor has open, and the predecessor is told."""
    create(target, topic)
    for version in (2, 3, 4, 5):
        zombie = begin(target, f"{topic}-{version}")
        zombie.add(topic, 0)
        zombie.produce(topic, 0)
        producer = Producer(target, zombie.name)
        producer.init(version, "successor")
        producer.note_state("fenced")
        zombie.produce(topic, 2, label="zombie")
        zombie.add(topic, 0, label="zombie")
        zombie.add(topic, 0, version=1, label="zombie")
        zombie.add_offsets(topic, label="zombie")
        zombie.end(True, label="zombie")
        zombie.end(True, 1, label="zombie")
        zombie.init(label="zombie continues", expected=(zombie.id, zombie.epoch))
        producer.add(topic, 0)
        producer.produce(topic, 0)
        producer.end(True)
    note_fetch(target, topic, "after")


def transaction_version_2(target, topic):
    """The newer protocol: partitions that join by themselves, an epoch for each transaction."""
    create(target, topic, 2)
    producer = begin(target, topic)
    for commit in (True, False, True):
        before = (producer.id, producer.epoch)
        producer.produce(topic, 0, version=NEW)
        producer.produce(topic, 0, 1, version=NEW)
        producer.produce(topic, 2, version=NEW)
        producer.note_state("ongoing")
        producer.end(commit, 5, "older epoch", ProducerEpoch=producer.epoch - 1)
        producer.end(commit, 5, "newer epoch", ProducerEpoch=producer.epoch + 1)
        producer.end(commit, 5, "other id", ProducerId=MISSING)
        producer.end(commit, 5)
        producer.note_state("ended")
        for again in (commit, not commit):
            producer.call("EndTxn", 5, {**producer.own(ProducerEpoch=before[1]),
                                        "Committed": again}, f"retry {again}")
        producer.produce(topic, 4, version=NEW, label="late", producer=before)
        producer.call("EndTxn", 5, {**producer.own(ProducerEpoch=before[1] - 1),
                                    "Committed": commit}, "much older")
        producer.call("EndTxn", 5, {**producer.own(), "Committed": True}, "nothing to commit")
        note_fetch(target, topic, f"after {commit}")
    for label in ("once", "twice"):
        producer.end(False, 5, f"nothing to abort {label}")
        producer.note_state(f"nothing aborted {label}")
    producer.init(label="anew")
    producer.end(True, 5, "empty")
    producer.end(False, 5, "empty")
    producer.note_state("empty aborted")
    producer.produce(topic, 3, version=NEW, label="begins in the middle")
    producer.produce(topic, 0, version=NEW, label="begins")
    successor = Producer(target, topic)
    successor.init(label="successor")
    producer.produce(topic, 2, version=NEW, label="zombie")
    producer.end(True, 5, "zombie")
    note_fetch(target, topic, "at last")


def transaction_offsets(target, topic):
    """TxnOffsetCommit in every version, and what OffsetFetch says meanwhile."""
    create(target, topic, 2)
    settle_coordinator(target, topic)

    def fetched(label):
        for stable in (False, True):
            target.call("OffsetFetch", 7, {"GroupId": topic, "RequireStable": stable, "Topics": [
                {"Name": topic, "PartitionIndexes": [0]}]}, f"{label} {stable}")

    for version in versions_of("TxnOffsetCommit"):
        producer = begin(target, f"{topic}-{version}")
        if version < 5:
            producer.commit_offset(topic, topic, 1, version, "not added")
            producer.add_offsets(topic)
        producer.commit_offset(topic, topic, 10 + version, version)
        producer.commit_offset(topic, topic, 10, version, "unknown partition", 7)
        producer.commit_offset(topic, "missing-" + topic, 10, version, "unknown topic")
        producer.commit_offset(topic, topic, 10, version, "other id", ProducerId=MISSING)
        producer.commit_offset(topic, topic, 10, version, "newer epoch", ProducerEpoch=9)
        if version >= 3:
            producer.commit_offset(topic, topic, 10, version, "generation", GenerationId=5)
            producer.commit_offset(topic, topic, 10, version, "member", MemberId="someone")
        fetched(f"open {version}")
        commit = version % 2 == 0
        producer.end(commit, 5 if version == 5 else 4)
        fetched(f"ended {version}")
    for version in (3, 5):
        producer.commit_offset("", topic, 10, version, "empty group")


def transaction_markers(target, topic):
    """WriteTxnMarkers, as an operator sends them."""
    create(target, topic, 3)
    for version in (1, 2):
        producer = begin(target, f"{topic}-{version}")
        producer.init(label="again")

        def write(label, partition=version, commit=False, coordinator=0, epoch=None,
                  identity=None, name=topic):
            values = {"ProducerId": producer.id if identity is None else identity,
                      "ProducerEpoch": producer.epoch if epoch is None else epoch,
                      "TransactionResult": commit, "CoordinatorEpoch": coordinator,
                      "Topics": [{"Name": name, "PartitionIndexes": [partition]}]}
            if version >= 2:
                values["TransactionVersion"] = 2
            producer.call("WriteTxnMarkers", version, {"Markers": [values]}, label)

        producer.add(topic, version)
        producer.produce(topic, 0, version)
        write("unknown partition", 7)
        write("unknown topic", name="missing-" + topic)
        write("older epoch", epoch=0)
        write("other id", identity=MISSING, epoch=3)
        note_fetch(target, topic, "still open", version)
        write("same epoch", coordinator=3)
        note_fetch(target, topic, "same epoch", version)
        # From here on the transaction's own coordinator is the older one.
        write("newer epoch", epoch=5, coordinator=3)
        write("older coordinator", epoch=5, coordinator=2)
        write("again", epoch=5, coordinator=3)
        write("again, commit", epoch=5, coordinator=3, commit=True)
        note_fetch(target, topic, "ended", version)


def transaction_lists(target, topic):
    """ListTransactions and DescribeTransactions."""
    create(target, topic)
    producers = [begin(target, f"{topic}-{kind}")
                 for kind in ("empty", "ongoing", "committed", "aborted")]
    for producer in producers[1:]:
        producer.add(topic, 0)
    producers[2].end(True)
    producers[3].end(False)

    def listed(label, version=1, **filters):
        values = {"StateFilters": [], "ProducerIdFilters": [], **filters}
        answer = target.call("ListTransactions", version, values, note=False)
        answer["TransactionStates"] = sorted(
            (one for one in answer["TransactionStates"]
             if one["TransactionalId"].startswith(topic)),
            key=lambda one: one["TransactionalId"])
        producers[0].note(f"ListTransactions v{version} {label}", answer)

    for version in versions_of("ListTransactions"):
        listed("all", version)
        listed("ongoing", version, StateFilters=["Ongoing"])
        listed("two states", version, StateFilters=["Empty", "CompleteAbort"])
        listed("dead", version, StateFilters=["Dead", "PrepareEpochFence"])
        listed("unknown states", version, StateFilters=["Undead", "ongoing", "Ongoing"])
        listed("only unknown", version, StateFilters=["Undead"])
        listed("producer", version, ProducerIdFilters=[producers[1].id, MISSING])
        listed("other producer", version, ProducerIdFilters=[MISSING])
        if version >= 1:
            listed("long", version, DurationFilter=3600000, StateFilters=["Ongoing"])
            listed("short", version, DurationFilter=0, StateFilters=["Ongoing"])
        if version >= 2:
            for pattern in (topic + "-.*", ".*-(empty|aborted)", "empty", "", "[", "(?=x)"):
                listed(f"pattern {pattern[len(topic):] if pattern.startswith(topic) else pattern}",
                       version, TransactionalIdPattern=pattern)
    for producer in producers:
        producer.note_state("all kinds")
    producers[1].end(False)


def transaction_log(target, topic):
    """The records behind all this, byte by byte but for times and ids of producers."""
    create(target, topic)
    producer = begin(target, topic)
    producer.add(topic, 0)
    producer.end(True)
    producer.add(topic, 0)
    producer.end(False)
    producer.produce(topic, 0, version=NEW)
    producer.end(True, 5)
    producer.end(False, 5)
    producer.init(label="anew")
    producer.add(topic, 0)
    producer.init(label="fences")
    partition = java_hash(topic) % 50
    answer = target.call("Fetch", 12, {
        "ReplicaId": -1, "MaxWaitMs": 0, "MinBytes": 0, "MaxBytes": 1 << 20, "Topics": [
            {"Topic": "__transaction_state", "Partitions": [
                {"Partition": partition, "FetchOffset": 0, "PartitionMaxBytes": 1 << 20}]}]},
        note=False)
    records = answer["Responses"][0]["Partitions"][0]["Records"] or b""
    found = []
    for key, value in records_of(records):
        if key[4:] == topic.encode():
            found.append([key.decode("latin-1"), without_times_and_ids(target, value)])
    target.note("records", found)


def without_times_and_ids(target, value):
    """TransactionLogValue version 1: the producer's id named, its two times left out."""
    version, identity = struct.unpack_from(">hq", value)
    rest = value[10:]
    reader = wire.Reader(rest)
    reader.take(2 + 4 + 1)
    topics = reader.take(1)[0]
    for _ in range(max(topics - 1, 0)):
        reader.take(reader.take(1)[0] - 1)
        reader.take(4 * (reader.take(1)[0] - 1))
        reader.take(1)
    at = reader.at
    return [version, producer_name(target, identity), rest[:at].hex(), rest[at + 16:].hex()]


SCENARIOS = [producer_ids, transaction_unknown, transaction_adds, transaction_ends,
             transaction_records, transaction_unverified, transaction_fences,
             transaction_version_2, transaction_offsets, transaction_markers, transaction_lists,
             transaction_log]
