"""The base of all schemas: unknown fields are refused, messages come in the reader's language."""

from collections.abc import Mapping
from typing import Any, ClassVar

from flask_babel import lazy_gettext as _l
from marshmallow import RAISE, Schema, ValidationError

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


class StrictSchema(Schema):
    """Refuses unknown fields. `field_codes` names the code that stands for a wrong value of a field."""

    class Meta:
        unknown = RAISE

    field_codes: ClassVar[Mapping[str, str]] = {}

    def handle_error(self, error: ValidationError, data: Any, *, many: bool, **kwargs: Any) -> None:
        """Raise our own `ValidationFailed`, which the error handler answers like every refusal."""
        messages = error.messages_dict
        wrong = _wrong_fields(messages)
        code = self.field_codes.get(wrong[0], "validation_failed") if len(wrong) == 1 else "validation_failed"
        raise ValidationFailed(code, _translated(messages))
