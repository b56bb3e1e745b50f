"""Charts as SVG made here: bars with a title, a description and a table beside them, no script and no style attribute.

Their colours are classes of the console's style sheet, so they follow the reader's light or dark.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from markupsafe import Markup, escape

WIDTH, HEIGHT, BASE = 720, 220, 190
MOST_BARS = 120
ROW, MOST_NAMED, LONGEST_NAME = 62, 8, 36
LETTER = 20  # the width of a letter of 30 px, the size on phones


@dataclass(frozen=True, slots=True)
class Bar:
    """`label` stands below when there is room; `text` is what a pointer is told."""

    label: str
    value: int
    text: str
    href: str = ""


def bars(values: Sequence[Bar], *, title: str, description: str, name: str) -> Markup:
    """An inline SVG; `name` makes its ids unique on the page. Values below zero hang below the line. Empty for none."""
    shown = list(values)[-MOST_BARS:]
    if not shown or not any(bar.value for bar in shown):
        return Markup("")
    top, bottom = max(0, *(bar.value for bar in shown)), min(0, *(bar.value for bar in shown))
    scale = (BASE - 10) / (top - bottom)
    zero = 10 + top * scale
    step = WIDTH / len(shown)
    parts = [_bar(bar, place * step, step, zero, scale) for place, bar in enumerate(shown)]
    parts += _labels(shown, step)
    line = Markup('<line class="axis" x1="0" x2="{w}" y1="{y:.1f}" y2="{y:.1f}"/>').format(w=WIDTH, y=zero)
    return Markup(
        '<svg class="chart" viewBox="0 0 {w} {h}" role="img" aria-labelledby="{name}-title {name}-text">'
        '<title id="{name}-title">{title}</title><desc id="{name}-text">{text}</desc>{line}{parts}</svg>'
    ).format(w=WIDTH, h=HEIGHT, name=name, title=title, text=description, line=line, parts=Markup("").join(parts))


def lying_bars(values: Sequence[Bar], *, title: str, description: str, name: str) -> Markup:
    """The same for values that have names rather than days: the first few, each below its name, which has all the
    width of a phone. Values below zero go to the left of the line."""
    shown = list(values)[:MOST_NAMED]
    if not shown or not any(bar.value for bar in shown):
        return Markup("")
    top, bottom = max(0, *(bar.value for bar in shown)), min(0, *(bar.value for bar in shown))
    scale = WIDTH / (top - bottom)
    zero, height = -bottom * scale, ROW * len(shown)
    parts = [_lying_bar(bar, place * ROW, zero, scale) for place, bar in enumerate(shown)]
    line = Markup('<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{h}"/>').format(x=zero, h=height)
    return Markup(
        '<svg class="chart lying" viewBox="0 0 {w} {h}" role="img" aria-labelledby="{name}-title {name}-text">'
        '<title id="{name}-title">{title}</title><desc id="{name}-text">{text}</desc>{line}{parts}</svg>'
    ).format(w=WIDTH, h=height, name=name, title=title, text=description, line=line, parts=Markup("").join(parts))


def _lying_bar(bar: Bar, y: float, zero: float, scale: float) -> Markup:
    width = abs(bar.value) * scale
    label = bar.label if len(bar.label) <= LONGEST_NAME else f"{bar.label[: LONGEST_NAME - 1]}…"
    return Markup(
        '<text x="4" y="{text_y}">{label}</text>'
        '<rect class="{kind}" x="{x:.1f}" y="{y}" width="{w:.1f}" height="{h}" rx="2"><title>{text}</title></rect>'
    ).format(
        text_y=y + 30,
        label=label,
        kind="bar-up" if bar.value >= 0 else "bar-down",
        x=zero if bar.value >= 0 else zero - width,
        y=y + 38,
        w=max(width, 1 if bar.value else 0),
        h=ROW - 46,
        text=bar.text,
    )


def _bar(bar: Bar, x: float, step: float, zero: float, scale: float) -> Markup:
    height = abs(bar.value) * scale
    y = zero - height if bar.value >= 0 else zero
    kind = "bar-up" if bar.value >= 0 else "bar-down"
    rect = Markup(
        '<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" rx="2">'
        "<title>{text}</title></rect>"
    ).format(
        kind=kind, x=x + step * 0.1, y=y, w=max(0.5, step * 0.8), h=max(height, 1 if bar.value else 0), text=bar.text
    )
    return Markup('<a href="{href}">{rect}</a>').format(href=bar.href, rect=rect) if bar.href else rect


def _labels(shown: Sequence[Bar], step: float) -> list[Markup]:
    """As many labels as fit next to each other on a phone, where letters are largest."""
    width = max(len(bar.label) for bar in shown) * LETTER
    each = max(1, ceil((width + LETTER) / step))
    first = max(0, ceil(width / 2 / step - 0.5))  # neither it nor the last one is cut off at the edge
    return [
        Markup('<text x="{x:.1f}" y="{y}" text-anchor="middle">{label}</text>').format(
            x=(place + 0.5) * step, y=HEIGHT - 8, label=escape(shown[place].label)
        )
        for place in range(first, len(shown) - first, each)
        if shown[place].label
    ]
