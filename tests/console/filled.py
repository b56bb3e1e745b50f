"""Forms as a browser sends them: every field of the page's form with the value it was shown with; files beside."""

from collections.abc import Mapping
from html.parser import HTMLParser

from werkzeug.test import TestResponse

from tests.staff.console import Browser

LIMIT = "limit-of-parts"


class _Form(HTMLParser):
    def __init__(self, action: str) -> None:
        super().__init__()
        self.action, self.inside, self.fields = action, False, dict[str, str]()
        self._text, self._select = "", ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.inside = at.get("method") == "post" and at.get("action") == self.action
        if not self.inside:
            return
        name = at.get("name", "")
        match tag, at.get("type"):
            case "input", "checkbox" | "radio":
                if "checked" in at:
                    self.fields[name] = at.get("value", "")
            case "input", kind if kind != "file" and name:
                self.fields[name] = at.get("value", "")
            case "textarea", _:
                self._text, self.fields[name] = name, ""
            case "select", _:
                self._select = name
            case "option", _ if self._select and ("selected" in at or self._select not in self.fields):
                self.fields[self._select] = at["value"]

    def handle_data(self, data: str) -> None:
        if self._text:
            self.fields[self._text] += data

    def handle_endtag(self, tag: str) -> None:
        self._text = "" if tag == "textarea" else self._text
        self._select = "" if tag == "select" else self._select
        self.inside = self.inside and tag != "form"


def fields_of(answer: TestResponse, action: str) -> dict[str, str]:
    """The fields of the form of the page that is sent there."""
    form = _Form(action)
    form.feed(answer.text)
    assert form.fields, f"no form for {action}"
    return form.fields


def form_at(browser: Browser, path: str, action: str = "") -> dict[str, str]:
    return fields_of(browser.get(path), action or path)


def send_files(
    browser: Browser, path: str, fields: Mapping[str, str], files: Mapping[str, tuple[str, bytes]]
) -> TestResponse:
    """The body is built here: the test client leaves a large one's temporary file open."""
    parts = []
    for name, value in {**fields, "csrf_token": browser.token}.items():
        parts += [f'--{LIMIT}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()]
    for name, (filename, data) in files.items():
        about = f'--{LIMIT}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
        parts += [f"{about}Content-Type: image/png\r\n\r\n".encode(), data, b"\r\n"]
    body = b"".join([*parts, f"--{LIMIT}--\r\n".encode()])
    return browser.client.post(path, data=body, content_type=f"multipart/form-data; boundary={LIMIT}")


def error_of(answer: TestResponse, name: str) -> str:
    """What the page says is wrong with this field; empty when nothing is."""
    found = answer.text.partition(f'id="{name}-error">')[2].partition("</p>")[0]
    return found.replace("&#39;", "'")
