"""Donors in front of the pages."""

import pytest
from flask.testing import FlaskClient

from tests.pages.donor import Donor


@pytest.fixture
def donor(client: FlaskClient) -> Donor:
    return Donor(client)
