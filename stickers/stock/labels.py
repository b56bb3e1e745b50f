"""How stock is called on pages."""

from flask_babel import lazy_gettext as _l

KIND_NAMES = {
    "received": _l("Received"),
    "sent": _l("Sent to another office"),
    "arrived": _l("Arrived from another office"),
    "returned": _l("Transfer came to nothing"),
    "variance": _l("Difference on the way"),
    "handed_over": _l("Handed over"),
    "taken_back": _l("Hand-over undone"),
    "damaged": _l("Damaged"),
    "counted": _l("Counted"),
}
STATE_NAMES = {
    "on_the_way": _l("On the way"),
    "arrived": _l("Arrived"),
    "cancelled": _l("Cancelled by the sender"),
    "declined": _l("Not taken by the receiver"),
}
STANDING_NAMES = {"none": _l("None left"), "low": _l("Running low"), "enough": _l("Enough")}
PLENTY_NAMES = {"yes": _l("In stock"), "few": _l("Only a few"), "no": _l("None at present")}
ACT_NAMES = {
    "receive": _l("Receive packs"),
    "send": _l("Send to another office"),
    "damage": _l("Record damaged packs"),
    "count": _l("Count the shelf"),
    "mark": _l("When to warn"),
}
