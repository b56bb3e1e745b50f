"""What can be refused about exports."""

from flask_babel import lazy_gettext as _l

from core.errors import Conflict, DomainError, Invalid, NotFound, Unavailable


class UnknownExport(NotFound):
    code = "export_not_found"
    text = _l("There is no such export.")


class UnknownSchedule(NotFound):
    code = "export_schedule_not_found"
    text = _l("There is no such scheduled export.")


class OrdererGone(Conflict):
    code = "export_orderer_gone"
    text = _l("Stopped: %(email)s may no longer have exports.")


class ScheduleGoesOn(Conflict):
    code = "export_schedule_goes_on"
    text = _l("This is still made for whoever ordered it.")


class NotYourExport(DomainError):
    code, status = "not_your_export", 403
    text = _l("This file belongs to whoever ordered it. Finance staff may open it, too.")


class DatasetUnknown(Invalid):
    code = "dataset_unknown"
    text = _l("Choose what to export.")


class FormatUnknown(Invalid):
    code = "format_unknown"
    text = _l("This is not to be had in that format.")


class EncodingUnknown(Invalid):
    code = "encoding_unknown"
    text = _l("This encoding is for CSV in a Russian locale only.")


class LanguageUnknown(Invalid):
    code = "language_unknown"
    text = _l("Choose one of the languages.")


class FilterNotForThis(Invalid):
    code = "filter_not_for_this"
    text = _l("This filter does not fit what is exported.")


class MonthNeeded(Invalid):
    code = "month_needed"
    text = _l("A statement is made of one whole month.")


class NamesNotAllowed(DomainError):
    code, status = "names_not_allowed", 403
    text = _l("Names of donors are for finance staff only.")


class NamesEachTime(NamesNotAllowed):
    text = _l("Regular exports have no names of donors: they are asked for by a person, each time.")


class NamesNotHere(Invalid):
    code = "names_not_here"
    text = _l("There are no names of donors in this.")


class CursorInvalid(Invalid):
    code = "cursor_invalid"
    text = _l("This cursor does not belong to this question. Begin again without one.")


class LimitInvalid(Invalid):
    code = "limit_invalid"
    text = _l("Choose between 1 and %(limit)s rows.")


class RhythmUnknown(Invalid):
    code = "rhythm_unknown"
    text = _l("Choose every day, every week or every month.")


class ExportEnded(Conflict):
    code = "export_ended"
    text = _l("This export has ended already.")


class NotMade(Conflict):
    code = "export_not_made"
    text = _l("This file is not there: it is not made yet, or it has expired.")


class ExportFailed(Unavailable):
    code = "export_failed"
    text = _l("The file could not be made. Please try again.")


class Incomplete(Unavailable):
    """What was written is not what the database says is there."""

    code = "export_incomplete"
    text = _l("The file was not whole and has been thrown away. Please try again, and tell the operator.")


class DiskFull(Unavailable):
    code, status = "disk_full", 507
    text = _l("The disk is full. The unfinished file was removed; try again once there is room.")


FAILURES: dict[str, type[Unavailable]] = {"disk_full": DiskFull, "Incomplete": Incomplete}


def failure(reason: str | None) -> Unavailable:
    """Why an export failed, for people; `reason` is what its row keeps."""
    return FAILURES.get(reason or "", ExportFailed)()
