from http import HTTPStatus
from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.journal_entries import JournalEntries
from ...models.list_journal_entries_format import ListJournalEntriesFormat
from ...models.list_journal_entries_status import ListJournalEntriesStatus
from ...models.problem import Problem
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    user: str | Unset = UNSET,
    cursor: str | Unset = UNSET,
    limit: int | Unset = 50,
    format_: ListJournalEntriesFormat | Unset = UNSET,
    status: ListJournalEntriesStatus | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(x_request_id, Unset):
        headers["X-Request-Id"] = x_request_id

    params: dict[str, Any] = {}

    params["user"] = user

    params["cursor"] = cursor

    params["limit"] = limit

    json_format_: str | Unset = UNSET
    if not isinstance(format_, Unset):
        json_format_ = format_.value

    params["format"] = json_format_

    json_status: str | Unset = UNSET
    if not isinstance(status, Unset):
        json_status = status.value

    params["status"] = json_status

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/v1/journal-entries",
        "params": params,
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> JournalEntries | Problem | None:
    if response.status_code == 200:
        response_200 = JournalEntries.from_dict(response.json())

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
) -> Response[JournalEntries | Problem]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient,
    user: str | Unset = UNSET,
    cursor: str | Unset = UNSET,
    limit: int | Unset = 50,
    format_: ListJournalEntriesFormat | Unset = UNSET,
    status: ListJournalEntriesStatus | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Response[JournalEntries | Problem]:
    """Journal entries by hand, the newest first

     Journal entries by hand, the newest first.

    Needs the scope `report`.

    Args:
        user (str | Unset):
        cursor (str | Unset):
        limit (int | Unset):  Default: 50.
        format_ (ListJournalEntriesFormat | Unset):
        status (ListJournalEntriesStatus | Unset):
        x_request_id (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[JournalEntries | Problem]
    """

    kwargs = _get_kwargs(
        user=user,
        cursor=cursor,
        limit=limit,
        format_=format_,
        status=status,
        x_request_id=x_request_id,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient,
    user: str | Unset = UNSET,
    cursor: str | Unset = UNSET,
    limit: int | Unset = 50,
    format_: ListJournalEntriesFormat | Unset = UNSET,
    status: ListJournalEntriesStatus | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> JournalEntries | Problem | None:
    """Journal entries by hand, the newest first

     Journal entries by hand, the newest first.

    Needs the scope `report`.

    Args:
        user (str | Unset):
        cursor (str | Unset):
        limit (int | Unset):  Default: 50.
        format_ (ListJournalEntriesFormat | Unset):
        status (ListJournalEntriesStatus | Unset):
        x_request_id (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        JournalEntries | Problem
    """

    return sync_detailed(
        client=client,
        user=user,
        cursor=cursor,
        limit=limit,
        format_=format_,
        status=status,
        x_request_id=x_request_id,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient,
    user: str | Unset = UNSET,
    cursor: str | Unset = UNSET,
    limit: int | Unset = 50,
    format_: ListJournalEntriesFormat | Unset = UNSET,
    status: ListJournalEntriesStatus | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Response[JournalEntries | Problem]:
    """Journal entries by hand, the newest first

     Journal entries by hand, the newest first.

    Needs the scope `report`.

    Args:
        user (str | Unset):
        cursor (str | Unset):
        limit (int | Unset):  Default: 50.
        format_ (ListJournalEntriesFormat | Unset):
        status (ListJournalEntriesStatus | Unset):
        x_request_id (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[JournalEntries | Problem]
    """

    kwargs = _get_kwargs(
        user=user,
        cursor=cursor,
        limit=limit,
        format_=format_,
        status=status,
        x_request_id=x_request_id,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient,
    user: str | Unset = UNSET,
    cursor: str | Unset = UNSET,
    limit: int | Unset = 50,
    format_: ListJournalEntriesFormat | Unset = UNSET,
    status: ListJournalEntriesStatus | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> JournalEntries | Problem | None:
    """Journal entries by hand, the newest first

     Journal entries by hand, the newest first.

    Needs the scope `report`.

    Args:
        user (str | Unset):
        cursor (str | Unset):
        limit (int | Unset):  Default: 50.
        format_ (ListJournalEntriesFormat | Unset):
        status (ListJournalEntriesStatus | Unset):
        x_request_id (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        JournalEntries | Problem
    """

    return (
        await asyncio_detailed(
            client=client,
            user=user,
            cursor=cursor,
            limit=limit,
            format_=format_,
            status=status,
            x_request_id=x_request_id,
        )
    ).parsed
