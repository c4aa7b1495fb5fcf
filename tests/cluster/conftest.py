"""A Ray cluster of two nodes on this machine, which all tests share."""

import os
import socket
from pathlib import Path

import pytest

from making import PROVE

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
pytest.importorskip("ray")

#: a node that is gone is found out within a second
HEALTH = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 200, "health_check_failure_threshold": 2}

#: and so is a rank; nothing is measured, and nobody waits for a node that may come back
IMPATIENCE = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "2",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
}


def pytest_collection_modifyitems(items):
    """Ray leaves files open where it starts its servers."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))


def started():
    """A head and another node, of one core each; only the long form of the tests comes from elsewhere."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "include_dashboard": False, "_system_config": HEALTH}
    with socket.socket() as free:  # above the ports that workers take
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = Cluster(initialize_head=True, head_node_args=head | ({"ray_client_server_port": port} if PROVE else {}))
    made.from_elsewhere = f"ray://127.0.0.1:{port}"
    made.workers = [made.add_node(num_cpus=1)]
    return made


@pytest.fixture(scope="session")
def _kept():
    import ray

    made = started()
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture
def cluster(_kept, monkeypatch):
    """The cluster, whole, whatever another test has taken; RAY_ADDRESS names it.

    There is a connection already: so workers that have imported all serve the next test as well.
    """
    import ray

    if not _kept.workers:
        _kept.workers.append(_kept.add_node(num_cpus=1))
    for name, value in {"RAY_ADDRESS": _kept.address, **IMPATIENCE}.items():
        monkeypatch.setenv(name, value)
    if not ray.is_initialized():
        ray.init(address=_kept.address, logging_level="ERROR", log_to_driver=False)
    return _kept


@pytest.fixture
def lose_node(cluster):
    """Takes the node that the command is not at, once; the head stays."""

    def lose():
        if cluster.workers:
            cluster.remove_node(cluster.workers.pop(), allow_graceful=False)

    return lose
