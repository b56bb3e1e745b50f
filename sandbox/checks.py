"""Checks of request parameters, put together into one description per endpoint.

A check takes the raw value and the parameter's full name (`line_items[0][quantity]`) and returns the clean
value, or raises the ApiError that Stripe would answer with.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from sandbox.errors import ApiError, invalid, invalid_integer, missing, unknown_parameters

Check = Callable[[Any, str], Any]

MAX_AMOUNT = 99_999_999  # https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts

_INTEGER = re.compile(r"-?\d{1,18}")
_EMAIL = re.compile(r"[^@\s<>,;:()\[\]\"]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


def text(max_length: int = 5000, may_unset: bool = False) -> Check:
    def check(value: Any, name: str) -> str:
        if not isinstance(value, str):
            raise invalid("Invalid string", name)
        if not value and not may_unset:
            raise _empty(name)
        if len(value) > max_length:
            shown = f"{value[:3]}...{value[-3:]}"
            raise invalid(f"Invalid string: {shown}; must be at most {max_length} characters", name)
        return value

    return check


def _empty(name: str) -> ApiError:
    message = (
        f"You passed an empty string for '{name}'. We assume empty values are an attempt to unset a parameter; "
        f"however '{name}' cannot be unset. You should remove '{name}' from your request or supply a "
        "non-empty value."
    )
    return invalid(message, name, "parameter_invalid_empty")


def integer(minimum: int | None = None, maximum: int | None = None) -> Check:
    def check(value: Any, name: str) -> int:
        if value == "":
            raise _empty(name)
        if not isinstance(value, str) or not _INTEGER.fullmatch(value):
            raise invalid_integer(name, value)
        number = int(value)
        if minimum is not None and number < minimum:
            message = f"This value must be greater than or equal to {minimum}."
            raise invalid(message, name, "parameter_invalid_integer")
        if maximum is not None and number > maximum:
            message = f"This value must be less than or equal to {maximum} (it currently is '{number}')."
            raise invalid(message, name, "parameter_invalid_integer")
        return number

    return check


def boolean(value: Any, name: str) -> bool:
    if value not in ("true", "false"):
        raise invalid(f"Invalid boolean: {value}", name)
    return bool(value == "true")


def one_of(choices: Iterable[str]) -> Check:
    allowed = tuple(choices)

    def check(value: Any, name: str) -> str:
        if value not in allowed:
            listed = f"{', '.join(allowed[:-1])}, or {allowed[-1]}" if len(allowed) > 1 else allowed[0]
            raise invalid(f"Invalid {name}: must be one of {listed}", name)
        return str(value)

    return check


def url(value: Any, name: str) -> str:
    clean: str = text()(value, name)
    try:
        parts = urlsplit(clean)
        broken = parts.scheme not in ("http", "https") or not parts.hostname or " " in clean
    except ValueError:  # an address such as http://[::1 that cannot be split
        broken = True
    if broken:
        raise invalid("Not a valid URL", name, "url_invalid")
    return clean


def email(value: Any, name: str) -> str:
    clean: str = text(512)(value, name)
    if not _EMAIL.fullmatch(clean) or ".." in clean:
        raise invalid(f"Invalid email address: {clean}", name, "email_invalid")
    return clean


def metadata(value: Any, name: str) -> dict[str, str]:
    """https://docs.stripe.com/api/metadata: 50 keys, 40 characters a key, 500 a value."""
    if value == "":
        return {}
    if not isinstance(value, dict):
        raise invalid("Invalid object", name)
    if len(value) > 50:
        raise invalid(f"Metadata can have up to 50 keys; you passed {len(value)}.", name)
    for key, item in value.items():
        if len(key) > 40:
            raise invalid(f"Metadata keys can be up to 40 characters long; you passed {len(key)}.", name)
        if not isinstance(item, str):
            raise invalid("Metadata values must be strings", f"{name}[{key}]")
        if len(item) > 500:
            message = f"Metadata values can have up to 500 characters, but you passed in {len(item)}."
            raise invalid(message, f"{name}[{key}]")
    return {key: item for key, item in value.items() if item != ""}


def array(check: Check, max_items: int = 100) -> Check:
    def checked(value: Any, name: str) -> list[Any]:
        if not isinstance(value, dict) or not all(key.isdigit() for key in value):
            raise invalid("Invalid array", name)
        if len(value) > max_items:
            raise invalid(f"Array is too large: at most {max_items} items.", name)
        ordered = sorted(value.items(), key=lambda pair: int(pair[0]))
        return [check(item, f"{name}[{index}]") for index, (_, item) in enumerate(ordered)]

    return checked


def shape(fields: Mapping[str, Check], required: Iterable[str] = ()) -> Check:
    """An object: unknown names are refused before anything else is looked at, then missing ones."""
    needed = tuple(required)

    def check(value: Any, name: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise invalid("Invalid object", name)
        unknown = [_join(name, key) for key in value if key not in fields]
        if unknown:
            raise unknown_parameters(unknown)
        for key in needed:
            if key not in value:
                raise missing(_join(name, key))
        return {key: fields[key](item, _join(name, key)) for key, item in value.items()}

    return check


def _join(name: str, key: str) -> str:
    return f"{name}[{key}]" if name else key


def time_range(value: Any, name: str) -> dict[str, int]:
    """`created=…` or `created[gt|gte|lt|lte]=…`; an exact time comes back as {"eq": …}."""
    if isinstance(value, str):
        return {"eq": integer()(value, name)}
    whole = integer()
    times: dict[str, int] = shape({"gt": whole, "gte": whole, "lt": whole, "lte": whole})(value, name)
    return times


def anything(value: Any, name: str) -> Any:
    """Known to Stripe and without effect here: presentation only."""
    return value


def unmodelled(value: Any, name: str) -> Any:
    """Known to Stripe, but this server would lie if it took it in silence."""
    raise invalid(f"The sandbox does not model this parameter: {name}", name, "sandbox_unsupported")
