"""What media, states and formats are called in the console."""

from flask_babel import lazy_gettext as _l

ZONE = "Europe/Minsk"  # of the times the console shows

MEDIA_NAMES = {
    "office_poster": _l("Office poster"),
    "counter_card": _l("Counter card"),
    "window": _l("Shop window"),
    "billboard": _l("Billboard"),
    "metro": _l("Metro"),
    "lift": _l("Lift"),
    "taxi": _l("Taxi"),
    "sms": _l("SMS"),
    "blogger": _l("Blogger"),
    "article": _l("Article"),
    "other": _l("Other"),
}

PLACEMENT_STATE_NAMES = {"active": _l("In use"), "retired": _l("Retired"), "replaced": _l("Replaced")}

BATCH_STATE_NAMES = {
    "queued": _l("Waiting"),
    "running": _l("Being made"),
    "done": _l("Done"),
    "failed": _l("Failed"),
    "cancelled": _l("Cancelled"),
}

FORMAT_NAMES = {
    "a4": _l("A4 poster"),
    "a3": _l("A3 poster"),
    "a5": _l("A5 poster"),
    "a6": _l("A6 counter card"),
    "labels": _l("Sheet of labels"),
}
