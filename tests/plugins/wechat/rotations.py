"""WeChat Pay while its keys change: two certificates at once, and certificates beside the public key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from app.providers import KeyStore, Message, StoredKey
from app.providers.testing.conformance import Rotation
from plugins.wechat.simulated.keys import SimulatorConfig, certified
from plugins.wechat.simulated.wechat import SimulatedWeChat

SERIAL = "wechatpay-serial"


@dataclass(frozen=True)
class PlatformRotations:
    """Notifications of one payment, signed by each of the keys that may sign it, and by keys that may not."""

    config: SimulatorConfig
    transaction: Mapping[str, Any]
    now: Callable[[], datetime]
    settings: Mapping[str, Any]
    held: Callable[[], KeyStore]

    def of_certificates(self) -> Rotation:
        """The certificate in use and its successor, both held."""
        keys, successor = self.held(), self.config.successor
        keys.put(StoredKey(successor.serial, successor.certificate_pem.encode()))
        old, new = self._signed(self.config), self._signed(replace(self.config, platform=successor))
        unknown = self._signed(replace(self.config, platform=certified("Tenpay.com sign")))
        # A key is good under its own number only: the old one may have been stolen.
        refused = (unknown, _under(old, unknown), _under(new, unknown), _under(new, old), _under(old, new))
        return Rotation((old, new, old), refused, self.settings, keys)

    def to_the_public_key(self) -> Rotation:
        old, new = self._signed(self.config), self._signed(self.config, kind="public_key")
        strange = self._signed(replace(self.config, public=certified("never shown")), kind="public_key")
        return Rotation((old, new, old), (strange, _under(old, new), _under(new, old)), self.settings, self.held())

    def _signed(self, config: SimulatorConfig, kind: str = "certificate") -> Message:
        told = SimulatedWeChat(config, now=self.now)
        told.situation.kind = kind
        return told.signer.notification("TRANSACTION.SUCCESS", "transaction", self.transaction)


def _under(named: Message, message: Message) -> Message:
    """The message under the serial number of the key that signed the other one."""
    return replace(message, headers={**message.headers, SERIAL: named.headers[SERIAL]})
