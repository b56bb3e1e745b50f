"""sums of reports are made anew where what no gift is behind had the days of another zone than the books"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op


revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

BOOKS = "Europe/Minsk"
campaigns = sa.table("campaigns", sa.column("zone", sa.String))
marks = sa.table("sums_marks", sa.column("until", sa.DateTime(timezone=True)))


def upgrade() -> None:
    _forget_sums()


def downgrade() -> None:
    _forget_sums()


def _forget_sums() -> None:
    """Reports read the postings until the worker has made the sums anew."""
    connection = op.get_bind()
    if connection.scalar(sa.select(campaigns.c.zone).where(campaigns.c.zone != BOOKS).limit(1)) is None:
        return
    connection.execute(marks.update().values(until=datetime(1970, 1, 1, tzinfo=UTC)))
    for name in ("report_sums", "account_sums"):
        connection.execute(sa.delete(sa.table(name)))
