"""The people who may sign in to the console: made, renewed and ended by the command line, and how they prove who they
are: by a password and a one-time code (RFC 6238).

The row bears a seal with the installation's key, as that of an API key does, and the code secret in it is encrypted: a
copy of the database opens no door, and neither does writing to it. A password of 120 random bits needs no limit of
attempts: who does not have it learns nothing, not even which names there are, and shuts nobody out. Codes are short,
so wrong ones are counted. An operator has one session: a new one ends the earlier one.
"""

from __future__ import annotations

import hmac
import re
import secrets
import threading
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import argon2
import pyotp
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import select, update

from app.domain.seals import Seals, content_of_columns
from app.models.base import AnyRow
from app.models.operators import OperatorRow
from app.services.accounts.api_keys import NotChanged
from app.services.base.context import Core, Tx
from app.services.base.upsert import insert_if_new

FINANCE, SUPPORT = "finance", "support"
ROLES = (FINANCE, SUPPORT)
"""Support sees users, their orders and agreements, and what waits. Finance sees reports and differences, too."""
PASSWORD_BYTES = 15
"""Random bytes of a password: it is made here, and never chosen."""
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}", re.ASCII)
"""What operators are called."""
FREE_ATTEMPTS = 5
"""So many wrong codes cost no waiting."""
LONGEST_REFUSAL = timedelta(minutes=15)
"""How long an operator waits at the most, however many codes were wrong."""
MOST_CHECKS = 2
"""Passwords that one process checks at a time; more are turned away, since an attempt that waited for its turn would
keep one of the eight threads from providers. Each takes 64 MiB, and a fifth of a second of one core."""
CODE_STEPS = 1
"""A clock of the person's device may be one step of 30 seconds ahead or behind."""
SEALED_OF_OPERATOR = ("name", "roles", "password", "code_secret", "made_by", "made_at")
_o = OperatorRow.__table__.c
HASHER = argon2.PasswordHasher()
"""Argon2id with the cost that RFC 9106 asks for where memory is scarce."""
_checks = threading.BoundedSemaphore(MOST_CHECKS)


class SignInRefused(Exception):
    """Name, password and code are not those of one operator. Which of them is wrong is for the log alone: `operator` is
    the name if an operator has it."""

    def __init__(self, operator: str | None = None, *, knew_password: bool = False) -> None:
        super().__init__("the sign-in is refused")
        self.operator, self.knew_password = operator, knew_password


class TooManyAttempts(Exception):
    """The next attempt is judged in so many seconds. `operator` is who has to wait; None: this process is busy."""

    def __init__(self, seconds: int, operator: str | None = None) -> None:
        super().__init__(f"no attempt is judged for {seconds} seconds")
        self.seconds, self.operator = seconds, operator


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a new operator is told once. `address` brings the code secret into an authenticator."""

    password: str
    address: str


@dataclass(frozen=True, slots=True)
class Session:
    """Who is signed in, and the number of the session."""

    operator: str
    number: int
    roles: frozenset[str]


class CodeSecrets:
    """Encrypts what one-time codes are made from, with keys that come from the secrets of the settings; the first one
    encrypts, each of them decrypts."""

    def __init__(self, secret_keys: Sequence[str]) -> None:
        self._keys = MultiFernet([Fernet(_derived(each)) for each in secret_keys])

    def encrypt(self, secret: str) -> str:
        return self._keys.encrypt(secret.encode()).decode()

    def decrypt(self, text: str) -> str | None:
        """None for what none of the keys encrypted."""
        try:
            return self._keys.decrypt(text.encode()).decode()
        except InvalidToken:
            return None


def _derived(secret_key: str) -> bytes:
    key = HKDF(SHA256(), length=32, salt=None, info=b"tillbook operators' code secrets").derive(secret_key.encode())
    return urlsafe_b64encode(key)


# --- who there is ---


def add_operator(
    tx: Tx, name: str, roles: frozenset[str], made_by: str, keys: CodeSecrets, hasher: argon2.PasswordHasher = HASHER
) -> Credentials:
    """Make an operator. Raises NotChanged."""
    told, row = _new_row(tx, name, roles, made_by, keys, hasher)
    never = {"ended_by": None, "ended_at": None, "refused_until": None, "signed_in_at": None}
    if not insert_if_new(tx, OperatorRow.__table__, {**row, **never, "attempts": 0, "last_code": 0, "session": 0}):
        raise NotChanged(f"there is an operator {name} already; `tillbook operators renew {name}` makes a new password")
    return told


def renew_operator(
    tx: Tx,
    name: str,
    roles: frozenset[str] | None,
    made_by: str,
    keys: CodeSecrets,
    hasher: argon2.PasswordHasher = HASHER,
) -> Credentials:
    """A new password and a new code secret, and other roles if they are given; also for one who was ended. Every
    session of the operator is over. Raises NotChanged."""
    known = _find(tx, name)
    if known is None:
        raise NotChanged(f"there is no operator {name}")
    told, row = _new_row(tx, name, frozenset(known.roles) if roles is None else roles, made_by, keys, hasher)
    anew = {
        "ended_by": None,
        "ended_at": None,
        "attempts": 0,
        "refused_until": None,
        "last_code": 0,
        "session": _o.session + 1,
    }
    tx.execute(update(OperatorRow).where(_o.name == name).values(**row, **anew))
    return told


def end_operator(tx: Tx, name: str, ended_by: str) -> None:
    """The operator signs in no more, and every session of the operator is over. Raises NotChanged."""
    ended = update(OperatorRow).where(_o.name == name, _o.ended_at.is_(None)).returning(_o.name)
    if tx.execute(ended.values(ended_by=ended_by, ended_at=tx.now, session=_o.session + 1)).first() is None:
        raise NotChanged(f"there is no operator {name} who has not ended")


def list_operators(tx: Tx) -> Sequence[AnyRow]:
    """Every operator, by name."""
    return tx.execute(select(*_o).order_by(_o.name)).all()


def is_sealed(seals: Seals, row: AnyRow) -> bool:
    """Whether the row is as this installation wrote it."""
    return seals.fits("operators", content_of_columns(row._asdict(), SEALED_OF_OPERATOR), bytes(row.seal))


def _new_row(
    tx: Tx, name: str, roles: frozenset[str], made_by: str, keys: CodeSecrets, hasher: argon2.PasswordHasher
) -> tuple[Credentials, dict[str, Any]]:
    password, code_secret = secrets.token_urlsafe(PASSWORD_BYTES), pyotp.random_base32()
    row: dict[str, Any] = {
        "name": name,
        "roles": sorted(roles),
        "password": hasher.hash(password),
        "code_secret": keys.encrypt(code_secret),
        "made_by": made_by,
        "made_at": tx.now,
    }
    row["seal"] = tx.core.rules.ledger.seals.of("operators", content_of_columns(row, SEALED_OF_OPERATOR))
    address = pyotp.TOTP(code_secret).provisioning_uri(name=name, issuer_name="Tillbook")
    return Credentials(password, address), row


def _look_up(tx: Tx, name: str) -> AnyRow | None:
    return tx.execute(select(*_o).where(_o.name == name)).one_or_none()


def _find(tx: Tx, name: str) -> AnyRow | None:
    """The row, locked."""
    return tx.execute(select(*_o).where(_o.name == name).with_for_update()).one_or_none()


# --- who it is ---


def sign_in(core: Core, name: str, password: str, code: str, keys: CodeSecrets) -> Session:
    """A new session. Raises SignInRefused or TooManyAttempts."""
    row = core.home.read(lambda tx: _look_up(tx, name)) if NAME.fullmatch(name) else None
    is_right = _is_password(None if row is None else row.password, password)
    if row is None or not is_right:
        raise SignInRefused(None if row is None else row.name)
    secret = keys.decrypt(row.code_secret)
    if secret is None or not is_sealed(core.rules.ledger.seals, row):
        raise SignInRefused(row.name, knew_password=True)
    opened = core.home.transact(lambda tx: _judge_code(tx, row, pyotp.TOTP(secret), code))
    if opened is None:
        raise SignInRefused(row.name, knew_password=True)
    return opened


def find_session(core: Core, operator: str, number: int) -> Session | None:
    """The session if it is the operator's newest one and nobody has ended it since."""
    row = core.home.read(lambda tx: _look_up(tx, operator))
    if row is None or row.ended_at is not None or row.session != number or not is_sealed(core.rules.ledger.seals, row):
        return None
    return Session(operator, number, frozenset(row.roles))


