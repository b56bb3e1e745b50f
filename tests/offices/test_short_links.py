"""`/q/<code>`: where it leads, what it counts, what it keeps."""

import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from core.db import db
from offices import links
from offices.models import Placement
from offices.queries import FIND_LINK
from tests.offices.conftest import Add, scans


def cookie_of(response: object) -> str:
    headers = response.headers.getlist("Set-Cookie")  # type: ignore[attr-defined]
    return next((each for each in headers if each.startswith("placement=")), "")


def test_a_scan_leads_to_the_campaign_in_the_language_of_the_link(phone: FlaskClient, placed: Add) -> None:
    placement = placed(language="be")
    answer = phone.get(f"/q/{placement.code}")
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/c/bullying-free-internet?lang=be"
    page = phone.get(answer.headers["Location"])
    assert page.status_code == 200
    assert '<html lang="be">' in page.text


def test_case_of_code_and_path_does_not_matter(app: Flask, phone: FlaskClient, placed: Add) -> None:
    placement = placed()
    typed = (f"/q/{placement.code.lower()}", f"/Q/{placement.code}", f"/Q/{placement.code.lower()}/")
    assert [phone.get(each).status_code for each in typed] == [302, 302, 302]
    assert scans(app, placement) == 3


def test_letters_of_another_script_are_read_by_the_page_behind(app: Flask, phone: FlaskClient, placed: Add) -> None:
    placement = placed(code="ACEHKM" + links.mod_37_36.calc_check_digit("ACEHKM", links.ALPHABET))
    answer = phone.get("/q/АСЕНКМ" + placement.code[-1])
    assert answer.status_code == 302
    assert f"placement={placement.code};" in cookie_of(answer)
    assert scans(app, placement) == 1


def test_the_cookie_carries_the_code_for_a_day_and_nothing_else(phone: FlaskClient, placed: Add) -> None:
    placement = placed()
    cookie = cookie_of(phone.get(f"/q/{placement.code}"))
    assert cookie == f"placement={placement.code}; Max-Age=86400; Path=/; HttpOnly; SameSite=Lax"
    secure = cookie_of(phone.get(f"/q/{placement.code}", base_url="https://give.test"))
    assert secure == f"{cookie}; Secure"


def test_a_scan_makes_no_session_and_is_never_cached(phone: FlaskClient, placed: Add) -> None:
    answer = phone.get(f"/q/{placed().code}")
    assert len(answer.headers.getlist("Set-Cookie")) == 1
    assert answer.headers["Cache-Control"] == "no-store"
    for header in ("X-Request-Id", "X-Content-Type-Options", "Referrer-Policy", "Content-Security-Policy"):
        assert answer.headers[header]


def test_only_get_counts(app: Flask, phone: FlaskClient, placed: Add) -> None:
    placement = placed()
    assert phone.head(f"/q/{placement.code}").status_code == 302
    assert phone.post(f"/q/{placement.code}").status_code in (400, 405)
    assert scans(app, placement) == 0


def test_nothing_is_written_before_the_flush(app: Flask, phone: FlaskClient, placed: Add) -> None:
    placement = placed()
    for _ in range(5):
        phone.get(f"/q/{placement.code}")
    query = sa.select(Placement.scans).where(Placement.id == placement.id)
    db.session.rollback()
    assert db.session.scalar(query) == 0
    assert scans(app, placement) == 5
    assert scans(app, placement) == 5


def test_a_retired_link_still_lets_people_give(app: Flask, phone: FlaskClient, placed: Add) -> None:
    placement = placed(state="retired")
    answer = phone.get(f"/q/{placement.code}")
    assert answer.status_code == 410
    assert 'href="/c/bullying-free-internet?lang=ru"' in answer.text
    assert cookie_of(answer) == ""
    assert scans(app, placement) == 0


def test_unknown_and_forged_codes_still_let_people_give(phone: FlaskClient) -> None:
    for typed in (links.new_code(), "AAAAAAA", "", "x" * 500, "../../etc/passwd", "%00", "%FF%FE", "🙂"):
        answer = phone.get(f"/q/{typed}")
        assert answer.status_code == 404, typed
        if typed != "%00":  # no address of ours at all
            assert 'href="/"' in answer.text


def test_the_friendly_page_speaks_the_reader_s_language(phone: FlaskClient) -> None:
    pages = {lang: phone.get(f"/q/AAAAAAA?lang={lang}").text for lang in ("ru", "be", "en")}
    assert all(f'<html lang="{lang}">' in page for lang, page in pages.items())


