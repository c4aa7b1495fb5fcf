"""Too much, too slow, and the end."""

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from making import PROVE
from serving import form, png, running
from tagfit.images import workers as decoder
from tagfit.serve import bodies, connection

RED = png((220, 20, 20))


class Held:
    """A tagger that waits to be let go on before each batch, and notes how large they are."""

    def __init__(self, tagger):
        self._tagger, self.batches, self.go = tagger, [], threading.Semaphore(0)
        self.at_work = threading.Semaphore(0)

    def __getattr__(self, name):
        return getattr(self._tagger, name)

    def predict_array(self, x):
        self.batches.append(len(x))
        self.at_work.release()
        assert self.go.acquire(timeout=20)
        return self._tagger.predict_array(x)


@pytest.fixture
def held(feature_tagger):
    return Held(feature_tagger)


def rows(count):
    return np.zeros((count, 8))


def waiting(client):
    return float(client.ask("/metrics").body.decode().split("tagfit_waiting_rows ")[-1].split("\n")[0])


def wait_until(reached):
    end = time.monotonic() + 20
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_requests_gather_while_the_network_is_at_work(held):
    with running(held, images=8, queue=64) as client, ThreadPoolExecutor(20) as pool:
        first = pool.submit(client.rows, rows(1))
        assert held.at_work.acquire(timeout=10)
        others = [pool.submit(client.rows, rows(2)) for _ in range(5)]
        wait_until(lambda: waiting(client) == 11)
        held.go.release(2)
        assert [one.result().status for one in (first, *others)] == [200] * 6
        assert held.batches == [1, 10]


def test_what_does_not_fit_the_queue_is_refused_at_once_and_later_taken(held):
    with running(held, images=4, queue=8) as client, ThreadPoolExecutor(20) as pool:
        taken = [pool.submit(client.rows, rows(4)) for _ in range(2)]
        wait_until(lambda: waiting(client) == 8)
        begun = time.monotonic()
        refused = client.rows(rows(1))
        assert time.monotonic() - begun < 10  # it does not wait for the network
        assert (refused.status, refused.json["status"]) == (429, 429)
        assert int(refused.headers["retry-after"]) >= 1
        assert client.ask("/readyz").json == {"state": "full"}
        assert client.ask("/healthz").status == 200
        held.go.release(9)
        assert [one.result().status for one in taken] == [200, 200]
        assert client.rows(rows(1)).status == 200


def test_what_would_come_too_late_is_refused_though_there_is_room(held):
    with running(held, seconds=0.4, queue=1000) as client, ThreadPoolExecutor(4) as pool:
        slow = pool.submit(client.rows, rows(1))
        assert held.at_work.acquire(timeout=10)
        time.sleep(0.3)
        held.go.release()
        assert slow.result().status == 200
        behind = pool.submit(client.rows, rows(1))  # 0.3 s each, as far as is known
        assert held.at_work.acquire(timeout=10)
        assert client.rows(rows(1)).status == 429
        held.go.release(5)
        assert behind.result().status in (200, 503)


def test_an_answer_that_takes_too_long_is_given_up_and_leaves_nothing_behind(held):
    with running(held, seconds=0.3) as client:
        answer = client.rows(rows(3))
        assert (answer.status, answer.json["detail"]) == (503, "The request took longer than 0.3 s.")
        assert waiting(client) == 0
        held.go.release(5)


def test_a_failure_in_the_network_is_a_500_that_tells_nothing_and_the_next_is_answered(feature_tagger, caplog):
    class Failing(Held):
        def predict_array(self, x):
            if x[0, 0] == 7:
                raise RuntimeError("secret")
            return self._tagger.predict_array(x)

    with running(Failing(feature_tagger)) as client:
        answer = client.rows(np.full((1, 8), 7.0))
        assert answer.status == 500
        assert b"secret" not in answer.body
        assert answer.headers["content-type"] == "application/problem+json"
        assert client.rows(rows(1)).status == 200
    assert "a request failed" in caplog.text


