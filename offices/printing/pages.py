"""Pages of posters, set by Typst. Knows nothing of the database: runs in processes of its own (see `press`).

Fonts come from a package (Rubik: drawn with Cyrillic from the start, ў and і included; SIL Open Font License), never
from the machine, so every machine prints the same pages.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

import typst

from offices.printing import symbols
from offices.printing.formats import FORMATS

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = Path(__file__).with_name("poster.typ")
FONT_PACKAGE = "fontpkg_rubik"


@dataclass(frozen=True)
class Poster:
    """One poster: its code, its number in its office, and that office as one line (None and "" when in none)."""

    code: str
    number: int | None
    office: str = ""


@dataclass(frozen=True)
class Run:
    """What all posters of a run share. `link` is the address before the code; `frame` the path of its PDF, if set."""

    format: str
    language: str
    link: str
    words: Mapping[str, str] = field(hash=False)
    text: Mapping[str, str] = field(hash=False)
    spoken: str
    frame: str | None = None

    @property
    def shown_link(self) -> str:
        return self.link.split("://", 1)[-1]

    @property
    def domain(self) -> str:
        return self.shown_link.split("/", 1)[0]

    def address(self, code: str) -> str:
        """What the symbol says: upper case, as QR's alphanumeric mode wants it."""
        return (self.link + code).upper()


def font_directory() -> Path:
    spec = find_spec(FONT_PACKAGE)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"the package {FONT_PACKAGE} is not installed")
    return Path(spec.origin).with_name("files")


def _data(run: Run, part: str, posters: Sequence[Poster]) -> str:
    format = FORMATS[run.format]
    modules = symbols.modules_for(len(run.address("0000000"))) + 2 * symbols.QUIET_ZONE
    shown = len(run.shown_link) + 7
    # A semibold character of Rubik is 0.61 em wide on average.
    values = {
        **{key: value for key, value in asdict(run).items() if key in ("words", "text", "frame")},
        "frame_text": run.spoken,
        "part": part,
        "lang": run.language,
        "layout": format.layout,
        "width": format.width,
        "height": format.height,
        "unit": format.unit,
        "field": str(modules),
        "address_size": min(format.address_size, format.address_room / (shown * 0.61)),
        "domain": run.domain,
        "posters": [
            {
                "code": poster.code,
                "shown": run.shown_link + poster.code,
                "path": symbols.path_of(symbols.matrix_of(run.address(poster.code))),
                "number": poster.number,
                "office": poster.office,
            }
            for poster in posters
        ],
    }
    return json.dumps(values, ensure_ascii=False)


class Typesetter:
    """Typst with our template and fonts loaded; keep it for more than one piece of work."""

    def __init__(self) -> None:
        fonts = typst.Fonts(
            include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(font_directory())]
        )
        self._compiler = typst.Compiler(TEMPLATE, root=ROOT.anchor, font_paths=fonts)

    def frame(self, run: Run) -> bytes:
        """A PDF of what all pages of the run share. It has no tags: pages carry it as a picture with `spoken`."""
        return self._pdf(_data(run, "frame", ()), tags=False)

    def pages(self, run: Run, posters: Sequence[Poster]) -> bytes:
        """A tagged PDF of these posters. The same posters give the same bytes."""
        return self._pdf(_data(run, "pages", posters), tags=True)

    def picture(self, run: Run, posters: Sequence[Poster], ppi: float) -> bytes:
        """One page as a PNG."""
        return self._bytes(
            self._compiler.compile(format="png", ppi=ppi, sys_inputs={"data": _data(run, "pages", posters)})
        )

    def _pdf(self, data: str, tags: bool) -> bytes:
        return self._bytes(self._compiler.compile(format="pdf", sys_inputs={"data": data}, pdf_tags=tags, timestamp=0))

    @staticmethod
    def _bytes(made: bytes | list[bytes] | None) -> bytes:
        if not isinstance(made, bytes):
            raise TypeError("one file was expected")
        return made


def framed(run: Run, frame: Path) -> Run:
    return replace(run, frame=str(frame))
