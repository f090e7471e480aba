"""Runs of klamm-bench and their figures."""

import json
import statistics
import subprocess
import tempfile


def run(bench, mode, address, *arguments, timeout_s=300):
    """The figures of one run; raises with what klamm-bench said when it fails."""
    with tempfile.NamedTemporaryFile(suffix=".json") as result:
        done = subprocess.run(
            [bench, mode, address, "--quiet", "--json", result.name, *arguments],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=timeout_s, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"klamm-bench {mode}: {done.stderr.decode()}")
        with open(result.name) as figures:
            return json.load(figures)


def cost_of(node):
    """Arguments that have the cost of the node's process measured."""
    return ["--broker-pid", str(node.process.pid), "--directory", node.directory]


def median(runs, figure):
    values = [run[figure] for run in runs if figure in run]
    return statistics.median(values) if values else float("nan")
