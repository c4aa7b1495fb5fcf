from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

import msgspec
import numpy as np
import pytest
from msgspec import Meta

from tagfit.errors import BundleError, DataError
from tagfit.io.faults import MOST_FAULTS, field_faults
from tagfit.io.typed_json import from_plain, to_plain
from tagfit.records.scores import Interval

Part = Literal["train", "val"]
Fraction = Annotated[float, Meta(ge=0, le=1, description="a fraction from 0 to 1")]


class Line(msgspec.Struct, frozen=True, tag_field="kind", tag="line", forbid_unknown_fields=True):
    slope: float


class Steps(msgspec.Struct, frozen=True, tag_field="kind", tag="steps", forbid_unknown_fields=True):
    at: tuple[Fraction, ...]


@dataclass(frozen=True)
class Inner:
    count: int
    share: Fraction = 0.5
    interval: Interval | None = None

    def __post_init__(self) -> None:
        if self.count == 13:
            raise ValueError("thirteen is no count")
        if self.count == 17:
            raise DataError(["seventeen is none", "nor is it lucky"])


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner
    kind: Part = "train"
    curves: tuple[Line | Steps | None, ...] = ()
    by_part: Mapping[Part, Inner | None] = field(default_factory=dict)
    numbers: tuple[int, ...] = ()
    low: Annotated[float, Meta(ge=1)] = 1.0
    words: str = field(init=False, default="")

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", f"{self.name}: {self.inner.count}")


WHOLE = Outer(
    "x", Inner(3, 0.25, Interval(0.1, 0.4)), "val", (Line(2.0), None, Steps((0.5,))), {"val": Inner(1)}, (1, 2)
)


def test_a_record_comes_back_as_it_was():
    plain = msgspec.json.decode(msgspec.json.encode(to_plain(WHOLE)))
    assert plain["inner"]["interval"] == [0.1, 0.4]
    assert plain["curves"][0] == {"kind": "line", "slope": 2.0}
    assert from_plain(plain, Outer, surplus=False) == WHOLE


def test_what_was_read_without_its_defaults_is_written_with_them():
    read = from_plain({"name": "x", "inner": {"count": 3}, "curves": [{"kind": "line", "slope": 1}]}, Outer)
    built = Outer("x", Inner(3), curves=(Line(1.0),))
    assert read == built
    assert to_plain(read) == to_plain(built)
    assert to_plain(read)["inner"] == {"count": 3, "share": 0.5, "interval": None}


def test_what_json_has_not_is_no_plain_data():
    with pytest.raises(TypeError, match="JSON has no set"):
        to_plain({"x": [{1, 2}]})
    assert to_plain({1: (np.float32(0.5), np.int64(3), np.True_)}) == {"1": [0.5, 3, True]}


