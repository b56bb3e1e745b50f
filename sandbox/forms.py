"""Stripe's request encoding: form fields with bracketed names, unfolded into nested dictionaries."""

import re
from collections.abc import Iterable

from sandbox.errors import ApiError
from sandbox.store import Json

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_DEEPEST = 12


def unfold(pairs: Iterable[tuple[str, str]]) -> Json:
    """`a[b][0]=x` becomes `{"a": {"b": {"0": "x"}}}`; `a[]=x` takes the next free index.

    Lists stay dictionaries of indexes here; whoever knows the parameter's shape turns them into lists.
    """
    tree: Json = {}
    for name, value in pairs:
        match = _NAME.fullmatch(name)
        if match is None:
            raise ApiError(f"Invalid parameter name: {name}", param=name)
        steps = [match.group(1), *re.findall(r"\[([^\[\]]*)\]", match.group(2))]
        if len(steps) > _DEEPEST:
            raise ApiError(f"Parameter is nested too deeply: {name}", param=name)
        _put(tree, steps, value, name)
    return tree


def _put(tree: Json, steps: list[str], value: str, name: str) -> None:
    node = tree
    for step in steps[:-1]:
        child = node.setdefault(step or str(len(node)), {})
        if not isinstance(child, dict):
            raise ApiError("Invalid object", param=name)
        node = child
    last = steps[-1] or str(len(node))
    if isinstance(node.get(last), dict):
        raise ApiError("Invalid object", param=name)
    node[last] = value
