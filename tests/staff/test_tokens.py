"""Tokens for machines: one scope, one member, no way into the console, and gone the moment they should be."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.typing import ResponseReturnValue
from werkzeug.test import TestResponse

from core.clock import utcnow
from core.db import db, unit_of_work
from core.schemas import Blueprint
from staff import audit, errors, services, tokens
from staff.access import acting, allowed
from staff.models import ApiToken, AuditEntry, MemberRole
from tests.staff.console import COMMAND, Browser, make_member

Ask = Callable[..., TestResponse]
CLERK = "clerk@example.org"


def make_token(email: str, *scopes: str, label: str = "till", **more: Any) -> str:
    """The secret of a new token."""
    with unit_of_work():
        member = services.require_member(email)
        _, secret = tokens.make_token(member, label, scopes, more.get("expires_at"), now=utcnow(), **COMMAND)
    db.session.remove()
    return secret


@pytest.fixture
def probe(app: Flask) -> Ask:
    """Asks a view of the API that needs `codes:redeem` and records an act."""
    blueprint = Blueprint("probe", __name__, url_prefix="/api/v1")

    @blueprint.post("/probe")
    @allowed("office", "admin", scope="codes:redeem")
    @blueprint.response(200)
    def view() -> ResponseReturnValue:
        actor = acting()
        with unit_of_work():
            audit.record(actor.email, "probe.asked", "probe", now=utcnow(), address=actor.address)
        return {"who": actor.email, "token": actor.token, "roles": sorted(actor.roles)}

    app.extensions["api"].register_blueprint(blueprint)

    def ask(secret: str | None = None, *, address: str = "10.0.0.1", **options: Any) -> TestResponse:
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        environ = {"REMOTE_ADDR": address}
        return app.test_client().post("/api/v1/probe", headers=headers, environ_overrides=environ, **options)

    return ask


def refusal(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, (answer.json or {})["code"]


def stored() -> ApiToken:
    db.session.rollback()
    db.session.expire_all()
    return db.session.scalars(sa.select(ApiToken)).one()


def test_a_token_acts_for_its_member_and_the_audit_log_says_which(probe: Ask) -> None:
    secret = make_token(make_member(CLERK, "office"), "codes:redeem", label="till at the door")
    answer = probe(secret)
    assert answer.status_code == 200
    assert answer.json == {"who": CLERK, "token": f"{secret[:10]}… till at the door", "roles": ["office"]}
    entry = db.session.scalars(sa.select(AuditEntry).where(AuditEntry.action == "probe.asked")).one()
    assert (entry.actor, entry.via, entry.address) == (CLERK, f"{secret[:10]}… till at the door", "10.0.0.1")
    assert audit.verify()[1] == []


def test_acts_without_a_token_say_so(app: Flask) -> None:
    make_member(CLERK, "office")
    assert set(db.session.scalars(sa.select(AuditEntry.via))) == {None}


def test_a_secret_can_be_recognised_and_is_kept_nowhere(app: Flask) -> None:
    secret = make_token(make_member(CLERK, "office"), "codes:redeem")
    assert re.fullmatch(r"bfi_[A-Za-z0-9_-]{43}", secret)
    rows = [*db.session.execute(sa.select(ApiToken.__table__)), *db.session.execute(sa.select(AuditEntry.__table__))]
    assert secret not in str(rows)
    assert stored().hint == secret[:10]


def test_two_secrets_differ(app: Flask) -> None:
    email = make_member(CLERK, "office")
    assert make_token(email, "codes:redeem", label="a") != make_token(email, "codes:redeem", label="b")


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic dXNlcjpwYXNz",
        "Bearer bfi_",
        f"Bearer bfi_{'A' * 43}",
        "Bearer \xe9\xff",
        "bfi_x",
    ],
)
def test_what_is_no_token_is_refused_in_one_way(app: Flask, probe: Ask, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = app.test_client().post("/api/v1/probe", headers=headers)
    assert refusal(answer) == (401, "token_invalid")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    assert answer.mimetype == "application/json"


def expire(token: ApiToken) -> None:
    token.created_at, token.expires_at = utcnow() - timedelta(days=2), utcnow() - timedelta(seconds=1)


def revoke(token: ApiToken) -> None:
    tokens.revoke_token(token.id, owner=None, now=utcnow(), **COMMAND)


def disable(token: ApiToken) -> None:
    services.set_active(CLERK, False, now=utcnow(), **COMMAND)


@pytest.mark.parametrize("end", [expire, revoke, disable])
def test_a_token_that_ended_is_answered_like_an_unknown_one(probe: Ask, end: Callable[[ApiToken], None]) -> None:
    secret = make_token(make_member(CLERK, "office"), "codes:redeem")
    unknown = probe(f"bfi_{'A' * 43}")
    assert probe(secret).status_code == 200
    with unit_of_work():
        end(stored_now())
    db.session.remove()
    ended = probe(secret)
    assert refusal(ended) == (401, "token_invalid")
    assert (ended.json, ended.headers["WWW-Authenticate"]) == (unknown.json, unknown.headers["WWW-Authenticate"])


def stored_now() -> ApiToken:
    return db.session.scalars(sa.select(ApiToken)).one()


def test_who_is_enabled_again_makes_new_tokens(probe: Ask) -> None:
    secret = make_token(make_member(CLERK, "office"), "codes:redeem")
    for active in (False, True):
        with unit_of_work():
            services.set_active(CLERK, active, now=utcnow(), **COMMAND)
        db.session.remove()
    assert refusal(probe(secret)) == (401, "token_invalid")
    assert stored().revoked_at is not None


def test_a_token_of_another_scope_is_told_which_one_it_lacks(probe: Ask) -> None:
    answer = probe(make_token(make_member(CLERK, "office"), "stock:read", "stock:write"))
    assert refusal(answer) == (403, "scope_missing")
    assert "codes:redeem" in (answer.json or {})["message"]
    assert 'error="insufficient_scope", scope="codes:redeem"' in answer.headers["WWW-Authenticate"]


def test_a_member_who_lost_the_role_takes_the_token_along(probe: Ask) -> None:
    secret = make_token(make_member(CLERK, "campaign"), "codes:redeem")
    assert refusal(probe(secret)) == (403, "forbidden")


def change_roles(*roles: str) -> None:
    with unit_of_work():
        services.edit_member(CLERK, name="Clerk", roles=roles, now=utcnow(), **COMMAND)
    db.session.remove()


def test_other_roles_end_the_tokens_and_a_new_name_does_not(probe: Ask) -> None:
    secret = make_token(make_member(CLERK, "office"), "codes:redeem")
    change_roles("office")
    assert probe(secret).status_code == 200
    change_roles("office", "admin")
    assert refusal(probe(secret)) == (401, "token_invalid")
    ended = db.session.scalars(sa.select(AuditEntry).where(AuditEntry.action == "token.revoked")).one()
    assert (ended.actor, ended.subject) == ("command line", f"staff:{CLERK}")
    assert stored().revoked_at is not None


def test_a_token_is_made_by_the_roles_of_that_moment(app: Flask) -> None:
    make_member(CLERK, "office")
    with pytest.raises(errors.ScopeNotYours), unit_of_work() as session:
        member = services.require_member(CLERK)
        assert member.role_names() == {"office"}
        others = sa.update(MemberRole).values(name="finance")  # as another process does, while the form is sent
        session.execute(others.execution_options(synchronize_session=False))
        tokens.make_token(member, "till", ["codes:redeem"], None, now=utcnow(), **COMMAND)


def give_app(secret: str) -> None:
    with unit_of_work():
        member = services.require_member(CLERK)
        member.totp_secret, member.totp_since = secret, utcnow()
    db.session.remove()


def test_a_token_opens_nothing_while_its_member_lacks_the_second_factor_that_must_be(app: Flask, probe: Ask) -> None:
    secret = make_token(make_member(CLERK, "admin"), "codes:redeem")
    app.config["STAFF_SECOND_FACTOR"] = True
    assert refusal(probe(secret)) == (401, "token_invalid")
    give_app("kept elsewhere")
    assert probe(secret).status_code == 200


def test_a_reset_second_factor_ends_the_tokens(app: Flask, probe: Ask) -> None:
    secret = make_token(make_member(CLERK, "admin"), "codes:redeem")
    give_app("kept elsewhere")
    with unit_of_work():
        services.reset_second_factor(CLERK, now=utcnow(), **COMMAND)
    db.session.remove()
    give_app("a new one")
    assert refusal(probe(secret)) == (401, "token_invalid")


def test_a_session_does_not_open_the_api(app: Flask, probe: Ask) -> None:
    browser = Browser(app)
    browser.sign_in(make_member("admin@example.org", "admin"))
    browser.get("/staff")
    answer = browser.post("/api/v1/probe")
    assert refusal(answer) == (401, "token_invalid")


def test_a_token_does_not_open_the_console(app: Flask, probe: Ask) -> None:
    secret = make_token(make_member("admin@example.org", "admin"), "codes:redeem")
    answer = app.test_client().get("/staff", headers={"Authorization": f"Bearer {secret}"})
    assert (answer.status_code, answer.location) == (303, "/staff/login")


def test_a_view_of_the_api_without_a_scope_is_for_nobody(app: Flask, probe: Ask) -> None:
    app.add_url_rule("/api/v1/forgotten", "forgotten", allowed("admin")(lambda: "secret"))
    app.add_url_rule("/staff/odd", "odd", allowed("admin", scope="codes:redeem")(lambda: "secret"))
    secret = make_token(make_member("admin@example.org", "admin"), "codes:redeem")
    browser = Browser(app)
    browser.sign_in("admin@example.org")
    for path in ("/api/v1/forgotten", "/staff/odd"):
        assert browser.get(path).status_code == 403
        assert app.test_client().get(path, headers={"Authorization": f"Bearer {secret}"}).status_code == 403


def test_use_is_noted_once_a_minute(app: Flask, probe: Ask) -> None:
    secret = make_token(make_member(CLERK, "office"), "codes:redeem")
    assert stored().last_used_at is None
    probe(secret)
    first = stored().last_used_at
    assert first is not None
    probe(secret)
    assert stored().last_used_at == first
    with unit_of_work() as session:
        session.execute(sa.update(ApiToken).values(last_used_at=first - timedelta(seconds=61)))
    probe(secret)
    assert (stored().last_used_at or first) > first


def test_who_guesses_on_and_on_is_told_to_wait_and_no_other_address_is(probe: Ask) -> None:
    secret = make_token(make_member(CLERK, "office"), "codes:redeem")
    for number in range(tokens.GUESSES):
        assert probe(f"bfi_{number:043}").status_code == 401
    assert refusal(probe(f"bfi_{'B' * 43}")) == (429, "too_many_requests")
    assert probe(f"bfi_{'B' * 43}", address="10.0.0.2").status_code == 401
    assert probe(secret).status_code == 200  # a broken machine in the same house stops no other


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"label": "  "}, errors.LabelNeeded),
        ({"label": "x" * 81}, errors.LabelNeeded),
        ({"label": "a\nb\x00"}, errors.LabelNeeded),
        ({"scopes": []}, errors.ScopeUnknown),
        ({"scopes": ["codes:redeem", "all"]}, errors.ScopeUnknown),
        ({"scopes": ["finance:read"]}, errors.ScopeNotYours),
        ({"expires_at": utcnow() - timedelta(minutes=1)}, errors.ExpiryPast),
        ({"label": "TAKEN"}, errors.LabelTaken),
    ],
)
def test_mistakes_are_told_and_make_nothing(app: Flask, changes: dict[str, Any], refused: type[Exception]) -> None:
    make_token(make_member(CLERK, "office"), "codes:redeem", label="TAKEN")
    values = {"label": "new", "scopes": ["codes:redeem"], "expires_at": None, **changes}
    with pytest.raises(refused), unit_of_work():
        tokens.make_token(services.require_member(CLERK), **values, now=utcnow(), **COMMAND)
    assert stored().label == "TAKEN"


def test_a_label_is_free_again_once_its_token_is_revoked(app: Flask) -> None:
    make_token(make_member(CLERK, "office"), "codes:redeem")
    with unit_of_work():
        revoke(stored_now())
    make_token(CLERK, "codes:redeem")
    assert len(list(db.session.scalars(sa.select(ApiToken)))) == 2


def test_only_the_owner_or_an_admin_revokes_and_once_is_enough(app: Flask) -> None:
    make_token(make_member(CLERK, "office"), "codes:redeem")
    token = stored_now()
    with pytest.raises(errors.NoSuchToken), unit_of_work():
        tokens.revoke_token(token.id, owner=token.member_id + 1, now=utcnow(), **COMMAND)
    for _ in range(2):
        with unit_of_work():
            tokens.revoke_token(token.id, owner=token.member_id, now=utcnow(), **COMMAND)
    acts = list(db.session.scalars(sa.select(AuditEntry.action).where(AuditEntry.action.startswith("token."))))
    assert acts == ["token.made", "token.revoked"]


def test_the_description_of_the_api_says_what_token_is_needed(app: Flask, probe: Ask) -> None:
    spec = app.extensions["api"].spec.to_dict()
    assert spec["components"]["securitySchemes"]["staffToken"]["scheme"] == "bearer"
    operation = spec["paths"]["/api/v1/probe"]["post"]
    assert operation["security"] == [{"staffToken": []}]
    assert operation["x-scope"] == "codes:redeem"
    assert operation["responses"]["401"] == {"$ref": "#/components/responses/UNAUTHORIZED"}
    assert "security" not in spec["paths"]["/api/v1/donations"]["post"]


def test_scopes_are_spelled_right() -> None:
    with pytest.raises(ValueError, match="scopes are"):
        allowed("office", scope="codes:reedem")
