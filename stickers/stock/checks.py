"""Does the stock add up? SQL over all levels, movements and transfers, for `flask stock check`."""

from dataclasses import dataclass

import sqlalchemy as sa

from core.db import db


@dataclass(frozen=True)
class Fault:
    place: str
    what: str


SUMS = """
SELECT offices.code AS office, sticker_packs.code AS pack, coalesce(levels.quantity, 0) AS quantity,
       coalesce(moved.total, 0) AS total
FROM (SELECT office_id, pack_id FROM stock_levels UNION SELECT office_id, pack_id FROM stock_movements) places
LEFT JOIN stock_levels levels ON levels.office_id = places.office_id AND levels.pack_id = places.pack_id
LEFT JOIN (SELECT office_id, pack_id, sum(delta) AS total FROM stock_movements GROUP BY office_id, pack_id) moved
       ON moved.office_id = places.office_id AND moved.pack_id = places.pack_id
JOIN offices ON offices.id = places.office_id
JOIN sticker_packs ON sticker_packs.id = places.pack_id
WHERE coalesce(levels.quantity, 0) <> coalesce(moved.total, 0) OR coalesce(levels.quantity, 0) < 0
ORDER BY offices.code, sticker_packs.code
"""

STEPS = """
SELECT offices.code AS office, sticker_packs.code AS pack, steps.id, steps.level, steps.before + steps.delta AS due
FROM (SELECT id, office_id, pack_id, level, delta,
             coalesce(lag(level) OVER (PARTITION BY office_id, pack_id ORDER BY id), 0) AS before
      FROM stock_movements) steps
JOIN offices ON offices.id = steps.office_id
JOIN sticker_packs ON sticker_packs.id = steps.pack_id
WHERE steps.level <> steps.before + steps.delta
ORDER BY steps.id
"""

# What a transfer's movements come to: nothing once they are back, its loss or surplus once they arrived.
TRANSFERS = """
SELECT transfers.public_id, transfers.state, transfers.quantity, coalesce(moved.total, 0) AS total
FROM stock_transfers transfers
LEFT JOIN (SELECT transfer_id, sum(delta) AS total FROM stock_movements GROUP BY transfer_id) moved
       ON moved.transfer_id = transfers.id
WHERE coalesce(moved.total, 0) <> CASE transfers.state
        WHEN 'on_the_way' THEN -transfers.quantity
        WHEN 'arrived' THEN transfers.arrived - transfers.quantity
        ELSE 0 END
ORDER BY transfers.id
"""


def faults() -> list[Fault]:
    """Where a level is not the sum of its movements, a movement does not follow the one before, a transfer leaks."""
    found = [
        Fault(f"{row.office} {row.pack}", f"the level is {row.quantity}, its movements come to {row.total}")
        for row in db.session.execute(sa.text(SUMS))
    ]
    found += [
        Fault(f"{row.office} {row.pack}", f"after movement {row.id} the level was {row.level}, it should be {row.due}")
        for row in db.session.execute(sa.text(STEPS))
    ]
    found += [
        Fault(f"transfer {row.public_id}", f"{row.state} with {row.quantity}, its movements come to {row.total}")
        for row in db.session.execute(sa.text(TRANSFERS))
    ]
    return found