def test_a_retired_link_speaks_the_language_of_its_poster(phone: FlaskClient, placed: Add) -> None:
    placement = placed(state="retired", language="be")
    page = phone.get(f"/q/{placement.code}", headers={"Accept-Language": "en"}).text
    assert '<html lang="be">' in page
    assert 'href="/c/bullying-free-internet?lang=be"' in page
    assert '<html lang="en">' in phone.get(f"/q/{placement.code}?lang=en").text


def test_a_dead_link_forgets_the_one_followed_before(phone: FlaskClient, placed: Add) -> None:
    good, retired = placed(), placed(state="retired")
    phone.get(f"/q/{good.code}")
    assert phone.get_cookie("placement") is not None
    phone.get(f"/q/{retired.code}")
    assert phone.get_cookie("placement") is None


def test_a_replaced_link_leads_on_as_its_replacement(app: Flask, phone: FlaskClient, placed: Add) -> None:
    new = placed(language="en")
    old = placed(language="ru", state="replaced", replaced_by_id=new.id)
    answer = phone.get(f"/q/{old.code}")
    assert answer.headers["Location"] == "/c/bullying-free-internet?lang=en"
    assert f"placement={new.code};" in cookie_of(answer)
    assert (scans(app, old), scans(app, new)) == (0, 1)


def test_a_replacement_that_was_retired_takes_its_old_links_along(phone: FlaskClient, placed: Add) -> None:
    new = placed(state="retired")
    assert phone.get(f"/q/{placed(state='replaced', replaced_by_id=new.id).code}").status_code == 410


def test_a_reader_that_stumbles_leaves_the_scan_to_the_page(app: Flask, phone: FlaskClient, placed: Add) -> None:
    placement = placed()
    engine = db.engines["links"]

    def stumble(*_args: object) -> None:
        raise sa.exc.OperationalError("SELECT", {}, Exception("server closed the connection"))

    sa.event.listen(engine, "checkout", stumble)
    answer = phone.get(f"/q/{placement.code}")
    assert answer.status_code == 302
    assert f"placement={placement.code};" in cookie_of(answer)
    assert scans(app, placement) == 1


def test_a_connection_that_the_server_closed_is_noticed_and_replaced(
    app: Flask, phone: FlaskClient, placed: Add
) -> None:
    if db.engine.dialect.name == "sqlite":
        return  # no server
    placement = placed()
    assert phone.get(f"/q/{placement.code}").status_code == 302
    with db.engine.connect() as connection:
        mine = "pid <> pg_backend_pid() AND datname = current_database()"
        connection.execute(sa.text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {mine}"))
    db.engine.dispose()
    assert [phone.get(f"/q/{placement.code}").status_code for _ in range(3)] == [302] * 3
    assert scans(app, placement) == 4


def test_the_scan_is_one_read_and_no_write(app: Flask, phone: FlaskClient, placed: Add) -> None:
    placement = placed()
    taken: list[str] = []
    for name, engine in db.engines.items():
        sa.event.listen(engine, "checkout", lambda *_args, name=name: taken.append(str(name)))
    assert phone.get(f"/q/{placement.code}").status_code == 302
    assert taken == ["links"]
    reader = app.wsgi_app.reader  # type: ignore[attr-defined]
    assert reader.sql.startswith("SELECT")
    connection = reader.engine.raw_connection()
    driver = connection.driver_connection  # nothing is begun, so nothing is to be committed
    assert driver.isolation_level is None if db.engine.dialect.name == "sqlite" else driver.autocommit
    connection.close()


def test_the_read_uses_the_index(app: Flask, placed: Add) -> None:
    query = FIND_LINK.params(code=placed().code).compile(db.engine, compile_kwargs={"literal_binds": True})
    sqlite = db.engine.dialect.name == "sqlite"
    with db.engine.connect() as connection:
        if not sqlite:  # of a table with one row PostgreSQL reads the whole page
            connection.exec_driver_sql("SET enable_seqscan = off")
        rows = connection.exec_driver_sql(f"EXPLAIN {'QUERY PLAN ' if sqlite else ''}{query}")
        plan = "\n".join(str(row) for row in rows)
    assert "sqlite_autoindex_placements" in plan or "uq_placements_code" in plan
    assert "SCAN placements" not in plan


def test_scans_that_cannot_be_written_are_kept(app: Flask, phone: FlaskClient, placed: Add) -> None:
    placement = placed()
    phone.get(f"/q/{placement.code}")
    buffer = app.extensions["scans"]
    write = buffer._write

    def stumble(batch: object) -> None:
        raise sa.exc.OperationalError("UPDATE", {}, Exception("locked"))

    buffer._write = stumble
    buffer.flush()
    buffer._write = write
    phone.get(f"/q/{placement.code}")
    assert scans(app, placement) == 2
