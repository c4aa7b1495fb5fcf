"""For mkdocstrings: docstrings with `{options}` as Python shows them, with each option and its default."""

import inspect
from importlib import import_module
from typing import Any

import griffe


class Options(griffe.Extension):
    def on_function(self, *, func: griffe.Function, **more: Any) -> None:
        if func.docstring is None or "{options}" not in func.docstring.value:
            return
        shown = getattr(import_module(func.module.path), func.name)
        func.docstring.value = inspect.cleandoc(shown.__doc__)
        own = [one for one in func.parameters if one.kind is not griffe.ParameterKind.var_keyword]
        known = {one.name for one in own}
        further = [one for name, one in inspect.signature(shown).parameters.items() if name not in known]
        func.parameters = griffe.Parameters(*own, *map(_parameter, further))


def _parameter(one: inspect.Parameter) -> griffe.Parameter:
    kind = griffe.ParameterKind.keyword_only
    return griffe.Parameter(one.name, annotation=str(one.annotation), kind=kind, default=repr(one.default))