def test_what_is_computed_is_never_read():
    values = to_plain(WHOLE)
    assert from_plain({**values, "words": "evil"}, Outer).words == "x: 3"
    del values["words"]
    assert from_plain(values, Outer, surplus=False).words == "x: 3"


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"name": 3}, "name must be a text; got 3"),
        ({"name": None}, "name must be a text; got None"),
        ({"inner": 3}, "inner must be an object (in TOML: a table); got 3"),
        ({"inner": {}}, "inner.count is missing"),
        ({"inner": {"count": "3"}}, "inner.count must be a whole number; got '3'"),
        ({"inner": {"count": True}}, "inner.count must be a whole number; got True"),
        ({"inner": {"count": 1.0}}, "inner.count must be a whole number; got 1.0"),
        ({"inner": {"count": 1, "share": 2}}, "inner.share must be a fraction from 0 to 1; got 2"),
        ({"inner": {"count": 1, "share": math.nan}}, "inner.share must be a fraction from 0 to 1; got nan"),
        ({"inner": {"count": 13}}, "inner: thirteen is no count"),
        ({"kind": "vall"}, "kind must be one of train, val; got 'vall'. Did you mean 'val'?"),
        ({"curves": [{"kind": "lime"}]}, "curves[0].kind must be one of line, steps; got 'lime'. Did you mean 'line'?"),
        ({"curves": [{}]}, "curves[0].kind must be one of line, steps; got None"),
        ({"curves": [7]}, "curves[0] must be an object (in TOML: a table); got 7"),
        ({"curves": [None, {"kind": "line"}]}, "curves[1].slope is missing"),
        ({"curves": [{"kind": "steps", "at": [0, 2]}]}, "curves[0].at[1] must be a fraction from 0 to 1; got 2"),
        ({"by_part": {"tset": None}}, "a key of by_part must be one of train, val; got 'tset'"),
        ({"by_part": {"val": {"count": []}}}, "by_part.val.count must be a whole number; got []"),
        ({"numbers": 7}, "numbers must be a list; got 7. Write [7]"),
        ({"numbers": [1, "2"]}, "numbers[1] must be a whole number; got '2'"),
        ({"low": 0.5}, "low: Expected `float` >= 1.0"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(changes, fault):
    with pytest.raises(BundleError) as caught:
        from_plain({**to_plain(WHOLE), **changes}, Outer)
    assert caught.value.faults == (fault,)


def test_all_faults_come_at_once():
    values = {"inner": {"count": 17}, "kind": "x", "curves": [{"kind": "line", "slope": "1"}, {"kind": "steps"}]}
    with pytest.raises(BundleError) as caught:
        from_plain(values, Outer)
    assert [fault.partition(";")[0] for fault in caught.value.faults] == [
        "name is missing",
        "inner: seventeen is none",
        "inner: nor is it lucky",
        "kind must be one of train, val",
        "curves[0].slope must be a number",
        "curves[1].at is missing",
    ]


def test_unknown_fields_are_passed_over_or_refused_at_every_depth():
    values = to_plain(WHOLE) | {"more": 1, "inner": {"count": 1, "cuont": 2}, "by_part": {"val": {"count": 1, "z": {}}}}
    assert from_plain(values, Outer).inner == Inner(1)
    with pytest.raises(BundleError) as caught:
        from_plain(values, Outer, surplus=False)
    assert {fault.partition(";")[0] for fault in caught.value.faults} == {
        "there is no field 'more'",
        "there is no field 'inner.cuont'",
        "there is no field 'by_part.val.z'",
    }
    assert any(fault.endswith("Did you mean 'count'?") for fault in caught.value.faults)


def test_a_struct_that_forbids_unknown_fields_always_does():
    values = {**to_plain(WHOLE), "more": 1, "curves": [{"kind": "line", "slope": 1.0, "hook": "x"}]}
    with pytest.raises(BundleError, match=r"^there is no field 'curves\[0\].hook'"):
        from_plain(values, Outer)


def test_faults_of_a_record_that_was_built_in_python():
    built = Outer(3, Inner(1), curves=[], numbers=(1, None))
    assert field_faults(built, "it") == [
        "it.name must be a text; got 3",
        "it.curves must be a tuple; got the list []",
        "it.numbers[1] must be a whole number; got None",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"numbers": ["x"] * 1_000_000},
        {"numbers": [*range(1_000_000), "x"]},
        {"name": ["x" * 10_000_000]},
        {f"{number}": 1 for number in range(100_000)} | {"name": 1},
        {"x" * 10_000_000: 1, "name": 1},
        {"by_part": {f"{number}": None for number in range(100_000)}},
        {"curves": [{"kind": "line"}] * 100_000},
    ],
)
def test_faults_without_end_are_told_soon_and_short(changes):
    began = time.perf_counter()
    with pytest.raises(BundleError) as caught:
        from_plain({**to_plain(WHOLE), **changes}, Outer, surplus=False)
    assert time.perf_counter() - began < 10
    assert len(caught.value.faults) <= MOST_FAULTS
    assert max(map(len, caught.value.faults)) < 400
