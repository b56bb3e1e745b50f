"""Pictures of posters for the console: one page as PNG, made once for the same content."""

import threading
from functools import lru_cache

from offices.models import Office
from offices.print_services import describe_run, office_line
from offices.printing.formats import FORMATS
from offices.printing.pages import Poster, Run, Typesetter

WIDTH = 720  # pixels
SAMPLE = "XXXXXXX"  # no code of ours: its check character is wrong

_room = threading.Lock()


@lru_cache(maxsize=1)
def _typesetter() -> Typesetter:
    return Typesetter()


@lru_cache(maxsize=64)
def _picture(run: Run, posters: tuple[Poster, ...]) -> bytes:
    with _room:  # Typst's compiler is for one thread at a time
        return _typesetter().picture(run, posters, ppi=WIDTH / (FORMATS[run.format].width / 25.4))


def preview(campaign_id: int, format: str, language: str, office: Office | None = None) -> bytes:
    """A PNG of a poster as it would be printed, with a code that leads nowhere.

    Raises `FormatUnknown`, `LanguageUnknown`.
    """
    run = describe_run(campaign_id, format, language)
    line = office_line(office, language) if office else ""
    posters = tuple(Poster(SAMPLE, number, line) for number in range(1, FORMATS[format].per_page + 1))
    return _picture(run, posters)
