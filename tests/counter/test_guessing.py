"""Guessing codes is throttled, and no answer tells a guesser what another would not."""

import re
from collections import Counter as Tally
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from flask import Flask
from markupsafe import escape

from core.clock import utcnow
from core.db import db, unit_of_work
from core.i18n import Localized
from core.mail import Mail
from core.models import OutboxMessage, ThrottleCounter
from core.throttle import window_end
from offices.models import Office
from staff.models import StaffMember
from stickers import codes
from stickers.counter import errors, guessing
from stickers.counter.guessing import ALERT_PER_CLERK, OVERALL, PER_CLERK, PER_OFFICE, WINDOW
from stickers.counter.letters import alert_letter
from stickers.counter.models import CodeTry, CounterAlert, CounterLetter
from stickers.models import Redemption
from tests.console.conftest import acts
from tests.counter.conftest import OWN, Counter, NewClerk, check, press, verdict_of
from tests.staff.console import Browser, make_member

ODD_NAME = 'Салон R&D <"Угол">'


def guess(counter: Counter, code: str = "", **instead: object) -> str:
    """What is answered to a guess, in one word."""
    values = {"office": counter.office, "actor": counter.actor, "now": utcnow(), **instead}
    try:
        guessing.look_up(code or codes.draw(), **values)  # type: ignore[arg-type]
    except (errors.UnknownCode, errors.TooManyGuesses) as refusal:
        return refusal.code
    return "known"


def hits() -> dict[str, int]:
    """The highest counter of each scope."""
    db.session.rollback()
    rows = db.session.execute(
        sa.select(ThrottleCounter.scope, sa.func.max(ThrottleCounter.hits)).group_by(ThrottleCounter.scope)
    )
    return {scope: hits for scope, hits in rows if scope.startswith("code-")}


def set_hits(scope: str, number: int) -> None:
    with db.engine.begin() as connection:
        connection.execute(sa.update(ThrottleCounter).where(ThrottleCounter.scope == scope).values(hits=number))


def test_a_clerk_who_guesses_is_stopped_and_then_every_code_gets_the_same_answer(counter: Counter) -> None:
    good = counter.new_code()
    answers = [guess(counter) for _ in range(PER_CLERK + 1)]
    assert answers == ["sticker_code_unknown"] * PER_CLERK + ["too_many_guesses"]
    assert guess(counter, good) == "too_many_guesses"


def test_honest_work_is_never_counted(counter: Counter) -> None:
    good = counter.new_code()
    assert {guess(counter, good) for _ in range(PER_CLERK + 5)} == {"known"}
    assert set(hits().values()) == {0}


@pytest.mark.parametrize(("scope", "limit"), [("code-office", PER_OFFICE), ("code-overall", OVERALL)])
def test_many_clerks_together_are_stopped(counter: Counter, scope: str, limit: int, new_clerk: NewClerk) -> None:
    colleague = new_clerk(counter.office)
    guess(counter)
    set_hits(scope, limit - 1)
    assert guess(counter) == "sticker_code_unknown"
    assert guess(counter, actor=colleague) == "too_many_guesses"
    assert guess(counter, counter.new_code(), actor=colleague) == "too_many_guesses"


def test_one_account_that_guesses_without_end_stops_nobody_else(
    counter: Counter, other: Office, new_clerk: NewClerk
) -> None:
    colleague, elsewhere = new_clerk(counter.office), new_clerk(other)
    good = counter.new_code()
    answers = Tally(guess(counter) for _ in range(PER_OFFICE + 20))
    assert answers == {"sticker_code_unknown": PER_CLERK, "too_many_guesses": PER_OFFICE + 20 - PER_CLERK}
    assert guess(counter, good) == "too_many_guesses"
    assert hits() == {"code-clerk": PER_OFFICE + 21, "code-office": PER_CLERK, "code-overall": PER_CLERK}
    assert guess(counter, good, actor=colleague) == "known"
    assert guess(counter, actor=colleague) == "sticker_code_unknown"
    assert guess(counter, good, office=other, actor=elsewhere) == "known"
    assert alerts() == [("many_unknown", counter.office.code)]


