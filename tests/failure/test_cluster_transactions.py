"""Exactly once over three nodes: a copier with transactions while nodes and copier are killed with -9.

Coordinators, their partitions and those that are copied all move with each kill; markers go to the
nodes that lead. The output must be the function of the input, each input once (copier.c, verify).

usage: test_cluster_transactions.py KLAMMD TRANSACTIONS COPIER [KILLS] [SEED]
"""

import os
import random
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import cluster_nodes  # noqa: E402
import copier_runs  # noqa: E402

SETTINGS = {
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "min.insync.replicas": "2",
    "num.partitions": str(copier_runs.PARTITIONS),
    "default.replication.factor": "3",
    "offsets.topic.num.partitions": "3",
    "transaction.state.log.num.partitions": "3",
    "transaction.state.log.replication.factor": "3",
    "offsets.topic.replication.factor": "3",
    "group.initial.rebalance.delay.ms": "0",
}


def main():
    klammd, transactions, copier = sys.argv[1:4]
    nightly = "KLAMM_NIGHTLY" in os.environ
    kills = int(sys.argv[4]) if len(sys.argv) > 4 else 100 if nightly else 5
    seed = int(sys.argv[5]) if len(sys.argv) > 5 else random.SystemRandom().randrange(1 << 32)
    if not cluster_nodes.enter_namespace():
        print("skipped: no network namespaces may be made here")
        sys.exit(77)
    print(f"seed {seed}", flush=True)
    directory = tempfile.mkdtemp(prefix="klamm-test-")
    with cluster_nodes.Cluster(klammd, 3, directory, SETTINGS) as cluster:
        cluster.start()
        cluster.wait_for_brokers()
        subprocess.run([transactions, cluster.addresses, "data", "20",
                        str(copier_runs.PARTITIONS)], check=True, timeout=600)
        copier_runs.copy(cluster.nodes, cluster.addresses, directory, copier,
                         200000 if nightly else 20000, kills, seed)
        assert cluster.stop() == [0, 0, 0]


main()
