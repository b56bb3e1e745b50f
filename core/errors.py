"""What can be refused, and under which code.

A `DomainError` carries a stable `code` for machines and a translatable text for people; nothing internal is in either.
Services raise; `core.http` answers. Texts are `lazy_gettext`, so that they come out in the reader's language.
"""

from typing import Any

from flask_babel import lazy_gettext as _l


class DomainError(Exception):
    """Base of all refusals. Subclasses set `code`, `status` (HTTP) and `text`; `within`, the object of a JSON body that
    their field is in."""

    code = "refused"
    status = 400
    text: Any = _l("This is not possible.")
    within: str | None = None

    def __init__(
        self, text: Any = None, *, field: str | None = None, errors: dict[str, Any] | None = None, **values: Any
    ) -> None:
        super().__init__(self.code)
        if text is not None:
            self.text = text
        self.field = field
        self._errors = errors
        self.values = values

    @property
    def message(self) -> str:
        """The text in the current locale. Must be read inside a request or a forced locale."""
        text = str(self.text)
        return text % self.values if self.values else text

    @property
    def errors(self) -> dict[str, Any]:
        """Messages by the name of the input they are about, nested as a JSON body is; empty when it is about none."""
        if self._errors or not self.field:
            return self._errors or {}
        found = {self.field: [self.message]}
        return {self.within: found} if self.within else found

    @property
    def headers(self) -> dict[str, str]:
        """Headers that the answer carries besides the usual ones."""
        return {}


class NotFound(DomainError):
    code, status = "not_found", 404
    text = _l("There is nothing here.")


class Conflict(DomainError):
    code, status = "conflict", 409
    text = _l("This does not fit what is already there.")


class Invalid(DomainError):
    """Input of the right shape that breaks a rule; `field` names the input."""

    code, status = "invalid", 422
    text = _l("Please check what you entered.")


class Unavailable(DomainError):
    """Something outside does not answer; trying again later is right."""

    code, status = "unavailable", 503
    text = _l("This does not work right now. Please try again in a minute.")


class TooMany(DomainError):
    code, status = "too_many_requests", 429
    text = _l("Too many attempts. Please wait a few minutes.")
