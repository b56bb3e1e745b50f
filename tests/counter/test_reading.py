"""However a code is typed on whatever keyboard, it is read as it was given out, or refused as a typo."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stickers import codes
from stickers.counter import errors, reading

CODES = st.builds(codes.draw)
RUSSIAN = str.maketrans("qwertyuiopasdfghjklzxcvbnm", "йцукенгшщзфывапролдячсмить")


@given(CODES, st.booleans())
def test_a_scanner_at_a_russian_keyboard_is_read(code: str, small: bool) -> None:
    typed = codes.show(code).lower().translate(RUSSIAN)
    read = reading.read(typed if small else typed.upper()).code
    # Letters that look Latin are taken for what they look like first, and may make another code that is right.
    assert read == code or codes.read(typed) == read


@given(
    CODES, st.sampled_from(["http://x.by/{}", "x.by/c/{}/", "/d/t/packs/{}", "https://x.by/?a=1&code={}", "x.by/#{}"])
)
def test_a_code_anywhere_in_an_address_is_what_was_meant(code: str, address: str) -> None:
    assert reading.read(address.format(code)) == reading.Read(code=code)
    assert reading.read(f" {address.format(codes.show(code))}\n") == reading.Read(code=code)


@given(st.text(max_size=3000), st.booleans())
def test_any_text_is_read_or_refused(text: str, scanned: bool) -> None:
    refusals = (errors.NotACode,) if scanned else (errors.NotACode, codes.MistypedCode)
    try:
        read = reading.read(text, scanned=scanned)
    except refusals:
        return
    assert bool(read.code) != bool(read.token)
    assert reading.read(read.text) == read


@pytest.mark.parametrize("kind", ["d", "g"])
def test_pages_of_donations_and_friends_are_told_by_their_addresses(kind: str) -> None:
    assert reading.read(f"https://give.by/{kind}/Ab-1_x") == reading.Read(token="Ab-1_x")


@given(CODES, st.integers(0, codes.LENGTH - 1), st.sampled_from(codes.ALPHABET))
def test_one_wrong_character_is_always_told(code: str, place: int, wrong: str) -> None:
    typed = code[:place] + wrong + code[place + 1 :]
    if typed != code:
        with pytest.raises(codes.MistypedCode):
            reading.read(typed)
