"""The OpenAPI document: valid, in plain words, with a description and an example of everything, and with every code.

A new route fails here until it is described; each message says what to write, and where.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel, ValidationError
from sqlalchemy import Engine

from app import create_app
from app.config import Settings
from app.web.access import scopes_of
from app.web.errors import ERRORS
from app.web.openapi.components import plain_name
from app.web.openapi.document import TAGS
from app.web.openapi.links import LINKS
from app.web.openapi.operations import Operation
from tests.clients import codes_of_views
from tests.clients.generate import COMMAND, document
from tests.support.web_client import ApiClient, build_client, order_body, token
from tests.support.world import World

VERBS = frozenset(
    re.findall(
        "[a-z]+",
        "accept acknowledge add answer cancel capture create decline delete end find follow freeze give issue list"
        " pause read reject release remove resend resume reverse revoke rotate search set submit test unfreeze update",
    )
)
"""What an operation may begin with: the name of its view says it. `show_…` is `read…`."""
NOT_OF_AN_OPERATION = frozenset({"method_not_allowed", "schema_outdated", "slot_map_outdated", "batch_not_applied"})
"""Answered before an operation is chosen, by /health/ready, or as a part of an answer with 200."""
API = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
RATES = {"RateLimit-Policy", "RateLimit", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"}
MODELS = "describe it in its `Field(description=…, examples=[…])`, or use a type of app/web/fields.py"

PATHS = "describe it in PATH_PARAMETERS of app/web/openapi/parameters.py"


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    return document()


@pytest.fixture(scope="module")
def described(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The operations by their ids."""
    return {each["operationId"]: each for path in spec["paths"].values() for each in path.values()}


OPERATIONS = codes_of_views.operations()
every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.id)


def shown(schema: dict[str, Any], spec: dict[str, Any]) -> Any:
    """The schema with the document's others beside it, as a validator."""
    return OAS31Validator({**schema, "components": spec["components"]}, format_checker=OAS31Validator.FORMAT_CHECKER)


def test_the_document_is_valid(spec: dict[str, Any]) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(spec).iter_errors()] == []


def test_the_document_is_served_as_it_is_made(http: FlaskClient, spec: dict[str, Any]) -> None:
    served = http.get("/openapi.json")
    assert served.content_type == "application/json"
    assert served.get_json() | {"servers": spec["servers"]} == spec


def test_the_server_is_where_the_installation_is_reached(spec: dict[str, Any]) -> None:
    assert spec["servers"][0]["url"] == codes_of_views.PUBLIC_URL
    other = create_app(Settings(env="test", database_url="sqlite://", public_url="https://pay.tillbook.dev/api/"))
    assert other.test_client().get("/openapi.json").get_json()["servers"][0]["url"] == "https://pay.tillbook.dev/api"


def test_operations_are_named_by_verbs_and_each_once(spec: dict[str, Any]) -> None:
    counted = Counter(operation.id for operation in OPERATIONS)
    assert [name for name, count in counted.items() if count > 1] == [], "two views have one name"
    odd = [name for name in counted if re.split("[A-Z]", name)[0] not in VERBS or not re.fullmatch("[A-Za-z]+", name)]
    assert odd == [], "name the view by a verb and a noun: `create_order` is createOrder"
    assert len(counted) == sum(len(path) for path in spec["paths"].values())


def test_the_table_of_endpoints_has_every_operation_with_its_scopes(spec: dict[str, Any]) -> None:
    """Of `docs/api.md`: `GET /v1/orders/<number>`. The scope `gift` is a user's, by the settings, and no key's."""
    told = {}
    for cells in (line.split(" | ") for line in API.splitlines() if re.match(r"\| `[A-Z]+ /", line)):
        for method, path in re.findall(r"`([A-Z]+) (/[^`]*)`", cells[0]):
            told[method, re.sub("<[^>]+>", "<>", path)] = cells[1]
    missing = []
    for path, found in spec["paths"].items():
        for method, operation in found.items():
            cell = told.get((method.upper(), re.sub("{[^}]+}", "<>", path)), "")
            needs = re.findall("`([a-z]+)`", operation["description"].rpartition("Needs the scope")[2])
            missing += [(method, path)] if not needs or set(needs) - {"gift"} - set(re.findall("[a-z]+", cell)) else []
    assert missing == [], "write them into the table of docs/api.md: endpoints, scope, what"


@every_operation
def test_an_operation_is_described(operation: Operation, described: dict[str, dict[str, Any]]) -> None:
    found = described[operation.id]
    where = operation.view_name
    assert operation.tag in TAGS, (
        f"{where}: give its blueprint a `tag`, described in TAGS of app/web/openapi/document.py"
    )
    assert 8 <= len(found["summary"]) <= 120, f"{where}: the first line of its docstring is a sentence of one line"
    assert scopes_of(operation.view), f"{where}: it needs a scope"
    assert all(f"`{scope}`" in found["description"] for group in scopes_of(operation.view) for scope in group)
    for parameter in found["parameters"]:
        how = PATHS if parameter["in"] == "path" else MODELS
        assert parameter.get("description"), f"{where}: {parameter['name']}: {how}"
        assert "example" in parameter, f"{where}: {parameter['name']}: {how}"


