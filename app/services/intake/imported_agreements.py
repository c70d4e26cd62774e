"""Takes over the agreements of an earlier system: each line once, however often and however far an import ran.

The whole file is checked before anything is written. The claims come first, each a transaction of its own, and then the
agreement in its user's slot: an import that dies between the two finds the claims done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from zoneinfo import ZoneInfo, available_timezones

from sqlalchemy import select

from app.domain.import_lines import BadLine
from app.domain.imported_agreements import AgreementLine
from app.domain.numbers import slot_of_user
from app.models.base import AnyRow
from app.models.catalogue import Product
from app.providers.agreements import Agreements
from app.providers.registry import ProviderAccount
from app.services.accounts.users import check_user_id
from app.services.agreements import agreement_rows, imported_rows
from app.services.base.context import Core, Tx, environment_of
from app.services.base.errors import Invalid
from app.services.facts import claims
from app.services.intake.import_faults import FilePlace, ImportFault, Unique

_g = Product.__table__.c
_ONLY_OURS = ("next_charge_at", "first_period_at", "zone", "amount", "currency", "way", "old_number")
"""What a line of a store's subscription leaves empty: the store knows these itself."""


def faults_of_agreements(core: Core, lines: Iterable[tuple[FilePlace, AgreementLine]]) -> Iterator[str]:
    """What keeps these lines from being imported, a sentence for each fault, with the line of the file. Nothing is
    written."""
    products, numbers, olds, plans = _products(core), Unique(), Unique(), Unique()
    for place, line in lines:
        try:
            account = _account(core, line)
            _check_line(line, account, products, core.rules.charges.zone)
            environment = environment_of(account.live)
            numbers.add(place, "provider_number", account.name, environment, line.provider_number)
            if line.old_number:
                olds.add(place, "old_number", account.name, environment, line.old_number)
            if line.is_in_force:
                plans.add(place, "product: in force for the user", line.user, line.product, environment)
            _check_claims(core, line, account)
            core.of_user(line.user).read(partial(_check_here, line=line, account=account))
        except (ImportFault, BadLine) as fault:
            yield f"line {place}: {fault}"


def import_agreements(
    core: Core, lines: Iterable[AgreementLine], told: Callable[[int], None] = lambda _: None
) -> tuple[int, int]:
    """Take them over; (now, before). `told` gets 1 after each line. No event is written: the app's backend knows what
    its users had. Raises ImportFault for a line that cannot be taken any more."""
    products, new, before = _products(core), 0, 0
    for line in lines:
        account = _account(core, line)
        if core.of_user(line.user).read(partial(_check_here, line=line, account=account)):
            before += 1
        else:
            _claim(core, line, account)
            product = products[line.product]
            new += core.of_user(line.user).transact(
                partial(imported_rows.add_imported, line=line, product=product, account=account),
            )
        told(1)
    return new, before


def _products(core: Core) -> Mapping[str, AnyRow]:
    return {row.sku: row for row in core.home.read(lambda tx: tx.execute(select(*_g)).all())}


def _account(core: Core, line: AgreementLine) -> ProviderAccount:
    account = core.registry.get(line.provider_account)
    if account is None:
        raise ImportFault(f"provider_account: there is no {line.provider_account!r}")
    return account


# --- what a line says ---


def _check_line(line: AgreementLine, account: ProviderAccount, products: Mapping[str, AnyRow], zone: str) -> None:
    product = products.get(line.product)
    try:
        check_user_id(line.user)
    except Invalid as error:
        raise ImportFault(f"user: {error}") from None
    if product is None:
        raise ImportFault(f"product: there is no {line.product!r}")
    if product.plan is None:
        raise ImportFault(f"product: {line.product!r} is no plan")
    if imported_rows.sets_prices(account):
        _check_of_store(line, account, product)
    else:
        _check_of_ours(line, account, product, zone)


def _check_of_store(line: AgreementLine, account: ProviderAccount, product: AnyRow) -> None:
    if account.name not in product.store_ids:
        raise ImportFault(f"product: {line.product!r} is not sold by {account.name!r}")
    for name in _ONLY_OURS:
        if getattr(line, name):
            raise ImportFault(f"{name}: empty for a subscription that a store charges")
    if line.is_in_force and line.paid_until is None:
        raise ImportFault("paid_until: empty, so it is not known which periods were credited")


def _check_of_ours(line: AgreementLine, account: ProviderAccount, product: AnyRow, zone: str) -> None:
    if not isinstance(account.provider, Agreements):
        raise ImportFault(f"provider_account: {account.name!r} has no agreements")
    if line.zone and line.zone not in available_timezones():
        raise ImportFault("zone: not a time zone that this service knows")
    if line.amount is None:
        raise ImportFault("amount: what does a period cost?")
    if line.currency not in account.provider.currencies:
        raise ImportFault(f"currency: {account.name!r} does not charge {line.currency}")
    if not imported_rows.way_of(line, account):
        raise ImportFault(f"way: one of {', '.join(account.provider.agreement_ways)}")
    if line.first_period_at is not None:
        line.next_number(imported_rows.length_of(product), ZoneInfo(line.zone or zone))


# --- what is here ---


def _check_claims(core: Core, line: AgreementLine, account: ProviderAccount) -> None:
    environment = environment_of(account.live)
    agreed = claims.agreement_owner(core, account.name, environment, line.provider_number)
    old = claims.old_number_reference(line.old_number)
    numbered = claims.owner_of(core, account.name, environment, old) if line.old_number else None
    owners = {"provider_number": None if agreed is None else agreed.user_id, "old_number": numbered}
    for name, owner in owners.items():
        if owner not in (None, line.user):
            raise ImportFault(f"{name}: belongs to the user {owner!r}")


def _check_here(tx: Tx, line: AgreementLine, account: ProviderAccount) -> bool:
    """Whether the line was imported before. Raises ImportFault where that was another one, or where it meets an
    agreement that did not come by an import."""
    before = imported_rows.imported_as(tx, line, account)
    if before is not None:
        changed = line.changed_field(before.imported)
        if changed is not None:
            raise ImportFault(f"{changed}: was imported as {before.imported.get(changed)!r}")
        return True
    here = imported_rows.known_here(tx, line, account)
    if here is not None and not here.by_store:
        raise ImportFault(f"provider_number: is that of the agreement {here.id}, which is here")
    slot, environment, but = slot_of_user(line.user), environment_of(account.live), 0 if here is None else here.id
    if line.is_in_force:
        other = agreement_rows.in_force_of(tx, slot, line.user, line.product, environment, but=but)
        if other is not None:
            raise ImportFault(f"product: the agreement {other.id} of the user is in force")
    return False


def _claim(core: Core, line: AgreementLine, account: ProviderAccount) -> None:
    environment, until = environment_of(account.live), line.credited_until or core.clock.now()
    names = (account.name, environment)
    if not claims.claim_imported(core, *names, line.provider_number, line.user, until=until):
        raise ImportFault(f"provider_number: {line.provider_number!r} belongs to another user meanwhile")
    if line.old_number:
        reference = claims.old_number_reference(line.old_number)
        if claims.claim(core, *names, reference, line.user) != line.user:
            raise ImportFault(f"old_number: {line.old_number!r} belongs to another user meanwhile")
