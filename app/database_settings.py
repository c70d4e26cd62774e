"""Settings of several databases that share the slots (`[[databases]]`, in place of `database_url`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, field_validator

from app.domain.slot_map import SlotMap, map_of, parse_ranges

DATABASES = frozenset({"sqlite", "postgresql", "postgresql+psycopg"})
DatabaseName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,31}$")]


class DatabaseSettings(BaseModel):
    """One of several databases."""

    model_config = ConfigDict(extra="forbid")

    name: DatabaseName
    """What the database is called for ever: it bears this name itself."""
    slots: str | None = None
    """`0-2047,3000`: which slots lie there; an empty text before some are moved there. Not given (for none of the
    databases): as the databases say themselves, and a process that runs takes over what is changed there."""
    url: str | None = None
    """Not given: in `database_urls`, by the name. It bears a password."""
    reports_url: str | None = None
    """A replica of this database, where reports and lists of all users are read. Of all databases or of none; it may
    be in `reports_database_urls`, by the name."""

    @field_validator("slots")
    @classmethod
    def _readable(cls, text: str | None) -> str | None:
        parse_ranges(text or "")
        return text

    @field_validator("url", "reports_url")
    @classmethod
    def _known(cls, url: str | None) -> str | None:
        return url if url is None else of_a_known_database(url)


def of_a_known_database(url: str) -> str:
    """The URL. Raises ValueError for one of another kind of database."""
    if url.partition("://")[0] not in DATABASES:
        raise ValueError("write sqlite:///<file> or postgresql://<user>:<password>@<host>/<database>")
    return url


def map_of_settings(databases: Sequence[DatabaseSettings]) -> SlotMap | None:
    """The map of the slots that is written there; None: it is as the databases say. Raises ValueError with a
    sentence."""
    names = [each.name for each in databases]
    if len(set(names)) < len(names):
        raise ValueError("two databases have the same name")
    written = [(each.name, parse_ranges(each.slots)) for each in databases if each.slots is not None]
    if not written:
        return None
    if len(written) < len(databases):
        raise ValueError("`slots` is written for all databases, or for none of them")
    return map_of(written)


def urls_of(databases: Sequence[DatabaseSettings], urls: Mapping[str, str]) -> dict[str, str]:
    """The URL of each database, by its name. Raises ValueError with a sentence, without a URL in it."""
    found = _by_name("url", "database_urls", {each.name: each.url for each in databases}, urls)
    if len({url.startswith("sqlite") for url in found.values()}) > 1:
        raise ValueError("databases: all of them are PostgreSQL, or all are SQLite")
    return found


def reports_urls_of(databases: Sequence[DatabaseSettings], urls: Mapping[str, str]) -> dict[str, str]:
    """The URL of the replica of each database, by its name; none where none is written. Raises ValueError."""
    written = {each.name: each.reports_url for each in databases}
    if not urls and not any(written.values()):
        return {}
    found = _by_name("reports_url", "reports_database_urls", written, urls)
    sources = {each.url for each in databases if each.url is not None}
    if sources & set(found.values()):
        raise ValueError("databases: a `reports_url` is the `url` of one of them")
    return found


def _by_name(member: str, table: str, written: Mapping[str, str | None], urls: Mapping[str, str]) -> dict[str, str]:
    """The URL by each name, from the list or from the table apart."""
    if unknown := urls.keys() - written.keys():
        raise ValueError(f"{table}.{min(unknown)}: no database of that name is in [[databases]]")
    found: dict[str, str] = {}
    for name, in_list in written.items():
        given = [url for url in (in_list, urls.get(name)) if url is not None]
        if len(given) != 1:
            has = "two of" if given else "no"
            raise ValueError(f"databases: {name!r} has {has} `{member}`: write `{member}`, or {table}.{name}")
        found[name] = given[0]
    if len(set(found.values())) < len(found):
        raise ValueError(f"databases: two of them have the same `{member}`")
    return found
