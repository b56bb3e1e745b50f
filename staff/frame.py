"""The frame of the console: what stands in the menu and on the front page, by role.

Rooms register what is theirs when the application is built; this room imports none of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Flask, current_app, request, url_for
from flask_babel import lazy_gettext as _l
from flask_security import current_user

from staff.access import PREFIX as FRONT
from staff.access import Actor, acting, must_set_up_second_factor, roles_of


@dataclass(frozen=True)
class Entry:
    """A page in the menu; `title` is a lazy text. Who may open the page sees the entry."""

    endpoint: str
    title: Any
    icon: str
    order: int


@dataclass(frozen=True)
class Group:
    """Entries that stand together; without a title they stand in the menu itself. `here` says where one is now."""

    title: Any
    entries: list[tuple[Entry, bool]]

    @property
    def here(self) -> bool:
        return any(here for _, here in self.entries)


# What an entry belongs to, by its order: below the first number stands what is used every day.
GROUPS = ((10, None), (40, _l("Offices and posters")), (60, _l("Finance")), (90, _l("Campaign")), (1000, _l("Rights")))
LONG = 6  # entries; a menu of more is grouped


@dataclass(frozen=True)
class Card:
    """A block of the front page for some roles: `render` makes its HTML, or nothing when it has nothing to say."""

    render: Callable[[Actor], str]
    roles: frozenset[str]
    order: int


def add_entry(app: Flask, endpoint: str, title: Any, *, icon: str, order: int) -> None:
    """`order` also says which group of a long menu it belongs to: see `GROUPS`."""
    _registered(app, "staff_menu").append(Entry(endpoint, title, icon, order))


def add_card(app: Flask, render: Callable[[Actor], str], *roles: str, order: int) -> None:
    _registered(app, "staff_cards").append(Card(render, frozenset(roles), order))


def _registered(app: Flask, name: str) -> list[Any]:
    found: list[Any] = app.extensions.setdefault(name, [])
    return found


def menu() -> list[tuple[Entry, bool]]:
    """The entries for the member who looks, and whether each is where they are now."""
    if not current_user.is_authenticated or must_set_up_second_factor():
        return []
    app, actor = current_app, acting()
    entries = [each for each in app.extensions.get("staff_menu", []) if roles_of(app, each.endpoint) & actor.roles]
    return [(each, _is_here(each)) for each in sorted(entries, key=lambda each: each.order)]


def menu_groups() -> list[Group]:
    """The menu as it is shown: a short one as it is, of a long one what is used every day, the rest in groups."""
    entries = menu()
    if len(entries) <= LONG:
        return [Group(None, entries)] if entries else []
    found, low = [], 0
    for below, title in GROUPS:
        mine = [each for each in entries if low <= each[0].order < below]
        low = below
        if mine:
            found.append(Group(title if len(mine) > 1 else None, mine))
    return found


def _is_here(entry: Entry) -> bool:
    """Also on the pages below it; everything is below the front page, so that one must be it."""
    here = url_for(entry.endpoint)
    return request.path == here or (here != FRONT and request.path.startswith(f"{here}/"))


def cards(actor: Actor) -> list[str]:
    wanted = [each for each in current_app.extensions.get("staff_cards", []) if each.roles & actor.roles]
    return [html for each in sorted(wanted, key=lambda each: each.order) if (html := each.render(actor))]


def init_app(app: Flask) -> None:
    app.jinja_env.globals.update(staff_menu=menu_groups)