def test_what_an_office_is_refused_uses_up_nothing_of_the_others(
    counter: Counter, other: Office, new_clerk: NewClerk
) -> None:
    both = new_clerk(counter.office, other)
    guess(counter)  # by somebody else: the one guess that the clerks' counters hold in the end
    set_hits("code-office", PER_OFFICE)
    answers = {
        guess(counter, code, actor=both) for code in (codes.draw(), counter.new_code()) for _ in range(PER_CLERK)
    }
    assert answers == {"too_many_guesses"}
    assert hits() == {"code-clerk": 1, "code-office": PER_OFFICE + 2 * PER_CLERK, "code-overall": 1}
    assert guess(counter, office=other, actor=both) == "sticker_code_unknown"


def test_the_limit_of_all_offices_takes_many_accounts() -> None:
    assert (OVERALL // PER_CLERK, OVERALL // PER_OFFICE) == (30, 10)


def test_another_office_goes_on_while_one_is_stopped(counter: Counter, other: Office, new_clerk: NewClerk) -> None:
    colleague = new_clerk(other)
    guess(counter)
    set_hits("code-office", PER_OFFICE)
    assert guess(counter) == "too_many_guesses"
    assert guess(counter, office=other, actor=colleague) == "sticker_code_unknown"


def test_in_the_next_window_work_goes_on(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guessing, "WINDOW", WINDOW)
    now = utcnow()
    for _ in range(PER_CLERK + 1):
        guess(counter, now=now)
    assert guess(counter, now=now) == "too_many_guesses"
    assert guess(counter, counter.new_code(), now=window_end(WINDOW, now)) == "known"


def test_guesses_at_the_same_moment_are_counted_to_the_last_one(app: Flask, counter: Counter) -> None:
    good = counter.new_code()

    def one(_number: int) -> str:
        with app.app_context():
            try:
                return guess(counter)
            finally:
                db.session.remove()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, range(PER_CLERK + 20)))
    assert answers.count("sticker_code_unknown") == PER_CLERK
    assert answers.count("too_many_guesses") == 20
    assert guess(counter, good) == "too_many_guesses"


def without_tokens(text: str) -> str:
    return re.sub(r"/look/[\w-]+", "/look/…", re.sub(r'value="[^"]*"', 'value=""', text))


def test_at_the_till_a_stopped_clerk_sees_the_same_page_for_every_code(till: Browser, counter: Counter) -> None:
    good, bad = counter.new_code(), codes.draw()
    for _ in range(PER_CLERK):
        assert verdict_of(check(till, codes.draw())) == "unknown"
    answers = [check(till, code) for code in (good, bad)]
    assert {answer.status_code for answer in answers} == {429}
    assert len({without_tokens(answer.text) for answer in answers}) == 1
    assert "Please go on at" in answers[0].text
    assert int(answers[0].headers["Retry-After"]) > 0
    form = {"office": OWN, "nonce": "1"}
    pressed = [press(till, "hand-over", {**form, "code": code}) for code in (good, bad)]
    assert {answer.status_code for answer in pressed} == {429}
    assert counter.status(good) == "issued"


def test_unknown_codes_all_get_the_same_page(till: Browser, counter: Counter) -> None:
    pages = []
    for _ in range(2):
        code = codes.draw()
        pages.append(without_tokens(check(till, code).text).replace(codes.show(code), "code"))
    assert pages[0] == pages[1]


# --- alerts


def alerts() -> list[tuple[str, str]]:
    db.session.rollback()
    found = db.session.scalars(sa.select(CounterAlert).order_by(CounterAlert.id))
    return [(alert.kind, alert.office.code) for alert in found]


def test_many_unknown_codes_at_one_till_are_told_once(counter: Counter) -> None:
    for _ in range(ALERT_PER_CLERK - 1):
        guess(counter)
    assert alerts() == []
    for _ in range(5):
        guess(counter)
    assert alerts() == [("many_unknown", counter.office.code)]
    assert [each[1] for each in acts()].count("counter.alert_raised") == 1


def test_one_code_in_two_offices_is_told_once(counter: Counter, other: Office, new_clerk: NewClerk) -> None:
    colleague, code = new_clerk(other), counter.new_code()
    counter.fill(1, office=other)
    for _ in range(2):
        guess(counter, code)
    assert alerts() == []
    for _ in range(2):
        guess(counter, code, office=other, actor=colleague)
    guess(counter, code)
    assert alerts() == [("two_offices", other.code)]
    assert counter.house.count(CodeTry) == 2


