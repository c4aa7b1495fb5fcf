"""What serving costs, and what overload does to it: `python benchmarks/serve_load.py BUNDLE IMAGES`.

1. Throughput over HTTP beside the bare batched model (`Tagger.predict_stream`, images decoded inside), in turns.
2. Load at 1, 2 and 5 times what was reached with one image a request, in turns: goodput, and how soon the rest is
   refused.

The client shares the cores with the server; the bare model has them for itself.
"""

import argparse
import asyncio
import os
import platform
import statistics
import subprocess
import sys
import time
from itertools import cycle
from pathlib import Path

from tagfit.inference.paths import images_at
from tagfit.inference.tagger import Tagger

BOUNDARY = b"7d3f5c0a"

#: seconds of each turn, those before it that do not count, and the loads that are tried
SLICE, RAMP, LOADS = 5.0, 1.0, (1, 2, 5)


def form(images):
    """A request for predictions, as its bytes."""
    parts = [
        b'--%s\r\nContent-Disposition: form-data; name="images"; filename="%d.jpg"\r\n\r\n%s\r\n' % (BOUNDARY, n, p)
        for n, p in enumerate(images)
    ]
    body = b"".join(parts) + b"--%s--\r\n" % BOUNDARY
    head = (
        b"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=%s\r\n" % BOUNDARY
    )
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


class Client:
    """Connections that are kept; one request each at a time."""

    def __init__(self, port):
        self._port, self._free = port, []

    async def ask(self, request):
        """The status and the seconds that it took."""
        begun = time.perf_counter()
        while True:
            reader, writer = self._free.pop() if self._free else await asyncio.open_connection("127.0.0.1", self._port)
            try:
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                break
            except (ConnectionError, asyncio.IncompleteReadError):
                writer.close()  # it was kept too long
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        await reader.readexactly(int(fields[b"content-length"]))
        took = time.perf_counter() - begun
        if fields.get(b"connection") == b"close":
            writer.close()
        else:
            self._free.append((reader, writer))
        return int(head[9:12]), took


async def closed(port, requests, at_once):
    """Requests answered a second, `at_once` of them always waiting, once the first have filled the batches."""
    client, done, begun = Client(port), 0, time.perf_counter()

    async def go_on():
        nonlocal done
        while time.perf_counter() - begun < RAMP + SLICE:
            status, _ = await client.ask(next(requests))
            assert status == 200, status
            done += RAMP <= time.perf_counter() - begun < RAMP + SLICE

    await asyncio.gather(*(go_on() for _ in range(at_once)))
    return done / SLICE


async def opened(port, requests, seconds, rate):
    """Answers to requests that are sent at `rate` a second whatever becomes of them: (status, seconds, when)."""
    client, found, begun = Client(port), [], time.perf_counter()

    async def once():
        status, took = await client.ask(next(requests))
        found.append((status, took, time.perf_counter() - begun))

    async with asyncio.TaskGroup() as group:
        for number in range(int(seconds * rate)):
            await asyncio.sleep(begun + number / rate - time.perf_counter())
            group.create_task(once())
    return found


def started(bundle):
    """A server of its own, and its port."""
    command = [sys.executable, "-m", "tagfit", "serve", bundle, "--port", "0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    line = server.stderr.readline()
    return server, int(line.split("127.0.0.1:")[1].split("/")[0])


def bare(tagger, files):
    """Images a second without HTTP."""
    begun = time.perf_counter()
    return sum(map(len, tagger.predict_stream(files))) / (time.perf_counter() - begun)


def throughput(tagger, files, port, single, several, rounds):
    """Prints images a second, each way in every round; the ratio is that of the same round."""
    speeds = {"bare": [], "16 a request": [], "1 a request": []}
    for _ in range(rounds + 1):  # the first warms up
        speeds["bare"].append(bare(tagger, files))
        speeds["16 a request"].append(16 * asyncio.run(closed(port, several, 8)))
        speeds["1 a request"].append(asyncio.run(closed(port, single, 96)))
    print(f"\n{'images a second':<20}{'median':>8}{'of bare':>9}   rounds")
    for name, found in speeds.items():
        ratio = statistics.median(one / other for one, other in zip(found[1:], speeds["bare"][1:], strict=True))
        shown = " ".join(f"{speed:.0f}" for speed in found[1:])
        print(f"{name:<20}{statistics.median(found[1:]):>8.0f}{ratio:>9.2f}   {shown}")
    return statistics.median(speeds["1 a request"][1:])


def overload(port, single, capacity, rounds):
    """Prints what becomes of requests that are sent at 1, 2 and 5 times the capacity, in turns."""
    good, refused, other = ({times: [] for times in LOADS} for _ in range(3))
    for _ in range(rounds):
        for times in LOADS:
            found = asyncio.run(opened(port, single, RAMP + SLICE, times * capacity))
            good[times].append(sum(status == 200 and RAMP <= when < RAMP + SLICE for status, _, when in found))
            refused[times] += [1000 * took for status, took, _ in found if status == 429]
            other[times].append(sum(status not in (200, 429) for status, _, _ in found))
    heads = f"{'sent/s':>8}{'good/s':>8}{'of best':>9}{'refused':>9}{'other':>7}"
    print(f"\n{'load':<6}{heads}   refused within ms: p50 p99 max")
    rates = {times: statistics.median(counts) / SLICE for times, counts in good.items()}
    for times, rate in rates.items():
        waits = sorted(refused[times])
        ms = " ".join(f"{waits[min(len(waits) - 1, int(part * len(waits)))]:.0f}" for part in (0.5, 0.99, 1) if waits)
        print(
            f"{f'{times}x':<6}{times * capacity:>8.0f}{rate:>8.0f}{rate / max(rates.values()):>9.2f}"
            f"{len(waits):>9}{sum(other[times]):>7}   {ms}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("images", type=Path)
    parser.add_argument("--count", type=int, default=512, help="images of the folder that are used")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    files = [Path(name) for name in images_at([given.images], ())][: given.count]
    encoded = [file.read_bytes() for file in files]
    size = sum(map(len, encoded)) / len(encoded) / 1000
    print(f"python {' '.join(sys.argv)}")
    print(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {size:.0f} kB an image")
    tagger = Tagger.load(given.bundle)
    server, port = started(given.bundle)
    single = cycle([form([image]) for image in encoded])
    several = cycle([form(encoded[start : start + 16]) for start in range(0, len(encoded) - 15, 16)])
    try:
        overload(port, single, throughput(tagger, files, port, single, several, given.rounds), given.rounds)
    finally:
        server.terminate()
        print(f"\nload at the end {os.getloadavg()[0]:.1f}; the server ended with exit code {server.wait(35)}")


if __name__ == "__main__":
    main()
