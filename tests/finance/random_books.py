"""Random books for totals, and the same totals by hand: one plain statement, all else in Python."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from hypothesis import strategies as st

from core.db import db, unit_of_work
from core.i18n import Localized
from core.money import Money
from donations.models import Campaign, Donation
from finance.filters import CHANNELS, Filters
from ledger import accounts
from ledger.accounts import AccountRef
from ledger.corrections import plain_kind, rebook
from ledger.models import Fund, JournalEntry
from ledger.services import Source, find_entry, is_standing, post_entry, reverse_entry, transfer
from offices.models import Office, Placement

BEGIN = datetime(2026, 1, 20, tzinfo=UTC)
SPAN = timedelta(days=80)  # both months' ends and Warsaw's change of 29 March
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)  # when all of it is recorded
LINKS = {"P1": ("office_poster", "O-1"), "P2": ("counter_card", "O-2"), "P3": ("billboard", None), "P4": ("sms", None)}
MENDED = ("taken_back", "corrected")
KINDS = (
    "gift",
    "again",
    "fee",
    "sponsored",
    "refund",
    "refund_failed",
    "dispute",
    "reinstated",
    "spent",
    "fx",
    *MENDED,
)


@dataclass(frozen=True)
class Fact:
    """What happened to a gift; minutes after BEGIN, and after that until it is recorded."""

    gift: int
    kind: str
    amount: int
    minute: int
    late: int


def facts(most: int = 40) -> st.SearchStrategy[list[Fact]]:
    return st.lists(
        st.builds(
            Fact,
            gift=st.integers(0, 9),
            kind=st.sampled_from(KINDS),
            amount=st.integers(1, 10_000),
            minute=st.integers(0, int(SPAN.total_seconds()) // 60),
            late=st.sampled_from((0, 1, 60, 1500, 20_000)),
        ),
        min_size=5,
        max_size=most,
    )


def make_world() -> None:
    """Three campaigns, one alone with its fund in Minsk, two that share one in Warsaw; ten gifts by many ways."""
    with unit_of_work() as session:
        funds = [Fund(code=f"f{n}", name=Localized(ru="Фонд"), currency=c) for n, c in enumerate(("BYN", "EUR"))]
        session.add_all(funds)
        zones = ("Europe/Minsk", "Europe/Warsaw", "Europe/Warsaw")
        campaigns = [_campaign(f"c{n}", funds[min(n, 1)], zone) for n, zone in enumerate(zones)]
        offices = [_office("O-1", "Минск"), _office("O-2", "Брест")]
        session.add_all([*campaigns, *offices])
        session.flush()
        codes = {office.code: office.id for office in offices}
        for code, (medium, office) in LINKS.items():
            of = codes[office] if office else None
            link = Placement(code=code, medium=medium, office_id=of, language="ru", created_at=BEGIN)
            link.campaign_id = campaigns[0].id
            session.add(link)
        for number in range(10):
            session.add(_donation(number, campaigns[number % 3]))
    db.session.remove()


def _campaign(slug: str, fund: Fund, zone: str) -> Campaign:
    text = Localized(ru=slug)
    rest = {"goal_minor": 10, "suggested_minor": [5], "min_minor": 1, "max_minor": 99}
    texts = {"title": text, "lead": text, "designation": text}
    return Campaign(slug=slug, fund=fund, currency=fund.currency, zone=zone, **texts, **rest)


def _office(code: str, region: str) -> Office:
    return Office(code=code, name=Localized(ru=code), address=Localized(ru=code), region=region)


def _donation(number: int, campaign: Campaign) -> Donation:
    return Donation(
        campaign_id=campaign.id,
        amount_minor=1,
        currency=campaign.currency,
        locale=("ru", "be", "en")[number % 3],
        channel="page",
        placement=[None, *LINKS, "GONE"][number % 6],
        created_at=BEGIN,
        idempotency_scope="test",
        idempotency_key=str(number),
        request_hash="",
    )


def book(history: Sequence[Fact]) -> None:
    """Post them all, in the order in which they were recorded."""
    with unit_of_work() as session:
        donations = list(session.scalars(sa.select(Donation).order_by(Donation.id)))
        ordered = sorted(enumerate(history), key=lambda one: (one[1].minute + one[1].late, one[0]))
        for number, fact in ordered:
            _post(donations[fact.gift], fact, number)
    db.session.remove()


def _post(donation: Donation, fact: Fact, number: int) -> None:
    fund = donation.campaign.fund
    receivable = accounts.receivable("stripe" if donation.id % 4 else "bepaid", fund)
    when = BEGIN + timedelta(minutes=fact.minute)
    times: dict[str, Any] = {"occurred_at": when, "recorded_at": when + timedelta(minutes=fact.late)}
    if fact.kind in ("refund_failed", "reinstated"):
        kind = {"refund_failed": "refund", "reinstated": "dispute"}[fact.kind]
        taken = next((s for n in range(99) if find_entry(s := Source(kind, str(n), kind))), None)
        if taken:
            reverse_entry(taken, fact.kind, **times)
        return
    if fact.kind in MENDED:
        _mend(donation, fact, receivable, times["recorded_at"])
        return
    debit, credit = _accounts(fact.kind, fund, receivable)
    source = "payment" if fact.kind in ("gift", "again") else fact.kind
    what = "gift" if source == "payment" else fact.kind
    lines = transfer(debit, credit, Money(fact.amount, fund.currency))
    of = None if fact.kind in ("spent", "fx") else donation.id
    post_entry(Source(source, str(number), what), lines, donation_id=of, **times)


def _mend(donation: Donation, fact: Fact, receivable: AccountRef, now: datetime) -> None:
    """Take back, or book with another amount, the last gift of this donation that stands."""
    gifts = sa.and_(JournalEntry.source_type == "payment", JournalEntry.donation_id == donation.id, is_standing())
    entry = db.session.scalars(sa.select(JournalEntry).where(gifts).order_by(JournalEntry.id.desc())).first()
    if entry is None:
        return
    fund = donation.campaign.fund
    corrected = fact.kind == "corrected"
    amount = Money(fact.amount, fund.currency)
    lines = transfer(receivable, accounts.of_fund(fund, "gift"), amount) if corrected else []
    source = Source("payment", entry.source_id, plain_kind(entry.kind))
    rebook(source, lines, occurred_at=entry.occurred_at, recorded_at=now, donation_id=donation.id)


def _accounts(kind: str, fund: Fund, receivable: AccountRef) -> tuple[AccountRef, AccountRef]:
    """(debit, credit)"""
    conversion = accounts.conversion(fund.currency)
    return {
        "gift": (receivable, accounts.of_fund(fund, "gift")),
        "again": (receivable, accounts.of_fund(fund, "gift")),
        "fee": (accounts.of_fund(fund, "fee"), receivable),
        "sponsored": (accounts.sponsor(fund), receivable),
        "refund": (accounts.of_fund(fund, "refund"), receivable),
        "dispute": (accounts.of_fund(fund, "dispute"), receivable),
        "spent": (accounts.of_fund(fund, "spent"), conversion),
        "fx": (conversion, accounts.of_fund(fund, "fx")),
    }[kind]


# By hand

BY_HAND = """
SELECT e.id AS entry, e.reverses_id, e.source_type, e.kind AS entry_kind, e.occurred_at, e.recorded_at, e.donation_id,
       p.debit_minor, p.credit_minor, a.kind, a.code AS account, f.code AS fund, f.currency,
       c.slug AS campaign, c.zone, d.locale, d.placement AS code, l.medium, o.code AS office, o.region
