"""Files that people bring: every fault is named with its line, and a file with faults is not imported."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from flask_babel import lazy_gettext as _l

from core.errors import Invalid

SHOWN = 100  # faults in an answer; reports have all of them


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong where. Lines count from 1, as editors count them; `line` is 0 when it is about the file, `column`
    empty when it is about the whole line. Subclasses say in `REASONS` what their codes mean."""

    REASONS: ClassVar[Mapping[str, Any]] = {}

    line: int
    column: str
    code: str
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """In the reader's language."""
        text = str(self.REASONS[self.code])
        return text % self.values if self.values else text


class FileRefused(Invalid):
    """The first of the faults, by their lines."""

    text = _l("Nothing was imported: the file has faults.")

    def __init__(self, faults: Iterable[Fault]) -> None:
        told: dict[str, list[str]] = {}
        for _number, fault in zip(range(SHOWN), faults, strict=False):
            told.setdefault(str(fault.line), []).append(f"{fault.column}: {fault.reason}".removeprefix(": "))
        super().__init__(errors=told)
