"""The OpenAPI description as a page that needs no script and no network."""

from __future__ import annotations

from html import escape
from typing import Any

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>tagfit · interface</title>
<link rel="icon" href="/icon.svg">
<link rel="stylesheet" href="/page.css">
</head>
<body class="docs">
<header><h1><a class="brand" href="/"><img src="/icon.svg" alt="" width="26" height="26">tagfit</a></h1><p>{description}
The same for programs: <a href="/openapi.json">openapi.json</a>.</p></header>
<main>
{operations}
<section><h2>Answers</h2>
{schemas}
</section>
</main>
</body>
</html>
"""


def docs_page(openapi: dict[str, Any]) -> str:
    """HTML of every path with what it takes and answers."""
    operations = "\n".join(
        _operation(method, path, operation)
        for path, methods in openapi["paths"].items()
        for method, operation in methods.items()
    )
    schemas = "\n".join(_schema(name, schema) for name, schema in openapi["components"]["schemas"].items())
    return _PAGE.format(description=escape(openapi["info"]["description"]), operations=operations, schemas=schemas)


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    told = escape(operation.get("description", ""))
    takes = "".join(
        f"<dt>{escape(kind)}</dt><dd>{_takes(content['schema'])}</dd>"
        for kind, content in operation.get("requestBody", {}).get("content", {}).items()
    )
    answers = "".join(
        f"<dt>{status}</dt><dd>{escape(answer.get('description', ''))}{_named(answer)}</dd>"
        for status, answer in sorted(operation["responses"].items())
    )
    return (
        f'<section><h2><span class="method">{method.upper()}</span> <code>{escape(path)}</code></h2>'
        f"<p><strong>{escape(operation['summary'])}.</strong> {told}</p>"
        + (f"<h3>takes</h3><dl>{takes}</dl>" if takes else "")
        + f"<h3>answers</h3><dl>{answers}</dl></section>"
    )


def _takes(schema: dict[str, Any]) -> str:
    if "oneOf" in schema:
        return ", ".join(map(_takes, schema["oneOf"]))
    if "properties" not in schema:
        return escape(schema.get("description", ""))
    return "; ".join(
        f"<code>{escape(name)}</code> {escape(field.get('description', 'files'))}"
        for name, field in schema["properties"].items()
    )


def _named(answer: dict[str, Any]) -> str:
    for content in answer.get("content", {}).values():
        reference = content.get("schema", {}).get("$ref", "")
        if reference:
            name = escape(reference.rpartition("/")[2])
            return f' <a href="#{name}">{name}</a>'
    return ""


def _schema(name: str, schema: dict[str, Any]) -> str:
    rows = "".join(
        f"<dt><code>{escape(field)}</code></dt><dd>{escape(about.get('description', _kind(about)))}</dd>"
        for field, about in schema.get("properties", {}).items()
    )
    return f'<h3 id="{escape(name)}">{escape(name)}</h3><p>{escape(schema.get("description", ""))}</p><dl>{rows}</dl>'


def _kind(about: dict[str, Any]) -> str:
    if "$ref" in about:
        return str(about["$ref"]).rpartition("/")[2]
    if "items" in about:
        return f"a list of {_kind(about['items'])}"
    if "anyOf" in about:
        return " or ".join(map(_kind, about["anyOf"]))
    kind = str(about.get("type", ""))
    return {"integer": "a whole number", "string": "text", "null": "nothing"}.get(kind, kind)
