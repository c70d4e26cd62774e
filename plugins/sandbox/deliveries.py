"""`fulfil`: the sandbox is told that what was paid was delivered. It keeps the moment, and asks nothing else.

A provider may hold the merchant's money until it hears of the delivery, or give it back to the payer if it never does;
an account that wants such reports says `report_delivery = true`. A plugin whose provider wants none has no `fulfil`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.providers import Declined, Ref
from plugins.sandbox.bills import BillingSandbox
from plugins.sandbox.mapping import facts_of
from plugins.sandbox.provider import answered, payment_path


class DeliveringSandbox(BillingSandbox):
    """A merchant account whose provider hears of deliveries."""

    def fulfil(self, ref: Ref, report: Mapping[str, Any]) -> None:
        """Told again, the delivery stays as it was told first. The provider knows the owner of every payment, and does
        not ask how much of one was used: such reports are Declined, and the core tells them never again."""
        if report["about"] != "delivered":
            raise Declined(f"the sandbox takes no report about {report['about']}")
        path = payment_path(Ref(ours=ref.ours, theirs=ref.theirs))
        answer = self._client.call("POST", f"{path}/delivery").document_or_raise()
        answered(facts_of, answer)  # one that makes no sense proves nothing: the core tells it again
