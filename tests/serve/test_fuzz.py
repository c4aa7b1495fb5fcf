"""Whatever is sent, no answer is an unplanned 5xx."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from making import PROVE
from serving import form, png, running

CASES = 10_000 if PROVE else 60
#: of each operation and mode: schemathesis takes long to make a case
DESCRIBED = 500 if PROVE else 60
BODY, KIND = form([("a.png", png()), ("ö\"'.jpg", png(format="JPEG")), ("", b"")])
SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
FUZZ = settings(max_examples=CASES, deadline=None, suppress_health_check=SLOW, database=None)


@pytest.fixture(scope="module")
def served(image_tagger):
    """Its own, so that no other test's requests are in the way."""
    with running(image_tagger) as client:
        yield client


PIECES = [
    b"\r\n", b"--b0", b"--b0--", b"\r\n--b0\r\n", b"--", b'name="', b"filename=", b"Content-Disposition: ", b":", b'"',
    b"\0", b"\xff" * 9, b"Content-Type: multipart/mixed; boundary=b0\r\n", b"filename*=utf-8''%FF", b"\r\n\r\n",
]  # fmt: skip

changes = st.lists(
    st.tuples(
        st.sampled_from(["cut", "insert", "repeat", "replace"]),
        st.floats(0, 1, exclude_max=True),
        st.integers(1, 60),
        st.one_of(st.sampled_from(PIECES), st.binary(max_size=8)),
    ),
    min_size=1,
    max_size=5,
)


def changed(body, changes):
    for what, part, length, piece in changes:
        at = int(part * len(body))
        if what == "cut":
            body = body[:at] + body[at + length :]
        elif what == "insert":
            body = body[:at] + piece + body[at:]
        elif what == "repeat":
            body = body[:at] + body[at : at + length] * 3 + body[at:]
        else:
            body = body[:at] + piece + body[at + len(piece) :]
    return body


@FUZZ
@given(changes=changes)
def test_a_form_that_was_changed_at_random(served, changes):
    assert served.ask("/v1/predict", changed(BODY, changes), KIND).status in (200, 400, 413, 422)


@FUZZ
@given(
    kind=st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=60),
    body=st.binary(max_size=99),
)
def test_a_type_at_random(served, kind, body):
    for given_kind in (kind, "multipart/form-data;" + kind, "application/json;" + kind):
        assert served.ask("/v1/predict", body, given_kind.encode("latin-1")).status in (200, 400, 413, 415, 422)


def test_what_the_description_allows_and_what_it_does_not(served):
    """Cases of schemathesis, each answer held against the description."""
    schemathesis = pytest.importorskip("schemathesis")
    from schemathesis.specs.openapi import checks

    description = schemathesis.openapi.from_url(f"{served.url}/openapi.json")
    operations = [found.ok() for found in description.get_all_operations()]
    assert len(operations) == 6
    for operation in operations:
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):
            if mode is schemathesis.GenerationMode.NEGATIVE and operation.method == "get":
                continue  # nothing can be wrong with a path

            @settings(FUZZ, max_examples=DESCRIBED if operation.method == "post" else 5)
            @given(case=operation.as_strategy(generation_mode=mode))
            def check(case):
                answer = case.call(base_url=served.url)
                assert answer.status_code < 500, (case.as_curl_command(), answer.text)
                # bytes at random are no images, though the description can say no more than that they are bytes;
                # and a form that was meant to be wrong may be right once it is written
                left_out = [checks.positive_data_acceptance]
                if case.media_type != "application/json":
                    left_out.append(checks.negative_data_rejection)
                case.validate_response(answer, excluded_checks=left_out)

            check()