FROM postings p
JOIN journal_entries e ON e.id = p.entry_id
JOIN accounts a ON a.id = p.account_id
JOIN funds f ON f.id = a.fund_id
LEFT JOIN donations d ON d.id = e.donation_id
LEFT JOIN campaigns c ON c.id = d.campaign_id
LEFT JOIN placements l ON l.code = d.placement
LEFT JOIN offices o ON o.id = l.office_id
"""
COLUMN = {"gift": "gross", "refund": "refunds", "dispute": "disputes", "fee": "fees", "fx": "fx", "spent": "spent"}
GAINS = ("gross", "fx")


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def postings() -> list[dict[str, Any]]:
    """All of them, each with its report day and its key in every dimension."""
    db.session.rollback()
    found = [dict(row._mapping) for row in db.session.execute(sa.text(BY_HAND))]
    provider = {row["entry"]: row["account"].split(":")[1] for row in found if row["kind"] == "receivable"}
    for row in found:
        row["recorded"] = _moment(row["recorded_at"])
    counted = _counted(found)
    for row in found:
        row["counted"] = counted.get(row["entry"], 0) if row["kind"] == "gift" else 0
        row["keys"] = _keys(row, provider.get(row["entry"], "-"))
    return found


def _counted(found: list[dict[str, Any]]) -> dict[Any, int]:
    """Entry by entry as they were recorded: 1 where a donation's first gift begins to stand, -1 where its last ends."""
    standing: dict[int, int] = {}
    counted: dict[Any, int] = {}
    gifts = [row for row in found if row["source_type"] == "payment" and row["kind"] == "gift"]
    for row in sorted(gifts, key=lambda row: (row["recorded"], str(row["entry"]))):
        before = standing.get(row["donation_id"], 0)
        after = before + (1 if row["reverses_id"] is None else -1)
        standing[row["donation_id"]] = after
        counted[row["entry"]] = int(after > 0) - int(before > 0)
    return counted


