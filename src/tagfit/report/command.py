"""The command that does a run again, from what its folder says of it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from tagfit.recipes import RECIPES
from tagfit.records.scores import Target


def reproduction(command: Mapping[str, Any], source: Mapping[str, Any] | None) -> tuple[str, str]:
    """The command line, and what it needs beside it; no line where the data came from memory.

    Args:
        command: what run.json holds.
        source: where the data came from, as result.json has it.
    """
    if source is None:
        return "", "The data came from memory: call tagfit again, from Python, with the same arrays and this recipe."
    words = ["tagfit", str(command.get("command", "cure")), str(source.get("data", "")), *_options(command, source)]
    file = _file(command)
    remark = "" if file is None else f"Its {_role(command)} is no named recipe: save it as {file} first."
    return shlex.join(words), remark


def _role(command: Mapping[str, Any]) -> str:
    return "recipe" if command.get("command") == "fit" else "baseline"


def _file(command: Mapping[str, Any]) -> str | None:
    """Where a recipe would have to be read from that has no name of ours."""
    recipe = command.get(_role(command))
    if not isinstance(recipe, Mapping):
        return None
    known = RECIPES.get(str(recipe.get("name")))
    return None if known is not None and known.to_dict() == dict(recipe) else f"{_role(command)}.toml"


def _options(command: Mapping[str, Any], source: Mapping[str, Any]) -> Iterator[str]:
    recipe = command.get(_role(command))
    if isinstance(recipe, Mapping):
        yield from (f"--{_role(command)}", _file(command) or str(recipe["name"]))
    yield from _target(command, strong=bool(command.get("allow")) or source.get("backbone") is not None)
    for option in ("trials", "minutes", "decide_for", "guarantee"):
        if command.get(option) is not None and not (option == "trials" and command.get("until_met")):
            yield from ("--" + option.replace("_", "-"), str(command[option]))
    for switch in ("single", "refit", "fine_tune"):
        if command.get(switch):
            yield "--" + switch.replace("_", "-")
    for name in command.get("allow") or ():
        yield from ("--allow", str(name))
    if command.get("seed"):
        yield from ("--seed", str(command["seed"]))
    yield from _reading(source)


def _target(command: Mapping[str, Any], *, strong: bool) -> Iterator[str]:
    """Args:
    strong: whether the train band ranks only where it is asked for.
    """
    target, usual = command.get("target"), Target()
    if not isinstance(target, Mapping):
        return
    if target["metric"] != usual.metric:
        yield from ("--metric", str(target["metric"]))
    if target["train_below"] != usual.train_below or (strong and target["train_ranks"]):
        yield from ("--train-below", f"{target['train_below']:g}")
    if target["val_at_least"] != usual.val_at_least:
        yield from ("--val-at-least", f"{target['val_at_least']:g}")


def _reading(source: Mapping[str, Any]) -> Iterator[str]:
    split = source.get("split")
    if isinstance(split, Mapping):
        split = "/".join(f"{100 * share:g}" for share in split.values())
    pixels = source.get("max_pixels")
    values = {
        "images": source.get("images"),
        "size": source.get("size"),
        "backbone": source.get("backbone"),
        "split": split,
        "split-seed": source.get("split_seed") or None,
        "groups": source.get("groups"),
        "folds": source.get("folds"),
        "label-separator": source.get("label_separator"),
        "minus-one-is": source.get("minus_one"),
        "max-megapixels": None if pixels is None else f"{pixels / 1e6:g}",
    }
    for option, value in values.items():
        if value is not None:
            yield from (f"--{option}", str(value))
    if source.get("strict"):
        yield "--strict"
