from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.problem import Problem
from ...models.receipt import Receipt
from ...models.receipt_request import ReceiptRequest
from ...types import UNSET, Response, Unset


def _get_kwargs(
    provider_account: str,
    *,
    body: ReceiptRequest,
    user: str | Unset = UNSET,
    tillbook_actor: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(tillbook_actor, Unset):
        headers["Tillbook-Actor"] = tillbook_actor

    if not isinstance(x_request_id, Unset):
        headers["X-Request-Id"] = x_request_id

    params: dict[str, Any] = {}

    params["user"] = user

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/v1/receipts/{provider_account}".format(
            provider_account=quote(str(provider_account), safe=""),
        ),
        "params": params,
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Problem | Receipt | None:
    if response.status_code == 200:
        response_200 = Receipt.from_dict(response.json())

        return response_200

    if response.status_code == 400:
        response_400 = Problem.from_dict(response.json())

        return response_400

    if response.status_code == 401:
        response_401 = Problem.from_dict(response.json())

        return response_401

    if response.status_code == 403:
        response_403 = Problem.from_dict(response.json())

        return response_403

    if response.status_code == 404:
        response_404 = Problem.from_dict(response.json())

        return response_404

    if response.status_code == 409:
        response_409 = Problem.from_dict(response.json())

        return response_409

    if response.status_code == 413:
        response_413 = Problem.from_dict(response.json())

        return response_413

    if response.status_code == 415:
        response_415 = Problem.from_dict(response.json())

        return response_415

    if response.status_code == 422:
        response_422 = Problem.from_dict(response.json())

        return response_422

    if response.status_code == 429:
        response_429 = Problem.from_dict(response.json())

        return response_429

    if response.status_code == 500:
        response_500 = Problem.from_dict(response.json())

        return response_500

    if response.status_code == 503:
        response_503 = Problem.from_dict(response.json())

        return response_503

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[Problem | Receipt]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    provider_account: str,
    *,
    client: AuthenticatedClient,
    body: ReceiptRequest,
    user: str | Unset = UNSET,
    tillbook_actor: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Response[Problem | Receipt]:
    """Hand in the proof of one or many store purchases, as the store gave it to the client

     Hand in the proof of one or many store purchases, as the store gave it to the client.

    Submitting it again is always safe: the same proof has the same answer and is credited once, so no
    Idempotency-Key
    is needed. `finish` says for each purchase whether the client may tell the store that it was
    delivered.

    Needs the scope `receipts`.

    Args:
        provider_account (str):
        user (str | Unset):
        tillbook_actor (str | Unset):
        x_request_id (str | Unset):
        body (ReceiptRequest): The proof as the provider's plugin wants it (`docs/api.md`): a JSON
            object.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Problem | Receipt]
    """

    kwargs = _get_kwargs(
        provider_account=provider_account,
        body=body,
        user=user,
        tillbook_actor=tillbook_actor,
        x_request_id=x_request_id,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    provider_account: str,
    *,
    client: AuthenticatedClient,
    body: ReceiptRequest,
    user: str | Unset = UNSET,
    tillbook_actor: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Problem | Receipt | None:
    """Hand in the proof of one or many store purchases, as the store gave it to the client

     Hand in the proof of one or many store purchases, as the store gave it to the client.

    Submitting it again is always safe: the same proof has the same answer and is credited once, so no
    Idempotency-Key
    is needed. `finish` says for each purchase whether the client may tell the store that it was
    delivered.

    Needs the scope `receipts`.

    Args:
        provider_account (str):
        user (str | Unset):
        tillbook_actor (str | Unset):
        x_request_id (str | Unset):
        body (ReceiptRequest): The proof as the provider's plugin wants it (`docs/api.md`): a JSON
            object.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Problem | Receipt
    """

    return sync_detailed(
        provider_account=provider_account,
        client=client,
        body=body,
        user=user,
        tillbook_actor=tillbook_actor,
        x_request_id=x_request_id,
    ).parsed


async def asyncio_detailed(
    provider_account: str,
    *,
    client: AuthenticatedClient,
    body: ReceiptRequest,
    user: str | Unset = UNSET,
    tillbook_actor: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Response[Problem | Receipt]:
    """Hand in the proof of one or many store purchases, as the store gave it to the client

     Hand in the proof of one or many store purchases, as the store gave it to the client.

    Submitting it again is always safe: the same proof has the same answer and is credited once, so no
    Idempotency-Key
    is needed. `finish` says for each purchase whether the client may tell the store that it was
    delivered.

    Needs the scope `receipts`.

    Args:
        provider_account (str):
        user (str | Unset):
        tillbook_actor (str | Unset):
        x_request_id (str | Unset):
        body (ReceiptRequest): The proof as the provider's plugin wants it (`docs/api.md`): a JSON
            object.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Problem | Receipt]
    """

    kwargs = _get_kwargs(
        provider_account=provider_account,
        body=body,
        user=user,
        tillbook_actor=tillbook_actor,
        x_request_id=x_request_id,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    provider_account: str,
    *,
    client: AuthenticatedClient,
    body: ReceiptRequest,
    user: str | Unset = UNSET,
    tillbook_actor: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Problem | Receipt | None:
    """Hand in the proof of one or many store purchases, as the store gave it to the client

     Hand in the proof of one or many store purchases, as the store gave it to the client.

    Submitting it again is always safe: the same proof has the same answer and is credited once, so no
    Idempotency-Key
    is needed. `finish` says for each purchase whether the client may tell the store that it was
    delivered.

    Needs the scope `receipts`.

    Args:
        provider_account (str):
        user (str | Unset):
        tillbook_actor (str | Unset):
        x_request_id (str | Unset):
        body (ReceiptRequest): The proof as the provider's plugin wants it (`docs/api.md`): a JSON
            object.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Problem | Receipt
    """

    return (
        await asyncio_detailed(
            provider_account=provider_account,
            client=client,
            body=body,
            user=user,
            tillbook_actor=tillbook_actor,
            x_request_id=x_request_id,
        )
    ).parsed
