"""What can be refused about stock."""

from flask_babel import lazy_gettext as _l

from core.errors import Conflict, Invalid, NotFound


class OutOfStock(Conflict):
    code = "out_of_stock"
    text = _l("The system says that this office has no such pack left.")


class NotEnoughPacks(Conflict):
    code = "not_enough_packs"
    text = _l("This office has only %(left)s of this pack.")


class StockChanged(Conflict):
    """Somebody handed over, received or counted between the page and the press."""

    code = "stock_changed"
    text = _l("Meanwhile the stock has changed: the system now says %(left)s. Please count once more.")


class NothingHandedOver(Conflict):
    code = "nothing_handed_over"
    text = _l("No pack was handed over here that could be taken back.")


class UnknownPack(NotFound):
    code = "pack_not_found"
    text = _l("There is no such sticker pack.")


class NoStockOfDigital(Invalid):
    code = "pack_is_digital"
    text = _l("This pack is downloaded: there is no stock of it.")


class QuantityInvalid(Invalid):
    code = "quantity_invalid"
    text = _l("Please enter a whole number from %(least)s to %(most)s.")


class ReasonMissing(Invalid):
    code = "reason_missing"
    text = _l("Please say why, in a few words.")


class TextTooLong(Invalid):
    code = "text_too_long"
    text = _l("Please enter at most %(limit)s characters.")


class SameOffice(Invalid):
    code = "same_office"
    text = _l("Please choose another office than the one that sends.")


class OfficeClosed(Invalid):
    code = "office_closed"
    text = _l("This office is closed. Please choose another one.")


class ReceivesNoMore(Conflict):
    code = "office_closed"
    text = _l("This office is closed: no packs are delivered to it any more.")


class UnknownTransfer(NotFound):
    code = "transfer_not_found"
    text = _l("There is no such transfer.")


class TransferEnded(Conflict):
    code = "transfer_ended"
    text = _l("This transfer is not on the way any more. Look below at what became of it.")


class UnknownSheet(NotFound):
    code = "sheet_not_found"
    text = _l("There is no such sheet.")


class NotCounted(Invalid):
    code = "not_counted"
    text = _l("Please enter how many you counted of every pack, 0 if there is none.")


class KeyInvalid(Invalid):
    code, status = "idempotency_key_invalid", 400
    text = _l("Idempotency-Key takes 1 to 255 printable ASCII characters.")


class KeyReused(Conflict):
    code = "idempotency_key_reused"
    text = _l("This Idempotency-Key was used for another request.")


class FormIncomplete(Invalid):
    code = "form_incomplete"
    text = _l("The form is out of date. Please go back, reload the page and try again.")
