"""Lists of offices, links and print runs for the console: filtered, page by page."""

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.orm import defer, joinedload

from core.db import db
from core.paging import Page, page_of
from offices.belonging import runs_within_reach, within_reach, works_for_all
from offices.links import read_code
from offices.models import Office, Placement, PrintBatch, PrintBatchOffice
from staff.access import Actor


def offices_page(actor: Actor, wanted: Mapping[str, str], number: int) -> Page[Office]:
    """By code; `wanted` may name a region and the beginning of a code."""
    query = sa.select(Office).where(within_reach(actor)).order_by(Office.code)
    if region := wanted.get("region"):
        query = query.where(Office.region == region)
    if code := wanted.get("code", "").strip().upper():
        query = query.where(Office.code.startswith(code, autoescape=True))
    return page_of(query, number)


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
    return page_of(query, number)


def newest_placements(office: Office, limit: int = 10) -> list[Placement]:
    query = sa.select(Placement).where(Placement.office_id == office.id, Placement.state == "active")
    return list(db.session.scalars(query.order_by(Placement.id.desc()).limit(limit)))


def batches_page(actor: Actor, number: int) -> Page[PrintBatch]:
    """The newest first: those for own offices, or all."""
    query = sa.select(PrintBatch).options(defer(PrintBatch.selection)).where(runs_within_reach(actor))
    return page_of(query.order_by(PrintBatch.id.desc()), number)


def newest_runs(office: Office, limit: int = 5) -> list[PrintBatch]:
    """Runs with posters of this office alone."""
    mine = sa.select(PrintBatchOffice.batch_id).where(PrintBatchOffice.office_id == office.id)
    others = sa.exists().where(PrintBatchOffice.batch_id == PrintBatch.id, PrintBatchOffice.office_id != office.id)
    query = sa.select(PrintBatch).options(defer(PrintBatch.selection)).where(PrintBatch.id.in_(mine), ~others)
    return list(db.session.scalars(query.order_by(PrintBatch.id.desc()).limit(limit)))


def count_offices() -> tuple[int, int]:
    """(in use, links in use)"""
    offices = sa.select(sa.func.count()).select_from(Office).where(Office.active)
    links = sa.select(sa.func.count()).select_from(Placement).where(Placement.state == "active")
    return db.session.scalar(offices) or 0, db.session.scalar(links) or 0
