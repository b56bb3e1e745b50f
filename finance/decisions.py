"""What two people decide: proposed by one, decided by another, and once."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from core.db import db, rows_changed
from finance import errors
from finance.models import RefundOrder
from ledger.models import Disbursement
from staff.access import Actor


def decide(proposal: Disbursement | RefundOrder, state: str, actor: Actor, now: datetime, **values: Any) -> None:
    """Set the state of what is still proposed, and who decided; of two at once one does. Raises `Decided`."""
    model = type(proposal)
    decided = db.session.execute(
        sa.update(model)
        .where(model.id == proposal.id, model.state == "proposed")
        .values(state=state, decided_by_id=actor.id, decided_at=now, **values)
    )
    if rows_changed(decided) != 1:
        raise errors.Decided
    db.session.refresh(proposal)