def test_who_is_sent_on_from_an_empty_shelf_is_no_alert(counter: Counter, other: Office, new_clerk: NewClerk) -> None:
    colleague, code = new_clerk(other), counter.new_code()
    guess(counter, code, office=other, actor=colleague)
    guess(counter, code)
    assert alerts() == []


def test_a_code_shown_again_elsewhere_after_it_was_redeemed_is_told(
    counter: Counter, other: Office, new_clerk: NewClerk
) -> None:
    colleague, code = new_clerk(other), counter.new_code()
    guessing.redeem(code, office=counter.office, actor=counter.actor, nonce="1", now=utcnow())
    guess(counter, code, office=other, actor=colleague)
    assert alerts() == [("two_offices", other.code)]


def raise_one(counter: Counter) -> None:
    for _ in range(ALERT_PER_CLERK):
        guess(counter)


def letters() -> list[Mail | None]:
    db.session.rollback()
    return [alert_letter(each) for each in db.session.scalars(sa.select(CounterLetter.id)).all()]


def test_the_campaign_team_and_the_administrator_get_an_e_mail(app: Flask, counter: Counter) -> None:
    make_member("campaign@example.org", "campaign")
    make_member("admin@example.org", "admin")
    make_member("finance@example.org", "finance")
    raise_one(counter)
    assert counter.house.count(OutboxMessage, OutboxMessage.template == "counter_alert") == 2
    written = [letter for letter in letters() if letter]
    assert {letter.to for letter in written} == {"campaign@example.org", "admin@example.org"}
    assert "/staff/counter/alerts" in written[0].text
    assert counter.office.name["ru"] in written[0].text


def test_each_alert_is_written_in_the_language_of_who_reads_it(counter: Counter) -> None:
    for locale in ("be", "en"):
        email = make_member(f"{locale}@example.org", "campaign")
        with unit_of_work() as session:
            session.execute(sa.update(StaffMember).where(StaffMember.email == email).values(locale=locale))
    raise_one(counter)
    written = [letter for letter in letters() if letter]
    assert sorted((letter.to[:2], letter.language) for letter in written) == [("be", "be"), ("en", "en")]
    for letter in written:
        assert counter.office.name.in_locale(letter.language) in letter.text
    assert [letter.subject for letter in written if letter.language == "en"] == ["Many unknown codes at one till"]


def test_an_odd_name_of_an_office_stands_in_the_letter_as_it_is(counter: Counter) -> None:
    make_member("campaign@example.org", "campaign")
    with unit_of_work():
        db.session.get_one(Office, counter.office.id).name = Localized({"ru": ODD_NAME})
    raise_one(counter)
    [letter] = [each for each in letters() if each]
    assert ODD_NAME in letter.text
    assert str(escape(ODD_NAME)) in letter.html


def test_on_the_front_page_and_a_page_of_their_own_until_somebody_looks(app: Flask, counter: Counter) -> None:
    boss = Browser(app)
    boss.get("/staff/login?lang=en")
    boss.sign_in(make_member("campaign@example.org", "campaign"))
    assert "Alerts of the counters" not in boss.get("/staff").text
    raise_one(counter)
    assert "Alerts of the counters" in boss.get("/staff").text
    page = boss.get("/staff/counter/alerts").text
    assert (page.count('data-alert="many_unknown"'), counter.actor.email in page) == (1, True)
    [public_id] = db.session.scalars(sa.select(CounterAlert.public_id))
    for _ in range(2):
        assert boss.post(f"/staff/counter/alerts/{public_id}/seen").status_code == 303
    assert "Alerts of the counters" not in boss.get("/staff").text
    assert "campaign@example.org" in boss.get("/staff/counter/alerts").text
    assert [each for each in acts() if each[1] == "counter.alert_seen"] == [
        ("campaign@example.org", "counter.alert_seen", f"alert:{public_id}")
    ]
    assert letters() == [None], "what was looked into is mailed no more"


def test_an_alert_that_is_none_is_not_found(app: Flask, counter: Counter) -> None:
    boss = Browser(app)
    boss.sign_in(make_member("admin@example.org", "admin"))
    boss.get("/staff/counter/alerts")
    assert boss.post("/staff/counter/alerts/none/seen").status_code == 404


def test_a_clerk_does_not_see_alerts(till: Browser, counter: Counter) -> None:
    raise_one(counter)
    assert till.get("/staff/counter/alerts").status_code == 403
    assert counter.house.count(Redemption) == 0