@every_operation
def test_the_answers_of_an_operation_are_described_with_an_example_each(
    operation: Operation, described: dict[str, dict[str, Any]]
) -> None:
    found = described[operation.id]
    good = [answer for status, answer in found["responses"].items() if status.startswith("2")]
    assert good, f"{operation.view_name}: say what it answers: `@blueprint.output(…)`"
    for content in [*good, *([found["requestBody"]] if "requestBody" in found else [])]:
        assert content["description"]
        for kind, said in content.get("content", {}).items():
            assert "example" in said or said.get("examples"), f"{operation.view_name}: {kind} has no example"


@every_operation
def test_every_example_is_what_its_schema_allows(
    operation: Operation, described: dict[str, dict[str, Any]], spec: dict[str, Any]
) -> None:
    found = described[operation.id]
    for parameter in found["parameters"]:
        shown(parameter["schema"], spec).validate(parameter["example"])
    for answer in [*found["responses"].values(), *([found["requestBody"]] if "requestBody" in found else [])]:
        for kind, said in answer.get("content", {}).items():
            if kind.endswith("json"):
                examples = [one["value"] for one in said.get("examples", {}).values()]
                for example in [*examples, *([said["example"]] if "example" in said else [])]:
                    shown(said["schema"], spec).validate(example)


@every_operation
def test_the_example_of_a_request_is_accepted(operation: Operation, described: dict[str, dict[str, Any]]) -> None:
    if operation.body is None:
        return
    example = described[operation.id]["requestBody"]["content"]["application/json"]["example"]
    assert operation.body.model_validate(example), "give its model_config json_schema_extra={'examples': […]}"


@every_operation
def test_a_truth_in_a_request_is_true_or_false_and_no_number(
    operation: Operation, described: dict[str, dict[str, Any]], spec: dict[str, Any]
) -> None:
    if operation.body is None:
        return
    example = described[operation.id]["requestBody"]["content"]["application/json"]["example"]
    members = spec["components"]["schemas"][plain_name(operation.body.__name__)].get("properties", {})
    for name in [name for name, said in members.items() if "'boolean'" in str(said) and name != "extra"]:
        with pytest.raises(ValidationError):
            operation.body.model_validate({**example, name: 0})


