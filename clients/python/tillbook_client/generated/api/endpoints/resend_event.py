from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.delivery import Delivery
from ...models.problem import Problem
from ...types import UNSET, Response, Unset


def _get_kwargs(
    name: str,
    event_id: UUID,
    *,
    idempotency_key: str,
    tillbook_actor: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    headers["Idempotency-Key"] = idempotency_key

    if not isinstance(tillbook_actor, Unset):
        headers["Tillbook-Actor"] = tillbook_actor

    if not isinstance(x_request_id, Unset):
        headers["X-Request-Id"] = x_request_id

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/v1/endpoints/{name}/deliveries/{event_id}/resend".format(
            name=quote(str(name), safe=""),
            event_id=quote(str(event_id), safe=""),
        ),
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Delivery | Problem | None:
    if response.status_code == 200:
        response_200 = Delivery.from_dict(response.json())

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
) -> Response[Delivery | Problem]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    name: str,
    event_id: UUID,
    *,
    client: AuthenticatedClient,
    idempotency_key: str,
    tillbook_actor: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Response[Delivery | Problem]:
    """Send one event there once more, whatever its delivery had come to

     Send one event there once more, whatever its delivery had come to.

    Needs the scope `events`.

    Args:
        name (str):
        event_id (UUID):
        idempotency_key (str):
        tillbook_actor (str | Unset):
        x_request_id (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Delivery | Problem]
    """

    kwargs = _get_kwargs(
        name=name,
        event_id=event_id,
        idempotency_key=idempotency_key,
        tillbook_actor=tillbook_actor,
        x_request_id=x_request_id,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    name: str,
    event_id: UUID,
    *,
    client: AuthenticatedClient,
    idempotency_key: str,
    tillbook_actor: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Delivery | Problem | None:
    """Send one event there once more, whatever its delivery had come to

     Send one event there once more, whatever its delivery had come to.

    Needs the scope `events`.

    Args:
        name (str):
        event_id (UUID):
        idempotency_key (str):
        tillbook_actor (str | Unset):
        x_request_id (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Delivery | Problem
    """

    return sync_detailed(
        name=name,
        event_id=event_id,
        client=client,
        idempotency_key=idempotency_key,
        tillbook_actor=tillbook_actor,
        x_request_id=x_request_id,
    ).parsed


async def asyncio_detailed(
    name: str,
    event_id: UUID,
    *,
    client: AuthenticatedClient,
    idempotency_key: str,
    tillbook_actor: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Response[Delivery | Problem]:
    """Send one event there once more, whatever its delivery had come to

     Send one event there once more, whatever its delivery had come to.

    Needs the scope `events`.

    Args:
        name (str):
        event_id (UUID):
        idempotency_key (str):
        tillbook_actor (str | Unset):
        x_request_id (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Delivery | Problem]
    """

    kwargs = _get_kwargs(
        name=name,
        event_id=event_id,
        idempotency_key=idempotency_key,
        tillbook_actor=tillbook_actor,
        x_request_id=x_request_id,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    name: str,
    event_id: UUID,
    *,
    client: AuthenticatedClient,
    idempotency_key: str,
    tillbook_actor: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Delivery | Problem | None:
    """Send one event there once more, whatever its delivery had come to

     Send one event there once more, whatever its delivery had come to.

    Needs the scope `events`.

    Args:
        name (str):
        event_id (UUID):
        idempotency_key (str):
        tillbook_actor (str | Unset):
        x_request_id (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Delivery | Problem
    """

    return (
        await asyncio_detailed(
            name=name,
            event_id=event_id,
            client=client,
            idempotency_key=idempotency_key,
            tillbook_actor=tillbook_actor,
            x_request_id=x_request_id,
        )
    ).parsed
