"""The rules of handing packs over. Services flush; edges commit.

Order of what is locked: the code by its guarded UPDATE, then the redemption, then the stock. An undo takes its
redemption first, since nobody else waits for that row while holding a code.
"""

from datetime import datetime, timedelta

import sqlalchemy as sa

from core.db import db, insert_if_absent, rows_changed
from core.errors import DomainError
from core.ids import new_public_id
from core.texts import one_line
from offices import belonging
from offices.models import Office
from staff import audit
from staff.access import Actor
from staff.models import StaffMember
from stickers.counter import errors, queries
from stickers.models import Redemption, RedemptionCode
from stickers.stock.services import hand_over, level_of, take_back

UNDO_MINUTES = 15
REASON_LIMIT = 200


def require_clerk(actor: Actor, office: Office) -> None:
    """Raises `NotYourOffice`, `OfficeClosed`, `MemberDisabled`; all of it read anew."""
    _require_member(actor, office)
    if not db.session.scalar(sa.select(Office.active).where(Office.id == office.id)):
        raise errors.OfficeClosed


def _require_member(actor: Actor, office: Office) -> None:
    if not db.session.scalar(sa.select(StaffMember.active).where(StaffMember.id == actor.id)):
        raise errors.MemberDisabled
    belonging.require_office(actor, office.id)


def why_not(found: queries.Found, office_id: int, now: datetime) -> DomainError | None:
    """Why nothing is handed over for this code at this office, whatever the stock; None when it is valid."""
    code = found.code
    if code.pack.kind == "digital":
        return errors.CodeIsDigital()
    if code.redemption is not None:
        return errors.AlreadyHandedOver(code.redemption, now)
    by_status = {"voided": errors.CodeVoided, "held": errors.CodeHeld, "replaced": errors.CodeReplaced}
    if code.status in by_status:
        return by_status[code.status]()
    if found.collect_until is not None and found.collect_until <= now:
        return errors.CodeExpired(found.collect_until)
    if not queries.is_kept_here(found, office_id):
        return errors.OtherCampaign(found.campaign_title)
    return None


def redeem_code(code: str, *, office: Office, actor: Actor, nonce: str, now: datetime) -> Redemption:
    """Hand the pack over for a code in its stored form, once. The same nonce again is the same redemption, quietly,
    also when it has been undone since.

    Raises `NotYourOffice`, `OfficeClosed`, `MemberDisabled`, `NonceInvalid`, `NonceReused`, `UnknownCode`, what
    `why_not` says, and `OutOfStock`; then nothing of this unit of work may be committed.
    """
    require_clerk(actor, office)
    if not (0 < len(nonce) <= 255 and nonce.isascii() and nonce.isprintable()):
        raise errors.NonceInvalid
    if earlier := queries.redemption_by_nonce(actor.id, nonce):
        return _the_same(earlier, code, office)
    try:
        taken = _take(code, office, now)
    except DomainError:
        # The same press, sent twice, may have been served between two looks at the database.
        if earlier := queries.redemption_by_nonce(actor.id, nonce):
            return _the_same(earlier, code, office)
        raise
    return _write_down(taken, office, actor, nonce, now)


def _take(code: str, office: Office, now: datetime) -> RedemptionCode:
    """The code, redeemed by this act. Raises why it is not to be had."""
    found = _require(queries.find_code(code), office, now)
    taken = sa.update(RedemptionCode).where(RedemptionCode.id == found.code.id, RedemptionCode.status == "issued")
    if rows_changed(db.session.execute(taken.values(status="redeemed", redeemed_at=now))) != 1:
        _require(queries.find_code(code), office, now)
        raise errors.UnknownCode
    return found.code


def _the_same(earlier: Redemption, code: str, office: Office) -> Redemption:
    if (earlier.code.code, earlier.office_id) != (code, office.id):
        raise errors.NonceReused
    return earlier


def _require(found: queries.Found | None, office: Office, now: datetime) -> queries.Found:
    if found is None:
        raise errors.UnknownCode
    if refusal := why_not(found, office.id, now):
        raise refusal
    return found


def _write_down(code: RedemptionCode, office: Office, actor: Actor, nonce: str, now: datetime) -> Redemption:
    values = {"code_id": code.id, "office_id": office.id, "member_id": actor.id, "nonce": nonce, "redeemed_at": now}
    public_id = new_public_id()
    if not insert_if_absent(Redemption, public_id=public_id, undo_reason="", **values):
        raise errors.NonceReused  # by another press for another code, a moment ago
    redemption = queries.redemption_by_id(public_id)
    assert redemption is not None
    hand_over(office.id, code.pack_id, redemption_id=redemption.id, actor=actor.email, now=now)
    _record(actor, "code.redeemed", redemption, was="issued", moved=-1, now=now)
    return redemption


def can_be_undone(redemption: Redemption, now: datetime) -> bool:
    return redemption.undone_at is None and now < redemption.redeemed_at + timedelta(minutes=UNDO_MINUTES)


def undo_redemption(redemption: Redemption, *, actor: Actor, reason: str, now: datetime) -> None:
    """The pack came back: it is on the shelf again, and the code what the donation's money says of it by now.

    Also where the office was closed since. Undone already: nothing happens. Raises `NotYourOffice`, `MemberDisabled`,
    `UndoReasonMissing`, `TooLateToUndo`.
    """
    _require_member(actor, redemption.office)
    reason = one_line(reason)
    if not 0 < len(reason) <= REASON_LIMIT:
        raise errors.UndoReasonMissing(field="reason", limit=REASON_LIMIT)
    young = Redemption.redeemed_at > now - timedelta(minutes=UNDO_MINUTES)
    mine = sa.update(Redemption).where(Redemption.id == redemption.id, Redemption.undone_at.is_(None), young)
    values = {"undone_at": now, "undone_by_id": actor.id, "undo_reason": reason}
    if rows_changed(db.session.execute(mine.values(**values))) != 1:
        db.session.refresh(redemption)
        if redemption.undone_at is None:
            raise errors.TooLateToUndo(minutes=UNDO_MINUTES)
        return
    _give_back(redemption)
    take_back(redemption.office_id, redemption.code.pack_id, redemption_id=redemption.id, actor=actor.email, now=now)
    _record(actor, "code.redemption_undone", redemption, was="redeemed", moved=+1, now=now, reason=reason)


def _give_back(redemption: Redemption) -> None:
    """In one statement: money that goes back in the same moment finds the code before or after, and both end alike."""
    mine = sa.and_(RedemptionCode.id == redemption.code_id, RedemptionCode.status == "redeemed")
    step = sa.update(RedemptionCode).where(mine).values(status=RedemptionCode.standing, redeemed_at=None)
    if rows_changed(db.session.execute(step.execution_options(synchronize_session=False))) != 1:
        raise RuntimeError("a redemption stood for a code that is not redeemed")
    db.session.refresh(redemption)
    db.session.refresh(redemption.code)


def _record(
    actor: Actor, action: str, redemption: Redemption, *, was: str, moved: int, now: datetime, **about: str
) -> None:
    """Where, which pack, and what became of the code's status and the stock; never the code itself."""
    code, office = redemption.code, redemption.office
    where, level = {"office": office.code, "pack": code.pack.code}, level_of(office.id, code.pack_id)
    before = {**where, "status": was, "level": level - moved}
    after = {**where, "status": code.status, "level": level, **about}
    subject = f"redemption:{redemption.public_id}"
    audit.record(actor.email, action, subject, before=before, after=after, now=now, address=actor.address)