def members(spec: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, schema in spec["components"]["schemas"].items():
        for member, said in schema.get("properties", {}).items():
            yield f"{name}.{member}", said


def test_every_member_is_described_and_has_an_example(spec: dict[str, Any]) -> None:
    """One that refers to another schema, or is a list of such, is shown there."""
    silent = [name for name, said in members(spec) if not said.get("description") and "$ref" not in said]
    assert silent == [], MODELS
    nested = re.compile(r"'\$ref'")
    dumb = [name for name, said in members(spec) if not said.get("examples") and not nested.search(str(said))]
    assert dumb == [], MODELS


def test_every_example_of_a_member_is_allowed(spec: dict[str, Any]) -> None:
    for name, said in members(spec):
        for example in said.get("examples", []):
            errors = [error.message for error in shown(said, spec).iter_errors(example)]
            assert errors == [], name


def test_schemas_have_plain_names_and_no_doubles(spec: dict[str, Any]) -> None:
    schemas = spec["components"]["schemas"]
    assert [name for name in schemas if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", name)] == []
    assert [name for name in schemas if re.search(r"(In|Out|Schema|Model)$", name)] == []
    once = Counter(str({**schema, "description": ""}) for name, schema in schemas.items() if "Problem" not in name)
    doubles = [name for name, schema in schemas.items() if once[str({**schema, "description": ""})] > 1]
    assert doubles == []
    assert not re.search(r"'title': '[A-Z]\w* ?\w*', 'type'", str(schemas)), "titles repeat the names"


def test_two_models_of_one_name_are_refused() -> None:
    from app.web.openapi.components import schemas_of

    def model(module: str) -> type[BaseModel]:
        return type("LineOut", (BaseModel,), {"__module__": module, "__annotations__": {module: int}})

    with pytest.raises(ValueError, match="two models are named 'LineOut'"):
        schemas_of([(model("a"), "serialization"), (model("b"), "serialization")])
    assert [plain_name(name) for name in ("OrderOut", "OrderIn", "Policy", "Out")] == [
        "Order",
        "OrderRequest",
        "Policy",
        "Out",
    ]


@every_operation
def test_an_operation_says_its_codes(
    operation: Operation, described: dict[str, dict[str, Any]], spec: dict[str, Any]
) -> None:
    found, codes = described[operation.id], set()
    name = operation.id[0].upper() + operation.id[1:] + "Problem"
    for status, answer in found["responses"].items():
        if status.startswith("2"):
            continue
        said = answer["content"]["application/problem+json"]
        assert said["schema"] == {"$ref": f"#/components/schemas/{name}"}
        assert {ERRORS[code][0] for code in said["examples"]} == {int(status)}
        codes |= set(said["examples"])
    assert spec["components"]["schemas"][name]["properties"]["code"]["enum"] == sorted(codes) == sorted(operation.codes)


@every_operation
def test_an_operation_says_its_header_fields(
    operation: Operation, described: dict[str, dict[str, Any]], spec: dict[str, Any]
) -> None:
    found = described[operation.id]
    taken = {each["name"]: each for each in found["parameters"] if each["in"] == "header"}
    assert not taken["X-Request-Id"]["required"]
    assert ("Tillbook-Actor" in taken) is (operation.method != "get")
    for status, answer in found["responses"].items():
        wanted = {"X-Request-Id"}
        wanted |= {"Retry-After"} if status in ("429", "503") else set()
        wanted |= {"WWW-Authenticate"} if status == "401" else RATES if {"user": []} in found["security"] else set()
        assert set(answer["headers"]) == wanted, status
        for name, said in answer["headers"].items():
            assert said == {"$ref": f"#/components/headers/{name}"}
            field = spec["components"]["headers"][name]
            assert field["description"]
            assert shown(field["schema"], spec).is_valid(field["schema"]["examples"][0])


def test_every_header_field_of_an_answer_is_described(
    world: World, engine: Engine, backend: ApiClient, described: dict[str, dict[str, Any]]
) -> None:
    """But for what every answer of HTTP has, and what is for browsers."""
    common = {"Content-Type", "Content-Length", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy"}
    common |= {"Content-Security-Policy", "Cache-Control"}
    http = build_client(world, engine, user_requests_per_minute=3)
    alice = ApiClient(http, token("alice"))
    answers = {
        ("readWallet", "200"): alice.get("/v1/wallet"),
        ("createOrder", "409"): alice.post("/v1/orders", order_body(product="none")),
        ("readStatement", "404"): alice.get("/v1/statement", cursor="none"),
        ("listProducts", "429"): alice.get("/v1/products"),
        ("listProviders", "401"): ApiClient(http, "nobody").get("/v1/providers"),
        ("createSpend", "409"): backend.post("/v1/spends", {"user": "alice", "asset": "coin", "amount": 1}),
    }
    for (name, status), answer in answers.items():
        assert answer.status_code == int(status), name
        said = set(described[name]["responses"][status]["headers"])
        assert set(answer.headers.keys()) - common == said, name


def test_every_code_is_that_of_an_operation() -> None:
    """A code that no operation can answer is one that was forgotten: in the code, or by what reads the code."""
    said = {code for operation in OPERATIONS for code in operation.codes}
    assert sorted(set(ERRORS) - said - NOT_OF_AN_OPERATION) == []
    assert sorted(NOT_OF_AN_OPERATION & said) == []


def test_the_table_of_codes_is_what_the_source_says() -> None:
    assert codes_of_views.FILE.read_text(encoding="utf-8") == codes_of_views.written(), COMMAND


def test_links_lead_to_operations_that_take_what_they_give(described: dict[str, dict[str, Any]]) -> None:
    for name, links in LINKS.items():
        for following, parameters in links.items():
            taken = {each["name"] for each in described[following]["parameters"] if each["in"] == "path"}
            assert set(parameters) == taken, f"{name} → {following}"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"quantity": 1.5}, "invalid_request"),
        ({"extra": {"bank": "abc"}}, "extra_not_accepted"),
        ({"provider_account": "elsewhere"}, "unknown_provider_account"),
        ({"quantity": 1000, "product": "dear"}, "unknown_product"),
    ],
)
def test_what_the_document_allows_is_not_called_invalid(
    alice: ApiClient, spec: dict[str, Any], body: dict[str, Any], code: str
) -> None:
    wanted = order_body(**body)
    allowed = shown({"$ref": "#/components/schemas/OrderRequest"}, spec).is_valid(wanted)
    answer = alice.post("/v1/orders", wanted)
    assert answer.get_json()["code"] == code
    assert (answer.status_code in (400, 422)) is not allowed


@pytest.mark.parametrize("text", ["1.0", "1e0", "10e-1", "1.00000000000000000000"])
def test_a_whole_number_may_be_written_with_a_point_or_an_exponent(alice: ApiClient, text: str) -> None:
    """JSON Schema knows no difference, so generated clients of languages with one kind of number may send any."""
    headers = {**alice.headers, "Idempotency-Key": "k"}
    body = json.dumps(order_body(quantity=0)).replace('"quantity": 0', f'"quantity": {text}')
    answer = alice.client.post("/v1/orders", data=body, content_type="application/json", headers=headers)
    assert (answer.status_code, answer.get_json()["quantity"]) == (201, 1)


def test_large_whole_numbers_with_a_point_are_read_exactly(backend: ApiClient) -> None:
    body = '{"user": "alice", "asset": "coin", "amount": 9007199254740993.0, "reason": "r"}'
    headers = {**backend.headers, "Idempotency-Key": "k"}
    answer = backend.client.post("/v1/grants", data=body, content_type="application/json", headers=headers)
    assert answer.get_json()["balance"] == 9007199254740993
