"""The command that does a run again, from what its folder holds."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from tagfit.options.data import DataOptions, DataSource
from tagfit.options.option import command_words
from tagfit.options.runs import CureOptions, TrainOptions
from tagfit.recipes import RECIPES
from tagfit.records.scores import Target


def reproduction(command: Mapping[str, object], source: DataSource | None) -> tuple[str, str]:
    """The command line, and what it needs beside it; no line if the data came from memory.

    Args:
        command: what run.json holds.
        source: where the data came from, as result.json has it.
    """
    if source is None:
        return "", "The data came from memory: call tagfit again, from Python, with the same arrays and this recipe."
    name, remark = str(command.get("command", "cure")), ""
    role, kind = ("recipe", TrainOptions) if name == "fit" else ("baseline", CureOptions)
    words = ["tagfit", name, source.data]
    if isinstance(recipe := command.get(role), Mapping):
        called = str(recipe.get("name"))
        known = RECIPES.get(called)
        if known is None or known.to_dict() != dict(recipe):
            called = f"{role}.toml"
            remark = f"Its {role} is not a named recipe: save it as {called} first."
        words += [f"--{role}", called]
    words += command_words(kind, _values(command, source) | {role: None})
    words += command_words(DataOptions, source.options)
    return shlex.join(words), remark


def _values(command: Mapping[str, object], source: DataSource) -> dict[str, object]:
    """What run.json holds, as the options of the command."""
    target = command.get("target")
    values = dict(command) | (dict(target) if isinstance(target, Mapping) else {})
    if values.get("until_met"):
        values["trials"] = None
    # with augmentation or a backbone, the train band ranks only if it was given
    strong = bool(values.get("allow")) or source.backbone is not None
    if values.get("train_below") == Target.train_below and not (strong and values.get("train_ranks")):
        values["train_below"] = None
    return values
