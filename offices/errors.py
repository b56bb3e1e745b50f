"""What can be refused about offices and links."""

from flask_babel import lazy_gettext as _l

from core.errors import Conflict, DomainError, Invalid, NotFound


class UnknownOffice(NotFound):
    code = "office_not_found"
    text = _l("There is no such office.")


class OfficeClosed(Conflict):
    code = "office_closed"
    text = _l("The office %(office)s is closed: nothing is printed for it.")


class UnknownPlacement(NotFound):
    code = "placement_not_found"
    text = _l("We do not know this link. Please check its code.")


class NotYourOffice(DomainError):
    code, status = "not_your_office", 403
    text = _l("You do not belong to this office.")


class PlacementNotActive(Conflict):
    code = "placement_not_active"
    text = _l("This link is retired or replaced already.")


class LinkGivenThrough(Conflict):
    """Reports have its gifts under its medium and office: another one would rewrite them."""

    code = "link_given_through"
    text = _l(
        "People have given through this link already: its medium and its office stay as they are. Retire it and make a "
        "new link for the other place."
    )


class MediumUnknown(Invalid):
    code = "medium_unknown"
    text = _l("This medium is not known here.")


class LanguageUnknown(Invalid):
    code = "language_unknown"
    text = _l("This language is not known here.")


class LabelInvalid(Invalid):
    code = "label_invalid"
    text = _l("Please enter at most %(limit)s characters, without line breaks.")
