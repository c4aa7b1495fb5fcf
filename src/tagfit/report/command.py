"""The command that does a run again, from what its folder says of it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from tagfit.options.data import DataOptions, DataSource
from tagfit.options.option import command_words
from tagfit.options.runs import CureOptions, TrainOptions
from tagfit.recipes import RECIPES
from tagfit.records.scores import Target


def reproduction(command: Mapping[str, Any], source: DataSource | None) -> tuple[str, str]:
    """The command line, and what it needs beside it; no line if the data came from memory.

    Args:
        command: what run.json holds.
        source: where the data came from, as result.json has it.
    """
    if source is None:
        return "", "The data came from memory: call tagfit again, from Python, with the same arrays and this recipe."
    name = str(command.get("command", "cure"))
    role = "recipe" if name == "fit" else "baseline"
    file = _file(command.get(role), role)
    recipe = [f"--{role}", file or str(command[role]["name"])] if isinstance(command.get(role), Mapping) else []
    words = ["tagfit", name, source.data, *recipe]
    words += command_words(TrainOptions if name == "fit" else CureOptions, _values(command, source) | {role: None})
    words += command_words(DataOptions, source.options)
    remark = "" if file is None else f"Its {role} is no named recipe: save it as {file} first."
    return shlex.join(words), remark


def _file(recipe: object, role: str) -> str | None:
    """Where a recipe would have to be read from that has no name of ours."""
    if not isinstance(recipe, Mapping):
        return None
    known = RECIPES.get(str(recipe.get("name")))
    return None if known is not None and known.to_dict() == dict(recipe) else f"{role}.toml"


def _values(command: Mapping[str, Any], source: DataSource) -> dict[str, Any]:
    """What run.json holds, as the options of the command."""
    target = command.get("target")
    values = {**command, **(target if isinstance(target, Mapping) else {})}
    if values.get("until_met"):
        values["trials"] = None
    # with augmentation or a backbone, the train band ranks only if it was given
    strong = bool(values.get("allow")) or source.backbone is not None
    if values.get("train_below") == Target.train_below and not (strong and values.get("train_ranks")):
        values["train_below"] = None
    return values