def _keys(row: dict[str, Any], provider: str) -> dict[str, str]:
    day = _moment(row["occurred_at"]).astimezone(ZoneInfo(row["zone"] or "Europe/Minsk")).date()
    row["day"] = day
    gift, link = row["donation_id"] is not None, row["medium"] is not None
    medium = row["medium"] if link else "direct" if gift else "-"
    place = row["office"] or "elsewhere" if link else medium
    return {
        "day": day.isoformat(),
        "week": (day - timedelta(days=day.weekday())).isoformat(),
        "month": day.replace(day=1).isoformat(),
        "campaign": row["campaign"] or ("c0" if row["fund"] == "f0" else "-"),
        "designation": row["fund"],
        "currency": row["currency"],
        "channel": next((name for name, media in CHANNELS.items() if medium in media), "-"),
        "medium": medium,
        "office": place,
        "region": row["region"] or place,
        "placement": row["code"] if link else medium,
        "provider": provider,
        "language": row["locale"] or "-",
    }


def selected(rows: list[dict[str, Any]], filters: Filters) -> Iterator[dict[str, Any]]:
    for row in rows:
        keys = row["keys"]
        wanted = {**filters.values, "campaign": filters.campaign, "designation": filters.fund}
        if (
            row["recorded"] <= filters.as_of
            and (filters.first or date.min) <= row["day"] <= (filters.last or date.max)
            and all(value is None or keys[name] == value for name, value in wanted.items())
        ):
            yield row


def by_hand(rows: list[dict[str, Any]], filters: Filters, by: str) -> dict[tuple[str, str], dict[str, int]]:
    """Figures by (currency, key)."""
    names = ("gifts", "gross", "refunds", "disputes", "fees", "sponsored", "fx", "spent", "unsettled")
    found: dict[tuple[str, str], dict[str, int]] = {}
    for row in selected(rows, filters):
        figures = found.setdefault((row["currency"], row["keys"][by]), dict.fromkeys(names, 0))
        credit = row["credit_minor"] - row["debit_minor"]
        figures["gifts"] += row["counted"]
        if row["kind"] == "receivable":
            figures["unsettled"] -= credit
        elif row["kind"] == "sponsor":
            figures["sponsored"] -= credit if row["donation_id"] is not None else 0
        else:
            name = COLUMN[row["kind"]]
            figures[name] += credit if name in GAINS else -credit
    return {key: figures for key, figures in found.items() if any(figures.values())}
