"""Every act that the code writes down has a name that people can read."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from finance.corrections import BOOK, ENTRY_BACK, FIGURES, LINE_OUT, REBOOK
from staff.audit_names import NAMES

ROOT = Path(__file__).parents[2]
ACT = re.compile(r"[a-z_]+\.[a-z_]+")
MADE_OF_PARTS = {
    *(f"{kind}.asked" for kind in ("reconcile", "check")),
    *(f"refund.{state}" for state in ("rejected", "withdrawn")),
    *(f"books.{act}" for act in (FIGURES, ENTRY_BACK, LINE_OUT, BOOK, REBOOK)),
}
OURS = ("donations", "finance", "offices", "ops", "staff", "stickers", "webhooks")


def source() -> Iterator[ast.Module]:
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    for path in listed.stdout.split():
        if path.split("/")[0] in OURS and path != "staff/audit_names.py":
            yield ast.parse((ROOT / path).read_text(encoding="utf-8"))


def texts(node: ast.AST) -> set[str]:
    return {each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)}


def recorded(module: ast.Module) -> set[str]:
    """Names of acts among what is handed to `record` and its like."""
    found: set[str] = set()
    for call in ast.walk(module):
        if isinstance(call, ast.Call):
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            if "record" in name or name in ("_act", "_write"):
                found |= {text for each in call.args for text in texts(each) if ACT.fullmatch(text)}
    return found


def test_every_act_has_a_name() -> None:
    acts = set().union(*(recorded(module) for module in source()))
    assert len(acts) > 80
    assert (acts | MADE_OF_PARTS) - set(NAMES) == set()


def test_no_name_is_left_of_an_act_that_is_gone() -> None:
    every = set().union(*(texts(module) for module in source()))
    assert set(NAMES) - MADE_OF_PARTS <= every
