"""Some offices and links to try things out with, in development. Invented: the campaign team imports the real list."""

from datetime import datetime

import sqlalchemy as sa

from core.db import db, unit_of_work
from core.i18n import Localized
from offices.models import Office
from offices.queries import campaign_id
from offices.services import Place, add_placements

# (code, region, name, address)
OFFICES = [
    (
        "MINSK-01",
        "Минск",
        Localized(ru="Салон связи «Немига»", be="Салон сувязі «Няміга»", en="Niamiha shop"),
        Localized(ru="Минск, ул. Немига, 3", be="Мінск, вул. Няміга, 3", en="3 Niamiha St, Minsk"),
    ),
    (
        "MINSK-02",
        "Минск",
        Localized(ru="Салон связи «Каменная Горка»", be="Салон сувязі «Каменная Горка»", en="Kamiennaja Horka shop"),
        Localized(
            ru="Минск, пр-т Дзержинского, 106", be="Мінск, пр-т Дзяржынскага, 106", en="106 Dziaržynskaha, Minsk"
        ),
    ),
    (
        "BREST-01",
        "Брестская область",
        Localized(ru="Салон связи «Советская»", be="Салон сувязі «Савецкая»", en="Savieckaja shop"),
        Localized(ru="Брест, ул. Советская, 55", be="Брэст, вул. Савецкая, 55", en="55 Savieckaja St, Brest"),
    ),
    (
        "GOMEL-01",
        "Гомельская область",
        Localized(ru="Салон связи «Гомель-центр»", be="Салон сувязі «Гомель-цэнтр»", en="Homiel centre shop"),
        Localized(ru="Гомель, ул. Ильича, 2", be="Гомель, вул. Ільіча, 2", en="2 Ilyicha St, Homiel"),
    ),
    (
        "GRODNO-01",
        "Гродненская область",
        Localized(ru="Салон связи «Городница»", be="Салон сувязі «Гарадніца»", en="Haradnica shop"),
        Localized(ru="Гродно, ул. Ожешко, 38", be="Гродна, вул. Ажэшкі, 38", en="38 Ažeška St, Hrodna"),
    ),
    (
        "VITEBSK-01",
        "Витебская область",
        Localized(ru="Салон связи «Двина»", be="Салон сувязі «Дзвіна»", en="Dzvina shop"),
        Localized(ru="Витебск, ул. Ленина, 26", be="Віцебск, вул. Леніна, 26", en="26 Lienina St, Viciebsk"),
    ),
    (
        "MOGILEV-01",
        "Могилёвская область",
        Localized(ru="Салон связи «Звёздная»", be="Салон сувязі «Зорная»", en="Zornaja shop"),
        Localized(
            ru="Могилёв, ул. Первомайская, 29", be="Магілёў, вул. Першамайская, 29", en="29 Pieršamajskaja, Mahilioŭ"
        ),
    ),
    (
        "BORISOV-01",
        "Минская область",
        Localized(ru="Салон связи «Борисов»", be="Салон сувязі «Барысаў»", en="Barysaŭ shop"),
        Localized(ru="Борисов, пр-т Революции, 47", be="Барысаў, пр-т Рэвалюцыі, 47", en="47 Revaliucyi, Barysaŭ"),
    ),
]

# (medium, code of the office, language, label)
PLACEMENTS = [
    ("office_poster", "MINSK-01", "ru", ""),
    ("counter_card", "MINSK-01", "be", ""),
    ("window", "GRODNO-01", "be", ""),
    ("office_poster", "BREST-01", "ru", ""),
    ("billboard", None, "ru", "МКАД, 14 км"),
    ("metro", None, "be", "Плошча Перамогі"),
    ("lift", None, "ru", "Минск-Мир"),
    ("taxi", None, "ru", ""),
    ("sms", None, "ru", "9 февраля"),
    ("blogger", None, "en", ""),
]


def seed_offices(now: datetime) -> bool:
    """Offices, and links of several media; whether they were made now: not where there is an office already."""
    campaign = campaign_id(None)
    if campaign is None or db.session.scalar(sa.select(Office.id).limit(1)) is not None:
        return False
    with unit_of_work() as session:
        made = {
            code: Office(code=code, region=region, name=name, address=address)
            for code, region, name, address in OFFICES
        }
        session.add_all(made.values())
        session.flush()
        places = [
            Place(campaign, medium, language, office_id=made[office].id if office else None, label=label)
            for medium, office, language, label in PLACEMENTS
        ]
        add_placements(places, now)
    return True
