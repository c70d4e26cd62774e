"""What the kit asks of a world whose provider gives money back; part of `World`."""

from __future__ import annotations

from app.providers import Intent, Message, Ref


class RefundHooks:
    """`refunded` is required where the provider has `refund`, `take_back` where `Traits.takes_back`. The last three may
    be left out, with a reason in `World.left_out`."""

    def settle_refund(self, ref: Ref) -> tuple[Message, ...]:
        """After the kit's `refund`: let the provider finish it; the genuine messages that we then get (none is fine).

        `ref` is as given to `Refunds.refund`.
        """
        return ()

    def refunded(self, intent: Intent) -> int:
        """Minor units that the provider has given back of this payment, or has agreed to give back."""
        raise NotImplementedError("World.refunded is required for a provider with the verb refund")

    def take_back(self, intent: Intent) -> tuple[Message, ...]:
        """Let the whole amount of this paid intent go back without our refund.

        The genuine messages that we then get.
        """
        raise NotImplementedError("World.take_back is required where Traits.takes_back")

    def hold_refund(self) -> None:
        """The provider will only accept the next refund: no money has gone back before `settle_refund`."""
        raise NotImplementedError("World.hold_refund")

    def fail_refund(self, ref: Ref) -> tuple[Message, ...]:
        """Let this refund, which is settled, fail all the same (the payer's bank sends it back), or, where no refund
        fails that late, one that the provider has only accepted; the genuine messages that we then get (none is fine).

        `ref` is as given to `Refunds.refund`.
        """
        raise NotImplementedError("World.fail_refund")

    def show_refund_status(self, ref: Ref, word: str) -> None:
        """From now on the provider's answers about this settled refund carry `word` as its status."""
        raise NotImplementedError("World.show_refund_status")
