"""The campaign team makes and edits campaigns, their resources, and what gifts earn."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from core.db import db
from donations.backoffice.resources import is_safe
from donations.models import Campaign, CampaignResource
from ops.demo import SLUG
from staff.models import AuditEntry
from stickers.models import RedemptionCode, StickerRule
from tests.console.filled import error_of, fields_of, form_at
from tests.house import House
from tests.staff.console import Browser

AtConsole = Callable[..., Browser]
NEW, PAGE = "/staff/campaigns/new", f"/staff/campaigns/{SLUG}"
RULES, RESOURCES = f"{PAGE}/rules", f"{PAGE}/resources"
TYPED = {
    "slug": "Calm-Chats",
    "title_ru": "Спокойные чаты",
    "title_en": "Calm chats",
    "lead_ru": "Слова\r\nважны.",
    "designation_ru": "обучение",
    "goal": "1 000,50",
    "min": "5",
    "max": "300",
    "suggested0": "50",
    "suggested1": "10,5",
    "use0_title_ru": "Учим",
    "use0_text_ru": "Учителей",
    "fund_code": "calm",
    "fund_name_ru": "Спокойствие",
    "opens_at": "2026-03-01T09:00",
}

FAULTS = [
    ("slug", "кампания", "Latin letters"),
    ("slug", "new", "Latin letters"),
    ("slug", SLUG, "Another campaign has this address"),
    ("title_ru", " ", "Russian text"),
    ("lead_be", "я" * 401, "At most 400"),
    ("designation_en", "a\u202eb", "invisible control"),
    ("currency", "XXQ", "three letters"),
    ("goal", "1e3", "in figures"),
    ("goal", "0", "more than zero"),
    ("min", "10.555", "more decimals"),
    ("max", "1", "below the smallest"),
    ("suggested1", "301", "between the smallest"),
    ("fees_borne_by", "donor", "one of the list"),
    ("fund", "nothing", "one of the list"),
    ("fund_code", "specialists", "Another fund has this code"),
    ("zone", "Mars/Base", "time zone"),
    ("closes_at", "2026-02-01T10:00", "after the beginning"),
    ("collect_until", "tomorrow", "day and time"),
    ("use0_title_ru", "", "Russian text"),
]

RULE_FAULTS = [
    ("from", "1 000", "Nobody can give as much"),
    ("from", "10", "already"),
    ("from", "-5", "in figures"),
    ("pack", "nothing", "one of the list"),
    ("quantity", "0", "from 1 to 10"),
    ("quantity", "2.5", "from 1 to 10"),
]


def campaign(slug: str = SLUG) -> Campaign:
    db.session.rollback()
    db.session.expire_all()
    return db.session.scalars(sa.select(Campaign).where(Campaign.slug == slug)).one()


def last_act() -> tuple[str, str, Any, Any]:
    db.session.rollback()
    entry = db.session.scalars(sa.select(AuditEntry).order_by(AuditEntry.number.desc()).limit(1)).one()
    return entry.action, entry.subject, entry.before, entry.after


def test_a_campaign_is_made_by_its_form_with_a_fund_of_its_own(at_console: AtConsole) -> None:
    browser = at_console("campaign")
    answer = browser.post(NEW, {**form_at(browser, NEW), **TYPED})
    assert (answer.status_code, answer.location) == (303, "/staff/campaigns/calm-chats")
    made = campaign("calm-chats")
    assert (made.title, made.lead["ru"]) == ({"ru": "Спокойные чаты", "en": "Calm chats"}, "Слова важны.")
    assert (made.goal_minor, made.min_minor, made.max_minor, made.suggested_minor) == (100050, 500, 30000, [1050, 5000])
    assert made.uses == [{"title": {"ru": "Учим"}, "text": {"ru": "Учителей"}}]
    assert (made.fund.code, made.fund.currency, made.partners) == ("calm", "BYN", None)
    assert made.opens_at is not None
    assert made.opens_at.isoformat() == "2026-03-01T06:00:00+00:00"
    action, subject, before, after = last_act()
    assert (action, subject, before, after["goal"]) == ("campaign.made", "campaign:calm-chats", None, "1000.50")
    assert browser.get("/c/calm-chats").status_code == 200
    assert "Calm chats" in browser.get("/staff/campaigns?q=calm").text
    assert "No campaign is called like this" in browser.get("/staff/campaigns?q=nothing-such").text


def test_editing_one_text_records_what_it_was_and_touches_nothing_else(at_console: AtConsole) -> None:
    browser, old = at_console("admin"), campaign()
    kept = old.uses, old.suggested_minor, old.opens_at, old.fund_id
    answer = browser.post(PAGE, {**form_at(browser, PAGE), "lead_en": "Words matter."})
    assert answer.status_code == 303
    assert "Saved." in browser.get(PAGE).text
    new = campaign()
    assert new.lead["en"] == "Words matter."
    assert (new.uses, new.suggested_minor, new.opens_at, new.fund_id) == kept
    action, _subject, before, after = last_act()
    assert (action, list(before), after) == ("campaign.changed", ["lead_en"], {"lead_en": "Words matter."})


def test_saving_without_a_change_records_nothing(at_console: AtConsole) -> None:
    browser = at_console("campaign")
    before = last_act()
    assert browser.post(PAGE, form_at(browser, PAGE)).status_code == 303
    assert last_act() == before


def test_what_is_refused_stands_at_its_field_and_nothing_typed_is_lost(at_console: AtConsole) -> None:
    browser = at_console("campaign")
    empty = form_at(browser, NEW)
    for field, typed, says in FAULTS:
        sent = {**empty, **TYPED, field: typed}
        answer = browser.post(NEW, sent)
        assert answer.status_code in (409, 422), (field, typed)
        assert says in error_of(answer, field), (field, typed)
        shown = fields_of(answer, NEW)
        options = {"fees_borne_by", "fund"}  # a choice that does not exist cannot be shown as chosen
        for name in set(TYPED) | {field} - options:
            assert " ".join(shown[name].split()) == " ".join(sent[name].split()), (field, typed, name)
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Campaign)) == 1


def test_parts_are_added_and_removed_without_saving_or_losing_anything(at_console: AtConsole) -> None:
    browser = at_console("campaign")
    shown = form_at(browser, PAGE)
    more = fields_of(browser.post(PAGE, {**shown, "title_ru": "Другое", "shape": "add"}), PAGE)
    assert (more["uses"], more["use3_title_ru"], more["title_ru"]) == ("4", "", "Другое")
    fewer = fields_of(browser.post(PAGE, {**more, "shape": "remove:0"}), PAGE)
    assert (fewer["uses"], fewer["use0_title_ru"]) == ("3", shown["use1_title_ru"])
    assert len(campaign().uses) == 3
    assert browser.post(PAGE, fewer).status_code == 303
    assert [use["title"]["ru"] for use in campaign().uses] == [shown["use1_title_ru"], shown["use2_title_ru"]]


def test_of_two_editors_the_second_is_told_and_saves_knowingly(at_console: AtConsole) -> None:
    first, second = at_console("campaign"), at_console("admin")
    mine, theirs = form_at(first, PAGE), form_at(second, PAGE)
    assert first.post(PAGE, {**mine, "goal": "70000"}).status_code == 303
    answer = second.post(PAGE, {**theirs, "title_en": "Kind net"})
    assert answer.status_code == 409
    assert "Somebody else has changed this" in answer.text
    assert error_of(answer, "goal") == "Stored now: 70000"
    shown = fields_of(answer, PAGE)
    assert (shown["title_en"], shown["goal"]) == ("Kind net", "50000")
    assert (campaign().goal_minor, campaign().title["en"]) == (70_000_00, "A bullying-free internet")
    assert second.post(PAGE, {**shown, "goal": "70000"}).status_code == 303
    assert (campaign().goal_minor, campaign().title["en"]) == (70_000_00, "Kind net")


def test_of_many_editors_at_one_instant_one_saves(at_console: AtConsole) -> None:
    browsers = [at_console(role) for role in ("campaign", "admin")]
    forms = [{**form_at(browser, PAGE), "goal": f"{place}0000"} for place, browser in enumerate(browsers, start=6)]
    start = threading.Barrier(len(browsers))

    def press(browser: Browser, form: dict[str, str]) -> int:
        start.wait(30)
        return browser.post(PAGE, form).status_code

    with ThreadPoolExecutor(len(browsers)) as pool:
        answers = list(pool.map(press, browsers, forms))
    assert sorted(answers) == [303, 409]
    assert campaign().goal_minor == (60_000_00, 70_000_00)[answers.index(303)]
    db.session.rollback()
    changes = sa.select(sa.func.count()).where(AuditEntry.action == "campaign.changed")
    assert db.session.scalar(changes) == 1


def test_a_refusal_does_not_hide_the_change_of_another_editor(at_console: AtConsole) -> None:
    first, second = at_console("campaign"), at_console("admin")
    mine = form_at(first, PAGE)
    refused = first.post(PAGE, {**mine, "goal": "much"})
    assert refused.status_code == 422
    second.post(PAGE, {**form_at(second, PAGE), "lead_en": "Theirs"})
    assert first.post(PAGE, {**fields_of(refused, PAGE), "goal": "60000"}).status_code == 409
    assert campaign().lead["en"] == "Theirs"


def test_address_currency_fund_and_zone_stay_once_people_gave(at_console: AtConsole, house: House) -> None:
    browser = at_console("campaign")
    opened = form_at(browser, PAGE)
    house.given(2500)
    answer = browser.post(PAGE, {**opened, "slug": "other", "currency": "EUR", "fund": "+", "fund_code": "x",
                                 "fund_name_ru": "Икс", "zone": "Europe/Warsaw"})  # fmt: skip
    assert answer.status_code == 422
    assert "stays as it is" in error_of(answer, "slug")
    assert "stays as it is" in error_of(answer, "currency")
    assert "stays as it is" in error_of(answer, "zone")
    alone = browser.post(PAGE, {**form_at(browser, PAGE), "zone": "Europe/Warsaw"})
    assert (alone.status_code, error_of(alone, "zone")) == (422, "People have given already: this stays as it is.")
    assert (campaign().currency, campaign().fund.code, campaign().zone) == ("BYN", "specialists", "Europe/Minsk")
    assert browser.post(PAGE, {**form_at(browser, PAGE), "goal": "60000"}).status_code == 303


def test_the_chosen_campaign_stands_at_the_front(at_console: AtConsole, app: Flask) -> None:
    browser = at_console("campaign")
    browser.post(NEW, {**form_at(browser, NEW), **TYPED})
    assert "A bullying-free internet" in app.test_client().get("/?lang=en").text
    form_at(browser, "/staff/campaigns/calm-chats", "/staff/campaigns/calm-chats/front")
    assert browser.post("/staff/campaigns/calm-chats/front").status_code == 303
    assert "Calm chats" in app.test_client().get("/?lang=en").text
    assert last_act()[2:] == ({"front": SLUG}, {"front": "calm-chats"})
    choices = browser.get("/staff/links/new").text.partition('name="campaign"')[2].partition("</select>")[0]
    assert choices.index("calm-chats") < choices.index(SLUG)


def order() -> list[str]:
    db.session.rollback()
    query = sa.select(CampaignResource.kind).join(Campaign).where(Campaign.slug == SLUG)
    return list(db.session.scalars(query.order_by(CampaignResource.position)))


def test_resources_are_made_moved_edited_and_removed(at_console: AtConsole) -> None:
    browser, new = at_console("campaign"), f"{RESOURCES}/new"
    typed = {"kind": "article", "title_ru": "Статья", "text_ru": "О дружбе", "target": "https://example.org/a?b=1"}
    assert browser.post(new, {**form_at(browser, new), **typed}).status_code == 303
    made = db.session.scalars(sa.select(CampaignResource).where(CampaignResource.kind == "article")).one().id
    assert order() == ["helpline", "consultation", "video", "test", "workbook", "article"]
    browser.get(RESOURCES)
    browser.post(f"{RESOURCES}/{made}/move", {"to": "up"})
    browser.post(f"{RESOURCES}/{made}/move", {"to": "down"})
    browser.post(f"{RESOURCES}/{made}/move", {"to": "down"})  # it is the last one already
    browser.post(f"{RESOURCES}/{made}/move", {"to": "up"})
    assert order() == ["helpline", "consultation", "video", "test", "article", "workbook"]
    one = f"{RESOURCES}/{made}"
    assert browser.post(one, {**form_at(browser, one), "label": "Читать"}).status_code == 303
    assert last_act() == ("resource.changed", f"campaign:{SLUG}", {"label": ""}, {"label": "Читать"})
    assert 'href="https://example.org/a?b=1"' in browser.get(f"/c/{SLUG}").text
    assert browser.post(f"{one}/remove").status_code == 303
    assert last_act()[0] == "resource.removed"
    assert order() == ["helpline", "consultation", "video", "test", "workbook"]
    gone = browser.post(f"{one}/remove", follow_redirects=True)
    assert "not there any more" in gone.text


@pytest.mark.parametrize(
    ("target", "safe"),
    [
        ("https://example.org", True),
        ("https://пример.бел/страница", True),
        ("tel:88001001611", True),
        ("mailto:help@example.org", True),
        ("http://example.org", False),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("//example.org", False),
        ("https://bank.example@evil.example/", False),
        ("https://localhost", False),
        ("tel:112;x", False),
        ("mailto:a@b.example?bcc=all@c.example", False),
        (" https://example.org", False),
    ],
)
def test_a_resource_leads_only_where_nothing_can_be_run_or_hidden(target: str, safe: bool) -> None:
    assert is_safe(target) is safe


def test_an_unsafe_target_is_refused_at_its_field(at_console: AtConsole) -> None:
    browser, new = at_console("campaign"), f"{RESOURCES}/new"
    typed = {"title_ru": "Статья", "text_ru": "Текст", "target": "javascript:alert(1)"}
    answer = browser.post(new, {**form_at(browser, new), **typed})
    assert answer.status_code == 422
    assert "https://" in error_of(answer, "target")
    assert fields_of(answer, new)["title_ru"] == "Статья"
    assert len(order()) == 5


def test_two_editors_of_one_resource(at_console: AtConsole) -> None:
    first, second = at_console("campaign"), at_console("admin")
    one = f"{RESOURCES}/{campaign().resources[0].id}"
    mine, theirs = form_at(first, one), form_at(second, one)
    first.post(one, {**mine, "label": "112"})
    answer = second.post(one, {**theirs, "label": "113"})
    assert (answer.status_code, error_of(answer, "label")) == (409, "Stored now: 112")
    assert fields_of(answer, one)["label"] == "113"


def test_a_new_rule_is_for_gifts_from_now_on(at_console: AtConsole, house: House) -> None:
    browser, old = at_console("campaign"), house.given(1000)
    assert "gifts that are paid from now on" in browser.get(RULES).text
    answer = browser.post(RULES, {"from": "7,50", "pack": "brave-hearts", "quantity": "2"})
    assert answer.status_code == 303
    after = {"from": "7.50", "pack": "brave-hearts", "quantity": 2}
    assert last_act() == ("rule.added", f"campaign:{SLUG}", None, after)
    assert [each["pack"] for each in house.state(old)["sticker_codes"]] == ["kind-words"]
    later = house.given(1000)
    packs = [each["pack"] for each in house.state(later)["sticker_codes"]]
    assert sorted(packs) == ["brave-hearts", "brave-hearts", "kind-words"]


def test_a_removed_rule_leaves_codes_as_they_are(at_console: AtConsole, house: House) -> None:
    browser = at_console("campaign")
    house.given(1000)
    rule = db.session.scalars(sa.select(StickerRule).where(StickerRule.from_minor == 1000)).one().id
    browser.get(RULES)
    assert browser.post(f"{RULES}/{rule}/remove").status_code == 303
    assert last_act()[2] == {"from": "10", "pack": "kind-words", "quantity": 1}
    assert house.count(RedemptionCode, RedemptionCode.status == "issued") == 1
    assert "not there any more" in browser.post(f"{RULES}/{rule}/remove", follow_redirects=True).text


def test_a_wrong_rule_is_refused_at_its_field(at_console: AtConsole) -> None:
    browser = at_console("campaign")
    browser.get(RULES)
    for field, typed, says in RULE_FAULTS:
        answer = browser.post(RULES, {"from": "12", "pack": "kind-words", "quantity": "1", field: typed})
        assert answer.status_code == 422, (field, typed)
        assert says in answer.text.partition("</h1>")[2], (field, typed)
        if field != "pack":
            assert says in error_of(answer, field), (field, typed)
            assert fields_of(answer, RULES)[field] == typed
    assert db.session.scalar(sa.select(sa.func.count()).select_from(StickerRule)) == 3


def test_the_rules_of_another_campaign_are_out_of_reach(at_console: AtConsole) -> None:
    browser = at_console("campaign")
    browser.post(NEW, {**form_at(browser, NEW), **TYPED})
    rule = db.session.scalars(sa.select(StickerRule.id).limit(1)).one()
    other = campaign().resources[0].id
    browser.post(f"/staff/campaigns/calm-chats/rules/{rule}/remove")
    browser.post(f"/staff/campaigns/calm-chats/resources/{other}/remove")
    assert (len(order()), db.session.get(StickerRule, rule) is not None) == (5, True)


def test_office_staff_and_finance_have_no_business_here(at_console: AtConsole) -> None:
    for role in ("office", "finance"):
        browser = at_console(role)
        for path in ("/staff/campaigns", PAGE, RULES, RESOURCES, "/staff/packs", "/staff/offices/MINSK-01/edit"):
            assert browser.get(path).status_code == 403, (role, path)
