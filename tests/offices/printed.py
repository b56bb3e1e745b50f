"""Posters without a database: what the printing tests look at."""

import random
from pathlib import Path

import pypdfium2
from PIL import Image

from offices.links import new_code
from offices.printing.joining import join
from offices.printing.pages import Poster, Run, Typesetter, framed
from offices.printing.texts import PosterText, spoken

LINK = "https://give.example.by/q/"
OFFICE = "Салон МТС № 12, Минск, пр-т Независимости, 95"
WORDS = {
    "headline": "Помочь можно за минуту",
    "scan": "Наведите камеру",
    "scan_more": "Откроется страница кампании: ничего устанавливать не нужно.",
    "give": "Сделайте взнос",
    "give_more": "Банковской картой, на любую удобную сумму.",
    "collect": "Заберите наклейки",
    "collect_more": "Покажите код с телефона в любом офисе МТС.",
    "purpose": "На что пойдут деньги:",
    "genuine": "Код настоящий, если открылся",
    "poster": "Плакат",
    "symbol": "QR-код:",
    "sticker": "Наведите камеру и помогите ребёнку",
}
TEXTS = {
    "ru": PosterText(
        "Интернет без травли",
        "Слова в сети ранят по-настоящему. Помогите специалистам быть рядом с детьми, которых травят.",
        "обучение специалистов, которые помогают детям, пострадавшим от кибербуллинга",
        "МТС × ЮНИСЕФ",
        "Телефон помощи",
        "8 800 100 16 11",
    ),
    "be": PosterText(
        "Інтэрнэт без цкавання",
        "Словы ў сеціве раняць па-сапраўднаму. Дапамажыце спецыялістам быць побач з дзецьмі, якіх цкуюць.",
        "навучанне спецыялістаў, якія дапамагаюць дзецям, што пацярпелі ад кібербулінгу",
        "МТС × ЮНИСЕФ",
        "Тэлефон дапамогі",
        "8 800 100 16 11",
    ),
    "en": PosterText(
        "A bullying-free internet",
        "Words on the net hurt for real. Help specialists to stand by children who are bullied.",
        "training specialists in treatment of cyberbullying victims",
        "МТС × ЮНИСЕФ",
        "Helpline",
        "8 800 100 16 11",
    ),
}


def a_run(format: str = "a4", language: str = "ru") -> Run:
    text = TEXTS[language]
    return Run(format, language, LINK, WORDS, vars(text), spoken(text, WORDS, "give.example.by"))


def some_posters(count: int) -> list[Poster]:
    return [Poster(new_code(), number, OFFICE) for number in range(1, count + 1)]


def printed(run: Run, posters: list[Poster], directory: Path, part: int = 100) -> Path:
    """A PDF of these posters, made of parts as large runs are."""
    typesetter = Typesetter()
    frame, target = directory / "frame.pdf", directory / f"{run.format}-{run.language}.pdf"
    frame.write_bytes(typesetter.frame(run))
    parts = []
    for start in range(0, len(posters), part):
        parts.append(directory / f"part-{start}.pdf")
        parts[-1].write_bytes(typesetter.pages(framed(run, frame), posters[start : start + part]))
    with target.open("wb") as out:
        join(parts, out)
    return target


def page_picture(document: pypdfium2.PdfDocument, index: int, dpi: float, grey: bool = True) -> Image.Image:
    page = document[index]
    picture = page.render(scale=dpi / 72, grayscale=grey).to_pil()
    page.close()
    return picture


def patch_off_finders(rng: random.Random, modules: int, share: float = 0.1) -> tuple[float, float, float]:
    """(x, y, side) in modules of a square of that share of the symbol which touches no finder pattern."""
    side = modules * share**0.5
    finders = ((0, 0), (modules - 8, 0), (0, modules - 8))
    while True:
        x, y = rng.uniform(0, modules - side), rng.uniform(0, modules - side)
        if not any(x < fx + 8 and fx < x + side and y < fy + 8 and fy < y + side for fx, fy in finders):
            return x, y, side
