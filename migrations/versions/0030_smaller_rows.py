"""the provider's words behind a fact are kept as bytes, so that new ones can be compressed

The words of older facts stay as they are, letter by letter: their seals cover them. PostgreSQL writes the table anew
(a million facts: about half a minute, during which facts wait).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

COMPRESSED, ARCHIVED = b"\x01", b"\x02"
PAGE = 500
AS_JSON, AS_BYTES = "raw JSON NOT NULL", "raw BLOB NOT NULL"


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("UPDATE /* sweep: operator */ facts SET raw = CAST(raw AS BLOB)")
        _change_text(AS_JSON, AS_BYTES)
    else:
        op.execute("ALTER TABLE facts ALTER COLUMN raw TYPE bytea USING convert_to(raw::text, 'UTF8')")


def downgrade() -> None:
    """Archived words are gone. The version before cannot prove the seals of facts that were told since."""
    _change_words(_decompressed)
    if op.get_bind().dialect.name == "sqlite":
        op.execute("UPDATE /* sweep: operator */ facts SET raw = CAST(raw AS TEXT)")
        _change_text(AS_BYTES, AS_JSON)
    else:
        op.execute("ALTER TABLE facts ALTER COLUMN raw TYPE jsonb USING convert_from(raw, 'UTF8')::jsonb")


def _decompressed(document: bytes) -> bytes:
    if document[:1] == ARCHIVED:
        return b"{}"
    return json.dumps(json.loads(zlib.decompress(document[1:]))).encode() if document[:1] == COMPRESSED else document


def _change_words(change: Callable[[bytes], bytes]) -> None:
    connection = op.get_bind()
    facts = sa.table(
        "facts", sa.column("slot", sa.Integer()), sa.column("id", sa.BigInteger()), sa.column("raw", sa.LargeBinary())
    )
    key, after = sa.tuple_(facts.c.slot, facts.c.id), (-1, -1)
    wanted = sa.select(facts).prefix_with("/* sweep: operator */").order_by(facts.c.slot, facts.c.id).limit(PAGE)
    while page := connection.execute(wanted.where(key > after)).all():
        after = (page[-1].slot, page[-1].id)
        for row in page:
            one = (facts.c.slot == row.slot, facts.c.id == row.id)
            connection.execute(facts.update().where(*one).values(raw=change(bytes(row.raw))))


def _change_text(before: str, after: str) -> None:
    """SQLite changes no column. A type that is only read may be rewritten where the schema is kept
    (sqlite.org/lang_altertable.html, section 7, seen 2026-11-28)."""
    connection = op.get_bind()
    kept = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'facts'")
    text = str(kept.scalar_one())
    if before not in text:
        raise RuntimeError("the table facts is not as the migrations made it")
    version = int(connection.exec_driver_sql("PRAGMA schema_version").scalar_one())
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    connection.exec_driver_sql(
        "UPDATE sqlite_master SET sql = ? WHERE type = 'table' AND name = 'facts'", (text.replace(before, after),)
    )
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = OFF")
