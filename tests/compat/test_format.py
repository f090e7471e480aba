"""klammd --format: what it writes, what it refuses, and what Kafka's own tool says of it.

usage: test_format.py KLAMMD
"""

import contextlib
import os
import re
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import processes  # noqa: E402

CLUSTER = "QUJDREVGR0hJSktMTU5PUA"
DIRECTORIES = ["AAAAAAAAAAAAAAAAAAAAAQ", "BBBBBBBBBBBBBBBBBBBBBA"]
STATIC = "controller.quorum.voters=1@127.0.0.1:9093,2@127.0.0.1:9095\n"
DYNAMIC = "controller.quorum.bootstrap.servers=127.0.0.1:9095\n"
CHECKPOINT = "__cluster_metadata-0/00000000000000000000-0000000000.checkpoint"


def properties(quorum, directories=("a",), roles="broker,controller"):
    listeners = {"broker,controller": "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093",
                 "broker": "PLAINTEXT://127.0.0.1:9092",
                 "controller": "CONTROLLER://127.0.0.1:9093"}
    return (f"node.id={1 if 'controller' in roles else 7}\nprocess.roles={roles}\n"
            f"listeners={listeners[roles]}\ncontroller.listener.names=CONTROLLER\n"
            f"log.dirs={','.join(directories)}\n{quorum}")


def write(place, text):
    path = os.path.join(place.directory, "server.properties")
    with open(path, "w") as file:
        file.write(text)
    return path


def run(binary, place, text, arguments, deadline_s=processes.DEADLINE_S):
    write(place, text)
    done = subprocess.run([os.path.abspath(binary), "server.properties", *arguments],
                          cwd=place.directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=deadline_s, check=False)
    return done.returncode, done.stdout.decode()


def expect(binary, place, text, arguments, want_status, want_text):
    status, output = run(binary, place, text, arguments)
    assert status == want_status, f"{arguments}: status {status}\n{output}"
    assert re.search(want_text, output), f"{arguments}: no {want_text} in\n{output}"
    return output


def meta(place, directory):
    with open(os.path.join(place.directory, directory, "meta.properties")) as file:
        lines = [line.strip() for line in file if "=" in line]
    return dict(line.split("=", 1) for line in lines)


def has(place, *names):
    return os.path.exists(os.path.join(place.directory, *names))


def every_directory_of_a_voter_is_formatted_once(binary):
    with processes.Process() as place:
        text = properties(STATIC, ("a", "b/c"))
        expect(binary, place, text, ["--format", "--cluster-id", CLUSTER], 0, "formatted .*a: ")
        for directory in ("a", "b/c"):
            found = meta(place, directory)
            assert (found["cluster.id"], found["node.id"], found["version"]) == (CLUSTER, "1", "1")
            assert has(place, directory, "bootstrap.checkpoint")
            assert not has(place, directory, "__cluster_metadata-0")
        ids = {meta(place, directory)["directory.id"] for directory in ("a", "b/c")}
        assert len(ids) == 2, ids
        expect(binary, place, text, ["--format"], 1, "formatted already .cluster " + CLUSTER)
        text = properties(STATIC, ("a", "b/c", "d"))
        expect(binary, place, text, ["--format", "--ignore-formatted"], 0, "formatted .*d: ")
        assert meta(place, "d")["cluster.id"] == CLUSTER
        assert {meta(place, directory)["directory.id"] for directory in ("a", "b/c")} == ids
        expect(binary, place, text, ["--format", "--ignore-formatted", "--cluster-id", "other"], 1,
               "belongs to cluster " + CLUSTER)


def dumps_by_kafka(paths):
    """What its tool says of each of these files of metadata."""
    status, output = processes.kafka_tool(
        "kafka.tools.DumpLogSegments", "--cluster-metadata-decoder", "--files", ",".join(paths))
    found = output.split("Dumping ")[1:]
    assert status == 0 and len(found) == len(paths), output
    return found


def a_cluster_begins_with_the_features_that_are_asked_for(binary):
    name = b"eligible.leader.replicas.version"
    checkpoints = []
    with contextlib.ExitStack() as stack:
        for options, there in (([], True), (["--feature", name.decode() + "=0"], False),
                               (["--feature", name.decode() + "=0", "--feature", "metadata.version=22"],
                                False)):
            place = stack.enter_context(processes.Process())
            expect(binary, place, properties(STATIC), ["--format", *options], 0, "formatted")
            path = os.path.join(place.directory, "a", "bootstrap.checkpoint")
            with open(path, "rb") as file:
                assert (name in file.read()) == there, options
            checkpoints.append(path)
        if processes.kafka_libraries():
            for output, level in zip(dumps_by_kafka(checkpoints), (29, 29, 22)):
                assert f'"featureLevel":{level}' in output, output


def a_dynamic_quorum_begins_as_it_is_told(binary):
    for options, own, has_voters in (
            (["--standalone"], None, True),
            (["--no-initial-controllers"], None, False),
            (["--initial-controllers", f"1@127.0.0.1:9093:{DIRECTORIES[0]},"
              f"2@127.0.0.1:9095:{DIRECTORIES[1]}"], DIRECTORIES[0], True)):
        with processes.Process() as place:
            expect(binary, place, properties(DYNAMIC), ["--format", *options], 0, "formatted")
            assert has(place, "a", CHECKPOINT) == has_voters, options
            assert own in (None, meta(place, "a")["directory.id"]), options
            if processes.kafka_libraries():
                inspect_with_kafka(place, options, has_voters)


