"""One broker under comparison: sends requests, and notes answers in a form that can be compared.

What differs between any two brokers for no reason of the protocol (topic ids, ports, the cluster's
id, the present time) is replaced by what it stands for. Everything else stays as it was answered.
"""

import re
import time
import uuid

import wire

NOW_FIELDS = {"LogAppendTimeMs"}
RANDOM_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
PLAIN_FIELDS = {"ClusterId": "<cluster>", "Port": "<port>"}


def is_own_setting(item):
    """A setting in an answer that only Klamm has."""
    return isinstance(item, dict) and str(item.get("Name", "")).startswith("klamm.")


class Target:
    def __init__(self, name, port):
        self.name = name
        self.port = port
        self.notes = []
        self.topic_ids = {}
        self.random_ids = {}
        self.connection = None
        self.started_ms = int(time.time() * 1000)

    def connect(self):
        self.disconnect()
        self.connection = wire.Connection(self.port)
        return self.connection

    def disconnect(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def topic_id(self, name):
        for identifier, known in self.topic_ids.items():
            if known == name:
                return identifier
        response = self.call("Metadata", 12, {"Topics": [{"Name": name}]}, note=False)
        return response["Topics"][0]["TopicId"]

    def learn(self, value):
        if isinstance(value, list):
            for item in value:
                self.learn(item)
        elif isinstance(value, dict):
            name = value.get("Name") or value.get("TopicName")
            identifier = value.get("TopicId")
            if name and isinstance(identifier, uuid.UUID) and identifier.int:
                self.topic_ids[identifier] = name
            for item in value.values():
                self.learn(item)

    def plain(self, value, field=""):
        if isinstance(value, list):
            return [self.plain(item, field) for item in value if not is_own_setting(item)]
        if isinstance(value, dict):
            return {key: self.plain(item, key) for key, item in value.items()}
        if isinstance(value, uuid.UUID):
            if not value.int:
                return "<no id>"
            return f"<id of {self.topic_ids.get(value, 'nothing known')}>"
        if isinstance(value, bytes):
            return value.hex()
        if field in PLAIN_FIELDS and value not in (None, "", -1, 0):
            return PLAIN_FIELDS[field]
        if field in NOW_FIELDS and isinstance(value, int) and value >= self.started_ms - 60000:
            return "<now>"
        if field.endswith("Message") and value:
            return "<text>"
        if isinstance(value, str):
            value = re.sub(r"/\S*klamm-test-\w+", "<directory>", value)
            value = RANDOM_ID.sub(self.random_id, value)
            return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:<port>", value)
        return value

    def random_id(self, match):
        """Ids that a broker draws, in the order in which they are met."""
        number = self.random_ids.setdefault(match.group(), len(self.random_ids) + 1)
        return f"<random id {number}>"

    def note(self, label, value):
        self.notes.append((label, self.plain(value)))

    def call(self, name, version, values=None, label=None, note=True):
        """Sends on the open connection (opened when there is none) and notes the answer."""
        if self.connection is None:
            self.connect()
        try:
            response = self.connection.call(name, version, values)
        except wire.Closed:
            self.disconnect()
            response = "<closed>"
        except wire.Malformed as problem:
            self.disconnect()
            response = f"<malformed: {problem}>"
        except TimeoutError:
            self.disconnect()
            response = "<no answer>"
        self.learn(response)
        if name == "Metadata" and isinstance(response, dict):
            for topic in response["Topics"]:  # Kafka lists partitions in the order of a hash map
                topic["Partitions"].sort(key=lambda part: part["PartitionIndex"])
        if note:
            self.note(f"{name} v{version} {label or ''}".strip(), response)
        return response

    def every(self, name, values, label=None, versions=None):
        """The same request in every version; `values` may be a function of the version."""
        for version in versions or versions_of(name):
            given = values(version) if callable(values) else values
            self.call(name, version, given, label)


def versions_of(name):
    stable = wire.APIS[name].stable
    return range(stable.low, stable.high + 1)
