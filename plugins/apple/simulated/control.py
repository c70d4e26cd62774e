"""What a customer, Apple's people, or a test can do at the simulated App Store: one function per command.

A command gets a JSON document and answers one. `environment` is `Sandbox` unless said; `id` is a transaction id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from plugins.apple.reports.calendar import pacific_day
from plugins.apple.settings import Environment
from plugins.apple.simulated.purchases import Purchase
from plugins.apple.simulated.receipts import app_receipt
from plugins.apple.simulated.reports import other_sale
from plugins.apple.simulated.store import SimulatedStore
from plugins.apple.transactions import CONSUMABLE, WHOLE

Document = Mapping[str, Any]
INTENTS = {"VOLUNTARY": 1, "BILLING_RETRY": 2, "PRICE_INCREASE": 3, "PRODUCT_NOT_FOR_SALE": 4}
"""The `expirationIntent` that goes with each subtype of EXPIRED."""


def run(store: SimulatedStore, command: str, document: Document) -> dict[str, Any] | None:
    """Do it; None if there is no such command. Raises NoSuchPurchase, KeyError or ValueError."""
    handler = _COMMANDS.get(command)
    return handler(store, document) if handler is not None else None


def _buy(store: SimulatedStore, document: Document) -> dict[str, Any]:
    """A purchase on a device. `token` is the appAccountToken; `tell: false` keeps Apple from telling the server."""
    purchase = store.purchases.buy(
        _environment(document),
        document["product"],
        product_type=document.get("type", CONSUMABLE),
        quantity=int(document.get("quantity", 1)),
        token=document.get("token"),
        customer=document.get("customer", "customer-1"),
        **dict(document.get("more", {})),
    )
    if document.get("tell", True):
        kind, subtype = ("SUBSCRIBED", "INITIAL_BUY") if purchase.is_subscription else ("ONE_TIME_CHARGE", "")
        store.notifications.tell(kind, subtype, purchase)
    return _shown(store, purchase)


def _show(store: SimulatedStore, document: Document) -> dict[str, Any]:
    """A transaction as it stands now, signed anew."""
    return _shown(store, store.purchases.find(_environment(document), document["id"]))


def _renew(store: SimulatedStore, document: Document) -> dict[str, Any]:
    purchase = store.purchases.renew(_environment(document), document["id"])
    store.notifications.tell("DID_RENEW", document.get("subtype", ""), purchase)
    return _shown(store, purchase)


def _upgrade(store: SimulatedStore, document: Document) -> dict[str, Any]:
    """The customer changes to `product` of the same group, at once."""
    purchase = store.purchases.upgrade(_environment(document), document["id"], document["product"])
    store.notifications.tell("DID_CHANGE_RENEWAL_PREF", "UPGRADE", purchase)
    return _shown(store, purchase)


def _expire(store: SimulatedStore, document: Document) -> dict[str, Any]:
    subtype = document.get("subtype", "VOLUNTARY")
    purchase = store.purchases.expire(_environment(document), document["id"], INTENTS.get(subtype, 5))
    store.notifications.tell("EXPIRED", subtype, purchase)
    return _shown(store, purchase)


def _fail(store: SimulatedStore, document: Document) -> dict[str, Any]:
    """The next period cannot be collected: with `grace_days`, the customer may go on for so long."""
    days = int(document.get("grace_days", 0))
    purchase = store.purchases.fail(_environment(document), document["id"], timedelta(days=days))
    store.notifications.tell("DID_FAIL_TO_RENEW", "GRACE_PERIOD" if days else "", purchase)
    return _shown(store, purchase)


def _end_grace(store: SimulatedStore, document: Document) -> dict[str, Any]:
    purchase = store.purchases.fail(_environment(document), document["id"])
    store.notifications.tell("GRACE_PERIOD_EXPIRED", "", purchase)
    return _shown(store, purchase)


def _switch_renewal(store: SimulatedStore, document: Document) -> dict[str, Any]:
    """The customer switches the renewal off, or `on`."""
    on = bool(document.get("on", False))
    purchase = store.purchases.switch_renewal(_environment(document), document["id"], on=on)
    subtype = "AUTO_RENEW_ENABLED" if on else "AUTO_RENEW_DISABLED"
    store.notifications.tell("DID_CHANGE_RENEWAL_STATUS", subtype, purchase)
    return _shown(store, purchase)


def _downgrade(store: SimulatedStore, document: Document) -> dict[str, Any]:
    """The customer changes to `product` of the same group from the next period on, or back to the one that runs."""
    purchase = store.purchases.downgrade(_environment(document), document["id"], document["product"])
    subtype = "" if document["product"] == purchase.payload["productId"] else "DOWNGRADE"
    store.notifications.tell("DID_CHANGE_RENEWAL_PREF", subtype, purchase)
    return _shown(store, purchase)


def _raise_price(store: SimulatedStore, document: Document) -> dict[str, Any]:
    """The next period costs more; with `accepted` the customer has said yes."""
    accepted = bool(document.get("accepted", False))
    purchase = store.purchases.raise_price(_environment(document), document["id"], accepted=accepted)
    store.notifications.tell("PRICE_INCREASE", "ACCEPTED" if accepted else "PENDING", purchase)
    return _shown(store, purchase)


def _extend(store: SimulatedStore, document: Document) -> dict[str, Any]:
    """The running period ends so many `days` later, and nothing is paid for that."""
    longer = timedelta(days=int(document["days"]))
    purchase = store.purchases.extend(_environment(document), document["id"], longer)
    store.notifications.tell("RENEWAL_EXTENDED", "", purchase)
    return _shown(store, purchase)


def _share(store: SimulatedStore, document: Document) -> dict[str, Any]:
    """The customer shares a subscription with a `member` of the family."""
    purchase = store.purchases.share(_environment(document), document["id"], document["member"])
    store.notifications.tell("SUBSCRIBED", "INITIAL_BUY", purchase)
    return _shown(store, purchase)


def _revoke(store: SimulatedStore, document: Document) -> dict[str, Any]:
    """What is shared with a member of the family is shared no more; `id` is the member's."""
    purchase = store.purchases.revoke(_environment(document), document["id"])
    store.notifications.tell("REVOKE", "", purchase)
    return _shown(store, purchase)


