"""Options that several records have, and the names that they choose among."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from tagfit.options.checks import RECIPE, SEED, choice, text, whole
from tagfit.options.option import Group, Options, Value, option

DEFAULT_RECIPE, DEFAULT_BASELINE, FINE_TUNED = "dense-regularised", "dense-baseline", "fine-tuned"

DEVICES = ("auto", "cpu", "cuda", "mps")

#: what changes the data, and so has to be asked for
ALLOWABLE = ("augmentation",)

Part = Literal["train", "val", "calibrate", "test"]
PARTS: tuple[Part, ...] = get_args(Part)


def device_option(group: Group = "Training") -> str:
    return option("auto", "The device to run networks on; auto uses a GPU if there is one.", choice(*DEVICES), group)


def on_option() -> str | None:
    return option(
        None, "Run the work on this Ray cluster, which must be running already.", text("ray[://HOST:PORT]"), "Training"
    )


def seed_option(help: str, flag: str | None = "") -> int:
    return option(0, help, SEED, "Training", flag=flag)


def recipe_option(default: Value, help: str, group: Group, usual: str = "") -> Value:
    return option(default, f"{help}: a name or a TOML file.", RECIPE, group, usual=usual)


def metric_option(help: str, group: Group) -> str:
    return option("micro_f1", help, text("METRIC"), group)


@dataclass(frozen=True, kw_only=True)
class ModelOptions(Options):
    """How a model that is there is run."""

    device: str = device_option()
    runtime: Literal["auto", "torch"] = option(
        "auto", "What computes the scores.", choice("auto", "torch"), "Labels", flag=None
    )
    processes: int | None = option(None, "The most processes that decode images.", whole(1), "Labels", flag=None)
