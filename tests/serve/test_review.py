"""The paths of the page where labels are reviewed."""

import io
import json

import pytest
from PIL import Image

from making import feature_table, image_folder
from serving import reviewing
from tagfit.api import read_dataset
from tagfit.data.dataset import build
from tagfit.labels.review import Review
from tagfit.labels.scoring import scored

JSON = "application/json"


def made(folder, corrections):
    return Review(scored(read_dataset(folder, size=16), None, 0), corrections, who="me")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return image_folder(tmp_path_factory.mktemp("photos"))


@pytest.fixture
def client(photos, tmp_path):
    with reviewing(made(photos, tmp_path / "corrections.jsonl")) as client:
        yield client


def decide(client, *decisions, window="w", queue="all"):
    body = {
        "window": window,
        "queue": queue,
        "decisions": [{"row": row, "labels": labels} for row, labels in decisions],
    }
    return client.ask("/v1/review/decide", json.dumps(body), JSON)


def undo(client, window="w"):
    return client.ask("/v1/review/undo", json.dumps({"window": window, "queue": "all"}), JSON)


def test_the_summary_and_a_queue(client):
    summary = client.ask("/v1/review").json
    assert summary["labels"] == ["green", "red"]
    assert summary["keys"] == ["g", "r"]
    assert summary["images"]
    assert summary["progress"]["queues"]["all"] == {"total": 40, "done": 0, "first": 0, "note": ""}
    assert summary["progress"]["queues"]["next"]["note"] == "Every label of every sample is known."
    page = client.ask("/v1/review/queue/all?start=5&count=7").json
    assert (page["total"], page["start"], len(page["cards"])) == (40, 5, 7)
    assert [card["row"] for card in page["cards"]] == list(range(5, 12))


def test_a_decision_is_on_disk_before_it_is_answered_and_can_be_taken_back(client, tmp_path):
    before = client.ask("/v1/review/queue/all?count=1").json["cards"][0]
    answer = decide(client, (0, {"0": 1, "1": None}))
    assert answer.status == 200
    assert answer.json["cards"][0]["labels"] == "y?"
    lines = [json.loads(line) for line in (tmp_path / "corrections.jsonl").read_text().splitlines()]
    assert [(line["label"], line["to"], line["who"]) for line in lines] == [("green", 1, "me"), ("red", None, "me")]
    assert undo(client, "another window").json["cards"] == []
    assert undo(client).json["cards"][0]["labels"] == before["labels"]


def test_images_are_upright_and_carry_nothing_of_the_file(client):
    for size in ("small", "large"):
        answer = client.ask(f"/v1/review/{size}/0")
        image = Image.open(io.BytesIO(answer.body))
        assert (answer.status, image.format) == (200, "WEBP")
        assert "exif" not in image.info


def test_proportions_are_those_of_the_file(tmp_path):
    folder = image_folder(tmp_path / "photos")
    name = "images/0.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (300, 100), "red").save(folder / name, exif=exif)
    review = made(folder, tmp_path / "c.jsonl")
    row = review.dataset.sample_names.index(name)
    with reviewing(review) as client:
        sizes = [Image.open(io.BytesIO(client.ask(f"/v1/review/{one}/{row}").body)).size for one in ("small", "large")]
    assert sizes == [(43, 128), (100, 300)]


def test_an_image_that_has_gone_is_said(tmp_path):
    folder = image_folder(tmp_path / "photos")
    review = made(folder, tmp_path / "c.jsonl")
    for file in folder.rglob("*.png"):
        file.unlink()
    with reviewing(review) as client:
        assert client.ask("/v1/review/small/0").status == 200
        answer = client.ask("/v1/review/large/0")
        assert answer.status == 404
        assert answer.json["detail"].startswith("The image cannot be read any more")


def test_neighbours(client):
    found = client.ask("/v1/review/neighbours/3").json
    assert len(found["cards"]) == 10
    assert 3 not in {card["row"] for card in found["cards"]}


