"""The usual way to print posters, to be measured against: `python -m benchmarks.posters_reportlab PAGES TARGET`.

What one would write first: for each page a symbol by qrcode with its defaults but for error correction, and the panels
and texts of our poster drawn on ReportLab's canvas. No tags, no drawings, no fitting of texts.
"""

import sys

import qrcode
from qrcode.constants import ERROR_CORRECT_Q
from reportlab.lib.colors import HexColor, white
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from offices.links import new_code
from offices.printing.pages import font_directory
from tests.offices.printed import LINK, OFFICE, TEXTS, WORDS

INK, SUN, QUIET = HexColor("#1d2452"), HexColor("#ffd166"), HexColor("#4a5070")


def write(canvas: Canvas, x: float, y: float, size: float, color: object, text: str, room: int = 200) -> None:
    """Lines of at most `room` characters, `y` millimetres from the top."""
    canvas.setFillColor(color)
    canvas.setFont("Rubik", size)
    line, lines = "", []
    for word in text.split():
        if len(line) + len(word) >= room:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    for number, each in enumerate([*lines, line]):
        canvas.drawString(x * mm, (297 - y) * mm - number * size * 1.35, each)


def draw_symbol(canvas: Canvas, address: str) -> None:
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_Q, border=0)
    code.add_data(address)
    code.make()
    module = 74.5 / len(code.modules) * mm
    canvas.setFillColor(HexColor("#000000"))
    path = canvas.beginPath()
    for y, row in enumerate(code.modules):
        for x, dark in enumerate(row):
            if dark:
                path.rect(22 * mm + x * module, 171 * mm - y * module, module, module)
    canvas.drawPath(path, stroke=0, fill=1)


def draw_page(canvas: Canvas, code: str, number: int) -> None:
    text = TEXTS["ru"]
    canvas.setFillColor(INK)
    canvas.roundRect(10 * mm, 189 * mm, 190 * mm, 98 * mm, 6 * mm, stroke=0, fill=1)
    write(canvas, 19, 23, 12, SUN, text.partners)
    write(canvas, 19, 42, 40, white, text.title, 14)
    write(canvas, 19, 74, 14, white, text.lead, 28)
    canvas.setStrokeColor(INK)
    canvas.roundRect(10 * mm, 72 * mm, 98 * mm, 112 * mm, 6 * mm, stroke=1, fill=0)
    draw_symbol(canvas, (LINK + code).upper())
    write(canvas, 16, 216, 16, INK, f"give.example.by/q/{code}")
    write(canvas, 116, 118, 18, INK, WORDS["headline"])
    for step, key in enumerate(("scan", "give", "collect")):
        write(canvas, 146, 135 + step * 32, 16, INK, f"{step + 1} {WORDS[key]}", 22)
        write(canvas, 146, 143 + step * 32, 11, QUIET, WORDS[f"{key}_more"], 28)
    canvas.setFillColor(SUN)
    canvas.roundRect(10 * mm, 43 * mm, 190 * mm, 24 * mm, 6 * mm, stroke=0, fill=1)
    write(canvas, 18, 238, 12, INK, WORDS["purpose"])
    write(canvas, 18, 245, 15, INK, text.designation, 60)
    write(canvas, 28, 266, 12, QUIET, text.helpline_title)
    write(canvas, 28, 273, 20, INK, text.helpline)
    write(canvas, 126, 266, 12, QUIET, WORDS["genuine"])
    write(canvas, 126, 273, 20, INK, "give.example.by")
    write(canvas, 10, 284, 10, QUIET, OFFICE)
    write(canvas, 150, 284, 10, QUIET, f"Плакат № {number} · {code}")
    canvas.showPage()


def main() -> None:
    pages, target = int(sys.argv[1]), sys.argv[2]
    pdfmetrics.registerFont(TTFont("Rubik", str(font_directory() / "Rubik[wght].ttf")))
    canvas = Canvas(target, pagesize=A4, pageCompression=1)
    for number in range(1, pages + 1):
        draw_page(canvas, new_code(), number)
    canvas.save()


if __name__ == "__main__":
    main()
