"""Label Studio's exports: JSON (tasks with annotations), JSON-MIN and CSV (one row an annotation).

Choices, taxonomies and the labels of regions give an image their names; of a taxonomy, the last name of a path. A task
without annotations was never labelled; an empty annotation has none of the labels. Where several people annotated an
image, an annotation that is marked as the ground truth counts; else a label that only some of them gave is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence

from tagfit.data.sources.documents import Node, image_of, label_keys
from tagfit.data.sources.rows import Row, Rows
from tagfit.data.sources.task import Task, document_reader

#: what stands in a row of JSON-MIN and CSV beside the data of the task and its labels
_TECHNICAL = {"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement"}


def _rows(document: Node, task: Task) -> Rows:
    records = document.records
    if not any("annotation_id" in dict(record.pairs) for record in records[:1]):
        return task.rows(records, _of_task)
    keys = _label_keys(records, task)
    given: dict[str, list[set[str]]] = {}
    places: dict[str, str] = {}
    for record in records:
        image = image_of(record).text
        places.setdefault(image, record.place)
        given.setdefault(image, []).append({name for key in keys for name in _listed(record.get(key))})
    return task.rows(given, lambda image: _agreed(image, places[image], given[image]))


def _of_task(task: Node) -> Row:
    done = [one for one in task.first("annotations", "completions").items if not one.get("was_cancelled").value]
    counting = [one for one in done if one.get("ground_truth").value] or done
    given = [{name for result in one.get("result").items for name in _named(result.get("value"))} for one in counting]
    image = image_of(task.get("data"))
    return _agreed((image if image.value else task.get("file_upload")).text, task.place, given)


def _agreed(image: str, place: str, given: Sequence[set[str]]) -> Row:
    if not given:
        return Row(image, place, None)
    yes = set.intersection(*given)
    return Row(image, place, yes, unknown=set.union(*given) - yes)


def _named(value: Node) -> list[str]:
    """The names in the value of a result, such as `{"choices": ["sea"]}` or `{"x": 1, "rectanglelabels": ["boat"]}`."""
    listed = [node for key, node in value.pairs if key in ("choices", "taxonomy") or key.endswith("labels")]
    return [name for node in listed for name in _listed(node)]


def _listed(node: Node) -> list[str]:
    if isinstance(node.value, str) or node.value is None:
        return node.texts
    if isinstance(node.value, dict):
        return _named(node)
    leaves = [leaf for one in node.items for leaf in (one.items[-1:] if isinstance(one.value, list) else [one])]
    return [name for leaf in leaves for name in ([leaf.text] if isinstance(leaf.value, str) else _named(leaf))]


def _label_keys(records: Sequence[Node], task: Task) -> Sequence[str]:
    image = image_of(records[0]).place.rpartition(".")[2]
    values: dict[str, list[object]] = {}
    for key, node in (pair for record in records for pair in record.pairs):
        if key not in (*_TECHNICAL, image) and node.value is not None:
            values.setdefault(key, []).append(node.value)
    return label_keys(values, task.reading, task.name)


LABEL_STUDIO = document_reader(
    "label-studio",
    "a Label Studio export",
    [
        ("annotations", "data", "predictions"),
        ("annotations", "data", "result"),
        ("completions", "data"),
        ("annotation_id", "annotator"),
    ],
    _rows,
    options=("label_column",),
)
