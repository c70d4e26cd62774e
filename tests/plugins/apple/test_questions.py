"""Active queries: by purchase, by refund, by subscription."""

from __future__ import annotations

import pytest

from app.providers import HttpResponse, Kind, Ref, Unknown, key_of
from app.providers.testing.doubles import RewritingHttp
from plugins.apple.simulated.certificates import make_signer
from plugins.apple.simulated.purchases import Purchase
from plugins.apple.transactions import NON_CONSUMABLE
from tests.plugins.apple.world import Shop, facts, kinds


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_a_purchase_is_known_by_query_under_the_key_of_its_receipt(shop: Shop) -> None:
    for purchase in (shop.buy(), shop.subscribe(), shop.buy("no-ads", product_type=NON_CONSUMABLE)):
        (told,) = facts(shop.provider(), shop.receipt(purchase))
        (asked,) = shop.provider().query(told.ref)
        assert key_of(asked) == key_of(told)


def test_an_old_proof_does_not_hide_a_later_refund(shop: Shop) -> None:
    purchase = shop.buy()
    proof = shop.receipt(purchase)
    shop.store.purchases.refund("Sandbox", purchase.id)
    assert kinds(facts(shop.provider(), proof)) == ["paid"]
    assert kinds(shop.provider().query(Ref(theirs=purchase.id))) == ["paid", "refunded"]


def periods(shop: Shop, count: int) -> list[Purchase]:
    found = [shop.subscribe()]
    for _ in range(count - 1):
        shop.clock.advance(86_400)
        found.append(shop.store.purchases.renew("Sandbox", found[-1].id))
    return found


def test_a_subscription_period_is_found_in_the_history(shop: Shop) -> None:
    every = periods(shop, 45)
    for period in (every[0], every[20], every[44]):
        theirs = f"{every[0].id}-{period.payload['webOrderLineItemId']}"
        (paid,) = shop.provider().query(Ref(theirs=theirs, agreement=every[0].id))
        assert (paid.kind, paid.ref.theirs) == (Kind.PAID, theirs)
        assert paid.raw["transactionId"] == period.id


def test_a_period_that_never_was_is_no_fact(shop: Shop) -> None:
    bought = shop.subscribe()
    for theirs in (f"{bought.id}-999", "404404-999", "-1", "1-", "x-1"):
        assert shop.provider().query(Ref(theirs=theirs)) == ()


def test_an_odd_transaction_in_the_history_does_not_hide_the_others(shop: Shop) -> None:
    every = periods(shop, 2)
    every[1].payload["quantity"] = "many"
    (paid,) = shop.provider().query(Ref(theirs=f"{every[0].id}-{every[0].payload['webOrderLineItemId']}"))
    assert paid.raw["transactionId"] == every[0].id


def test_a_history_that_never_ends_is_left(shop: Shop) -> None:
    bought = shop.subscribe()
    calls = []

    def endless(answer: HttpResponse) -> HttpResponse:
        calls.append(1)
        if answer.status != 200:
            return answer
        return HttpResponse(200, answer.headers, answer.body.replace(b'"hasMore":false', b'"hasMore":true'))

    provider = shop.provider(RewritingHttp(shop.http, endless), environments=["Sandbox"])
    assert provider.query(Ref(theirs=f"{bought.id}-999")) == ()
    assert len(calls) == 10


def test_a_refund_is_asked_about_by_its_number(shop: Shop) -> None:
    purchase = shop.buy()
    shop.store.purchases.refund("Sandbox", purchase.id, 40_000)
    (told,) = facts(shop.provider(), shop.notification("REFUND", "", purchase))
    (asked,) = shop.provider().query(told.ref)
    assert (key_of(asked), asked.share) == (key_of(told), 40_000)
    shop.store.purchases.reverse("Sandbox", purchase.id)
    assert shop.provider().query(told.ref) == ()


def test_a_subscription_says_its_last_period_and_whether_it_is_in_force(shop: Shop) -> None:
    first, second = periods(shop, 2)
    agreement = Ref(agreement=first.id)
    paid, signed = shop.provider().query(agreement)
    assert (paid.kind, signed.kind) == (Kind.PAID, Kind.SIGNED)
    assert paid.raw["transactionId"] == second.id
    shop.store.purchases.expire("Sandbox", second.id)
    _, ended = shop.provider().query(agreement)
    (told,) = facts(shop.provider(), shop.notification("EXPIRED", "VOLUNTARY", second))
    assert ended.kind is Kind.ENDED
    assert key_of(ended) == key_of(told)


def test_our_own_number_is_unknown_to_the_store(shop: Shop) -> None:
    assert shop.provider().query(Ref(ours="4503599627370497")) == ()
    assert shop.provider().query(Ref()) == ()
    assert shop.provider().query(Ref(agreement="x")) == ()
    assert shop.http.requests == []


def swapping(shop: Shop, text: str) -> RewritingHttp:
    """Every question about a transaction is answered with this one."""
    body = b'{"signedTransactionInfo":"%s"}' % text.encode()
    return RewritingHttp(shop.http, lambda answer: HttpResponse(200, answer.headers, body))


def test_an_answer_about_another_transaction_is_not_believed(shop: Shop) -> None:
    asked, other = shop.buy(), shop.buy()
    genuine = shop.provider(swapping(shop, shop.signed(asked)), environments=["Sandbox"])
    assert kinds(genuine.query(Ref(theirs=asked.id))) == ["paid"]
    swapped = shop.provider(swapping(shop, shop.signed(other)), environments=["Sandbox"])
    with pytest.raises(Unknown, match="another transaction"):
        swapped.query(Ref(theirs=asked.id))


def test_an_answer_about_another_environment_is_not_believed(shop: Shop) -> None:
    """Production is asked first, so that a sandbox purchase in its answer could be taken for money."""
    provider = shop.provider(swapping(shop, shop.signed(bought := shop.buy())))
    with pytest.raises(Unknown, match="another environment"):
        provider.query(Ref(theirs=bought.id))


def test_a_history_with_a_forged_transaction_is_not_believed(shop: Shop) -> None:
    bought = shop.subscribe()
    forged = shop.signed(bought, make_signer(shop.clock.now()))
    body = b'{"signedTransactions":["%s"],"hasMore":false}' % forged.encode()
    provider = shop.provider(RewritingHttp(shop.http, lambda answer: HttpResponse(200, answer.headers, body)))
    with pytest.raises(Unknown, match="cannot be believed"):
        provider.query(Ref(theirs=f"{bought.id}-{bought.payload['webOrderLineItemId']}"))
