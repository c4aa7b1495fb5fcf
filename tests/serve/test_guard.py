"""Who may ask."""

import os
import socket

import pytest

from serving import png, running
from tagfit.errors import DataError, OutputError
from tagfit.serve.guard import Access
from tagfit.serve.server import access_to, bind, read_token

TOKEN = "a-token-of-some-length"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST.:80", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("192.168.1.7", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("0x7f.1", 421),
        ("user@localhost", 400),
        ("localhost/x", 400),
        ("localhost:x", 400),
        ("[::1", 400),
        ("", 400),
    ],
)
def test_a_name_that_someone_else_may_lead_here_is_not_answered_to(images_served, host, status):
    answer = images_served.ask("/v1/labels", host=host)
    assert answer.status == status
    assert b"evil" not in answer.body


@pytest.mark.parametrize("heads", [b"", b"Host: localhost\r\nHost: localhost\r\n"])
def test_one_host_header(images_served, heads):
    with socket.create_connection(("127.0.0.1", images_served.port)) as connection:
        connection.sendall(b"GET /v1/labels HTTP/1.1\r\nConnection: close\r\n" + heads + b"\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://localhost:1"}, 200),
        ({"origin": "https://localhost:1"}, 200),
        ({"origin": "http://localhost"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec_fetch_site": "same-origin", "sec_fetch_mode": "cors"}, 200),
        ({"sec_fetch_site": "none"}, 200),
        ({"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors", "sec_fetch_dest": "image"}, 403),
        ({"sec_fetch_site": "same-site", "sec_fetch_mode": "cors"}, 403),
        ({"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "iframe"}, 403),
        ({"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}, 200),
    ],
)
def test_no_other_page_may_ask(images_served, headers, status):
    assert images_served.ask("/v1/labels", host="localhost:1", **headers).status == status
    if status == 403:
        assert images_served.ask("/v1/predict", png(), "image/png", host="localhost:1", **headers).status == 403


def test_a_followed_link_may_only_get(images_served):
    headers = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert images_served.ask("/v1/predict", png(), "image/png", **headers).status == 403


def test_a_token_is_needed_for_all_but_the_page_and_health(image_tagger):
    with running(image_tagger, token=TOKEN) as client:
        for path in (
            "/",
            "/page.js",
            "/page.css",
            "/base.js",
            "/base.css",
            "/icon.svg",
            "/docs",
            "/openapi.json",
            "/healthz",
            "/readyz",
        ):
            assert client.ask(path).status == 200, path
        for path in ("/v1/labels", "/metrics", "/nothing"):
            refused = client.ask(path)
            assert refused.status == 401
            assert refused.headers["www-authenticate"].startswith("Bearer")
        for wrong in (f"Bearer {TOKEN}x", "Bearer", f"Basic {TOKEN}", TOKEN, "Bearer é"):
            assert client.ask("/v1/predict", png(), "image/png", authorization=wrong).status == 401
        for right in (f"Bearer {TOKEN}", f"bearer {TOKEN}"):
            assert client.ask("/v1/predict", png(), "image/png", authorization=right).status == 200


def test_every_answer_keeps_browsers_strict(images_served):
    answers = [
        images_served.ask("/"),
        images_served.ask("/nothing"),
        images_served.ask("/v1/labels"),
        images_served.ask("/v1/labels", host="evil.example"),
        images_served.predict(b"nothing"),
    ]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
        assert "server" not in answer.headers


def test_names_that_are_answered_to():
    assert Access.of(None, [], loopback=True).hosts == {"localhost"}
    assert {"localhost", "photos.example", socket.gethostname().lower()} <= Access.of(
        None, ["Photos.Example"], loopback=False
    ).hosts


def test_other_machines_need_a_token():
    with bind("0.0.0.0", 0) as listener:
        with pytest.raises(DataError, match="--token-file"):
            access_to(listener, None)
        access_to(listener, TOKEN)
    with bind("localhost", 0) as listener:
        access_to(listener, None)


def test_a_port_that_is_taken():
    """By another server, also while that is still about to load its model."""
    with bind("127.0.0.1", 0) as listener, pytest.raises(OutputError, match="--port 0"):
        bind("127.0.0.1", listener.getsockname()[1])


def token_file(folder, content, mode=0o600):
    (folder / "token").write_bytes(content)
    (folder / "token").chmod(mode)
    return folder / "token"


@pytest.mark.parametrize("content", [b"short", b"", b"two words of some length", "ein-schlüssel-mit-länge".encode()])
def test_a_file_without_a_token(tmp_path, content):
    with pytest.raises(DataError, match="must hold one word"):
        read_token(token_file(tmp_path, content))


def test_a_token_file(tmp_path):
    assert read_token(token_file(tmp_path, TOKEN.encode() + b"\n")) == TOKEN
    with pytest.raises(DataError, match="cannot be read"):
        read_token(tmp_path / "absent")


@pytest.mark.skipif(os.name != "posix", reason="modes of files are Unix's")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_token_that_others_can_read_is_refused_with_what_mends_it(tmp_path, mode):
    with pytest.raises(DataError, match=f"chmod 600 {tmp_path / 'token'}"):
        read_token(token_file(tmp_path, TOKEN.encode(), mode))
