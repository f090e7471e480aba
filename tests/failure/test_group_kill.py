"""kill -9 of the node in the middle of rebalances and commits: no acknowledged commit is lost.

Two groups consume what a producer keeps writing, one of classic members and one of members of the
consumer protocol (KIP-848, where a current confluent-kafka can be installed). The node is killed
at random moments and started again; members join, leave and are killed as well, so that kills meet
rebalances. In the end both groups must own everything again, all records must have been delivered,
everything be committed, and committed offsets never have gone back.

usage: test_group_kill.py KLAMMD FOLDER [KILLS] [SEED]
"""

import os
import random
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import group_members as members  # noqa: E402
import processes  # noqa: E402

PARTITIONS = 4


class Group:
    def __init__(self, node, kind, name, draws):
        self.node, self.kind, self.name, self.random = node, kind, name, draws
        self.topic = f"{name}-topic"
        members.create_topic(node.address, self.topic, PARTITIONS)
        self.history = members.History(PARTITIONS, node.directory)
        self.source = members.Source(node.address, self.topic, PARTITIONS, a_second=200)
        self.watch = members.CommitWatch(node.address, self.topic, name, PARTITIONS)
        self.alive = []
        self.started = 0
        for _ in range(2):
            self.start()

    def start(self):
        self.started += 1
        self.alive.append(members.Member(self.kind, self.node.address, self.topic, self.name,
                                         self.history, f"{self.name}-{self.started}"))

    def churn(self):
        """Sets off a rebalance: somebody comes, leaves or dies."""
        if len(self.alive) < 3 and self.random.random() < 0.6:
            self.start()
        elif len(self.alive) > 1:
            member = self.alive.pop(self.random.randrange(len(self.alive)))
            if self.random.random() < 0.5:
                member.kill()
            else:
                member.process.terminate()
                self.history.ended(member)

    def is_settled(self):
        return self.history.is_covered(self.alive)

    def finish(self):
        members.wait(self.is_settled, f"{self.name}: the group settles")
        ends = self.source.finish()
        members.wait(lambda: self.watch.last == ends, f"{self.name}: everything is committed")
        self.watch.finish()
        # Who was killed or left without being waited for may overlap with its successor; what
        # counts here are records and offsets.
        self.history.check(ends, with_owners=False)
        for member in self.alive:
            member.kill()
        print(f"ok  {self.name} ({self.kind.name}): {sum(ends)} records, {self.history.commits} "
              f"commits, {self.started} members, {self.watch.reads} reads of the offsets",
              flush=True)


def main():
    binary, folder = sys.argv[1], sys.argv[2]
    kills = int(sys.argv[3]) if len(sys.argv) > 3 else 12
    if os.environ.get("KLAMM_NIGHTLY"):
        kills *= 8
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else random.SystemRandom().randrange(1 << 30)
    print(f"seed {seed}", flush=True)
    draws = random.Random(seed)
    pause = threading.Event()
    with processes.Klamm(binary, members.SETTINGS) as node:
        node.start()
        kinds = [members.Kind("librdkafka range", "confluent", "classic", "range")]
        python = members.current_confluent(folder)
        if python:
            kinds.append(members.Kind("librdkafka consumer", "confluent", "consumer",
                                      python=python))
        groups = [Group(node, kind, f"group-{kind.protocol}", draws) for kind in kinds]
        for _ in range(kills):
            pause.wait(draws.uniform(0.2, 3))  # how long the node lives is what is drawn here
            for group in groups:
                group.churn()
            pause.wait(draws.uniform(0, 1.5))
            node.kill()
            node.start()
        for group in groups:
            group.finish()
        assert node.stop() == 0


main()
