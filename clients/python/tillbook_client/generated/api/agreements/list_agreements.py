import datetime
from http import HTTPStatus
from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.agreement_status import AgreementStatus
from ...models.agreements import Agreements
from ...models.list_agreements_format import ListAgreementsFormat
from ...models.problem import Problem
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    user: str | Unset = UNSET,
    cursor: str | Unset = UNSET,
    limit: int | Unset = 50,
    format_: ListAgreementsFormat | Unset = UNSET,
    since: datetime.datetime | Unset = UNSET,
    until: datetime.datetime | Unset = UNSET,
    status: AgreementStatus | Unset = UNSET,
    provider_account: str | Unset = UNSET,
    product: str | Unset = UNSET,
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

    json_since: str | Unset = UNSET
    if not isinstance(since, Unset):
        json_since = since.isoformat()
    params["since"] = json_since

    json_until: str | Unset = UNSET
    if not isinstance(until, Unset):
        json_until = until.isoformat()
    params["until"] = json_until

    json_status: str | Unset = UNSET
    if not isinstance(status, Unset):
        json_status = status.value

    params["status"] = json_status

    params["provider_account"] = provider_account

    params["product"] = product

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/v1/agreements",
        "params": params,
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Agreements | Problem | None:
    if response.status_code == 200:
        response_200 = Agreements.from_dict(response.json())

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
) -> Response[Agreements | Problem]:
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
    format_: ListAgreementsFormat | Unset = UNSET,
    since: datetime.datetime | Unset = UNSET,
    until: datetime.datetime | Unset = UNSET,
    status: AgreementStatus | Unset = UNSET,
    provider_account: str | Unset = UNSET,
    product: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Response[Agreements | Problem]:
    """Agreements, newest first, with every provider, and those that stores charge: the user's, or, for a
    backend's key

     Agreements, newest first, with every provider, and those that stores charge: the user's, or, for a
    backend's key

    without `user`, those of all users.

    Needs the scope `read`.

    Args:
        user (str | Unset):
        cursor (str | Unset):
        limit (int | Unset):  Default: 50.
        format_ (ListAgreementsFormat | Unset):
        since (datetime.datetime | Unset):
        until (datetime.datetime | Unset):
        status (AgreementStatus | Unset):
        provider_account (str | Unset):
        product (str | Unset):
        x_request_id (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Agreements | Problem]
    """

    kwargs = _get_kwargs(
        user=user,
        cursor=cursor,
        limit=limit,
        format_=format_,
        since=since,
        until=until,
        status=status,
        provider_account=provider_account,
        product=product,
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
    format_: ListAgreementsFormat | Unset = UNSET,
    since: datetime.datetime | Unset = UNSET,
    until: datetime.datetime | Unset = UNSET,
    status: AgreementStatus | Unset = UNSET,
    provider_account: str | Unset = UNSET,
    product: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Agreements | Problem | None:
    """Agreements, newest first, with every provider, and those that stores charge: the user's, or, for a
    backend's key

     Agreements, newest first, with every provider, and those that stores charge: the user's, or, for a
    backend's key

    without `user`, those of all users.

    Needs the scope `read`.

    Args:
        user (str | Unset):
        cursor (str | Unset):
        limit (int | Unset):  Default: 50.
        format_ (ListAgreementsFormat | Unset):
        since (datetime.datetime | Unset):
        until (datetime.datetime | Unset):
        status (AgreementStatus | Unset):
        provider_account (str | Unset):
        product (str | Unset):
        x_request_id (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Agreements | Problem
    """

    return sync_detailed(
        client=client,
        user=user,
        cursor=cursor,
        limit=limit,
        format_=format_,
        since=since,
        until=until,
        status=status,
        provider_account=provider_account,
        product=product,
        x_request_id=x_request_id,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient,
    user: str | Unset = UNSET,
    cursor: str | Unset = UNSET,
    limit: int | Unset = 50,
    format_: ListAgreementsFormat | Unset = UNSET,
    since: datetime.datetime | Unset = UNSET,
    until: datetime.datetime | Unset = UNSET,
    status: AgreementStatus | Unset = UNSET,
    provider_account: str | Unset = UNSET,
    product: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Response[Agreements | Problem]:
    """Agreements, newest first, with every provider, and those that stores charge: the user's, or, for a
    backend's key

     Agreements, newest first, with every provider, and those that stores charge: the user's, or, for a
    backend's key

    without `user`, those of all users.

    Needs the scope `read`.

    Args:
        user (str | Unset):
        cursor (str | Unset):
        limit (int | Unset):  Default: 50.
        format_ (ListAgreementsFormat | Unset):
        since (datetime.datetime | Unset):
        until (datetime.datetime | Unset):
        status (AgreementStatus | Unset):
        provider_account (str | Unset):
        product (str | Unset):
        x_request_id (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Agreements | Problem]
    """

    kwargs = _get_kwargs(
        user=user,
        cursor=cursor,
        limit=limit,
        format_=format_,
        since=since,
        until=until,
        status=status,
        provider_account=provider_account,
        product=product,
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
    format_: ListAgreementsFormat | Unset = UNSET,
    since: datetime.datetime | Unset = UNSET,
    until: datetime.datetime | Unset = UNSET,
    status: AgreementStatus | Unset = UNSET,
    provider_account: str | Unset = UNSET,
    product: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Agreements | Problem | None:
    """Agreements, newest first, with every provider, and those that stores charge: the user's, or, for a
    backend's key

     Agreements, newest first, with every provider, and those that stores charge: the user's, or, for a
    backend's key

    without `user`, those of all users.

    Needs the scope `read`.

    Args:
        user (str | Unset):
        cursor (str | Unset):
        limit (int | Unset):  Default: 50.
        format_ (ListAgreementsFormat | Unset):
        since (datetime.datetime | Unset):
        until (datetime.datetime | Unset):
        status (AgreementStatus | Unset):
        provider_account (str | Unset):
        product (str | Unset):
        x_request_id (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Agreements | Problem
    """

    return (
        await asyncio_detailed(
            client=client,
            user=user,
            cursor=cursor,
            limit=limit,
            format_=format_,
            since=since,
            until=until,
            status=status,
            provider_account=provider_account,
            product=product,
            x_request_id=x_request_id,
        )
    ).parsed
