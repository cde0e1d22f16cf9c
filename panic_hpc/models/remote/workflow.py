"""A ComfyUI workflow in its API form: nodes by title, and the copy of it that one item is asked by.

The API form ("Export (API)" in ComfyUI) is {id: {"class_type", "inputs", "_meta": {"title"}}}. A
place is a node's title, or its id, and behind the last dot the name of an input: "KSampler.seed".
An input whose value is a list of two is a link to another node, and cannot be set.
"""

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

from panic_hpc.disk.strict_json import parse_json
from panic_hpc.errors import nearest

MAX_CHARACTERS = 4 * 2**20
PICTURE_INPUT = "image"
"""What nodes that load a picture call the name of its file."""

Value = bool | int | float | str
Nodes = Mapping[str, Mapping[str, Any]]


class InputPlace(NamedTuple):
    """An input of a node, by the node's id."""

    node: str
    name: str


def parse_workflow(text: str) -> Nodes:
    """Return the nodes of a workflow; ValueError says why it is none in API form."""
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"more than {MAX_CHARACTERS // 2**20} MiB")
    nodes = parse_json(text)
    if isinstance(nodes, dict) and "nodes" in nodes and "links" in nodes:
        raise ValueError("it is in the form of ComfyUI's window; export it in API form")
    if not isinstance(nodes, dict) or not nodes or not all(map(_is_node, nodes.values())):
        raise ValueError("no workflow in API form")
    return nodes


def _is_node(node: Any) -> bool:
    is_table = isinstance(node, dict) and isinstance(node.get("class_type"), str)
    return is_table and isinstance(node.get("inputs"), dict)


def title_of(node: Mapping[str, Any]) -> str:
    """Return a node's title, its class where it has none."""
    meta = node.get("_meta")
    title = meta.get("title") if isinstance(meta, dict) else None
    return title if isinstance(title, str) and title else str(node["class_type"])


def find_node(nodes: Nodes, name: str) -> str:
    """Return the id of the node of a title or id; ValueError where there is none, or several."""
    titled = [place for place, node in nodes.items() if title_of(node) == name]
    if len(titled) > 1:
        raise ValueError(f"{len(titled)} nodes are called {name!r}; say it by id: {titled}")
    if titled or name in nodes:
        return titled[0] if titled else name
    hint = nearest(name, {title_of(node) for node in nodes.values()})
    raise ValueError(f"no node {name!r}. {hint}".rstrip())


def find_input(nodes: Nodes, place: str) -> InputPlace:
    """Return the input that a place means; ValueError where it is none that can be set."""
    title, _, name = place.rpartition(".")
    if not title:
        raise ValueError(f"{place!r}: a node and an input were expected, as in KSampler.seed")
    node = find_node(nodes, title)
    inputs = nodes[node]["inputs"]
    if name not in inputs:
        raise ValueError(f"{title!r} has no input {name!r}. {nearest(name, inputs)}".rstrip())
    if isinstance(inputs[name], list):
        raise ValueError(f"{place!r} is linked to another node")
    return InputPlace(node, name)


def value_problem(nodes: Nodes, place: str, value: Value) -> str:
    """Return why a value cannot stand at a place, "" where it can."""
    try:
        node, name = find_input(nodes, place)
    except ValueError as error:
        return str(error)
    there = nodes[node]["inputs"][name]
    if there is None or _kind(value) == _kind(there):
        return ""
    return f"{place!r} = {value!r}: the workflow has {_kind(there)} there ({there!r})"


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    return "a text" if isinstance(value, str) else "something else"


def with_inputs_set(nodes: Nodes, values: Mapping[InputPlace, Value]) -> dict[str, Any]:
    """Return a copy of a workflow with values at places; the original stays as it is."""
    changed: dict[str, Any] = copy.deepcopy(dict(nodes))
    for (node, name), value in values.items():
        changed[node]["inputs"][name] = value
    return changed
