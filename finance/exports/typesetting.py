"""Sets one PDF: reads its data (JSON) from the input, writes the PDF to the output. A process of its own.

    python -m finance.exports.typesetting

Typst keeps what it has laid out; here it ends with the page. The same data give the same bytes.
"""

import sys
from pathlib import Path

import typst

from offices.printing.pages import font_directory

TEMPLATE = Path(__file__).with_name("formats") / "statement.typ"


def main() -> None:
    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(font_directory())])
    compiler = typst.Compiler(TEMPLATE, root=TEMPLATE.parent, font_paths=fonts)
    made = compiler.compile(format="pdf", sys_inputs={"data": sys.stdin.read()}, pdf_tags=True, timestamp=0)
    if not isinstance(made, bytes):
        raise TypeError("one file was expected")
    sys.stdout.buffer.write(made)


if __name__ == "__main__":
    main()
