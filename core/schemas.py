"""The base of all schemas: unknown fields are refused, messages come in the reader's language.

`Blueprint` is what API rooms use in place of flask-smorest's own: its bodies are JSON and nothing else.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar

import flask_smorest
from flask import Request, abort
from flask_babel import lazy_gettext as _l
from marshmallow import RAISE, Schema, ValidationError, fields, validates_schema
from webargs.flaskparser import FlaskParser

from core.errors import Invalid

# marshmallow speaks English only; what it says about our schemas is said here in ours.
MESSAGES: Mapping[str, Any] = {
    "Missing data for required field.": _l("This is needed."),
    "Field may not be null.": _l("This is needed."),
    "Unknown field.": _l("This field is not known here."),
    "Not a valid integer.": _l("A whole number is needed."),
    "Not a valid string.": _l("A text is needed."),
    "Not a valid boolean.": _l("true or false is needed."),
    "Invalid input type.": _l("An object with named fields is needed."),
}
OTHER_MESSAGE = _l("This value is not accepted.")

# JSON can carry both, databases cannot: PostgreSQL stores no NUL, and half a surrogate pair is no character.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class _Parser(FlaskParser):
    def _raw_load_json(self, req: Request) -> Any:
        if req.mimetype and not req.is_json:
            abort(415)
        try:
            return super()._raw_load_json(req)
        except json.JSONDecodeError:
            raise
        except (RecursionError, ValueError):  # nested thousands deep; a number of thousands of digits
            raise json.JSONDecodeError("not for us", "…", 0) from None


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]  # the library has no types
    ARGUMENTS_PARSER = _Parser()


class ValidationFailed(Invalid):
    """The shape is wrong; `errors` holds messages by field. `code` is the one of the field when only one is wrong."""

    code = "validation_failed"

    def __init__(self, code: str, errors: dict[str, Any]) -> None:
        self.code = code
        super().__init__(errors=errors)


def _translated(messages: Any) -> Any:
    if isinstance(messages, dict):
        return {str(key): _translated(value) for key, value in messages.items()}
    return [str(MESSAGES.get(message, OTHER_MESSAGE)) for message in messages]


def _wrong_fields(messages: Mapping[str, Any]) -> list[str]:
    """Names of the innermost fields that messages are about."""
    names: list[str] = []
    for key, value in messages.items():
        names += _wrong_fields(value) if isinstance(value, dict) else [str(key)]
    return names


class TrueOrFalse(fields.Boolean):
    """true or false and nothing else: marshmallow's own takes 1 and 0 for them, since Python holds them equal."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class WholeNumber(fields.Integer):
    """A number without a fraction and nothing else: to Python, true is one, too."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(strict=True, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        if isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return int(super()._deserialize(value, attr, data, **kwargs))


class StrictPart(Schema):
    """An object within a body. Refuses unknown fields and texts that cannot be stored."""

    class Meta:
        unknown = RAISE

    @validates_schema(skip_on_field_errors=False)
    def refuse_unstorable(self, data: Mapping[str, Any], **kwargs: Any) -> None:
        wrong = [name for name, value in data.items() if isinstance(value, str) and _UNSTORABLE.search(value)]
        if wrong:
            raise ValidationError({name: ["unstorable"] for name in wrong})


class StrictSchema(StrictPart):
    """A whole body. `field_codes` names the code that stands for a wrong value of a field."""

    field_codes: ClassVar[Mapping[str, str]] = {}

    def handle_error(self, error: ValidationError, data: Any, *, many: bool, **kwargs: Any) -> None:
        """Raise our own `ValidationFailed`, which the error handler answers like every refusal."""
        messages = error.messages_dict
        wrong = _wrong_fields(messages)
        code = self.field_codes.get(wrong[0], "validation_failed") if len(wrong) == 1 else "validation_failed"
        raise ValidationFailed(code, _translated(messages))


class ErrorOut(Schema):
    """What every refusal looks like: a stable `code`, a text for people, messages by field, nested as the body is."""

    code = fields.String(required=True)
    message = fields.String(required=True)
    errors = fields.Dict()