# -------------------------------------------------------------------------------------------- crashes

HOSTILE = """
import os, signal, time
from tagfit.images import worker
whole = worker.shrink
def hostile(encoded, form, **options):
    if encoded == b"crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if encoded == b"hang":
        time.sleep(60)
    return whole(encoded, form, **options)
worker.shrink = hostile
worker.main()
"""


def test_images_that_crash_or_hang_their_decoder_harm_nobody_else(image_tagger, monkeypatch):
    monkeypatch.setattr(decoder, "worker_command", lambda: (sys.executable, "-c", HOSTILE))
    with running(image_tagger, seconds=4) as client:
        records = client.predict(RED, b"crash", RED).json["predictions"]
        assert records[1]["error"] == "the decoder crashed: signal 11"
        assert records[0]["scores"] == records[2]["scores"] is not None
        assert "tagfit_decoder_crashes_total 1.0" in client.ask("/metrics").body.decode()
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: client.predict(b"hang"), range(4)))
        assert {answer.status for answer in answers} == {503}
        wait_until(lambda: client.predict(RED).status == 200)


def test_decoders_that_do_not_start_are_a_fault_of_the_server_that_tells_no_paths(image_tagger, monkeypatch, caplog):
    monkeypatch.setattr(decoder, "worker_command", lambda: (sys.executable, "-c", "raise SystemExit(3)"))
    with running(image_tagger) as client:
        answer = client.predict(RED, RED)
        assert answer.status == 503
        assert sys.executable.encode() not in answer.body
        assert "exit code 3" in caplog.text
        monkeypatch.undo()
        assert client.predict(RED).status == 200


# ---------------------------------------------------------------------------------------- slow clients


