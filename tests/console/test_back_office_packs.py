"""The campaign team makes and edits packs; what is uploaded for them is looked at, drawn anew, and kept apart."""

import io
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Flask
from PIL import Image

from core.db import db
from donations.models import Donation
from staff.models import AuditEntry
from stickers.models import StickerPack
from tests.console.filled import error_of, fields_of, form_at, send_files
from tests.house import House
from tests.staff.console import Browser

AtConsole = Callable[..., Browser]
NEW, PACKS = "/staff/packs/new", "/staff/packs"
TYPED = {"code": "Sea-Friends", "name_ru": "Морские друзья", "name_en": "Sea friends", "description_ru": "Пять рыб"}
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="480" height="330"><script>alert(1)</script></svg>'


def picture(format: str = "PNG", size: tuple[int, int] = (640, 440), **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (20, 160, 200)).save(file, format, **options)
    return file.getvalue()


def archive(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name in names:
            made.writestr(name, "hello")
    return file.getvalue()


def bomb() -> bytes:
    """A PNG of a few hundred bytes that says it is 30,000 pixels wide and high."""
    png = bytearray(picture(size=(240, 165)))
    png[16:24] = (30_000).to_bytes(4, "big") * 2
    png[29:33] = zlib.crc32(png[12:29]).to_bytes(4, "big")
    return bytes(png)


def pack(code: str) -> StickerPack | None:
    db.session.rollback()
    db.session.expire_all()
    return db.session.scalar(sa.select(StickerPack).where(StickerPack.code == code))


def last_act() -> tuple[str, str, Any, Any]:
    db.session.rollback()
    entry = db.session.scalars(sa.select(AuditEntry).order_by(AuditEntry.number.desc()).limit(1)).one()
    return entry.action, entry.subject, entry.before, entry.after


def uploads(app: Flask) -> list[Path]:
    return [path for path in (Path(app.config["INSTANCE_DIR"]) / "packs").rglob("*") if path.is_file()]


def test_a_pack_is_made_with_a_picture_that_everybody_sees_and_browsers_keep(at_console: AtConsole, app: Flask) -> None:
    browser = at_console("campaign")
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    data = picture("JPEG", (2000, 1000), exif=exif)
    answer = send_files(browser, NEW, {**form_at(browser, NEW), **TYPED}, {"picture": ("рыбы.jpg", data)})
    assert (answer.status_code, answer.location) == (303, "/staff/packs/sea-friends")
    made = pack("sea-friends")
    assert made is not None
    assert (made.name["en"], made.kind, made.download) == ("Sea friends", "physical", None)
    shown = app.test_client().get(f"/packs/pictures/{made.picture}")
    assert (shown.status_code, shown.mimetype) == (200, "image/webp")
    assert "max-age=31536000" in shown.headers["Cache-Control"]
    assert "immutable" in shown.headers["Cache-Control"]
    assert b"taken at home" not in shown.data
    assert Image.open(io.BytesIO(shown.data)).size == (960, 660)
    assert f"/packs/pictures/{made.picture}" in browser.get(f"{PACKS}?q=sea").text
    action, subject, before, after = last_act()
    assert (action, subject, before, after["name_ru"]) == ("pack.made", "pack:sea-friends", None, "Морские друзья")


def test_pictures_that_came_with_the_package_stay_where_they_are(at_console: AtConsole) -> None:
    browser, page = at_console("campaign"), f"{PACKS}/kind-words"
    assert "/static/stickers/packs/kind-words.svg" in browser.get(page).text
    answer = send_files(browser, page, {**form_at(browser, page), "name_en": "Kinder words"}, {})
    assert answer.status_code == 303
    changed = pack("kind-words")
    assert changed is not None
    assert (changed.picture, changed.name["en"]) == ("kind-words.svg", "Kinder words")
    assert last_act()[2:] == ({"name_en": "Kind words"}, {"name_en": "Kinder words"})


PICTURE_ATTACKS = [
    ("stickers.svg", SVG, "PNG, JPEG or WebP"),
    ("stickers.png", SVG, "PNG, JPEG or WebP"),
    ("page.png", b"<html><script>alert(1)</script>", "PNG, JPEG or WebP"),
    ("cut.png", picture()[:200], "PNG, JPEG or WebP"),
    ("moving.png", picture("GIF"), "PNG, JPEG or WebP"),
    ("empty.png", b"", "PNG, JPEG or WebP"),
    ("bomb.png", bomb(), "too large"),
    ("tiny.png", picture(size=(20, 20)), "too small"),
    ("huge.png", picture() + b"\0" * 20 * 1024 * 1024, "too large"),
]


def test_no_upload_but_a_picture_gets_in_and_nothing_typed_is_lost(at_console: AtConsole, app: Flask) -> None:
    browser = at_console("campaign")
    empty = form_at(browser, NEW)
    for name, data, says in PICTURE_ATTACKS:
        answer = send_files(browser, NEW, {**empty, **TYPED, "name_ru": ""}, {"picture": (name, data)})
        assert answer.status_code == 422, name
        assert says in error_of(answer, "picture"), name
        assert "Russian text" in error_of(answer, "name_ru")
        shown = fields_of(answer, NEW)
        assert (shown["code"], shown["name_en"], shown["picture_kept"]) == ("Sea-Friends", "Sea friends", "")
    assert uploads(app) == []
    assert pack("sea-friends") is None


def test_the_name_of_an_upload_is_no_path(at_console: AtConsole, app: Flask) -> None:
    browser = at_console("campaign")
    name = "../../../static/evil.png"
    assert (
        send_files(browser, NEW, {**form_at(browser, NEW), **TYPED}, {"picture": (name, picture())}).status_code == 303
    )
    [kept] = uploads(app)
    assert kept.parent == Path(app.config["INSTANCE_DIR"]) / "packs" / "pictures"
    assert kept.suffix == ".webp"
    for asked in ("..%2f..%2fapp.sqlite3", "x.webp", f"{'0' * 32}.webp", kept.name.replace(".webp", ".png")):
        assert app.test_client().get(f"/packs/pictures/{asked}").status_code == 404, asked


def test_a_form_cannot_name_a_file_that_was_not_uploaded(at_console: AtConsole) -> None:
    browser = at_console("campaign")
    for said in ("../../app.py", "kind-words.svg", f"{'0' * 32}.webp"):
        typed = {**form_at(browser, NEW), **TYPED, "picture_kept": said}
        answer = send_files(browser, NEW, typed, {})
        assert (answer.status_code, error_of(answer, "picture")) == (422, "Please choose a picture.")
    page = f"{PACKS}/chat-friends"
    answer = send_files(browser, page, {**form_at(browser, page), "download_kept": "../pages.py"}, {})
    assert "needs the file" in error_of(answer, "download")


def test_a_good_picture_is_kept_while_the_rest_is_put_right(at_console: AtConsole) -> None:
    browser = at_console("campaign")
    typed = {**form_at(browser, NEW), **TYPED, "name_ru": ""}
    answer = send_files(browser, NEW, typed, {"picture": ("fish.png", picture())})
    shown = fields_of(answer, NEW)
    assert (answer.status_code, error_of(answer, "picture")) == (422, "")
    assert f'src="/packs/pictures/{shown["picture_kept"]}"' in answer.text
    assert send_files(browser, NEW, {**shown, "name_ru": "Рыбы"}, {}).status_code == 303
    made = pack("sea-friends")
    assert made is not None
    assert made.picture == shown["picture_kept"]


def test_only_who_has_a_code_gets_an_uploaded_file(at_console: AtConsole, house: House, app: Flask) -> None:
    browser, page, data = at_console("campaign"), f"{PACKS}/chat-friends", archive("one.png", "set/two.png")
    answer = send_files(browser, page, form_at(browser, page), {"download": ("new pictures.zip", data)})
    assert answer.status_code == 303
    kept = pack("chat-friends")
    assert kept is not None
    donation = house.given(5000)
    code = next(each["code"] for each in house.state(donation)["sticker_codes"] if each["pack"] == "chat-friends")
    donor = app.test_client()
    got = donor.get(f"/d/{donation['token']}/packs/{code}")
    assert (got.status_code, got.data) == (200, data)
    assert "chat-friends.zip" in got.headers["Content-Disposition"]
    assert donor.get(f"/packs/pictures/{kept.download}").status_code == 404
    assert browser.get(f"{page}/file").data == data
    assert house.count(Donation) == 1


DOWNLOAD_ATTACKS = [
    ("program.zip", b"MZ\x90\0" + b"\0" * 100, "ZIP, PDF, PNG"),
    ("page.pdf", b"<html><script>alert(1)</script>", "ZIP, PDF, PNG"),
    ("broken.zip", b"PK\x03\x04" + b"\0" * 100, "broken"),
    ("leads-out.zip", archive("../../etc/passwd"), "broken"),
    ("absolute.zip", archive("/etc/passwd"), "broken"),
    ("windows.zip", archive("C:\\a.exe"), "broken"),
    ("huge.zip", b"PK\x03\x04" + b"\0" * 20 * 1024 * 1024, "too large"),
]


def test_no_unsafe_file_reaches_donors(at_console: AtConsole, app: Flask) -> None:
    browser, page = at_console("campaign"), f"{PACKS}/chat-friends"
    shown = form_at(browser, page)
    for name, data, says in DOWNLOAD_ATTACKS:
        answer = send_files(browser, page, {**shown, "name_en": "Other"}, {"download": (name, data)})
        assert answer.status_code == 422, name
        assert says in error_of(answer, "download"), name
        assert fields_of(answer, page)["name_en"] == "Other"
    assert uploads(app) == []
    same = pack("chat-friends")
    assert same is not None
    assert (same.download, same.name["en"]) == ("chat-friends.zip", "Chat friends")


def test_a_body_beyond_all_limits_is_refused_before_it_is_read(at_console: AtConsole) -> None:
    browser = at_console("campaign")
    browser.get(NEW)
    said = {"CONTENT_LENGTH": str(49 * 1024 * 1024), "CONTENT_TYPE": "multipart/form-data; boundary=x"}
    answer = browser.client.post(NEW, environ_overrides=said)
    assert answer.status_code == 413


def test_two_editors_of_one_pack(at_console: AtConsole) -> None:
    first, second, page = at_console("campaign"), at_console("admin"), f"{PACKS}/kind-words"
    mine, theirs = form_at(first, page), form_at(second, page)
    assert send_files(first, page, mine, {"picture": ("new.png", picture())}).status_code == 303
    answer = send_files(second, page, {**theirs, "description_en": "Mine"}, {})
    assert answer.status_code == 409
    assert "Another picture is stored now" in answer.text
    assert fields_of(answer, page)["description_en"] == "Mine"
    kept = pack("kind-words")
    assert kept is not None
    assert (kept.picture != "kind-words.svg", kept.description["en"] != "Mine") == (True, True)


def test_code_and_kind_stay_once_donors_have_codes(at_console: AtConsole, house: House) -> None:
    browser, page = at_console("campaign"), f"{PACKS}/kind-words"
    opened = form_at(browser, page)
    house.given(1000)
    answer = send_files(browser, page, {**opened, "code": "other", "kind": "digital"}, {})
    assert answer.status_code == 422
    assert "stays as it is" in error_of(answer, "code")
    assert pack("kind-words") is not None


def test_a_pack_is_deleted_only_while_nothing_belongs_to_it(at_console: AtConsole) -> None:
    browser = at_console("campaign")
    send_files(browser, NEW, {**form_at(browser, NEW), **TYPED}, {"picture": ("fish.png", picture())})
    browser.get(f"{PACKS}/sea-friends")
    assert browser.post(f"{PACKS}/sea-friends/delete").status_code == 303
    assert pack("sea-friends") is None
    assert last_act()[:2] == ("pack.deleted", "pack:sea-friends")
    refused = browser.post(f"{PACKS}/kind-words/delete")
    assert refused.status_code == 409
    assert "Retire it instead" in refused.text
    assert pack("kind-words") is not None


def test_a_retired_pack_is_given_by_no_new_rule_and_can_be_used_again(at_console: AtConsole) -> None:
    browser, rules = at_console("campaign"), "/staff/campaigns/bullying-free-internet/rules"
    browser.get(f"{PACKS}/kind-words")
    assert browser.post(f"{PACKS}/kind-words/retire").status_code == 303
    assert last_act() == ("pack.retired", "pack:kind-words", {"retired": False}, {"retired": True})
    assert "kind-words" in browser.get(f"{PACKS}?state=retired").text
    assert "kind-words" not in browser.get(f"{PACKS}?state=used").text.partition("<h1>")[2]
    refused = browser.post(rules, {"from": "12", "pack": "kind-words", "quantity": "1"})
    assert refused.status_code == 422
    browser.post(f"{PACKS}/kind-words/use")
    assert browser.post(rules, {"from": "12", "pack": "kind-words", "quantity": "1"}).status_code == 303


def test_a_wrong_code_is_refused_at_its_field(at_console: AtConsole) -> None:
    browser = at_console("campaign")
    empty = form_at(browser, NEW)
    for code in ("Добрые", "new", "kind-words", "a--b"):
        answer = send_files(browser, NEW, {**empty, **TYPED, "code": code}, {"picture": ("fish.png", picture())})
        assert answer.status_code in (409, 422), code
        assert error_of(answer, "code"), code
        assert fields_of(answer, NEW)["code"] == code
