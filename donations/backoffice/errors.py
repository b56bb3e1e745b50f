"""What can be refused about campaigns and what belongs to them."""

from flask_babel import lazy_gettext as _l

from core.errors import Conflict, NotFound


class SlugTaken(Conflict):
    code = "campaign_slug_taken"
    text = _l("Another campaign has this address.")


class FundTaken(Conflict):
    code = "fund_code_taken"
    text = _l("Another fund has this code. Choose it from the list, or take another code.")


class UnknownResource(NotFound):
    code = "resource_not_found"
    text = _l("This resource is not there any more.")


class UnknownRule(NotFound):
    code = "rule_not_found"
    text = _l("This rule is not there any more.")
