"""What an error answers: a problem document."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from app.web.schemas import Out


class FaultOut(Out):
    field: str = Field(description="The member at fault; empty: the whole.", examples=["quantity"])
    where: str = Field(alias="in", description="`json` or `query`.", examples=["json"])
    message: str = Field(description="The fault, for people.", examples=["Input should be greater than 0"])


class ProblemOut(BaseModel):
    """A problem document of RFC 9457. A code may bring members of its own."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(
        description="A URI that names the code.", examples=["https://tillbook.invalid/problems/invalid_request"]
    )
    title: str = Field(description="The code in words.", examples=["The request is not valid."])
    status: int = Field(description="The HTTP status.", examples=[422])
    code: str = Field(description="Stable: what programs go by.", examples=["invalid_request"])
    request_id: str | None = Field(
        default=None,
        description="Of this request, as in the header X-Request-Id and in the service's log.",
        examples=["01JDS3GZ0C8V2M5QK7R9T4W6XY"],
    )
    detail: str | None = Field(
        default=None, description="More about this case, for people.", examples=["not the `next` of a page"]
    )
    errors: list[FaultOut] | None = Field(default=None, description="What is not valid: one entry for each fault.")
    field: str | None = Field(default=None, description="The field at fault, or that differs.", examples=["before"])
    retry_after: int | None = Field(
        default=None, description="Seconds to wait, as in the header Retry-After.", examples=[2]
    )
