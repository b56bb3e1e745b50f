"""Time: aware UTC, and days of the campaign's zone."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from core.clock import from_unix, local_day, require_utc, utcnow


def test_now_is_aware() -> None:
    assert utcnow().tzinfo is UTC


def test_naive_values_are_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        require_utc(datetime(2026, 1, 1))  # noqa: DTZ001 - what is refused
    with pytest.raises(ValueError, match="naive"):
        local_day(datetime(2026, 1, 1), "Europe/Minsk")  # noqa: DTZ001 - what is refused


def test_a_moment_of_another_zone_is_the_same_moment_in_utc() -> None:
    minsk = datetime(2026, 1, 1, 2, 30, tzinfo=timezone(timedelta(hours=3)))
    assert require_utc(minsk) == datetime(2025, 12, 31, 23, 30, tzinfo=UTC)
    assert require_utc(minsk).tzinfo is UTC


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime(2025, 12, 31, 20, 59, 59, tzinfo=UTC), date(2025, 12, 31)),
        (datetime(2025, 12, 31, 21, 0, tzinfo=UTC), date(2026, 1, 1)),
        (datetime(2026, 6, 30, 21, 0, tzinfo=UTC), date(2026, 7, 1)),
    ],
)
def test_a_day_ends_at_midnight_in_minsk_not_in_greenwich(moment: datetime, day: date) -> None:
    assert local_day(moment, "Europe/Minsk") == day


def test_unix_seconds_are_utc() -> None:
    assert from_unix(1_700_000_000) == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
