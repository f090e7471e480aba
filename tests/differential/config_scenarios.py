"""Settings of topics and brokers, read and changed: requests that are sent to both brokers."""

import processes
from scenarios import create


def kafkas(configs):
    """By name, without the settings that only Klamm has."""
    return sorted((config for config in configs if not config["Name"].startswith("klamm.")),
                  key=lambda config: config["Name"])


def describe_configs(target, topic):
    create(target, topic, 1, {"retention.ms": "5000", "cleanup.policy": "compact"})
    for version in range(1, 5):
        answer = target.call("DescribeConfigs", version, {
            "Resources": [{"ResourceType": 2, "ResourceName": topic, "ConfigurationKeys": None}],
            "IncludeSynonyms": True, "IncludeDocumentation": False}, note=False)
        result = answer["Results"][0]
        target.note(f"v{version}", [result["ErrorCode"], result["ResourceType"]])
        for config in kafkas(result["Configs"]):
            target.note(f"v{version} {config['Name']}", config)
    for label, resource in {
        "one key": {"ResourceType": 2, "ResourceName": topic,
                    "ConfigurationKeys": ["retention.ms", "no.such.key"]},
        "unknown topic": {"ResourceType": 2, "ResourceName": "missing-" + topic},
        "bad name": {"ResourceType": 2, "ResourceName": "bad name"},
        "other broker": {"ResourceType": 4, "ResourceName": "7"},
        "no broker": {"ResourceType": 4, "ResourceName": "x"},
        "all brokers": {"ResourceType": 4, "ResourceName": ""},
        "unknown type": {"ResourceType": 3, "ResourceName": "x"},
    }.items():
        target.call("DescribeConfigs", 4, {"Resources": [
            {"ConfigurationKeys": None, **resource}]}, label)


def describe_broker_configs(target, topic):
    answer = target.call("DescribeConfigs", 4, {
        "Resources": [{"ResourceType": 4, "ResourceName": "1", "ConfigurationKeys": None}],
        "IncludeSynonyms": True}, note=False)
    result = answer["Results"][0]
    target.note("error", result["ErrorCode"])
    for config in kafkas(result["Configs"]):
        target.note(config["Name"], {key: config[key] for key in
                                     ("Value", "ReadOnly", "IsSensitive", "ConfigType",
                                      "ConfigSource")})


def alter_configs(target, topic):
    create(target, topic)
    marked, marks = "mark-" + topic, []
    create(target, marked)

    def incremental(*operations, name=topic, kind=2, validate=False):
        return {"Resources": [{"ResourceType": kind, "ResourceName": name, "Configs": [
            {"Name": key, "ConfigOperation": op, "Value": value}
            for key, op, value in operations]}], "ValidateOnly": validate}

    def overrides(name=topic):
        answer = target.call("DescribeConfigs", 4, {"Resources": [
            {"ResourceType": 2, "ResourceName": name, "ConfigurationKeys": None}]}, note=False)
        return [[c["Name"], c["Value"]] for c in sorted(
            answer["Results"][0]["Configs"], key=lambda c: c["Name"]) if c["ConfigSource"] == 1]

    def show(label):
        """The topic's overrides. Kafka answers before it applies, but it applies in order: what is
        changed on another topic afterwards is seen no earlier."""
        marks.append(str(1000 + len(marks)))
        target.call("IncrementalAlterConfigs", 1, incremental(
            ("retention.ms", 0, marks[-1]), name=marked), note=False)
        processes.wait_until(lambda: overrides(marked) == [["retention.ms", marks[-1]]],
                             f"{target.name}: mark {marks[-1]}")
        target.note(label, overrides())

    for version in range(0, 2):
        for label, operations in {
            "set": [("retention.ms", 0, "1234")],
            "bad value": [("retention.ms", 0, "x")],
            "unknown key": [("no.such.key", 0, "x")],
            "null": [("retention.ms", 0, None)],
            "append to list": [("cleanup.policy", 2, "compact")],
            "append again": [("cleanup.policy", 2, "compact")],
            "subtract": [("cleanup.policy", 3, "delete")],
            "append to number": [("retention.ms", 2, "5")],
            "bad operation": [("retention.ms", 9, "5")],
            "key twice": [("retention.ms", 0, "5"), ("retention.ms", 0, "6")],
            "delete": [("retention.ms", 1, None)],
            "delete unset": [("segment.ms", 1, None)],
        }.items():
            target.call("IncrementalAlterConfigs", version, incremental(*operations), label)
            show("after " + label)
    target.call("IncrementalAlterConfigs", 1, incremental(
        ("retention.ms", 0, "77"), validate=True), "validate only")
    show("after validate only")
    one = [("retention.ms", 0, "77")]
    target.call("IncrementalAlterConfigs", 1, incremental(*one, name="missing-" + topic),
                "unknown topic")
    target.call("IncrementalAlterConfigs", 1, incremental(*one, name="9", kind=4), "other broker")
    target.call("IncrementalAlterConfigs", 1, incremental(*one, name="x", kind=4), "bad broker")
    target.call("IncrementalAlterConfigs", 1, incremental(*one, kind=3), "unknown type")
    for label, operation in {
        "read only": ("node.id", 0, "5"), "per broker only": ("listeners", 0, "PLAINTEXT://:1"),
        "good": ("message.max.bytes", 0, "1048589"), "bad": ("message.max.bytes", 0, "x"),
        "unknown": ("no.such.key", 0, "x"), "delete": ("message.max.bytes", 1, None),
    }.items():
        target.call("IncrementalAlterConfigs", 1, incremental(operation, name="", kind=4),
                    "cluster default " + label)
    for version in range(0, 3):
        target.call("AlterConfigs", version, {"Resources": [
            {"ResourceType": 2, "ResourceName": topic, "Configs": [
                {"Name": "segment.bytes", "Value": "2097152"}]}], "ValidateOnly": False}, "replace")
        show("after replace")
        target.call("AlterConfigs", version, {"Resources": [
            {"ResourceType": 2, "ResourceName": topic, "Configs": [
                {"Name": "segment.bytes", "Value": "1"}]}], "ValidateOnly": False}, "bad")
        target.call("AlterConfigs", version, {"Resources": [
            {"ResourceType": 2, "ResourceName": topic, "Configs": []}], "ValidateOnly": False},
            "empty")
        show("after empty")


SCENARIOS = [describe_configs, describe_broker_configs, alter_configs]
