"""A message about an agreement that proves nothing, or only names it, has the provider asked."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.domain.agreements import AgreementStatus
from app.domain.facts import Ref
from app.providers.errors import Forged
from app.providers.facts import Message, Received, Reply
from app.providers.registry import ProviderAccount
from app.services.calls.agreement_queries import hint_agreement
from app.services.intake.notifications import receive_notification
from tests.support.agreement_house import AgreementHouse, agreement_house
from tests.support.debit_provider import DebitProvider
from tests.support.world import World


@pytest.fixture
def house(world: World) -> AgreementHouse:
    return agreement_house(world)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_unproven_word_about_an_agreement_has_its_provider_asked_once_a_minute(house: AgreementHouse) -> None:
    number = house.signed()
    house.later(hours=12)
    house.debit.user_ends(str(number))  # and its notification is lost
    house.later(minutes=10)
    assert house.row(number).status == AgreementStatus.ACTIVE
    named = Ref(our_agreement=str(number))
    assert hint_agreement(house.core, named)
    house.work()
    assert house.row(number).status == AgreementStatus.ENDED
    assert not hint_agreement(house.core, named)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_names_nothing_here_or_was_asked_just_now_has_nobody_asked(house: AgreementHouse) -> None:
    number = house.signed()
    house.later(days=2)
    asked_at = house.row(number).asked_at
    house.world.clock.advance(59 - (house.world.clock.now() - asked_at).total_seconds())
    assert not hint_agreement(house.core, Ref(our_agreement=str(number)))
    house.world.clock.advance(timedelta(seconds=1).total_seconds())
    assert hint_agreement(house.core, Ref(our_agreement=str(number)))
    house.work()
    assert house.row(number).status == AgreementStatus.ACTIVE
    for strange in (Ref(our_agreement=str(number + 4096)), Ref(our_agreement="x"), Ref(agreement="theirs")):
        assert not hint_agreement(house.core, strange)


class Mouthpiece(DebitProvider):
    """A message is the number of an agreement: a forger's if it begins with `!`, else the provider's."""

    def receive(self, message: Message) -> Received:
        text = message.body.decode()
        named = Ref(our_agreement=text.lstrip("!"))
        if text.startswith("!"):
            raise Forged("not signed", hint=named)
        return Received((), Reply(200, "text/plain", b"ok"), asks=(named,))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("sign", "status"), [("!", 400), ("", 200)])
def test_a_notification_that_only_names_an_agreement_has_it_asked_about(
    house: AgreementHouse, sign: str, status: int
) -> None:
    number = house.signed()
    house.later(hours=12)
    house.debit.user_ends(str(number))
    account = ProviderAccount("debit", "debit", False, Mouthpiece(house.world.clock))
    answer = receive_notification(house.core, account, Message("notification", f"{sign}{number}".encode()))
    house.work()
    assert (answer.status, house.row(number).status) == (status, AgreementStatus.ENDED)
