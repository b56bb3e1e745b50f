"""Lists of offices, links and print runs for the console: filtered, page by page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import joinedload

from core.db import db
from offices.belonging import within_reach, works_for_all
from offices.links import read_code
from offices.models import Office, Placement, PrintBatch
from staff.access import Actor

PAGE_SIZE = 50

Row = TypeVar("Row")


@dataclass(frozen=True)
class Page(Generic[Row]):
    """One page of a list; `number` counts from 1."""

    rows: list[Row]
    number: int
    total: int

    @property
    def last(self) -> int:
        return max(1, -(-self.total // PAGE_SIZE))


def _page(query: sa.Select[Any], number: int) -> Page[Any]:
    total = db.session.scalar(sa.select(sa.func.count()).select_from(query.order_by(None).subquery())) or 0
    number = min(max(number, 1), max(1, -(-total // PAGE_SIZE)))
    rows = db.session.scalars(query.limit(PAGE_SIZE).offset((number - 1) * PAGE_SIZE))
    return Page(list(rows), number, total)


def offices_page(actor: Actor, wanted: Mapping[str, str], number: int) -> Page[Office]:
    """By code; `wanted` may name a region and the beginning of a code."""
    query = sa.select(Office).where(within_reach(actor)).order_by(Office.code)
    if region := wanted.get("region"):
        query = query.where(Office.region == region)
    if code := wanted.get("code", "").strip().upper():
        query = query.where(Office.code.startswith(code, autoescape=True))
    return _page(query, number)


def placements_page(actor: Actor, wanted: Mapping[str, str], number: int) -> Page[Placement]:
    """The newest first; `wanted` may name a code, a medium, a state and an office."""
    query = sa.select(Placement).outerjoin(Office, Office.id == Placement.office_id)
    query = query.options(joinedload(Placement.office)).order_by(Placement.id.desc())
    if not works_for_all(actor):
        query = query.where(within_reach(actor))
    for name in ("medium", "state"):
        if value := wanted.get(name):
            query = query.where(getattr(Placement, name) == value)
    if office := wanted.get("office", "").strip().upper():
        query = query.where(Office.code == office)
    if typed := wanted.get("code", "").strip():
        query = query.where(Placement.code == (read_code(typed) or ""))
    return _page(query, number)


def newest_placements(office: Office, limit: int = 10) -> list[Placement]:
    query = sa.select(Placement).where(Placement.office_id == office.id, Placement.state == "active")
    return list(db.session.scalars(query.order_by(Placement.id.desc()).limit(limit)))


def batches_page(number: int) -> Page[PrintBatch]:
    return _page(sa.select(PrintBatch).order_by(PrintBatch.id.desc()), number)


def count_offices() -> tuple[int, int]:
    """(in use, links in use)"""
    offices = sa.select(sa.func.count()).select_from(Office).where(Office.active)
    links = sa.select(sa.func.count()).select_from(Placement).where(Placement.state == "active")
    return db.session.scalar(offices) or 0, db.session.scalar(links) or 0