def raw(client, *parts, pause=0.0):
    """What comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", client.port), timeout=20) as connected:
        for part in parts:
            with contextlib.suppress(OSError):
                connected.sendall(part)
            time.sleep(pause)
        return rest_of(connected)


def rest_of(connected):
    """What comes until the other side closes."""
    found = b""
    with connected, contextlib.suppress(ConnectionError):
        while more := connected.recv(65536):
            found += more
    return found


def test_a_head_that_does_not_come_is_cut_off(features_served, monkeypatch):
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.2)
    assert raw(features_served) == b""
    assert raw(features_served, b"GET / HT") == b""
    drips = [b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n", *[b"X: y\r\n"] * 9]
    assert raw(features_served, *drips, pause=0.05) == b""
    second = [b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /he"]
    assert raw(features_served, *second, pause=0.1).count(b"HTTP/1.1 200") == 1


HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize("head", [b"X: " + b"x" * 70_000, b"X: " + b"x" * 40_000 + b"\r\n\r\n"])
def test_a_head_that_is_too_large_is_refused(features_served, head):
    """Also one that ends, and comes all at once."""
    answer = raw(features_served, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + head)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"too large" in answer


def test_what_is_no_http_is_refused_as_everything_else_is(features_served):
    head, body = raw(features_served, b"HELLO\r\n\r\n").split(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    assert json.loads(body)["status"] == 400


def test_a_body_after_another_request_is_no_head(feature_tagger):
    """However large it is, and wherever its pieces begin."""
    body = json.dumps({"features": [[0.0] * 8] * 64}).encode() + b" " * 200_000
    head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
    with running(feature_tagger) as client:
        answer = raw(client, HEALTH + head + body[:1000], body[1000:60_000], body[60_000:], pause=0.1)
    assert answer.count(b"HTTP/1.1 200") == 2


def test_a_body_that_does_not_come_is_a_408(feature_tagger):
    with running(feature_tagger, seconds=0.3) as client:
        head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        assert raw(client, head + b"Content-Length: 100\r\n\r\n{").startswith(b"HTTP/1.1 408")
        drips = [head + b"Content-Length: 100\r\n\r\n", *[b"x"] * 9]
        assert raw(client, *drips, pause=0.05).startswith(b"HTTP/1.1 408")


def begun_bodies(stack, client, body):
    head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    for _ in range(8):
        connected = stack.enter_context(socket.create_connection(("127.0.0.1", client.port)))
        connected.sendall(head + b"Content-Length: 1000\r\n\r\n" + body)


def test_bodies_that_are_held_at_once_are_counted_by_what_has_come(feature_tagger):
    with running(feature_tagger, body=1000, seconds=3) as client, contextlib.ExitStack() as stack:
        begun_bodies(stack, client, b" ")
        time.sleep(0.2)
        assert client.rows(rows(1)).status == 200
        begun_bodies(stack, client, b" " * 999)
        wait_until(lambda: client.rows(rows(1)).status == 429)
        wait_until(lambda: client.rows(rows(1)).status == 200)


def test_bodies_of_one_other_machine_are_half_of_those_that_are_held():
    from starlette.requests import Request

    from tagfit.serve.bodies import Bodies
    from tagfit.serve.limits import Limits
    from tagfit.serve.problems import ProblemError

    def asked(address, size):
        async def receive():
            return {"type": "http.request", "body": b" " * size}

        return Request({"type": "http", "headers": [], "client": (address, 1)}, receive)

    def read(size, *addresses):
        bodies = Bodies(Limits(body=100), 1)
        # in a thread: a browser that other tests have opened keeps an event loop running in this one
        with contextlib.ExitStack() as stack, ThreadPoolExecutor(1) as pool:
            for address in addresses:
                request = asked(address, size)
                room = stack.enter_context(bodies.room(request))
                pool.submit(asyncio.run, bodies.read(request, room)).result()

    read(100, *["127.0.0.1"] * 8)
    read(100, *["10.0.0.7"] * 4, *["10.0.0.8"] * 4)
    with pytest.raises(ProblemError, match="Too many"):
        read(100, *["10.0.0.7"] * 5)
    with pytest.raises(ProblemError, match="Too many"):
        read(100, *["127.0.0.1"] * 9)


def test_a_body_that_hardly_comes_is_a_408(feature_tagger, monkeypatch):
    monkeypatch.setattr(bodies, "PROGRESS_SECONDS", 0.3)
    monkeypatch.setattr(bodies, "PROGRESS_BYTES", 10)
    head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    slow, body = [b" "] * 10, json.dumps({"features": [[0.0] * 8]}).encode()
    with running(feature_tagger) as client:
        begun = time.monotonic()
        assert raw(client, head + b"Content-Length: 100\r\n\r\n", *slow, pause=0.1).startswith(b"HTTP/1.1 408")
        assert time.monotonic() - begun < 10
        length = b"Connection: close\r\nContent-Length: %d\r\n\r\n" % (len(body) + 100)
        assert raw(client, head + length, *[b" " * 20] * 5, body, pause=0.1).startswith(b"HTTP/1.1 200")


def connections(client):
    return len(client.server.server_state.connections)


#: more than the system holds for a client that takes nothing
UNTAKEN = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1000


def untaken(client):
    connected = socket.socket()
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connected.connect(("127.0.0.1", client.port))
    connected.sendall(UNTAKEN)
    return connected


def test_answers_that_are_not_taken_end_their_connection(feature_tagger, monkeypatch):
    monkeypatch.setattr(connection, "TAKE_SECONDS", 0.3)
    with running(feature_tagger) as client, untaken(client):
        wait_until(lambda: connections(client) == 1)
        wait_until(lambda: connections(client) == 0)


def test_answers_that_are_taken_slowly_are_answered(feature_tagger, monkeypatch):
    monkeypatch.setattr(connection, "TAKE_SECONDS", 0.5)
    with running(feature_tagger) as client, untaken(client) as connected:
        end, found = time.monotonic() + 2, 0
        while time.monotonic() < end:
            found += len(connected.recv(65536))
            time.sleep(0.01)
        assert connections(client) == 1
        assert found > 100_000


def test_what_is_left_of_a_refused_body_is_not_waited_for_for_ever(feature_tagger, monkeypatch):
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.5)
    head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: br\r\nContent-Length: 100\r\n\r\n"
    with running(feature_tagger) as client, socket.create_connection(("127.0.0.1", client.port)) as connected:
        connected.sendall(head)
        time.sleep(1.5)  # the rest was waited for for a second, then the answer ended
        with contextlib.suppress(OSError):
            for _ in range(30):
                connected.sendall(b"x")
                time.sleep(0.05)
        assert connections(client) == 0


def test_clients_that_take_nothing_or_send_nothing_make_room_for_others(features_served, monkeypatch):
    monkeypatch.setattr(connection, "most_connections", lambda: 4)
    monkeypatch.setattr(connection, "PATIENCE_SECONDS", 0.1)
    head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(untaken(features_served))
        for begun in (b"", head):
            stack.enter_context(socket.create_connection(("127.0.0.1", features_served.port))).sendall(begun)
        time.sleep(0.3)
        assert [features_served.ask("/healthz").status for _ in range(3)] == [200] * 3


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="limits of files are Unix's")
def test_connections_beyond_the_most_are_closed(features_served, monkeypatch):
    monkeypatch.setattr(connection, "most_connections", lambda: 2)
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(socket.create_connection(("127.0.0.1", features_served.port)))
        time.sleep(0.1)
        assert raw(features_served, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n") == b""
    monkeypatch.undo()
    wait_until(lambda: features_served.ask("/healthz").status == 200)


# -------------------------------------------------------------------------------------------- draining


def test_what_was_accepted_is_answered_before_the_end(held):
    with running(held, queue=64) as client, ThreadPoolExecutor(20) as pool:
        sent = [pool.submit(client.rows, rows(2)) for _ in range(10)]
        wait_until(lambda: waiting(client) == 20)
        idle = socket.create_connection(("127.0.0.1", client.port))
        client.server.should_exit = True
        time.sleep(0.2)
        with pytest.raises(ConnectionError):
            client.ask("/healthz")
        # a connection that was there may still have a request on its way
        idle.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = rest_of(idle)
        held.go.release(20)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"about to end" in answer
        assert [one.result().status for one in sent] == [200] * 10


def test_a_server_told_to_end_under_load_loses_nothing_that_it_accepted(tmp_path, image_tagger):
    """As a program of its own: every connection gets a whole answer, or was never accepted."""
    import subprocess

    from tagfit.bundle.write import write_bundle

    write_bundle(tmp_path / "bundle", image_tagger.bundle)
    for _ in range(10 if PROVE else 1):
        command = [sys.executable, "-m", "tagfit", "serve", str(tmp_path / "bundle"), "--port", "0"]
        server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        line = server.stderr.readline()
        port = int(line.split("127.0.0.1:")[1].split("/")[0])
        body, kind = form([("a.png", RED)] * 8)
        request = (
            f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        answered, broken = [], []

        def ask_until_refused(port=port, request=request, answered=answered, broken=broken):
            while True:
                try:
                    connected = socket.create_connection(("127.0.0.1", port), timeout=40)
                except ConnectionError:
                    return
                with connected:
                    try:
                        connected.sendall(request)
                        found = connected.recv(65536)
                        head, _, rest = found.partition(b"\r\n\r\n")
                        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                        while len(rest) < length:
                            more = connected.recv(65536)
                            assert more, "an answer broke off"
                            rest += more
                        answered.append(json.loads(rest) and int(head[9:12]))
                    except ConnectionResetError:  # it was in the queue of the socket when that was closed
                        return
                    except Exception as error:
                        broken.append(repr(error))
                        return

        threads = [threading.Thread(target=ask_until_refused) for _ in range(8)]
        for thread in threads:
            thread.start()
        wait_until(lambda answered=answered: len(answered) > 10)
        time.sleep(random.random() / 10)
        server.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join()
        assert server.wait(35) == 0
        assert not broken
        assert set(answered) <= {200, 429}
        assert "Stopping" in server.stderr.read()
        server.stderr.close()
