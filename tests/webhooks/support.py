"""What several tests of notifications need."""

import threading
from collections.abc import Callable
from typing import Any

from flask import Flask

from core.db import db


def at_once(app: Flask, count: int, act: Callable[[int], Any]) -> list[Any]:
    """Run `act(number)` in as many threads at once, each with a context and so a connection of its own.

    Answers what each returned or raised.
    """
    barrier, results = threading.Barrier(count), [None] * count

    def run(number: int) -> None:
        with app.app_context():
            barrier.wait()
            try:
                results[number] = act(number)
            except Exception as error:  # noqa: BLE001 - the test looks at it
                results[number] = error
            finally:
                db.session.remove()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
