"""klamm-bench against a real klammd: each load of coordinators does what it says, briefly.

usage: test_bench.py KLAMMD KLAMM_BENCH
"""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import bench_runs  # noqa: E402
import processes  # noqa: E402


def run(bench, node, mode, *arguments):
    return bench_runs.run(bench, mode, node.address, *bench_runs.cost_of(node), *arguments,
                          timeout_s=300)


def streams_differ_in_commits_only(bench, node):
    load = ("stream", "--topic", "stream", "--partitions", "6", "--connections", "3", "--rate",
            "300", "--seconds", "1", "--records-min", "1", "--records-max", "4", "--record-size",
            "100")
    plain = run(bench, node, *load)
    exact = run(bench, node, *load, "--commit-ms", "100")
    assert plain["commits"] == 0 and plain["requests"] > 0, plain
    # Every producer commits at its end at least; how often between follows the machine.
    assert exact["commits"] >= 3 and exact["requests"] > 0, exact


def work_is_fixed_by_count(bench, node):
    # 17, 17 and 16 requests of three producers, four commits each; the clock decides nothing.
    load = ("--topic", "counted", "--partitions", "6", "--connections", "3", "--rate", "500",
            "--seconds", "60", "--requests", "50", "--records-min", "1", "--records-max", "4",
            "--record-size", "100")
    exact = run(bench, node, "stream", *load, "--commit-requests", "5")
    assert exact["requests"] == 50 and exact["commits"] == 4 * 3, exact
    plain = run(bench, node, "stream", *load)
    assert plain["requests"] == 50 and plain["commits"] == 0, plain
    for arguments in ((), ("--idempotent",)):
        assert run(bench, node, "many", *load, *arguments)["requests"] == 50


def members_of_both_protocols_settle(bench, node):
    consumer = run(bench, node, "group", "--protocol", "consumer", "--topic", "owned",
                   "--partitions", "20", "--connections", "5", "--rounds", "2", "--group", "new")
    # Four join at once; twice the fifth joins, is given partitions and leaves.
    assert consumer["members"] == 5 and consumer["requests"] >= 4 + 2 * 2, consumer
    assert 0 < consumer["join_mean_ms"] <= consumer["assignment_mean_ms"], consumer
    assert consumer["handover_mean_ms"] > 0, consumer
    classic = run(bench, node, "group", "--connections", "3", "--rounds", "1", "--group", "old",
                  "--topic", "owned")
    assert classic["members"] == 3 and classic["rebalance_mean_s"] > 0, classic


def mistakes_end_with_status_2(bench):
    for arguments, want in ((["group", "--protocol", "eager"], "--protocol"),
                            (["stream", "--rate", "0"], "--rate"),
                            (["stream", "--commit-ms", "-1"], "--commit-ms"),
                            (["stream", "--in-flight", "6"], "--in-flight"),
                            (["stream", "--commit-ms", "9", "--commit-requests", "9"],
                             "--commit-requests"),
                            (["stream", "--acks", "1"], "--acks"),
                            (["transaction", "--acks", "0"], "--acks")):
        done = subprocess.run([bench, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=processes.DEADLINE_S, check=False)
        assert done.returncode == 2 and want in done.stderr.decode(), done


def main(klammd, bench):
    mistakes_end_with_status_2(bench)
    settings = {"group.initial.rebalance.delay.ms": "0"}
    with processes.Klamm(klammd, settings) as node:
        node.start()
        streams_differ_in_commits_only(bench, node)
        work_is_fixed_by_count(bench, node)
        members_of_both_protocols_settle(bench, node)
        assert node.stop() == 0, node.output()


if __name__ == "__main__":
    main(*sys.argv[1:])
