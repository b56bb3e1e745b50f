"""`flask staff …`: who may sign in. `flask audit …`: is the log of their acts whole."""

import click
import sqlalchemy as sa
from flask import Flask, current_app
from flask.cli import AppGroup
from flask_babel import force_locale

from core.clock import utcnow
from core.db import db, unit_of_work
from core.errors import DomainError
from core.i18n import DEFAULT_LOCALE, LOCALES
from staff import access_table, audit, invitations, services
from staff.models import ROLES, StaffMember

group = AppGroup("staff", help="Members of staff.")
audit_group = AppGroup("audit", help="The log of what staff changed.")

BY_COMMAND = {"actor": audit.COMMAND_LINE, "address": "-"}


@group.command("create")
@click.argument("email")
@click.option("--role", "roles", type=click.Choice(ROLES), multiple=True, required=True, help="May be given twice.")
@click.option("--name", default="", help="How colleagues see the member.")
@click.option("--ask-password", is_flag=True, help="Type a password instead of having one made.")
def create(email: str, roles: tuple[str, ...], name: str, ask_password: bool) -> None:
    """Make a member. Without --ask-password a password is made and shown this once."""
    password = _password(ask_password)
    with _refusals_told(), unit_of_work():
        member = services.create_member(email, name, roles, password, now=utcnow(), **BY_COMMAND)
    click.echo(f"made {member.email} ({', '.join(roles)})")
    _show(password, ask_password)


@group.command("invite")
@click.argument("email")
@click.option("--role", "roles", type=click.Choice(ROLES), multiple=True, required=True, help="May be given twice.")
@click.option("--name", default="", help="The invited person may change it.")
@click.option("--language", type=click.Choice(LOCALES), default=DEFAULT_LOCALE, help="Of the letter.")
def invite(email: str, roles: tuple[str, ...], name: str, language: str) -> None:
    """Send a letter with a link, good once and for a week, to choose a password; again for who has not come yet."""
    with _refusals_told(), unit_of_work():
        member = invitations.invite_member(email, name, roles, locale=language, now=utcnow(), **BY_COMMAND)
    click.echo(f"invited {member.email} ({', '.join(roles)})")


@group.command("withdraw-invitation")
@click.argument("email")
def withdraw_invitation(email: str) -> None:
    """Make the link of an invitation good no longer."""
    with _refusals_told(), unit_of_work():
        invitations.withdraw_invitation(email, now=utcnow(), **BY_COMMAND)
    click.echo(f"withdrew the invitation of {email}")


@group.command("list")
def list_members() -> None:
    """All members: e-mail, name, roles, last sign-in."""
    for member in db.session.scalars(sa.select(StaffMember).order_by(StaffMember.email)):
        seen = f"{member.signed_in_at:%Y-%m-%d %H:%M}" if member.signed_in_at else "never signed in"
        state = "" if member.active else f"  {member.state}"
        click.echo(f"{member.email}  {member.name}  {','.join(sorted(member.role_names()))}  {seen}{state}")


@group.command("disable")
@click.argument("email")
def disable(email: str) -> None:
    """Let a member in no longer; ends their sessions at once."""
    with _refusals_told(), unit_of_work():
        services.set_active(email, False, now=utcnow(), **BY_COMMAND)
    click.echo(f"disabled {email}")


@group.command("enable")
@click.argument("email")
def enable(email: str) -> None:
    """Let a disabled member in again."""
    with _refusals_told(), unit_of_work():
        services.set_active(email, True, now=utcnow(), **BY_COMMAND)
    click.echo(f"enabled {email}")


@group.command("reset-password")
@click.argument("email")
@click.option("--ask-password", is_flag=True, help="Type a password instead of having one made.")
def reset_password(email: str, ask_password: bool) -> None:
    """Give a member a new password; ends their sessions."""
    password = _password(ask_password)
    with _refusals_told(), unit_of_work():
        services.reset_password(email, password, now=utcnow(), **BY_COMMAND)
    click.echo(f"new password for {email}")
    _show(password, ask_password)


@group.command("reset-second-factor")
@click.argument("email")
def reset_second_factor(email: str) -> None:
    """Take app and passkeys of a member away who lost them; ends their sessions, and tells them by e-mail."""
    with _refusals_told(), unit_of_work():
        services.reset_second_factor(email, now=utcnow(), **BY_COMMAND)
    click.echo(f"{email} signs in with the password alone until a second factor is set up again")


@group.command("access-table")
@click.option("--write", is_flag=True, help="Put it into docs/access.md.")
def show_access_table(write: bool) -> None:
    """Print the table of routes and who may use them."""
    text = access_table.renewed(current_app)
    if write:
        access_table.page(current_app).write_text(text)
    rows = access_table.parse(text)
    click.echo(access_table.render(rows))
    if unknown := [row for row in rows if access_table.UNKNOWN in row.cells]:
        click.echo(f"write yes or own in place of {access_table.UNKNOWN} in {len(unknown)} rows", err=True)


@audit_group.command("verify")
@click.option("--head", "noted", metavar="NUMBER:HASH", help="A head noted earlier: shows an end cut off since.")
def verify(noted: str | None) -> None:
    """Find entries that were edited, removed or reordered; fails if there are any."""
    try:
        written_down = audit.read_head(noted) if noted else None
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    count, faults = audit.verify(written_down)
    for fault in faults:
        click.echo(f"entry {fault.number}: {fault.what}")
    if faults:
        raise click.ClickException(f"the audit log is broken in {len(faults)} places")
    click.echo(f"{count} entries, the chain is whole; head {audit.head()}")


def _password(ask: bool) -> str:
    if ask:
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    return services.new_password()


def _show(password: str, typed: bool) -> None:
    if not typed:
        click.echo(f"password (shown this once): {password}")


class _refusals_told:  # noqa: N801 - used as a word
    """Tell a refusal as a command does: one line, and a failure."""

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, DomainError):
            with force_locale("en"):
                raise click.ClickException(error.message) from error


def init_app(app: Flask) -> None:
    app.cli.add_command(group)
    app.cli.add_command(audit_group)
