"""What Prometheus is told."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class ServerMetrics:
    """Counted since the start, in a registry of its own.

    Args:
        waiting: how many images and rows wait now.
    """

    def __init__(self, waiting: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        to = self._registry
        self.requests = Counter("tagfit_requests", "Requests by path and status.", ["path", "status"], registry=to)
        self.seconds = Histogram(
            "tagfit_request_seconds", "From request to answer.", ["path"], buckets=_SECONDS, registry=to
        )
        self.rows = Counter("tagfit_rows", "Images and rows that the network scored.", registry=to)
        self.unreadable = Counter("tagfit_unreadable_images", "Images that could not be read.", registry=to)
        self.crashes = Counter("tagfit_decoder_crashes", "Images that crashed their decoder.", registry=to)
        self.batch_rows = Histogram(
            "tagfit_batch_rows", "Rows of a batch.", buckets=(1, 2, 4, 8, 16, 32, 64, 128), registry=to
        )
        self.batch_seconds = Histogram(
            "tagfit_batch_seconds", "Seconds that the network took for a batch.", buckets=_SECONDS, registry=to
        )
        Gauge("tagfit_waiting_rows", "Images and rows that wait to be answered.", registry=to).set_function(waiting)

    def batch(self, rows: int, seconds: float) -> None:
        """A batch was answered."""
        self.rows.inc(rows)
        self.batch_rows.observe(rows)
        self.batch_seconds.observe(seconds)

    def text(self) -> bytes:
        return generate_latest(self._registry)
