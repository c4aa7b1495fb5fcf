"""Coming to a cluster that is there, and saying so where none is."""

import pytest

from tagfit.cluster.connection import connected, demand_place
from tagfit.errors import InputError


def test_a_cluster_is_used_and_left_running(cluster):
    import ray

    ray.shutdown()
    with connected("ray") as ray:
        assert ray.cluster_resources()["CPU"] == 2
    with connected("ray") as ray:
        assert len([node for node in ray.nodes() if node["Alive"]]) == 2


@pytest.mark.parametrize("on", ["dask", "ray://", "", "ray:1.2.3.4"])
def test_other_places_are_refused(on):
    with pytest.raises(InputError, match="expected ray or ray://HOST:PORT"):
        demand_place(on)


def test_no_cluster_is_an_error_that_says_how_to_start_one(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(InputError, match="ray start --head"), connected("ray"):
        pass
