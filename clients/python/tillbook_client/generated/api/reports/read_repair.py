from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.problem import Problem
from ...models.repair import Repair
from ...models.repair_plan import RepairPlan
from ...types import UNSET, Response, Unset


def _get_kwargs(
    number: str,
    *,
    by: Repair | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(x_request_id, Unset):
        headers["X-Request-Id"] = x_request_id

    params: dict[str, Any] = {}

    json_by: str | Unset = UNSET
    if not isinstance(by, Unset):
        json_by = by.value

    params["by"] = json_by

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/v1/differences/{number}/repair".format(
            number=quote(str(number), safe=""),
        ),
        "params": params,
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Problem | RepairPlan | None:
    if response.status_code == 200:
        response_200 = RepairPlan.from_dict(response.json())

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
) -> Response[Problem | RepairPlan]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    number: str,
    *,
    client: AuthenticatedClient,
    by: Repair | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Response[Problem | RepairPlan]:
    """What a repair would do about a difference; nothing is done

     What a repair would do about a difference; nothing is done.

    Needs the scope `report`.

    Args:
        number (str):
        by (Repair | Unset):
        x_request_id (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Problem | RepairPlan]
    """

    kwargs = _get_kwargs(
        number=number,
        by=by,
        x_request_id=x_request_id,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    number: str,
    *,
    client: AuthenticatedClient,
    by: Repair | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Problem | RepairPlan | None:
    """What a repair would do about a difference; nothing is done

     What a repair would do about a difference; nothing is done.

    Needs the scope `report`.

    Args:
        number (str):
        by (Repair | Unset):
        x_request_id (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Problem | RepairPlan
    """

    return sync_detailed(
        number=number,
        client=client,
        by=by,
        x_request_id=x_request_id,
    ).parsed


async def asyncio_detailed(
    number: str,
    *,
    client: AuthenticatedClient,
    by: Repair | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Response[Problem | RepairPlan]:
    """What a repair would do about a difference; nothing is done

     What a repair would do about a difference; nothing is done.

    Needs the scope `report`.

    Args:
        number (str):
        by (Repair | Unset):
        x_request_id (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Problem | RepairPlan]
    """

    kwargs = _get_kwargs(
        number=number,
        by=by,
        x_request_id=x_request_id,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    number: str,
    *,
    client: AuthenticatedClient,
    by: Repair | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Problem | RepairPlan | None:
    """What a repair would do about a difference; nothing is done

     What a repair would do about a difference; nothing is done.

    Needs the scope `report`.

    Args:
        number (str):
        by (Repair | Unset):
        x_request_id (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Problem | RepairPlan
    """

    return (
        await asyncio_detailed(
            number=number,
            client=client,
            by=by,
            x_request_id=x_request_id,
        )
    ).parsed
