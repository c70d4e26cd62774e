"""Takes over the tokens by which an earlier system named its users to a store: what the store tells of such a token is
that user's from then on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from app.domain.imported_agreements import OwnerLine
from app.domain.numbers import slot_of_uuid
from app.providers.registry import ProviderAccount
from app.services.accounts.users import check_user_id, user_of_token
from app.services.base.context import Core, environment_of
from app.services.base.errors import Invalid
from app.services.facts import claims
from app.services.intake.import_faults import FilePlace, ImportFault, Unique


def faults_of_owners(core: Core, lines: Iterable[tuple[FilePlace, OwnerLine]]) -> Iterator[str]:
    """What keeps these lines from being imported, a sentence for each fault, with the line of the file. Nothing is
    written."""
    tokens = Unique()
    for place, line in lines:
        try:
            account = _account(core, line)
            try:
                check_user_id(line.user)
            except Invalid as error:
                raise ImportFault(f"user: {error}") from None
            tokens.add(place, "token", account.name, str(line.token))
            named = core.at(slot_of_uuid(line.token)).read(partial(user_of_token, token=line.token))
            owner = named or _claimed_by(core, line, account)
            if owner not in (None, line.user):
                raise ImportFault(f"token: names the user {owner!r}")
        except ImportFault as fault:
            yield f"line {place}: {fault}"


def import_owners(
    core: Core, lines: Iterable[OwnerLine], told: Callable[[int], None] = lambda _: None
) -> tuple[int, int]:
    """Take them over; (now, before). `told` gets 1 after each line. Raises ImportFault for a token that names somebody
    else meanwhile."""
    new = before = 0
    for line in lines:
        account = _account(core, line)
        if _claimed_by(core, line, account) == line.user:
            before += 1
        else:
            _claim(core, line, account)
            new += 1
        told(1)
    return new, before


def _account(core: Core, line: OwnerLine) -> ProviderAccount:
    account = core.registry.get(line.provider_account)
    if account is None:
        raise ImportFault(f"provider_account: there is no {line.provider_account!r}")
    if account.provider.currencies:
        raise ImportFault(f"provider_account: {account.name!r} is no store")
    return account


def _claimed_by(core: Core, line: OwnerLine, account: ProviderAccount) -> str | None:
    name = claims.token_reference(line.token)
    return claims.owner_of(core, account.name, environment_of(account.live), name)


def _claim(core: Core, line: OwnerLine, account: ProviderAccount) -> None:
    name, environment = claims.token_reference(line.token), environment_of(account.live)
    if claims.claim(core, account.name, environment, name, line.user) != line.user:
        raise ImportFault(f"token: {line.token} names another user meanwhile")
