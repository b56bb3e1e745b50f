"""The demonstration campaign, from the campaign's own papers. Made once; never touches what is there.

The helpline's number is the one in those papers: the owner must confirm it before the service goes live. Resources have
no address where none is confirmed; they are shown as text then.
"""

from datetime import UTC, datetime

import sqlalchemy as sa

from core.db import db, unit_of_work
from core.i18n import Localized
from donations.models import Campaign, CampaignResource
from ledger.models import Fund
from stickers.models import StickerPack, StickerRule

SLUG = "bullying-free-internet"

DESIGNATION = Localized(
    ru="обучение специалистов, которые помогают детям, пострадавшим от кибербуллинга",
    be="навучанне спецыялістаў, якія дапамагаюць дзецям, што пацярпелі ад кібербулінгу",
    en="training specialists in treatment of cyberbullying victims",
)

USES = [
    {
        "title": Localized(ru="Учим тех, кто помогает", be="Вучым тых, хто дапамагае", en="We train those who help"),
        "text": Localized(
            ru="Психологи и педагоги проходят обучение: как поддержать ребёнка, которого травят в сети.",
            be="Псіхолагі і педагогі праходзяць навучанне: як падтрымаць дзіця, якое цкуюць у сеціве.",
            en="Psychologists and teachers learn how to support a child who is bullied online.",
        ),
    },
    {
        "title": Localized(ru="Помощь рядом с ребёнком", be="Дапамога побач з дзіцем", en="Help close to the child"),
        "text": Localized(
            ru="Обученный специалист есть там, где ребёнок живёт и учится, и знает, что делать в первый час.",
            be="Падрыхтаваны спецыяліст ёсць там, дзе дзіця жыве і вучыцца, і ведае, што рабіць у першую гадзіну.",
            en="A trained specialist is where the child lives and learns, and knows what to do in the first hour.",
        ),
    },
    {
        "title": Localized(
            ru="Отчёт за каждую копейку", be="Справаздача за кожную капейку", en="An account of every kopeck"
        ),
        "text": Localized(
            ru="Деньги учитываются отдельно и тратятся только на это. Цифры открыты внизу страницы.",
            be="Грошы ўлічваюцца асобна і трацяцца толькі на гэта. Лічбы адкрытыя ўнізе старонкі.",
            en="The money is kept apart and spent on nothing else. The figures are open at the end of this page.",
        ),
    },
]

# (kind, label, target, title, text)
RESOURCES = [
    (
        "helpline",
        "8 800 100 16 11",
        "tel:88001001611",
        Localized(ru="Телефон помощи", be="Тэлефон дапамогі", en="Helpline"),
        Localized(
            ru="Для детей и родителей, которые столкнулись с травлей в интернете. Можно не называть себя.",
            be="Для дзяцей і бацькоў, якія сутыкнуліся з цкаваннем у інтэрнэце. Можна не называць сябе.",
            en="For children and parents who have met with bullying on the internet. You need not say who you are.",
        ),
    ),
    (
        "consultation",
        "",
        "",
        Localized(ru="Консультации психологов", be="Кансультацыі псіхолагаў", en="Consultations with psychologists"),
        Localized(
            ru="На сайте кампании психологи отвечают на вопросы детей и взрослых: анонимно и бесплатно.",
            be="На сайце кампаніі псіхолагі адказваюць на пытанні дзяцей і дарослых: ананімна і бясплатна.",
            en="On the campaign’s site psychologists answer children and adults: anonymously and free of charge.",
        ),
    ),
    (
        "video",
        "",
        "",
        Localized(ru="Обучающие видео", be="Навучальныя відэа", en="Learning videos"),
        Localized(
            ru="Короткие ролики: как распознать кибербуллинг, что ответить и к кому обратиться.",
            be="Кароткія ролікі: як распазнаць кібербулінг, што адказаць і да каго звярнуцца.",
            en="Short films: how to recognise cyberbullying, what to answer and whom to turn to.",
        ),
    ),
    (
        "test",
        "",
        "",
        Localized(
            ru="Тесты по реальным историям", be="Тэсты паводле сапраўдных гісторый", en="Tests from real stories"
        ),
        Localized(
            ru="Истории, которые рассказали дети. Как поступите вы? Проверьте себя вместе с ребёнком.",
            be="Гісторыі, якія расказалі дзеці. Як зробіце вы? Праверце сябе разам з дзіцем.",
            en="Stories that children told. What would you do? Try it together with your child.",
        ),
    ),
    (
        "workbook",
        "",
        "",
        Localized(ru="Антибуллинговая тетрадь", be="Антыбулінгавы сшытак", en="Anti-bullying workbook"),
        Localized(
            ru="Упражнения для школы и дома: о дружбе, границах и словах, которые ранят и лечат.",
            be="Практыкаванні для школы і дома: пра сяброўства, межы і словы, якія раняць і лечаць.",
            en="Exercises for school and home: on friendship, limits, and words that hurt and words that heal.",
        ),
    ),
]