def inspect_with_kafka(place, options, has_voters):
    path = os.path.join(place.directory, "server.properties")
    with open(path) as file:
        text = file.read()
    write(place, text.replace("log.dirs=a", f"log.dirs={place.directory}/a"))
    status, output = processes.kafka_tool("kafka.tools.StorageTool", "info", "-c", path)
    assert status == 0 and meta(place, "a")["cluster.id"] in output, output
    if not has_voters:
        return
    output = dumps_by_kafka([os.path.join(place.directory, "a", CHECKPOINT)])[0]
    voters = output.count('"voterDirectoryId"')
    assert voters == (2 if options[0] == "--initial-controllers" else 1), output


def what_does_not_go_together_is_refused(binary):
    for quorum, roles, arguments, want in (
            (DYNAMIC, "controller", ["--format"], "say how the quorum begins"),
            (STATIC, "controller", ["--format", "--standalone"], "controller.quorum.voters"),
            (DYNAMIC, "broker", ["--format", "--standalone"], "no controller"),
            (DYNAMIC, "controller", ["--format", "--initial-controllers", "1@h:9093"],
             "1@h:9093 is not id@host:port:directory-id"),
            (DYNAMIC, "controller",
             ["--format", "--initial-controllers", f"2@h:9093:{DIRECTORIES[0]}"],
             "node.id 1 is not among them"),
            (STATIC, "controller", ["--format", "--cluster-id", "a b"], "--cluster-id a b"),
            (STATIC, "controller", ["--format", "--feature", "group.version"],
             "--feature group.version: "),
            (STATIC, "controller", ["--format", "--feature", "no.such.version=1"],
             "no.such.version=1: "),
            (STATIC, "controller", ["--format", "--feature", "metadata.version=22"],
             "eligible.leader.replicas.version needs metadata.version=23"),
            (STATIC, "controller", ["--cluster-id", CLUSTER], "goes with --format")):
        with processes.Process() as place:
            expect(binary, place, properties(quorum, roles=roles), arguments, 2, want)
            assert not has(place, "a", "meta.properties"), arguments
    with processes.Process() as place:
        os.makedirs(os.path.join(place.directory, "a", "__cluster_metadata-0"))
        open(os.path.join(place.directory, "a", "__cluster_metadata-0",
                          "00000000000000000000.log"), "w").close()
        expect(binary, place, properties(STATIC), ["--format"], 1, "holds a metadata log")


def a_voter_among_others_does_not_start_on_an_empty_directory(binary):
    with processes.Process() as place:
        output = expect(binary, place, properties(STATIC), [], 1,
                        "cannot start: .*klammd --format .*--cluster-id ID")
        assert output.count("cannot start") == 1, output
        assert not has(place, "a", "meta.properties")


def a_broker_waits_for_its_cluster_and_can_be_stopped(binary):
    with processes.Process() as place:
        path = write(place, properties(
            f"controller.quorum.voters=1@127.0.0.1:{processes.free_port()}\n", roles="broker"))
        place._start([os.path.abspath(binary), path])
        processes.wait_until(lambda: "waiting for a controller" in place.output(), "the line")
        assert not has(place, "a", "meta.properties")
        place.process.send_signal(signal.SIGTERM)
        assert place.process.wait(processes.DEADLINE_S) == 0, place.output()


def a_broker_takes_the_id_of_its_cluster(binary):
    port = processes.free_port()
    settings = {"controller.listener.names": "CONTROLLER",
                "controller.quorum.voters": f"1@127.0.0.1:{port}"}
    with processes.Klamm(binary, settings) as node, processes.Process() as place:
        node.settings["listeners"] = (f"PLAINTEXT://127.0.0.1:{node.port},"
                                      f"CONTROLLER://127.0.0.1:{port}")
        path = write(place, properties(f"controller.quorum.voters=1@127.0.0.1:{port}\n",
                                       roles="broker").replace(":9092", f":{place.port}"))
        place._start([os.path.abspath(binary), path])
        processes.wait_until(lambda: "waiting for a controller" in place.output(), "the line")
        node.start()
        processes.wait_until(lambda: has(place, "a", "meta.properties"), "meta.properties")
        assert meta(place, "a")["cluster.id"] == meta(node, "data")["cluster.id"]
        assert node.stop() == 0


def main():
    binary = sys.argv[1]
    every_directory_of_a_voter_is_formatted_once(binary)
    a_cluster_begins_with_the_features_that_are_asked_for(binary)
    a_dynamic_quorum_begins_as_it_is_told(binary)
    what_does_not_go_together_is_refused(binary)
    a_voter_among_others_does_not_start_on_an_empty_directory(binary)
    a_broker_waits_for_its_cluster_and_can_be_stopped(binary)
    a_broker_takes_the_id_of_its_cluster(binary)


if __name__ == "__main__":
    main()