def _share_again(store: SimulatedStore, document: Document) -> dict[str, Any]:
    """What was shared no more is shared again; `id` is the member's."""
    purchase = store.purchases.share_again(_environment(document), document["id"])
    store.notifications.tell("SUBSCRIBED", "RESUBSCRIBE", purchase)
    return _shown(store, purchase)


def _restore(store: SimulatedStore, document: Document) -> dict[str, Any]:
    return _shown(store, store.purchases.restore(_environment(document), document["id"]))


def _ask_refund(store: SimulatedStore, document: Document) -> dict[str, Any]:
    """The customer asks Apple for the money back; Apple asks the server how much was used."""
    purchase = store.purchases.find(_environment(document), document["id"])
    reason = document.get("reason", "UNINTENDED_PURCHASE")
    store.notifications.tell("CONSUMPTION_REQUEST", "", purchase, consumptionRequestReason=reason)
    return _shown(store, purchase)


def _refund(store: SimulatedStore, document: Document) -> dict[str, Any]:
    """Apple gives money back; `percentage` in milliunits, 100000 unless said."""
    percentage = int(document.get("percentage", WHOLE))
    purchase = store.purchases.refund(
        _environment(document), document["id"], percentage, int(document.get("reason", 0))
    )
    store.notifications.tell("REFUND", "", purchase)
    return _shown(store, purchase)


def _decline_refund(store: SimulatedStore, document: Document) -> dict[str, Any]:
    purchase = store.purchases.find(_environment(document), document["id"])
    store.notifications.tell("REFUND_DECLINED", "", purchase)
    return _shown(store, purchase)


def _reverse_refund(store: SimulatedStore, document: Document) -> dict[str, Any]:
    purchase = store.purchases.reverse(_environment(document), document["id"])
    store.notifications.tell("REFUND_REVERSED", "", purchase)
    return _shown(store, purchase)


def _tell(store: SimulatedStore, document: Document) -> dict[str, Any]:
    """Any notification: `type`, `subtype`, and the transaction `id` it is about, if any."""
    kind, subtype = document["type"], document.get("subtype", "")
    if "id" in document:
        purchase = store.purchases.find(_environment(document), document["id"])
        record = store.notifications.tell(kind, subtype, purchase)
    else:
        record = store.notifications.send(_environment(document), kind, subtype)
    return {"uuid": record.uuid, "signed_payload": record.signed_payload}


