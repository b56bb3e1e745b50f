"""What a person sees of a page."""

from typing import Any


def fits(page: Any) -> bool:
    """The page, once it is loaded, is no wider than the window."""
    page.wait_for_load_state()
    return bool(page.locator("html").evaluate("page => page.scrollWidth <= window.innerWidth"))
