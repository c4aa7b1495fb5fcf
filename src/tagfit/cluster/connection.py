"""How tagfit comes to a Ray cluster, and leaves it."""

from __future__ import annotations

import logging
import os
import platform
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tagfit
from tagfit.errors import InputError, TagfitError, demand_extra

#: how Ray is used unless the environment says otherwise: a training does not wait for a lost node as long as Ray would
_DEFAULTS = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "5",
}


def demand_place(on: str) -> str:
    """`on` itself, where it is `ray` (the cluster of RAY_ADDRESS, or the one this machine is a node of) or `ray://HOST:PORT`.

    Raises:
        InputError: it is something else.
    """
    if on == "ray" or on.removeprefix("ray://") not in (on, ""):
        return on
    raise InputError(f"expected ray or ray://HOST:PORT; got {on!r}", "Remove --on to use only this machine.")


def version() -> tuple[str, str]:
    """Of tagfit and Python: what has to be the same on all machines."""
    return tagfit.__version__, ".".join(platform.python_version_tuple()[:2])


def demand_version(expected: tuple[str, str]) -> None:
    """On a worker.

    Raises:
        TagfitError: another version of tagfit or Python is at work here.
    """
    if version() != expected:
        here, there = (" on Python ".join(both) for both in (version(), expected))
        raise TagfitError(
            f"a node of the cluster has tagfit {here}; expected {there}, the version that runs the command"
        )


def told(error: BaseException, what: str) -> TagfitError:
    """What a worker's error comes to: tagfit's own, where there is one in it; else `what`, and the reason."""
    ours = next((cause for cause in _causes(error) if isinstance(cause, TagfitError)), None)
    if ours is not None:
        return ours
    if missing := re.search(r"No module named '[^']*'", str(error)):
        return TagfitError(f"{what}: on a node, {missing[0]}; install tagfit[ray] {tagfit.__version__} on all of them")
    return TagfitError(f"{what}: {error}")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it comes from; Ray Train's, from that of each rank."""
    yield error
    ranks = getattr(error, "worker_failures", {}).values()
    for cause in (*ranks, getattr(error, "cause", None) or error.__cause__):
        if cause is not None:
            yield from _causes(cause)


@contextmanager
def connected(on: str | None) -> Iterator[Any]:
    """Ray's module, connected to the cluster; the connection is closed in the end, and the cluster goes on.

    A connection that is there already, of the caller's own, is used, and left open. Without `on`, nothing is done.

    Raises:
        InputError: there is no such cluster, or `on` names none.
        MissingExtraError: without Ray.
    """
    if on is None:
        yield None
        return
    demand_place(on)
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    demand_extra("--on ray", "ray")
    import ray

    if ray.is_initialized():
        yield ray
        return
    address = os.environ.get("RAY_ADDRESS", "auto") if on == "ray" else on
    try:
        _demand_listener(address)
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    except (OSError, RuntimeError, SystemExit) as error:  # Ray leaves the process where a cluster has gone
        todo = (
            "Start one with `ray start --head`, or name one: --on ray://HOST:10001. Where it asks for a token, "
            "set RAY_AUTH_MODE=token (docs/scaling.md)."
        )
        raise InputError(f"no Ray cluster answers at {address}: {error}", todo) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _demand_listener(address: str) -> None:
    """Ray itself waits for more than a minute where nobody listens.

    Raises:
        OSError: nobody does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