def _unfinished(store: SimulatedStore, document: Document) -> dict[str, Any]:
    """What the customer's device is handed at each start of the app, signed anew."""
    found = store.purchases.unfinished(_environment(document), document.get("customer", "customer-1"))
    return {"transactions": [_shown(store, one) for one in found]}


def _entitlements(store: SimulatedStore, document: Document) -> dict[str, Any]:
    """What the customer still has and is not consumed: what a restore brings back, newest period only."""
    customer = document.get("customer", "customer-1")
    newest: dict[str, Purchase] = {}
    for one in store.purchases.all():
        is_kept = one.payload["type"] != CONSUMABLE and "revocationDate" not in one.payload
        if one.customer == customer and one.environment == _environment(document) and is_kept:
            newest[one.payload["originalTransactionId"]] = one
    return {"transactions": [_shown(store, one) for one in newest.values()]}


def _finish(store: SimulatedStore, document: Document) -> dict[str, Any]:
    return _shown(store, store.purchases.finish(_environment(document), document["id"]))


def _app_receipt(store: SimulatedStore, document: Document) -> dict[str, Any]:
    """The device's StoreKit 1 receipt: unfinished consumables and everything else."""
    customer = document.get("customer", "customer-1")
    mine = (one for one in store.purchases.all() if one.customer == customer)
    found = [one for one in mine if one.environment == _environment(document)]
    kept = [one for one in found if not (one.finished and one.payload["type"] == CONSUMABLE)]
    return {"receipt": app_receipt(store.config.bundle_id, kept)}


def _collect(store: SimulatedStore, document: Document) -> dict[str, Any]:
    """The store collects the money so many `days` after the purchase; without `days` never."""
    days = document.get("days")
    return _shown(store, store.purchases.collect(_environment(document), document["id"], days))


def _sell_other(store: SimulatedStore, document: Document) -> dict[str, Any]:
    """Another app of the vendor sells something (`simulated.reports.other_sale`)."""
    sold, units = other_sale(document, pacific_day(store.config.now()))
    store.reports.others.append((sold, units))
    return {"sku": sold.sku, "units": units}


def _faults(store: SimulatedStore, document: Document) -> dict[str, Any]:
    """Set counters of `Faults`, and `troubles`: error codes for the next calls, one each."""
    store.faults.set(**{name: value for name, value in document.items() if name != "troubles"})
    if "troubles" in document:
        store.troubles[:] = [int(code) for code in document["troubles"]]
    return {"troubles": store.troubles}


def _run_due(store: SimulatedStore, _: Document) -> dict[str, Any]:
    return {"attempts": store.notifications.run_due()}


def _state(store: SimulatedStore, _: Document) -> dict[str, Any]:
    return {
        "purchases": [
            {**one.payload, "finished": one.finished, "reports": one.reports} for one in store.purchases.all()
        ],
        "notifications": [
            {"type": one.type, "subtype": one.subtype, "uuid": one.uuid, "attempts": one.attempts}
            for one in store.notifications.records
        ],
    }


_COMMANDS: Mapping[str, Callable[[SimulatedStore, Document], dict[str, Any]]] = {
    "buy": _buy,
    "show": _show,
    "renew": _renew,
    "upgrade": _upgrade,
    "expire": _expire,
    "fail": _fail,
    "end-grace": _end_grace,
    "switch-renewal": _switch_renewal,
    "downgrade": _downgrade,
    "raise-price": _raise_price,
    "extend": _extend,
    "share": _share,
    "revoke": _revoke,
    "share-again": _share_again,
    "restore": _restore,
    "ask-refund": _ask_refund,
    "refund": _refund,
    "decline-refund": _decline_refund,
    "reverse-refund": _reverse_refund,
    "tell": _tell,
    "unfinished": _unfinished,
    "entitlements": _entitlements,
    "finish": _finish,
    "app-receipt": _app_receipt,
    "collect": _collect,
    "sell-other": _sell_other,
    "faults": _faults,
    "run-due": _run_due,
    "state": _state,
}


def _environment(document: Document) -> Environment:
    name = document.get("environment", "Sandbox")
    if name == "Production":
        return "Production"
    if name == "Sandbox":
        return "Sandbox"
    raise ValueError("the environment is Production or Sandbox")


def _shown(store: SimulatedStore, purchase: Purchase) -> dict[str, Any]:
    return {"id": purchase.id, "signed_transaction": store.notifications.signed_transaction(purchase)}
