"""Passwords that are guessed first. No list is long enough: what counts is what remains without the obvious parts."""

import re
import unicodedata

_LEFT = 6  # characters that must remain
_WHOLE = 12  # a password that repeats itself is as good as what is repeated, which must be long enough
_DISTINCT = 5
_NAME = 4  # of an address: shorter ones are found in words by chance

_ROWS = (
    *("abcdefghijklmnopqrstuvwxyz", "абвгдеёжзийклмнопрстуфхцчшщъыьэюя", "01234567890", "!@#$%^&*()_+"),
    *("qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./", "qwertzuiop", "azertyuiop", "1qaz2wsx3edc4rfv5tgb6yhn7ujm"),
    *("йцукенгшщзхъ", "йцукенгшўзх", "фывапролджэ", "ячсмитьбю", "ячсмітьбю"),
)
_RUN = 4
_RUNS = {way[at : at + _RUN] for row in _ROWS for way in (row, row[::-1]) for at in range(len(row) - _RUN + 1)}
_WORDS = (
    *("password", "passwort", "passw", "parol", "pass", "qwerty", "admin", "administrator", "root", "user", "login"),
    *("welcome", "letmein", "iloveyou", "changeme", "secret", "master", "dragon", "monkey", "football", "sunshine"),
    *("princess", "hello", "default", "test", "guest", "minsk", "belarus", "sticker", "bullying", "internet", "free"),
    *("пароль", "привет", "админ", "секрет", "любовь", "минск", "беларусь", "мінск", "прывітанне", "сакрэт"),
    *("gfhjkm", "ghbdtn", "privet", "lubov", "стикер", "травля", "интернет"),  # the first two: пароль, привет in Latin
)
_CAMPAIGN = ("bullyingfreeinternet", "интернетбезтравли", "інтэрнэтбезцкавання")
_OBVIOUS = re.compile(
    "|".join([*sorted(map(re.escape, _WORDS), key=len, reverse=True), r"(.)\\1{2,}", r"(19|20)\\d\\d"])
)
_LOOKS_LIKE = str.maketrans("@4031!5$7", "aaoeiisst")


def is_obvious(password: str, email: str) -> bool:
    """Whether a password of this member is among those that somebody tries first."""
    text = "".join(unicodedata.normalize("NFKC", password).casefold().split())
    spellings = (text, text.translate(_LOOKS_LIKE))
    name = _plain(email.partition("@")[0].casefold())
    known = (*_CAMPAIGN, *([name] if len(name) >= _NAME else []))
    if any(each in _plain(spelling) for each in known for spelling in spellings):
        return True
    return len(set(text)) < _DISTINCT or _repeats(text) or _left(text, spellings) < _LEFT


def _plain(text: str) -> str:
    return "".join(char for char in text if char.isalnum())


def _repeats(text: str) -> bool:
    """Whether it is some short text again and again."""
    return any(text[:-part] == text[part:] for part in range(1, min(_WHOLE, len(text) // 2 + 1)))


def _left(text: str, spellings: tuple[str, ...]) -> int:
    """How many characters are in no word, no row of keys and no year; a sign counts once."""
    gone = {at + step for at in range(len(text)) if text[at : at + _RUN] in _RUNS for step in range(_RUN)}
    for spelling in spellings:
        gone.update(at for found in _OBVIOUS.finditer(spelling) for at in range(*found.span()))
    rest = [char for at, char in enumerate(text) if at not in gone]
    return sum(char.isalnum() for char in rest) + len({char for char in rest if not char.isalnum()})