def end_session(core: Core, session: Session) -> None:
    """Sign out. A newer session of the operator goes on."""
    mine = update(OperatorRow).where(_o.name == session.operator, _o.session == session.number)
    core.home.transact(lambda tx: tx.execute(mine.values(session=_o.session + 1)))


@cache
def _nobodys_hash() -> str:
    """Checked where nobody has the name, so that an attempt takes as long."""
    return HASHER.hash(secrets.token_urlsafe())


def _is_password(known_hash: str | None, password: str) -> bool:
    if not _checks.acquire(blocking=False):
        raise TooManyAttempts(1)
    try:
        return HASHER.verify(known_hash or _nobodys_hash(), password) and known_hash is not None
    except argon2.exceptions.VerificationError:
        return False
    finally:
        _checks.release()


def _step_of(codes: pyotp.TOTP, code: str, now: datetime) -> int | None:
    """The time step whose code it is; None for a code of none that counts now."""
    here = codes.timecode(now)
    for step in range(here - CODE_STEPS, here + CODE_STEPS + 1):
        if hmac.compare_digest(codes.generate_otp(step).encode(), code.encode()):
            return step
    return None


def _judge_code(tx: Tx, judged: AnyRow, codes: pyotp.TOTP, code: str) -> Session | None:
    """A new session; None for a wrong code, which is counted, for one that was used before, and where the operator was
    changed since the password was judged. The lock on the row makes many codes at once as many one after another.
    Raises TooManyAttempts."""
    row = _find(tx, judged.name)
    if row is None or row.seal != judged.seal or row.ended_at is not None:
        return None
    if row.refused_until is not None and row.refused_until > tx.now:
        raise TooManyAttempts(int((row.refused_until - tx.now).total_seconds()) + 1, row.name)
    mine, step = update(OperatorRow).where(_o.name == row.name), _step_of(codes, code, tx.now)
    if step is not None and step > row.last_code:
        opened = {"attempts": 0, "refused_until": None, "last_code": step, "signed_in_at": tx.now}
        tx.execute(mine.values(**opened, session=row.session + 1))
        return Session(row.name, row.session + 1, frozenset(row.roles))
    attempts = row.attempts + 1
    beyond = min(attempts - FREE_ATTEMPTS, 10)  # 2^10 seconds are more than the longest refusal
    until = tx.now + min(timedelta(seconds=2**beyond), LONGEST_REFUSAL) if beyond > 0 else None
    tx.execute(mine.values(attempts=attempts, refused_until=until))
    return None
