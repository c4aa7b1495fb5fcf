"""What comes in, in each form, and what is said of it."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from making import decode
from serving import form, png, running

RED, GREEN, BLACK = png((220, 20, 20)), png((20, 220, 20)), png((9, 9, 9))


def expected(tagger, *images):
    return tagger.predict_array(np.stack([decode(image, tagger.form) for image in images]))


def check(records, prediction):
    names = list(prediction.label_names)
    for row, record in enumerate(records):
        assert record["labels"] == list(prediction.labels(row))
        assert list(record["scores"]) == list(record["probabilities"]) == names
        np.testing.assert_allclose(list(record["scores"].values()), prediction.scores[row], atol=2e-6)
        np.testing.assert_allclose(list(record["probabilities"].values()), prediction.probabilities[row], atol=2e-6)
        assert record["error"] is None


def test_images_in_every_form_get_what_the_tagger_says(images_served, image_tagger):
    three = expected(image_tagger, RED, GREEN, BLACK)
    answer = images_served.predict(RED, GREEN, BLACK)
    assert answer.status == 200
    check(answer.json["predictions"], three)
    assert [record["sample"] for record in answer.json["predictions"]] == ["0.png", "1.png", "2.png"]
    in_json = json.dumps({"images": [base64.b64encode(one).decode() for one in (RED, GREEN, BLACK)]})
    answer = images_served.ask("/v1/predict", in_json, "application/json")
    check(answer.json["predictions"], three)
    assert [record["sample"] for record in answer.json["predictions"]] == ["1", "2", "3"]
    for kind in ("image/png", "application/octet-stream", "IMAGE/jpeg; q=1"):
        check(images_served.ask("/v1/predict", RED, kind).json["predictions"], expected(image_tagger, RED))
    chunked = images_served.ask("/v1/predict", (RED[at : at + 9] for at in range(0, len(RED), 9)), "image/png")
    check(chunked.json["predictions"], expected(image_tagger, RED))


def test_feature_rows_get_what_the_tagger_says(features_served, feature_tagger):
    x = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    answer = features_served.rows(x)
    assert answer.status == 200
    check(answer.json["predictions"], feature_tagger.predict(x))


def test_a_row_whose_scores_are_not_finite_says_so_and_alone_is_refused(features_served, feature_tagger):
    """Features that float32 holds, and that overflow on their way through the network; never NaN, which is no JSON."""
    x = np.zeros((3, 8))
    x[1] = 3e38
    answer = features_served.rows(x)
    records = answer.json["predictions"]
    assert b"NaN" not in answer.body
    check([records[0], records[2]], feature_tagger.predict(x[[0, 2]]))
    assert "not finite" in records[1]["error"]
    assert (records[1]["labels"], records[1]["scores"], records[1]["probabilities"]) == ([], None, None)
    answer = features_served.rows(x[[1]])
    assert (answer.status, answer.headers["content-type"]) == (422, "application/problem+json")
    assert "not finite" in answer.json["faults"][0]


def test_an_unreadable_image_among_others_says_why_and_alone_is_refused(images_served, image_tagger):
    answer = images_served.predict(RED, b"nothing", GREEN)
    records = answer.json["predictions"]
    check([records[0], records[2]], expected(image_tagger, RED, GREEN))
    assert records[1] == {
        "sample": "1.png",
        "labels": [],
        "scores": None,
        "probabilities": None,
        "error": "not an image of a known format (JPEG, PNG, WEBP, BMP, GIF, TIFF)",
    }
    answer = images_served.predict(b"nothing", b"")
    assert answer.status == 422
    assert answer.json["faults"][1] == "1.png: the file is empty"


def test_a_hostile_name_comes_back_as_json_only(images_served):
    name = "<img src=x onerror=alert(1)>\u202e" + "x" * 400
    answer = images_served.ask("/v1/predict", *form([(name, RED)]))
    assert answer.json["predictions"][0]["sample"] == name[:255]
    assert answer.headers["content-type"] == "application/json"
    answer = images_served.ask("/v1/predict", *form([(name, b"nothing")]))
    assert answer.headers["content-type"] == "application/problem+json"
    assert b"<img" not in images_served.ask("/%3Cimg%20src=x%3E").body


B64 = base64.b64encode(RED).decode()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (415, b"x", None),
        (415, b"x", "text/plain"),
        (415, b"a=1", "application/x-www-form-urlencoded"),
        (422, b"", "image/png"),
        (400, b"{", "application/json"),
        (400, b"[" * 100_000, "application/json"),
        (400, b'{"images": ["\xff"]}', "application/json"),
        (422, b"[]", "application/json"),
        (422, b"{}", "application/json"),
        (422, b'{"images": []}', "application/json"),
        (422, b'{"images": ["%%%"]}', "application/json"),
        (422, '{"images": ["é"]}'.encode(), "application/json"),
        (422, b'{"images": [""]}', "application/json"),
        (422, b'{"images": [1]}', "application/json"),
        (422, b'{"image": ["x"]}', "application/json"),
        (422, json.dumps({"images": [B64], "features": [[1.0]]}).encode(), "application/json"),
        (422, b'{"features": [[1.0]]}', "application/json"),
        (400, b"x", "multipart/form-data"),
        (400, b"x", "multipart/form-data; boundary=b0"),
        (400, b"", "multipart/form-data; boundary=b0"),
        (400, form([("a", RED)])[0][:-6], "multipart/form-data; boundary=b0"),
        (400, form([("a", RED)])[0], "multipart/form-data; boundary=" + "b" * 300),
        (422, form([])[0], "multipart/form-data; boundary=b0"),
        (413, form([("a", b"x")] * 65)[0], "multipart/form-data; boundary=b0"),
        (413, json.dumps({"images": [B64] * 65}).encode(), "application/json"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_problem(images_served, status, body, kind):
    answer = images_served.ask("/v1/predict", body, kind)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["status"] == status
    assert answer.json["detail"]


@pytest.mark.parametrize(
    ("rows", "says"),
    [([[1.0] * 7], "rows of 8 features; got rows of 7"), ([[1.0] * 8, [1.0]], "same length"), ([[]], "8 features")],
)
def test_features_that_do_not_fit(features_served, rows, says):
    answer = features_served.ask("/v1/predict", json.dumps({"features": rows}), "application/json")
    assert answer.status == 422
    assert says in answer.json["detail"]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e39", "1e400"])
def test_features_that_are_not_finite(features_served, value):
    row = ", ".join([value] + ["0"] * 7)
    assert features_served.ask("/v1/predict", f'{{"features": [[{row}]]}}', "application/json").status in (400, 422)


def test_images_for_a_model_of_features(features_served):
    assert "takes feature rows" in features_served.predict(RED).json["detail"]


def test_limits_of_bytes_and_pixels_and_no_compression(image_tagger):
    with running(image_tagger, body=2000, pixels=300, images=2, queue=2) as client:
        assert client.predict(png(size=(10, 10))).status == 200
        refused = client.predict(png(size=(20, 20)))
        assert refused.status == 422
        assert "too large: 20x20 pixels" in refused.json["faults"][0]
        assert client.ask("/v1/predict", b"x" * 2001, "image/png").status == 413
        assert client.ask("/v1/predict", (b"x" * 500 for _ in range(9)), "image/png").status == 413
        assert client.ask("/v1/predict", RED, "image/png", content_encoding="gzip").status == 415
        assert client.predict(RED, RED, RED).status == 413


def test_labels_say_how_they_are_given(images_served, features_served, image_tagger):
    found = images_served.ask("/v1/labels").json
    assert [(one["name"], one["threshold"]) for one in found["labels"]] == [(n, 0.5) for n in image_tagger.label_names]
    assert (found["takes"], found["decides_by"], found["features"]) == ("images", "scores", None)
    assert features_served.ask("/v1/labels").json["features"] == 8


def test_health_and_metrics(images_served):
    images_served.predict(RED)
    assert images_served.ask("/healthz").json == images_served.ask("/readyz").json == {"state": "ok"}
    text = images_served.ask("/metrics").body.decode()
    assert 'tagfit_requests_total{path="/v1/predict",status="200"}' in text
    assert "tagfit_waiting_rows 0.0" in text
    images_served.ask("/" + "x" * 50)
    assert 'path="other",status="404"' in images_served.ask("/metrics").body.decode()


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/v1/predict", 405), ("POST", "/", 405), ("GET", "/v2", 404)]
)
def test_other_paths_and_methods(images_served, method, path, status):
    answer = images_served.ask(path, b"" if method == "POST" else None, method=method)
    assert (answer.status, answer.json["status"]) == (status, status)


def test_the_documents_page_needs_no_script_and_names_every_path(images_served):
    page = images_served.ask("/docs").body.decode()
    described = images_served.ask("/openapi.json").json
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert all(path in page for path in described["paths"])
    assert all(f'id="{name}"' in page for name in described["components"]["schemas"])


def test_every_schema_that_is_referred_to_is_described(images_served):
    page = images_served.ask("/docs").body.decode()
    described = images_served.ask("/openapi.json")
    named = set(re.findall(r'"#/components/schemas/(\w+)"', described.body.decode()))
    assert "Problem" in named
    assert named <= set(described.json["components"]["schemas"])
    assert set(re.findall(r'href="#(\w+)"', page)) <= set(re.findall(r'id="(\w+)"', page))


def test_what_speaks_for_a_label_is_an_image(images_served, image_tagger):
    assert images_served.ask("/v1/labels").json["explains"]
    answer = images_served.ask("/v1/explain?label=red", RED, "image/png")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/png")
    overlay = np.asarray(Image.open(io.BytesIO(answer.body)))
    found = image_tagger.explain(Image.open(io.BytesIO(RED)), ["red"]).heat[0]
    assert overlay.shape == (*found.shape, 4)
    assert np.abs(overlay[..., 3] - 255 * np.maximum(found, 0) / max(found.max(), 0.1)).max() <= 1.001
    refused = {
        "/v1/explain?label=no": RED,
        "/v1/explain": RED,
        "/v1/explain?label=red": b"nothing",
    }
    for path, body in refused.items():
        answer = images_served.ask(path, body, "image/png")
        assert (answer.status, answer.headers["content-type"]) == (422, "application/problem+json")
    assert images_served.ask("/v1/explain?label=red", *form([("a", RED), ("b", RED)])).status == 422


MANY = 10**6


@pytest.mark.parametrize(
    "inside",
    [
        b'"features":[[' + b"0," * MANY + b"0]]",
        b'"features":[' + b'"a",' * MANY + b"1]",
        b'"x":0,' * MANY + b'"y":0',
    ],
    ids=["numbers", "words", "names"],
)
def test_json_of_too_many_values_is_refused_unparsed(features_served, monkeypatch, inside):
    monkeypatch.setattr("tagfit.serve.bodies.JsonBody.model_validate_json", None)
    answer = features_served.ask("/v1/predict", b"{" + inside + b"}", "application/json")
    assert answer.status == 413
    assert "more values than" in answer.json["detail"]


@pytest.mark.parametrize("field", ["images", "file", "files", "image", "pictures", "photos[]"])
def test_files_of_a_form_may_have_any_name(images_served, field):
    answer = images_served.ask("/v1/predict", *form([("a.png", png()), ("b.png", png())], field=field))
    assert [one["sample"] for one in answer.json["predictions"]] == ["a.png", "b.png"]


def test_a_field_that_is_no_file_is_refused(images_served):
    body = b'--b0\r\nContent-Disposition: form-data; name="threshold"\r\n\r\n0.5\r\n--b0--\r\n'
    answer = images_served.ask("/v1/predict", body, "multipart/form-data; boundary=b0")
    assert answer.status == 422
    assert "not a file" in answer.json["detail"]


def test_labels_tell_where_the_model_is_from(images_served, image_tagger):
    told, origin = images_served.ask("/v1/labels").json, image_tagger.origin
    assert told["origin"]["data"] == origin.data
    assert told["origin"]["part"] == origin.part
    assert [one["f1"] for one in told["labels"]] == list(origin.label_f1)
