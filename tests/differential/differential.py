"""Sends the same request sequences to Apache Kafka and to Klamm and compares every answer.

usage: differential.py KLAMMD [--self] [--only SCENARIO_PATTERN] [--show N]

Kafka's released jars are taken from KLAMM_KAFKA_LIBS; without them the run is skipped (status 77).
--self compares Kafka with a second Kafka, to see that a scenario does not depend on chance.
Differences that are meant are listed, each with its reason, in known.txt beside this file.
"""

import argparse
import fnmatch
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "support"))
import processes  # noqa: E402
import cluster_scenarios  # noqa: E402
import config_scenarios  # noqa: E402
import consumer_group_scenarios  # noqa: E402
import group_scenarios  # noqa: E402
import scenarios  # noqa: E402
import transaction_scenarios  # noqa: E402
from target import Target  # noqa: E402


def known_differences():
    """Patterns 'scenario / label / path' from known.txt; '#' lines give the reasons."""
    patterns = []
    with open(os.path.join(HERE, "known.txt")) as file:
        for line in file:
            line = line.split("#")[0].strip()
            if line:
                patterns.append(line)
    return patterns


def differences(ours, theirs, path=""):
    """Yields (path, ours, theirs) for every place where two noted answers differ."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(set(ours) | set(theirs)):
            yield from differences(ours.get(key, "<absent>"), theirs.get(key, "<absent>"),
                                   f"{path}.{key}" if path else key)
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, pair in enumerate(zip(ours, theirs)):
            yield from differences(*pair, f"{path}[{index}]")
    elif ours != theirs:
        yield path, ours, theirs


def run_scenario(scenario, target):
    target.notes = []
    target.random_ids = {}
    target.disconnect()
    try:
        scenario(target, scenario.__name__.replace("_", "-"))
    except Exception as problem:  # a scenario that cannot go on is a difference of its own
        target.notes.append(("stopped", f"{type(problem).__name__}: {problem}"))
    return target.notes


def compare(scenario, klamm, kafka, patterns, used, show):
    ours, theirs = run_scenario(scenario, klamm), run_scenario(scenario, kafka)
    unexplained = []
    for label, text in ours + theirs:
        if label == "stopped":
            unexplained.append((label, "", text, text))
    for index in range(max(len(ours), len(theirs))):
        our_label, our_note = ours[index] if index < len(ours) else ("<nothing>", None)
        label, note = theirs[index] if index < len(theirs) else ("<nothing>", None)
        if our_label != label:
            unexplained.append((label, "label", our_label, label))
            break
        for path, our_value, value in differences(our_note, note):
            name = f"{scenario.__name__} / {label} / {path}"
            matching = [p for p in patterns if fnmatch.fnmatchcase(name, p.replace("[", "[[]"))]
            used.update(matching)
            if not matching:
                unexplained.append((label, path, our_value, value))
    verdict = "same" if not unexplained else f"{len(unexplained)} differences"
    print(f"{scenario.__name__}: {len(theirs)} answers, {verdict}")
    for label, path, our_value, value in unexplained[:show]:
        print(f"    {label} / {path}: klamm {str(our_value)[:150]!r}, kafka {str(value)[:150]!r}")
    return not unexplained, len(theirs)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("klammd")
    parser.add_argument("--self", action="store_true", dest="against_itself")
    parser.add_argument("--only")
    parser.add_argument("--show", type=int, default=12)
    options = parser.parse_args()
    if not processes.kafka_libraries():
        print("skipped: KLAMM_KAFKA_LIBS names no folder with Kafka's jars, or there is no Java")
        return 77
    patterns, used, same, answers = known_differences(), set(), 0, 0
    every = (scenarios.SCENARIOS + config_scenarios.SCENARIOS + group_scenarios.SCENARIOS +
             consumer_group_scenarios.SCENARIOS + transaction_scenarios.SCENARIOS +
             cluster_scenarios.SCENARIOS)
    chosen = [s for s in every
              if fnmatch.fnmatchcase(s.__name__, options.only or "*")]
    settings = {"group.initial.rebalance.delay.ms": "0"}  # as Kafka's tests have it
    first = (processes.Kafka() if options.against_itself
             else processes.Klamm(options.klammd, settings))
    with first, processes.Kafka() as second:
        first.start()
        second.start()
        klamm, kafka = Target("klamm", first.port), Target("kafka", second.port)
        for scenario in chosen:
            agreed, count = compare(scenario, klamm, kafka, patterns, used, options.show)
            same += agreed
            answers += count
        if first.process.poll() is not None:
            print(f"klammd ended with {first.process.returncode}:\n{first.output()[-3000:]}")
            same = -1
        klamm.disconnect()
        kafka.disconnect()
    if options.only is None and not options.against_itself:
        for pattern in sorted(set(patterns) - used):
            print(f"known.txt: no longer seen: {pattern}")
    print(f"{answers} answers compared, {len(patterns)} known differences")
    print(f"{same} passed, {len(chosen) - same} failed")
    return 0 if same == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
