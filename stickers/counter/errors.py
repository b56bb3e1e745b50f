"""What can be refused at the counter. None of it says anything of the donor."""

from datetime import datetime

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.clock import local_day
from core.errors import Conflict, DomainError, Invalid, NotFound, TooMany
from core.i18n import Localized
from core.pages import format_clock, format_day, format_last_day
from offices.labels import ZONE
from stickers.models import Redemption


class UnknownCode(NotFound):
    """The one answer for all codes that were never given out."""

    code = "sticker_code_unknown"
    text = _l("There is no such code.")


class AlreadyHandedOver(Conflict):
    """Says where and when, in the offices' local time."""

    code = "sticker_code_redeemed"

    def __init__(self, redemption: Redemption, now: datetime) -> None:
        super().__init__()
        self.office, self.at, self.now = redemption.office.name, redemption.redeemed_at, now

    @property
    def message(self) -> str:
        values = {"office": str(self.office), "time": format_clock(self.at, ZONE)}
        if local_day(self.at, ZONE) == local_day(self.now, ZONE):
            return str(_("Already handed over at %(office)s at %(time)s.", **values))
        day = format_day(self.at, ZONE)
        return str(_("Already handed over at %(office)s on %(day)s at %(time)s.", day=day, **values))


class CodeVoided(Conflict):
    code = "sticker_code_voided"
    text = _l("Void: the money was given back.")


class CodeHeld(Conflict):
    code = "sticker_code_held"
    text = _l("On hold: a bank is looking into the payment. The code may become valid again.")


class CodeReplaced(Conflict):
    code = "sticker_code_replaced"
    text = _l("Replaced: this code was given to somebody else, who has a new one.")


class CodeExpired(Conflict):
    code = "sticker_code_expired"

    def __init__(self, until: datetime) -> None:
        super().__init__()
        self.until = until

    @property
    def message(self) -> str:
        return str(_("Expired: the last day to collect packs was %(day)s", day=format_last_day(self.until, ZONE)))


class OtherCampaign(Conflict):
    code = "sticker_code_other_campaign"

    def __init__(self, title: Localized) -> None:
        super().__init__()
        self.title = title

    @property
    def message(self) -> str:
        return str(_("Of another campaign, “%(title)s”: this office does not keep its packs.", title=str(self.title)))


class CodeIsDigital(Conflict):
    code = "sticker_code_digital"
    text = _l("A digital pack: the visitor downloads it from the page of the donation. Nothing is handed over for it.")


class OfficeClosed(Conflict):
    code = "office_closed"
    text = _l("This office is closed. Packs are handed over at the others.")


class MemberDisabled(DomainError):
    code, status = "member_disabled", 403
    text = _l("This account has been switched off.")


class NonceReused(Conflict):
    code = "idempotency_key_reused"
    text = _l("This Idempotency-Key was used for another request.")


class NonceInvalid(Invalid):
    code, status = "idempotency_key_invalid", 400
    text = _l("Idempotency-Key takes 1 to 255 printable ASCII characters.")


class UnknownRedemption(NotFound):
    code = "redemption_not_found"
    text = _l("There is no such hand-over.")


class TooLateToUndo(Conflict):
    code = "too_late_to_undo"
    text = _l("A hand-over can be undone for %(minutes)s minutes, and they have passed.")


class UndoReasonMissing(Invalid):
    code = "undo_reason_missing"
    text = _l("Please say in a few words why: at most %(limit)s characters.")


class TooManyGuesses(TooMany):
    """The same for a code that is valid as for one that is not."""

    code = "too_many_guesses"

    def __init__(self, until: datetime, now: datetime) -> None:
        super().__init__()
        self.until = until
        self.seconds = max(1, int((until - now).total_seconds()) + 1)

    @property
    def message(self) -> str:
        time = format_clock(self.until, ZONE)
        return str(_("Too many codes that do not exist were tried here. Please go on at %(time)s.", time=time))

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.seconds)}


class NotACode(Invalid):
    """Something else than a sticker code: an address, or what a QR code of others says."""

    code = "not_a_sticker_code"
    text = _l("This is no sticker code. Please scan the one below “Your sticker pack”.")


class LinkScanned(NotACode):
    text = _l("This is a link, no sticker code. Please scan the one below “Your sticker pack”.")


class WifiScanned(NotACode):
    text = _l("This is the access to a Wi-Fi network, no sticker code. Please scan the one below “Your sticker pack”.")


class PosterScanned(NotACode):
    text = _l("This is the QR code of a poster. Please scan the one on the visitor’s donation page.")


class UnknownPage(NotFound):
    """The address of a page that is none, or that shows nothing to hand over."""

    code = "no_codes_on_page"
    text = _l("At this address there is no pack to hand over. Please scan the code itself.")


class NoFile(Invalid):
    code = "photo_missing"
    text = _l("Please choose a photo first.")


class NotAnImage(Invalid):
    code = "photo_not_an_image"
    text = _l("This file is no picture that we can read. Please take a photo of the code (JPEG or PNG).")


class PictureTooLarge(Invalid):
    code = "photo_too_large"
    text = _l("This picture has too many pixels. Please take a usual photo of the code.")


class NoCodeInPicture(Invalid):
    code = "photo_without_code"
    text = _l("We found no QR code in this photo. Please come closer, avoid glare, or type the code.")


class UnknownAlert(NotFound):
    code = "alert_not_found"
    text = _l("There is no such alert.")
