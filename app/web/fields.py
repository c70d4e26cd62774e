"""Kinds of members that requests and answers are made of, each with its description and an example.

What callers send is checked closely. What they are shown (`Shown…`) is described alike and not checked: a row that is
there already is shown as it is.
"""

from __future__ import annotations

import re
import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BeforeValidator, Field, StrictBool, StrictInt, StringConstraints
from typing_extensions import TypeAliasType

MOST_PAGE = 200
LONGEST_EXTRA = 1024
"""Characters of a member of `extra`."""

_USER = Field(description="The user, by the name that the app has for them.", examples=["alice"])
_SKU = Field(description="The product, by its `sku`.", examples=["coins-60"])
_ACCOUNT = Field(description="The provider account, by its name.", examples=["sandbox"])
_CURRENCY = Field(description="A currency, by its code in ISO 4217.", examples=["CNY"])
_ASSET = Field(description="What is counted: `coin`, or another virtual currency of the app.", examples=["coin"])

UserId = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,128}$"), _USER]
ShownUser = Annotated[str, _USER]
NewUser = Annotated[
    StrictBool | None,
    Field(
        exclude=True,
        description="Whether the user may be one that nobody has seen. If not given: only where no Tillbook-Actor is "
        "named, since people mistype. No part of what the Idempotency-Key stands for.",
        examples=[True],
    ),
]
Number = Annotated[
    str,
    StringConstraints(pattern=r"^[1-9][0-9]{0,18}$"),
    Field(description="A number of ours, in decimal.", examples=["252286601203298479"]),
]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Sku = Annotated[Name, _SKU]
ShownSku = Annotated[str, _SKU]
AccountField = Annotated[Name, _ACCOUNT]
ShownAccount = Annotated[str, _ACCOUNT]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$"), _CURRENCY]
ShownCurrency = Annotated[str, _CURRENCY]
Asset = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,15}$"), _ASSET]
ShownAsset = Annotated[str, _ASSET]
PositiveInt = Annotated[int, Field(strict=True, gt=0, le=2**63 - 1)]
Amount = Annotated[PositiveInt, Field(description="How much of the asset.", examples=[25])]
Environment = TypeAliasType(
    "Environment",
    Annotated[
        Literal["live", "sandbox"],
        Field(description="`live`, or `sandbox` for what a provider's sandbox paid.", examples=["live"]),
    ],
)
Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
"""Free text. No database keeps a NUL character."""
ExtraName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]
ExtraValue = (
    Annotated[Text, StringConstraints(max_length=LONGEST_EXTRA)]
    | StrictBool
    | Annotated[StrictInt, Field(ge=-(2**63), lt=2**63)]
    | None
)
"""What ways of paying need besides: plain values."""
Reference = Annotated[
    Text,
    StringConstraints(max_length=128),
    Field(description="What the caller wants to find the posting by.", examples=["sword-7"]),
]
Note = Annotated[Text, StringConstraints(max_length=255), Field(description="For people.", examples=["a sword"])]
Reason = Annotated[
    Text,
    StringConstraints(min_length=1, max_length=255),
    Field(description="Why, for people.", examples=["asked by the user"]),
]
TransferId = Annotated[uuid.UUID, Field(description="The transfer.", examples=["0b9e6a52-3f41-8c07-a2d5-6e1f7b90c82f"])]
At = Annotated[datetime, Field(description="When.", examples=["2026-11-28T09:30:00Z"])]
MoneyMinor = Annotated[int, Field(description="Money in minor units: 600 is 6.00 CNY.", examples=[600])]


MOMENT_WRITTEN = re.compile(
    r"^(197[1-9]|19[89][0-9]|2[0-8][0-9]{2}|29[0-8][0-9]|299[0-8])-[0-9]{2}-[0-9]{2}"
    r"T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})$"
)
"""A moment as RFC 3339 writes it, far enough from the ends of the calendar to be reckoned with in every zone."""


def _as_written(text: Any) -> Any:
    if not isinstance(text, str) or not MOMENT_WRITTEN.fullmatch(text):
        raise ValueError("not a moment of the years 1971 to 2998, as RFC 3339 writes it")
    return text


MomentField = Annotated[
    AwareDatetime,
    BeforeValidator(_as_written),
    Field(examples=["2026-11-28T09:30:00Z"], json_schema_extra={"pattern": MOMENT_WRITTEN.pattern}),
]
PageSize = Annotated[int, Field(gt=0, le=MOST_PAGE, description="How many at most.", examples=[50])]
