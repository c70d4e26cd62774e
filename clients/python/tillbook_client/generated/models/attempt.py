from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="Attempt")


@_attrs_define
class Attempt:
    """
    Attributes:
        taken (bool): Whether an event would count as taken.
        code (int | None): HTTP status of the answer; null: there was none.
        latency_ms (int): Milliseconds until the answer.
        problem (str): What went wrong; empty: nothing.
        answer (str): The first 1 KiB of the body.
    """

    taken: bool
    code: int | None
    latency_ms: int
    problem: str
    answer: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        taken = self.taken

        code: int | None
        code = self.code

        latency_ms = self.latency_ms

        problem = self.problem

        answer = self.answer

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "taken": taken,
                "code": code,
                "latency_ms": latency_ms,
                "problem": problem,
                "answer": answer,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        taken = d.pop("taken")

        def _parse_code(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        code = _parse_code(d.pop("code"))

        latency_ms = d.pop("latency_ms")

        problem = d.pop("problem")

        answer = d.pop("answer")

        attempt = cls(
            taken=taken,
            code=code,
            latency_ms=latency_ms,
            problem=problem,
            answer=answer,
        )

        attempt.additional_properties = d
        return attempt

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
