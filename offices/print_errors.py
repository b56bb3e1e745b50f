"""What can be refused about print runs."""

from flask_babel import lazy_gettext as _l

from core.errors import Conflict, Invalid, NotFound, Unavailable


class UnknownBatch(NotFound):
    code = "print_run_not_found"
    text = _l("There is no such print run.")


class FormatUnknown(Invalid):
    code = "format_unknown"
    text = _l("This format is not known here.")


class PackagingUnknown(Invalid):
    code = "packaging_unknown"
    text = _l("Choose one PDF, or a ZIP with a PDF for each office.")


class CopiesOutOfRange(Invalid):
    code = "copies_out_of_range"
    text = _l("Choose between 1 and %(limit)s copies.")


class RunTooLarge(Invalid):
    code = "run_too_large"
    text = _l("A run has at most %(limit)s pages; this one would have %(pages)s.")


class NoOffices(Invalid):
    code = "no_offices"
    text = _l("Choose at least one active office.")


class AlreadyPrinting(Conflict):
    code = "already_printing"
    text = _l("Somebody is printing this run already.")


class RunEnded(Conflict):
    code = "print_run_ended"
    text = _l("This run has ended already.")


class NotPrinted(Conflict):
    code = "not_printed"
    text = _l("This run is not printed yet.")


class PrintFailed(Unavailable):
    code = "print_failed"
    text = _l("The posters could not be printed. Please try again.")


class DiskFull(Unavailable):
    code, status = "disk_full", 507
    text = _l("The disk is full. Once there is room again, the run goes on where it stopped.")


FAILURES: dict[str, type[Unavailable]] = {"disk_full": DiskFull}


def failure(reason: str | None) -> Unavailable:
    """Why a run failed, for people; `reason` is what the run's row keeps."""
    return FAILURES.get(reason or "", PrintFailed)()
