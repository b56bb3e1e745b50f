"""`flask staff …`: who may sign in. `flask audit …`: is the log of their acts whole."""

import click
import sqlalchemy as sa
from flask import Flask
from flask.cli import AppGroup
from flask_babel import force_locale

from core.clock import utcnow
from core.db import db, unit_of_work
from core.errors import DomainError
from staff import audit, services
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


@group.command("list")
def list_members() -> None:
    """All members: e-mail, name, roles, last sign-in."""
    for member in db.session.scalars(sa.select(StaffMember).order_by(StaffMember.email)):
        seen = f"{member.signed_in_at:%Y-%m-%d %H:%M}" if member.signed_in_at else "never signed in"
        state = "" if member.active else "  disabled"
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
