from http import HTTPStatus
from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.basis import Basis
from ...models.problem import Problem
from ...models.read_report_file_report import ReadReportFileReport
from ...models.report_format import ReportFormat
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    report: ReadReportFileReport,
    since: str | Unset = UNSET,
    until: str | Unset = UNSET,
    at: str | Unset = UNSET,
    account: str | Unset = UNSET,
    by: Basis | Unset = UNSET,
    format_: ReportFormat | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(x_request_id, Unset):
        headers["X-Request-Id"] = x_request_id

    params: dict[str, Any] = {}

    json_report = report.value
    params["report"] = json_report

    params["since"] = since

    params["until"] = until

    params["at"] = at

    params["account"] = account

    json_by: str | Unset = UNSET
    if not isinstance(by, Unset):
        json_by = by.value

    params["by"] = json_by

    json_format_: str | Unset = UNSET
    if not isinstance(format_, Unset):
        json_format_ = format_.value

    params["format"] = json_format_

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/v1/report-files",
        "params": params,
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Problem | str | None:
    if response.status_code == 200:
        response_200 = response.text
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
) -> Response[Problem | str]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient,
    report: ReadReportFileReport,
    since: str | Unset = UNSET,
    until: str | Unset = UNSET,
    at: str | Unset = UNSET,
    account: str | Unset = UNSET,
    by: Basis | Unset = UNSET,
    format_: ReportFormat | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Response[Problem | str]:
    """A report as a CSV file or an XLSX workbook; a period has at most 93 days. Money is decimal, with its
    currency

     A report as a CSV file or an XLSX workbook; a period has at most 93 days. Money is decimal, with its
    currency

    beside it.

    Needs the scope `report`.

    Args:
        report (ReadReportFileReport):
        since (str | Unset):
        until (str | Unset):
        at (str | Unset):
        account (str | Unset):
        by (Basis | Unset): By which time a report counts transfers.
        format_ (ReportFormat | Unset):
        x_request_id (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Problem | str]
    """

    kwargs = _get_kwargs(
        report=report,
        since=since,
        until=until,
        at=at,
        account=account,
        by=by,
        format_=format_,
        x_request_id=x_request_id,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient,
    report: ReadReportFileReport,
    since: str | Unset = UNSET,
    until: str | Unset = UNSET,
    at: str | Unset = UNSET,
    account: str | Unset = UNSET,
    by: Basis | Unset = UNSET,
    format_: ReportFormat | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Problem | str | None:
    """A report as a CSV file or an XLSX workbook; a period has at most 93 days. Money is decimal, with its
    currency

     A report as a CSV file or an XLSX workbook; a period has at most 93 days. Money is decimal, with its
    currency

    beside it.

    Needs the scope `report`.

    Args:
        report (ReadReportFileReport):
        since (str | Unset):
        until (str | Unset):
        at (str | Unset):
        account (str | Unset):
        by (Basis | Unset): By which time a report counts transfers.
        format_ (ReportFormat | Unset):
        x_request_id (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Problem | str
    """

    return sync_detailed(
        client=client,
        report=report,
        since=since,
        until=until,
        at=at,
        account=account,
        by=by,
        format_=format_,
        x_request_id=x_request_id,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient,
    report: ReadReportFileReport,
    since: str | Unset = UNSET,
    until: str | Unset = UNSET,
    at: str | Unset = UNSET,
    account: str | Unset = UNSET,
    by: Basis | Unset = UNSET,
    format_: ReportFormat | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Response[Problem | str]:
    """A report as a CSV file or an XLSX workbook; a period has at most 93 days. Money is decimal, with its
    currency

     A report as a CSV file or an XLSX workbook; a period has at most 93 days. Money is decimal, with its
    currency

    beside it.

    Needs the scope `report`.

    Args:
        report (ReadReportFileReport):
        since (str | Unset):
        until (str | Unset):
        at (str | Unset):
        account (str | Unset):
        by (Basis | Unset): By which time a report counts transfers.
        format_ (ReportFormat | Unset):
        x_request_id (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Problem | str]
    """

    kwargs = _get_kwargs(
        report=report,
        since=since,
        until=until,
        at=at,
        account=account,
        by=by,
        format_=format_,
        x_request_id=x_request_id,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient,
    report: ReadReportFileReport,
    since: str | Unset = UNSET,
    until: str | Unset = UNSET,
    at: str | Unset = UNSET,
    account: str | Unset = UNSET,
    by: Basis | Unset = UNSET,
    format_: ReportFormat | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Problem | str | None:
    """A report as a CSV file or an XLSX workbook; a period has at most 93 days. Money is decimal, with its
    currency

     A report as a CSV file or an XLSX workbook; a period has at most 93 days. Money is decimal, with its
    currency

    beside it.

    Needs the scope `report`.

    Args:
        report (ReadReportFileReport):
        since (str | Unset):
        until (str | Unset):
        at (str | Unset):
        account (str | Unset):
        by (Basis | Unset): By which time a report counts transfers.
        format_ (ReportFormat | Unset):
        x_request_id (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Problem | str
    """

    return (
        await asyncio_detailed(
            client=client,
            report=report,
            since=since,
            until=until,
            at=at,
            account=account,
            by=by,
            format_=format_,
            x_request_id=x_request_id,
        )
    ).parsed