@pytest.mark.parametrize(
    ("path", "body", "kind", "status"),
    [
        ("/v1/review/queue/none", None, None, 422),
        ("/v1/review/queue/all?count=100000", None, None, 422),
        ("/v1/review/queue/all?start=-1", None, None, 422),
        ("/v1/review/queue/all?label=7", None, None, 422),
        ("/v1/review/queue/all?nothing=1", None, None, 422),
        ("/v1/review/neighbours/99", None, None, 422),
        ("/v1/review/small/99", None, None, 404),
        ("/v1/review/large/99", None, None, 404),
        ("/v1/review/small/x", None, None, 404),
        ("/nothing", None, None, 404),
        ("/v1/review/decide", None, None, 405),
        ("/v1/review/decide", "{", JSON, 400),
        ("/v1/review/decide", b"\xff", JSON, 400),
        ("/v1/review/decide", "{}", JSON, 422),
        ("/v1/review/decide", "{}", "text/plain", 415),
        ("/v1/review/decide", '{"window": "w", "queue": "all", "decisions": []}', JSON, 422),
        ("/v1/review/decide", '{"window": "", "queue": "all"}', JSON, 422),
        ("/v1/review/undo", "[[1", JSON, 422),
        ("/v1/review/undo", " " * (1 << 21), JSON, 413),
    ],
)
def test_what_does_not_fit_is_refused(client, path, body, kind, status):
    answer = client.ask(path, body, kind)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("decision", [(0, {"0": 2}), (0, {"7": 1}), (0, {"green": 1}), (40, {"0": 1}), ("a", {"0": 1})])
def test_decisions_that_make_no_sense_are_refused_and_not_written(client, decision, tmp_path):
    assert decide(client, (1, {"0": 1}), decision).status == 422
    assert not (tmp_path / "corrections.jsonl").exists()


def test_a_file_that_cannot_be_written_is_said_and_nothing_counts(photos, tmp_path):
    with reviewing(made(photos, tmp_path / "no such folder" / "c.jsonl")) as client:
        answer = decide(client, (0, {"0": None}))
        assert answer.status == 507
        assert "cannot be written to" in answer.json["detail"]
        assert client.ask("/v1/review/queue/all?count=1").json["cards"][0]["decided"] == "00"


def test_the_page_is_open_and_all_else_needs_the_token(photos, tmp_path):
    token = "a-token-of-some-length"
    with reviewing(made(photos, tmp_path / "c.jsonl"), token) as client:
        assert client.ask("/").status == client.ask("/page.js").status == 200
        paths = ("/v1/review", "/v1/review/queue/all", "/v1/review/small/0", "/v1/review/large/0")
        assert {client.ask(path).status for path in paths} == {401}
        assert decide(client, (0, {"0": 1})).status == 401
        assert client.ask("/v1/review", Authorization=f"Bearer {token}").status == 200


def test_other_pages_and_other_hosts_are_refused(client):
    body = json.dumps({"window": "w", "queue": "all"})
    assert client.ask("/v1/review/undo", body, JSON, Origin="http://evil.example").status == 403
    assert client.ask("/v1/review", Host="evil.example").status == 421
    assert client.ask("/").headers["content-security-policy"].startswith("default-src 'none'")


def test_rows_of_features_have_no_images(tmp_path):
    review = Review(scored(build(feature_table(60)), None, 0), tmp_path / "c.jsonl")
    with reviewing(review) as client:
        assert client.ask("/v1/review").json["images"] is False
        assert client.ask("/v1/review/small/0").status == 404


def test_thumbnails_that_are_kept_are_bounded(photos, tmp_path, monkeypatch):
    from tagfit.serve import pictures

    monkeypatch.setattr(pictures, "_KEPT", 1000)
    kept = pictures.Pictures(made(photos, tmp_path / "c.jsonl").dataset)
    sizes = [len(kept.small(row)) for row in range(40)]
    assert sum(sizes) > 1000
    assert sum(map(len, kept._kept.values())) == kept._size <= 1000
