"""The table of docs/access.md: every route of console and API, and who may use it.

Roles and scopes come from what the views declare. Whether office staff may act for their own office alone is a rule
inside services, so that one column is written by hand and kept; a test requests every route as everybody and compares.
"""

from dataclasses import dataclass
from pathlib import Path

from flask import Flask
from werkzeug.routing import Rule

from staff.access import API_PREFIX, EVERYBODY, PREFIX, roles_of, scope_of
from staff.models import ROLES

BEGIN, END = "<!-- table: flask staff access-table --write -->", "<!-- end of table -->"
YES, NO, OWN, UNKNOWN = "yes", "–", "own", "?"
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
COLUMNS = ("route", "method", "nobody", *ROLES, "token")


@dataclass(frozen=True)
class Row:
    """One route and method. `cells` say for nobody and each role whether they may; `scope` is what a token needs."""

    route: str
    method: str
    cells: tuple[str, ...]
    scope: str

    @property
    def key(self) -> tuple[str, str]:
        return self.route, self.method

    def cell(self, who: str) -> str:
        return self.cells[("nobody", *ROLES).index(who)]


def is_listed(rule: Rule) -> bool:
    return rule.rule == PREFIX or rule.rule.startswith((f"{PREFIX}/", API_PREFIX))


def declared(app: Flask, written: list[Row]) -> list[Row]:
    """What the views say, with the column of offices as it was written."""
    by_hand = {row.key: row.cell("office") for row in written}
    rows = []
    for rule in app.url_map.iter_rules():
        if is_listed(rule):
            rows += [_row(app, rule, method, by_hand) for method in (rule.methods or set()) & METHODS]
    return sorted(rows, key=lambda row: (row.route.startswith(API_PREFIX), row.route, row.method))


def _row(app: Flask, rule: Rule, method: str, by_hand: dict[tuple[str, str], str]) -> Row:
    roles, scope = roles_of(app, rule.endpoint), scope_of(app, rule.endpoint)
    public = roles == EVERYBODY or (not roles and rule.rule.startswith(API_PREFIX))
    cells = {role: YES if public or role in roles else NO for role in ROLES}
    if cells["office"] == YES and not roles.issuperset(ROLES) and not public:  # what everybody may is of no office
        kept = by_hand.get((rule.rule, method), UNKNOWN)
        cells["office"] = kept if kept in (YES, OWN) else UNKNOWN
    return Row(rule.rule, method, (YES if public else NO, *cells.values()), scope or NO)


def render(rows: list[Row]) -> str:
    lines = [COLUMNS, tuple("---" for _ in COLUMNS)]
    lines += [(f"`{row.route}`".replace("|", "\\|"), row.method, *row.cells, row.scope) for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def parse(text: str) -> list[Row]:
    """The rows between the marks of the page."""
    table = text.partition(BEGIN)[2].partition(END)[0]
    rows = []
    for line in table.strip().splitlines()[2:]:
        route, method, *cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        rows.append(Row(route.strip("`").replace("\\|", "|"), method, tuple(cells[:-1]), cells[-1]))
    return rows


def page(app: Flask) -> Path:
    return Path(app.root_path) / "docs" / "access.md"


def renewed(app: Flask) -> str:
    """The whole page with its table as the views declare it now."""
    text = page(app).read_text()
    before, _, rest = text.partition(BEGIN)
    table = render(declared(app, parse(text)))
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.partition(END)[2]}"
