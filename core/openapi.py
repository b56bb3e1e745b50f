"""The OpenAPI document as a page shows it: operations in order, references followed, one example for each body."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

METHODS = ("get", "post", "put", "patch", "delete")
JSON = "application/json"
_PLACEHOLDERS = {"string": "…", "integer": 0, "number": 0, "boolean": False, "object": {}, "array": []}


@dataclass(frozen=True, slots=True)
class Property:
    name: str
    type: str
    required: bool
    notes: str
    schema: str | None  # name of the schema it refers to


@dataclass(frozen=True, slots=True)
class Answer:
    status: str
    text: str
    schema: str | None


@dataclass(frozen=True, slots=True)
class Operation:
    anchor: str
    method: str
    path: str
    group: str
    summary: str
    text: str
    parameters: tuple[tuple[str, Property], ...]  # (where, what)
    body: str | None
    example: str | None
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Description:
    title: str
    version: str
    operations: tuple[Operation, ...]
    schemas: Mapping[str, tuple[str, tuple[Property, ...]]]  # name -> (text, properties)


def describe(spec: Mapping[str, Any]) -> Description:
    operations = [
        _operation(spec, path, method, shared)
        for path, shared in sorted(spec.get("paths", {}).items())
        for method in METHODS
        if method in shared
    ]
    schemas = spec.get("components", {}).get("schemas", {})
    used = _reachable(schemas, [name for each in operations for name in _names(each)])
    return Description(
        title=spec["info"]["title"],
        version=spec["info"]["version"],
        operations=tuple(operations),
        schemas={name: (schemas[name].get("description", ""), _properties(schemas[name])) for name in sorted(used)},
    )


def _operation(spec: Mapping[str, Any], path: str, method: str, shared: Mapping[str, Any]) -> Operation:
    raw = shared[method]
    given = [*shared.get("parameters", []), *raw.get("parameters", [])]
    parameters = [_resolve(spec, each) for each in given]
    body = raw.get("requestBody", {}).get("content", {}).get(JSON, {}).get("schema")
    return Operation(
        anchor=f"{method}{path}".replace("/", "-").replace("{", "").replace("}", ""),
        method=method.upper(),
        path=path,
        group=(raw.get("tags") or [""])[0],
        summary=raw.get("summary", ""),
        text=raw.get("description", ""),
        parameters=tuple(
            (
                each["in"],
                _property(
                    each["name"],
                    {**each.get("schema", {}), "description": each.get("description", "")},
                    bool(each.get("required")),
                ),
            )
            for each in parameters
        ),
        body=_reference(body),
        example=json.dumps(_example(spec, body), indent=2, ensure_ascii=False) if body else None,
        answers=tuple(_answer(spec, status, answer) for status, answer in sorted(raw.get("responses", {}).items())),
    )


def _answer(spec: Mapping[str, Any], status: str, raw: Mapping[str, Any]) -> Answer:
    raw = _resolve(spec, raw)
    return Answer(status, raw.get("description", ""), _reference(raw.get("content", {}).get(JSON, {}).get("schema")))


def _resolve(spec: Mapping[str, Any], raw: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in raw:
        return raw
    found: Any = spec
    for step in raw["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return dict(found)


def _reference(schema: Mapping[str, Any] | None) -> str | None:
    """The name of the schema that this one is, is a list of, or may be."""
    if not schema:
        return None
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    inner = [schema.get("items"), *schema.get("anyOf", []), *schema.get("allOf", [])]
    return next((name for each in inner if each and (name := _reference(each))), None)


def _properties(schema: Mapping[str, Any]) -> tuple[Property, ...]:
    required = schema.get("required", [])
    return tuple(_property(name, each, name in required) for name, each in schema.get("properties", {}).items())


def _property(name: str, schema: Mapping[str, Any], required: bool) -> Property:
    notes = [schema.get("description", "")]
    if values := schema.get("enum"):
        notes.append(" | ".join(str(value) for value in values if value is not None))
    if schema.get("nullable"):
        notes.append("nullable")
    if "example" in schema:
        notes.append(f"e.g. {json.dumps(schema['example'], ensure_ascii=False)}")
    kind = schema.get("type") or ("object" if _reference(schema) else "any")
    return Property(name, kind, required, "; ".join(note for note in notes if note), _reference(schema))


def _example(spec: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    if "example" in schema:
        return schema["example"]
    options = schema.get("anyOf") or schema.get("allOf")
    if options:
        return _example(spec, options[0])
    if "$ref" in schema:
        return _example(spec, _resolve(spec, schema))
    if values := schema.get("enum"):
        return values[0]
    if properties := schema.get("properties"):
        return {name: _example(spec, each) for name, each in properties.items()}
    if schema.get("type") == "array":
        return [_example(spec, schema.get("items", {}))]
    return _PLACEHOLDERS.get(schema.get("type", "string"), "…")


def _names(operation: Operation) -> list[str]:
    return [name for name in (operation.body, *(answer.schema for answer in operation.answers)) if name]


def _reachable(schemas: Mapping[str, Any], names: list[str]) -> set[str]:
    seen: set[str] = set()
    while names:
        name = names.pop()
        if name in schemas and name not in seen:
            seen.add(name)
            names += [each.schema for each in _properties(schemas[name]) if each.schema]
    return seen
