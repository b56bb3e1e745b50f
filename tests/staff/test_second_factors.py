"""The second step of signing in: an authenticator app, recovery codes, and who must have one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import IntegrityError

import config
from app import create_app
from core.clock import utcnow
from core.db import db, unit_of_work
from staff import errors, guesses, second_factors, services
from staff.access import roles_of
from staff.models import ROLES, AuditEntry, RecoveryCode, StaffMember
from tests.staff.console import COMMAND, PASSWORD, Browser, make_member
from tests.staff.factors import APP, RECOVERY, SECRET, code, set_up_app

PAGE = "/staff/account/second-factors"
SECOND = "/staff/login/second"
SignedIn = Callable[..., Browser]


@pytest.fixture
def strict(app: Flask) -> Flask:
    """As in production: finance and administration need a second factor."""
    app.config["STAFF_SECOND_FACTOR"] = True
    return app


def acts(subject: str = "") -> list[str]:
    db.session.rollback()
    query = sa.select(AuditEntry.action).order_by(AuditEntry.number)
    return list(db.session.scalars(query.where(AuditEntry.subject == f"staff:{subject}") if subject else query))


def letters_to(app: Flask) -> list[str]:
    """Kinds of the letters that the worker sent."""
    db.session.remove()
    while app.extensions["jobs"].run_queued():
        pass
    db.session.remove()
    return sorted(path.name.rpartition("-")[0] for path in (Path(app.config["INSTANCE_DIR"]) / "mail").glob("*.eml"))


def member(email: str) -> StaffMember:
    db.session.rollback()
    db.session.expire_all()
    return services.require_member(email)


def test_the_app_is_asked_for_after_the_password(app: Flask, signed_in: SignedIn) -> None:
    secret, codes = set_up_app(signed_in("office"))
    assert len(set(codes)) == second_factors.RECOVERY_CODES
    browser = Browser(app)
    answer = browser.sign_in("office@example.org", next="/staff/account")
    assert (answer.status_code, answer.location) == (303, SECOND)
    assert not browser.is_signed_in()
    browser.get(SECOND)
    answer = browser.post(SECOND, {"code": code(secret, steps=1)})
    assert (answer.status_code, answer.location) == (303, "/staff/account")
    assert browser.get("/staff/account").status_code == 200
    assert acts("office@example.org")[-1] == "staff.signed_in"
    entry = db.session.scalars(sa.select(AuditEntry).order_by(AuditEntry.number.desc())).first()
    assert entry is not None
    assert entry.after == {"by": "password+app"}


def test_a_code_is_taken_once(app: Flask, signed_in: SignedIn) -> None:
    secret, _codes = set_up_app(signed_in("office"))
    used = code(secret, steps=1)
    for expected in (303, 422):
        browser = Browser(app)
        browser.sign_in("office@example.org")
        browser.get(SECOND)
        assert browser.post(SECOND, {"code": used}).status_code == expected
    assert not browser.is_signed_in()
    browser.get(SECOND)
    assert browser.post(SECOND, {"code": code(secret)}).status_code == 422  # nor one from before


def test_a_wrong_code_opens_nothing_and_is_told(app: Flask, signed_in: SignedIn) -> None:
    secret, _codes = set_up_app(signed_in("office"))
    browser = Browser(app)
    browser.sign_in("office@example.org")
    browser.get(SECOND)
    of_long_ago = code(secret, steps=-100)
    for typed in (of_long_ago, "", "12345", "abcdef", "\u0661" * 6, "0" * 3000, "\0"):
        answer = browser.post(SECOND, {"code": typed})
        assert answer.status_code == 422
        assert 'id="code-error"' in answer.text
    assert not browser.is_signed_in()


def test_who_guesses_codes_is_locked_out_and_told_until_when(app: Flask, signed_in: SignedIn) -> None:
    secret, codes = set_up_app(signed_in("office"))
    browser = Browser(app)
    browser.sign_in("office@example.org")
    browser.get(SECOND)
    statuses = [browser.post(SECOND, {"code": "000000"}).status_code for _ in range(guesses.CODES)]
    assert set(statuses) == {422}
    answer = browser.post(SECOND, {"code": code(secret, steps=1)})
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 15 * 60 + 1
    assert acts("office@example.org").count("staff.locked_out") == 1
    other = Browser(app, address="10.9.9.9")
    other.sign_in("office@example.org")
    other.get(SECOND)
    assert other.post(SECOND, {"code": code(secret, steps=1)}).status_code == 429
    other.get(SECOND)  # the owner is not shut out by who guesses
    assert other.post(SECOND, {"recovery": codes[0]}).status_code == 303


def test_who_guesses_recovery_codes_is_locked_out_of_those(app: Flask, signed_in: SignedIn) -> None:
    secret, codes = set_up_app(signed_in("office"))
    browser = Browser(app)
    browser.sign_in("office@example.org")
    browser.get(SECOND)
    guessed = [browser.post(SECOND, {"recovery": "AAAA-AAAA-AAAA-AAAA"}) for _ in range(guesses.CODES)]
    assert {answer.status_code for answer in guessed} == {422}
    assert browser.post(SECOND, {"recovery": codes[0]}).status_code == 429
    browser.get(SECOND)
    assert browser.post(SECOND, {"code": code(secret, steps=1)}).status_code == 303


def test_a_recovery_code_lets_in_once_however_it_is_typed(app: Flask, signed_in: SignedIn) -> None:
    _secret, codes = set_up_app(signed_in("office"))
    stored = set(db.session.scalars(sa.select(RecoveryCode.code_hash)))
    assert len(stored) == len(codes)
    assert not stored & {each.replace("-", "") for each in codes}
    for expected in (303, 422):
        browser = Browser(app)
        browser.sign_in("office@example.org")
        browser.get(SECOND)
        typed = f" {codes[3].lower().replace('-', ' ').replace('o', '0')} "
        assert browser.post(SECOND, {"recovery": typed}).status_code == expected
    assert second_factors.recovery_codes_left(member("office@example.org")) == len(codes) - 1


def test_new_recovery_codes_make_the_old_ones_worthless(app: Flask, signed_in: SignedIn) -> None:
    browser = signed_in("office")
    _secret, old = set_up_app(browser)
    browser.get(PAGE)
    new = RECOVERY.findall(browser.post(f"{PAGE}/recovery-codes").text)
    assert len(new) == len(old)
    for typed, expected in ((old[0], 422), (new[0], 303)):
        other = Browser(app)
        other.sign_in("office@example.org")
        other.get(SECOND)
        assert other.post(SECOND, {"recovery": typed}).status_code == expected
    assert "staff.recovery_codes_made" in acts("office@example.org")


def test_half_a_sign_in_opens_nothing_and_does_not_last(
    app: Flask, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, _codes = set_up_app(signed_in("office"))
    browser = Browser(app)
    browser.sign_in("office@example.org")
    for path in ("/staff", "/staff/account", PAGE, APP, "/staff/password", "/staff/confirm"):
        assert browser.get(path).status_code == 303
        assert "/staff/login" in browser.get(path).location
    later = utcnow().timestamp() + 11 * 60
    browser.get(SECOND)
    monkeypatch.setattr("staff.second_step.time.time", lambda: later)
    answer = browser.post(SECOND, {"code": code(secret)})
    assert (answer.status_code, answer.location) == (303, "/staff/login")


def test_a_second_step_without_a_first_leads_to_the_sign_in_page(browser: Browser) -> None:
    browser.get("/staff/login")
    for answer in (browser.get(SECOND), browser.post(SECOND, {"code": "123456"})):
        assert (answer.status_code, answer.location) == (303, "/staff/login")


def test_half_a_sign_in_ends_with_the_account(app: Flask, signed_in: SignedIn) -> None:
    secret, _codes = set_up_app(signed_in("office"))
    browser = Browser(app)
    browser.sign_in("office@example.org")
    browser.get(SECOND)
    with unit_of_work():
        services.set_active("office@example.org", False, now=utcnow(), **COMMAND)
    assert browser.post(SECOND, {"code": code(secret, steps=1)}).location == "/staff/login"


def test_nothing_planted_survives_the_second_step(app: Flask, signed_in: SignedIn) -> None:
    secret, _codes = set_up_app(signed_in("office"))
    browser, attacker = Browser(app), Browser(app)
    attacker.get("/staff/login")
    planted = attacker.client.get_cookie("session")
    assert planted is not None
    browser.client.set_cookie("session", planted.value)
    browser.sign_in("office@example.org")
    browser.get(SECOND)
    half = browser.client.get_cookie("session")
    assert half is not None
    assert browser.post(SECOND, {"code": code(secret, steps=1)}).status_code == 303
    assert browser.is_signed_in()
    assert not attacker.is_signed_in()
    attacker.client.set_cookie("session", half.value)
    assert not attacker.is_signed_in()


def test_setting_up_ends_other_sessions_and_is_told_by_letter(app: Flask, signed_in: SignedIn) -> None:
    browser, phone = signed_in("office"), Browser(app)
    phone.sign_in("office@example.org")
    set_up_app(browser)
    assert browser.is_signed_in()
    assert not phone.is_signed_in()
    assert letters_to(app) == ["staff.factor_added"]
    assert "staff.second_factor_added" in acts("office@example.org")


def test_an_app_is_switched_on_only_when_its_code_is_right(app: Flask, signed_in: SignedIn) -> None:
    browser = signed_in("office")
    found = SECRET.search(browser.get(APP).text)
    answer = browser.post(APP, {"code": "000000"})
    assert answer.status_code == 422
    assert found is not None
    assert found[1] in answer.text  # the same secret: the app need not be set up anew
    assert member("office@example.org").totp_secret is None
    assert browser.post(APP, {"code": code(found[1])}).status_code == 200
    stored = member("office@example.org").totp_secret
    assert stored is not None
    assert found[1].replace(" ", "") not in stored
    assert browser.post(APP, {"code": code(found[1], steps=1)}).status_code == 409  # sent again


def test_factors_are_changed_only_after_a_fresh_password(
    app: Flask, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = signed_in("office")
    secret, _codes = set_up_app(browser)
    later = utcnow().timestamp() + 16 * 60
    monkeypatch.setattr("staff.access.time.time", lambda: later)
    assert browser.get(APP).location == f"/staff/confirm?next={APP}"
    browser.get(PAGE)
    for path in (f"{PAGE}/app/remove", f"{PAGE}/recovery-codes", "/staff/account/email", f"{PAGE}/passkey"):
        assert browser.post(path).location.startswith("/staff/confirm"), path
    assert member("office@example.org").totp_secret is not None
    browser.get(f"/staff/confirm?next={PAGE}")
    assert browser.post("/staff/confirm", {"password": "wrong", "next": PAGE}).status_code == 200
    answer = browser.post("/staff/confirm", {"password": PASSWORD, "next": PAGE})
    assert (answer.status_code, answer.location) == (302, PAGE)
    browser.get(PAGE)
    assert browser.post(f"{PAGE}/app/remove").status_code == 303
    assert member("office@example.org").totp_secret is None
    assert not member("office@example.org").has_second_factor
    assert db.session.scalar(sa.select(sa.func.count()).select_from(RecoveryCode)) == 0
    assert secret


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/c/x", "/\\evil.example"])
def test_confirming_leads_nowhere_but_into_the_console(signed_in: SignedIn, target: str) -> None:
    browser = signed_in("office")
    browser.get("/staff/confirm")
    answer = browser.post("/staff/confirm", {"password": PASSWORD, "next": target})
    assert answer.status_code == 200
    answer = browser.post("/staff/confirm/passkey", {"credential": "{}", "next": target})
    assert "evil" not in answer.location


def test_confirming_is_throttled_as_signing_in_is(app: Flask, signed_in: SignedIn) -> None:
    browser = signed_in("office")
    browser.get("/staff/confirm")
    right = [browser.post("/staff/confirm", {"password": PASSWORD}).status_code for _ in range(guesses.PER_PAIR + 2)]
    assert set(right) == {302}
    wrong = [browser.post("/staff/confirm", {"password": "guess"}).status_code for _ in range(guesses.PER_PAIR + 1)]
    assert wrong == [200] * guesses.PER_PAIR + [429]


@pytest.mark.parametrize("role", ROLES)
def test_finance_and_administration_must_set_up_a_second_factor(strict: Flask, signed_in: SignedIn, role: str) -> None:
    browser = signed_in(role)
    needed = role in ("finance", "admin")
    answer = browser.get("/staff")
    assert (answer.status_code, answer.location) == ((303, PAGE) if needed else (200, None))
    if not needed:
        return
    page = browser.get(PAGE)
    assert page.status_code == 200
    assert 'class="console-menu"' not in page.text
    reached = {
        rule.rule
        for rule in strict.url_map.iter_rules()
        for method in sorted((rule.methods or set()) & {"GET", "POST"})
        if rule.rule.startswith("/staff") and not rule.arguments and rule.endpoint != "security.logout"
        if (browser.post if method == "POST" else browser.get)(rule.rule).location != PAGE
        and role in roles_of(strict, rule.endpoint)
    }
    setting_up = {PAGE, APP, f"{PAGE}/passkey", f"{PAGE}/passkey/challenge"}
    assert reached == setting_up | {"/staff/confirm", "/staff/confirm/passkey", "/staff/confirm/passkey/challenge"}
    browser.get(PAGE)
    set_up_app(browser)
    assert browser.get("/staff").status_code == 200
    browser.get(PAGE)
    assert browser.post(f"{PAGE}/app/remove").status_code == 409
    assert member(f"{role}@example.org").totp_secret is not None


def test_a_role_that_needs_it_counts_at_once(strict: Flask, signed_in: SignedIn) -> None:
    browser = signed_in("office")
    assert browser.get("/staff").status_code == 200
    with unit_of_work():
        services.edit_member("office@example.org", name="X", roles=["office", "finance"], now=utcnow(), **COMMAND)
    assert browser.get("/staff").location == PAGE


def test_who_must_set_up_may_sign_out(strict: Flask, signed_in: SignedIn) -> None:
    browser = signed_in("finance")
    browser.get(PAGE)
    assert browser.post("/staff/logout").location == "/staff/login"


def test_it_is_required_in_production_only_unless_said_otherwise() -> None:
    production = {
        "APP_ENV": "production",
        "SECRET_KEY": "s" * 40,
        "PUBLIC_URL": "https://give.example.by",
        "STRIPE_API_KEY": "sk_live_x",
        "STRIPE_WEBHOOK_SECRETS": "whsec_x",
        "TRUSTED_PROXIES": "1",
        "MAIL_FROM": "give@example.by",
    }
    assert config.load(production)["STAFF_SECOND_FACTOR"] is True
    assert config.load({**production, "STAFF_SECOND_FACTOR": "optional"})["STAFF_SECOND_FACTOR"] is False
    assert config.load({})["STAFF_SECOND_FACTOR"] is False
    assert config.load({"STAFF_SECOND_FACTOR": "required"})["STAFF_SECOND_FACTOR"] is True
    with pytest.raises(config.ConfigError, match="STAFF_TOTP_KEYS"):
        config.load({**production, "STAFF_TOTP_KEYS": "short"})
    with pytest.raises(config.ConfigError, match="STAFF_SECOND_FACTOR"):
        config.load({"STAFF_SECOND_FACTOR": "maybe"})


def test_an_admin_resets_what_was_lost(app: Flask, signed_in: SignedIn) -> None:
    browser = signed_in("office")
    set_up_app(browser)
    with unit_of_work():
        services.reset_second_factor("office@example.org", now=utcnow(), **COMMAND)
    assert not browser.is_signed_in()
    assert not member("office@example.org").has_second_factor
    assert db.session.scalar(sa.select(sa.func.count()).select_from(RecoveryCode)) == 0
    assert "staff.factors_reset" in letters_to(app)
    assert acts("office@example.org")[-1] == "staff.second_factor_reset"
    assert browser.sign_in("office@example.org").status_code == 302
    with pytest.raises(errors.NoSecondFactor), unit_of_work():
        services.reset_second_factor("office@example.org", now=utcnow(), **COMMAND)


def test_another_secret_key_still_opens_app_secrets_when_the_old_one_is_named(
    app: Flask, settings: dict[str, Any], signed_in: SignedIn
) -> None:
    secret, _codes = set_up_app(signed_in("office"))
    rotated = create_app({**settings, "SECRET_KEY": "n" * 40, "STAFF_TOTP_KEYS": ["n" * 40, settings["SECRET_KEY"]]})
    lost = create_app({**settings, "SECRET_KEY": "n" * 40, "STAFF_TOTP_KEYS": ["n" * 40]})
    for other, right in ((lost, False), (rotated, True)):
        with other.app_context():
            with unit_of_work():
                try:
                    found = services.require_member("office@example.org")
                    second_factors.take_app_code(found, code(secret, steps=1), utcnow())
                    assert right
                except errors.WrongCode:
                    assert not right
            db.session.remove()
            db.engine.dispose()


def test_the_database_keeps_app_and_invitation_consistent(app: Flask) -> None:
    make_member("office@example.org", "office")
    for values in ({"totp_secret": "x"}, {"totp_since": utcnow()}, {"invited": True}, {"locale": "de"}):
        with pytest.raises(IntegrityError), unit_of_work() as session:
            session.execute(sa.update(StaffMember).values(**values))
