"""posters numbered within their office; offices of print runs as their posters name them"""

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op


revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

UNIQUE_NUMBER = "uq_placements_office_id_poster_number"


def upgrade() -> None:
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("offices", sa.Column("posters", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.add_column("placements", sa.Column("poster_number", sa.Integer(), nullable=True))
    op.create_table(
        "print_batch_offices",
        sa.Column("batch_id", key, nullable=False),
        sa.Column("office_id", key, nullable=False),
        sa.Column("line", sa.String(length=400), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["print_batches.id"], name=op.f("fk_print_batch_offices_batch_id")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_print_batch_offices_office_id")),
        sa.PrimaryKeyConstraint("batch_id", "office_id", name=op.f("pk_print_batch_offices")),
    )
    op.create_index(op.f("ix_print_batch_offices_office_id"), "print_batch_offices", ["office_id"])
    _number_posters()
    _name_offices_of_runs()
    op.create_index(UNIQUE_NUMBER, "placements", ["office_id", "poster_number"], unique=True)


def _number_posters() -> None:
    """Posters keep the number they were printed with, unless their office has one of that number already."""
    connection = op.get_bind()
    rows = connection.execute(
        sa.text(
            "SELECT p.id, p.office_id, p.number FROM placements p JOIN print_batches b ON b.id = p.batch_id "
            "WHERE p.office_id IS NOT NULL AND p.number IS NOT NULL AND b.format <> 'labels' ORDER BY p.id"
        )
    ).all()
    highest: dict[int, int] = defaultdict(int)
    for _, office, number in rows:
        highest[office] = max(highest[office], number)
    taken: set[tuple[int, int]] = set()
    numbered = []
    for placement, office, number in rows:
        if (office, number) in taken:
            highest[office] += 1
            number = highest[office]
        taken.add((office, number))
        numbered.append({"id": placement, "number": number})
    if numbered:
        connection.execute(sa.text("UPDATE placements SET poster_number = :number WHERE id = :id"), numbered)
        last = [{"id": office, "number": number} for office, number in highest.items()]
        connection.execute(sa.text("UPDATE offices SET posters = :number WHERE id = :id"), last)


def _name_offices_of_runs() -> None:
    connection = op.get_bind()
    rows = connection.execute(
        sa.text(
            "SELECT DISTINCT p.batch_id, p.office_id, b.language FROM placements p "
            "JOIN print_batches b ON b.id = p.batch_id WHERE p.office_id IS NOT NULL"
        )
    ).all()
    texts = {row.id: (row.name, row.address) for row in connection.execute(sa.text("SELECT * FROM offices"))}
    named = [
        {"batch": batch, "office": office, "line": ", ".join(_in_language(texts[office], language))}
        for batch, office, language in rows
    ]
    if named:
        insert = "INSERT INTO print_batch_offices (batch_id, office_id, line) VALUES (:batch, :office, :line)"
        connection.execute(sa.text(insert), named)


def _in_language(texts: tuple[Any, ...], language: str) -> Iterator[str]:
    for text in texts:  # JSON comes as text from one database and as a value from the other
        values = json.loads(text) if isinstance(text, str) else text
        yield values.get(language) or values["ru"]


def downgrade() -> None:
    op.drop_index(UNIQUE_NUMBER, table_name="placements")
    op.drop_table("print_batch_offices")
    op.drop_column("placements", "poster_number")
    op.drop_column("offices", "posters")