def _packs() -> list[tuple[int, StickerPack]]:
    """(from how many kopecks, pack)"""
    return [
        (
            1000,
            StickerPack(
                code="kind-words",
                name=Localized(ru="Добрые слова", be="Добрыя словы", en="Kind words"),
                description=Localized(
                    ru="Пять наклеек, которые говорят доброе вместо обидного.",
                    be="Пяць налепак, якія кажуць добрае замест крыўднага.",
                    en="Five stickers that say something kind instead of something mean.",
                ),
                picture="kind-words.svg",
            ),
        ),
        (
            3000,
            StickerPack(
                code="brave-hearts",
                name=Localized(ru="Смелые сердца", be="Смелыя сэрцы", en="Brave hearts"),
                description=Localized(
                    ru="Ёжик, лиса, сова, мишка и кот: друзья, которые не проходят мимо.",
                    be="Вожык, ліса, сава, мядзведзік і кот: сябры, якія не праходзяць міма.",
                    en="Hedgehog, fox, owl, bear and cat: friends who do not look away.",
                ),
                picture="brave-hearts.svg",
            ),
        ),
        (
            5000,
            StickerPack(
                code="chat-friends",
                name=Localized(ru="Друзья для чата", be="Сябры для чата", en="Chat friends"),
                description=Localized(
                    ru="Восемь картинок для переписки, чтобы поддержать друга одним касанием.",
                    be="Восем малюнкаў для перапіскі, каб падтрымаць сябра адным дотыкам.",
                    en="Eight pictures for your messenger, to cheer a friend up with one touch.",
                ),
                kind="digital",
                picture="chat-friends.svg",
                download="chat-friends.zip",
            ),
        ),
    ]


def _campaign(fund: Fund) -> Campaign:
    return Campaign(
        slug=SLUG,
        title=Localized(ru="Интернет без травли", be="Інтэрнэт без цкавання", en="A bullying-free internet"),
        lead=Localized(
            ru="Слова в сети ранят по-настоящему. Помогите специалистам быть рядом с детьми, которых травят.",
            be="Словы ў сеціве раняць па-сапраўднаму. Дапамажыце спецыялістам быць побач з дзецьмі, якіх цкуюць.",
            en="Words on the net hurt for real. Help specialists to stand by children who are bullied.",
        ),
        designation=DESIGNATION,
        uses=USES,
        partners=Localized(ru="МТС × ЮНИСЕФ", be="МТС × ЮНІСЕФ", en="MTS × UNICEF"),
        fund_id=fund.id,
        currency="BYN",
        goal_minor=50_000_00,
        suggested_minor=[10_00, 25_00, 50_00, 100_00],
        min_minor=5_00,
        max_minor=500_00,
        opens_at=datetime(2021, 2, 8, 21, tzinfo=UTC),  # 9 February in Minsk
        resources=[
            CampaignResource(position=position, kind=kind, label=label, target=target, title=title, text=text)
            for position, (kind, label, target, title, text) in enumerate(RESOURCES, start=1)
        ],
    )


def seed_demo(now: datetime) -> bool:
    """Whether it was made now."""
    exists = db.session.scalar(sa.select(Campaign.id).where(Campaign.slug == SLUG))
    if exists is not None:
        return False
    with unit_of_work() as session:
        fund = Fund(
            code="specialists",
            name=Localized(ru="Обучение специалистов", be="Навучанне спецыялістаў", en="Training of specialists"),
            currency="BYN",
        )
        session.add(fund)
        session.flush()
        campaign = _campaign(fund)
        packs = _packs()
        session.add_all([campaign, *(pack for _, pack in packs)])
        session.flush()
        session.add_all(
            StickerRule(campaign_id=campaign.id, pack_id=pack.id, from_minor=from_minor) for from_minor, pack in packs
        )
    return True
