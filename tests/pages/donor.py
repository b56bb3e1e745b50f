"""A donor with a browser that has no scripts: reads pages, fills the form, presses its button."""

import html
import re
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from ops.demo import SLUG

CAMPAIGN = f"/c/{SLUG}"


class Donor:
    def __init__(self, client: FlaskClient, language: str = "en") -> None:
        self.client = client
        self.language = language

    def read(self, path: str, status: int = 200) -> str:
        response = self.client.get(path, query_string={"lang": self.language})
        assert response.status_code == status, response.text
        return html.unescape(response.text)

    def hidden(self, path: str = CAMPAIGN) -> dict[str, str]:
        """The hidden fields of the form on that page."""
        page = self.read(path)
        fields = re.findall(r'<input(?=[^>]*type="hidden")[^>]*name="([^"]+)"[^>]*value="([^"]*)"', page)
        assert "csrf_token" in dict(fields)
        return dict(fields)

    def give(self, *, hidden: dict[str, str] | None = None, **fields: Any) -> TestResponse:
        """Press the button of the donation form."""
        return self.client.post(CAMPAIGN, data={**(hidden or self.hidden()), **fields})

    def try_again(self, token: str) -> TestResponse:
        hidden = self.hidden()
        return self.client.post(f"/d/{token}/pay", data={"csrf_token": hidden["csrf_token"]})


def text_of(page: str) -> str:
    """What stands on the page, without mark-up, with single spaces."""
    body = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())
