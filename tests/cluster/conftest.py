"""A Ray cluster of several nodes on this machine."""

import os
import socket
from pathlib import Path

import pytest

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
pytest.importorskip("ray")

#: a node that is gone is found out within seconds
HEALTH = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 2}


def pytest_collection_modifyitems(items):
    """Ray leaves files open where it starts its servers."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))


def _started():
    from ray.cluster_utils import Cluster

    with socket.socket() as free:  # above the ports that workers take
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": HEALTH, "ray_client_server_port": port}
    made = Cluster(initialize_head=True, head_node_args=head)
    made.from_elsewhere = f"ray://127.0.0.1:{port}"
    made.workers = [made.add_node(num_cpus=1) for _ in range(2)]
    return made


@pytest.fixture(scope="session")
def _kept():
    made = _started()
    yield made
    made.shutdown()


@pytest.fixture
def cluster(_kept, monkeypatch):
    """A head that computes nothing and two nodes of one core each, which stay; RAY_ADDRESS names it."""
    monkeypatch.setenv("RAY_ADDRESS", _kept.address)
    return _kept


@pytest.fixture
def doomed_cluster(monkeypatch):
    """The same, of which nodes may be taken."""
    made = _started()
    monkeypatch.setenv("RAY_ADDRESS", made.address)
    yield made
    made.shutdown()
