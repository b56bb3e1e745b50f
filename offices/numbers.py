"""Numbers of posters: each office counts its own, on from run to run, so that office and number name one poster."""

from collections.abc import Sequence

import sqlalchemy as sa

from core.db import db
from offices.models import Office, Placement

_STEP = (
    sa.update(Office.__table__)  # type: ignore[arg-type]
    .where(Office.id == sa.bindparam("office"))
    .values(posters=Office.posters + sa.bindparam("count"))
)


def take(office_ids: Sequence[int], count: int) -> dict[int, int]:
    """Take `count` new numbers for each of these offices; the first of each. Only within a unit of work.

    The step itself puts two who print for one office in line, always in the same order.
    """
    db.session.connection().execute(_STEP, [{"office": office_id, "count": count} for office_id in sorted(office_ids)])
    last = {row.id: row.posters for row in db.session.execute(sa.select(Office.id, Office.posters))}
    return {office_id: last[office_id] - count + 1 for office_id in office_ids}


def number_poster(placement: Placement) -> None:
    """Give a link of an office the number that its poster is to carry, unless it has one."""
    if placement.poster_number is not None or placement.office_id is None:
        return
    [number] = take([placement.office_id], 1).values()
    db.session.execute(
        sa.update(Placement)
        .where(Placement.id == placement.id, Placement.poster_number.is_(None))
        .values(poster_number=number)
    )
    db.session.refresh(placement)
