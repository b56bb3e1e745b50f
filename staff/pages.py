"""The console's front page."""

from flask import Blueprint, Flask, render_template
from flask_babel import lazy_gettext as _l

from staff import access, account, factor_pages, frame, joining, labels, passkeys, second_step, signin
from staff.access import acting, allowed
from staff.models import ROLES

blueprint = Blueprint(
    "staff", __name__, template_folder="templates", static_folder="static", static_url_path="/static/staff"
)
for _pages in (second_step, joining, account, factor_pages):
    _pages.add_pages(blueprint)


@blueprint.get("/staff", strict_slashes=False)
@allowed(*ROLES)
def front() -> str:
    actor = acting()
    return render_template("staff/front.html", actor=actor, cards=frame.cards(actor))


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
    access.init_app(app)
    signin.init_app(app)
    frame.init_app(app)
    app.jinja_env.globals["staff_role_names"] = labels.ROLE_NAMES
    app.jinja_env.globals["passkey_origin"] = passkeys.origin
    frame.add_entry(app, "staff.front", _l("Start"), icon="home", order=0)
