"""Answers are written as JSON by the model that describes them, in one step.

APIFlask would make a dictionary of the checked model and hand it to the JSON writer: the whole answer is walked twice.
"""

from __future__ import annotations

from typing import Any

from apiflask.schema_adapters import registry
from apiflask.schema_adapters.pydantic import PydanticAdapter
from pydantic import BaseModel


class WrittenJson(str):
    """JSON that is written already."""

    __slots__ = ()


class ModelAdapter(PydanticAdapter):
    """Checks an answer against its model, as APIFlask does, and has the model write it."""

    def serialize_output(self, data: Any, many: bool = False) -> Any:
        if many or isinstance(data, list | tuple):
            return super().serialize_output(data, many)
        model = data if isinstance(data, BaseModel) else self.model_class.model_validate(data)
        return WrittenJson(model.model_dump_json(by_alias=True))


def register_model_json() -> None:
    """For every blueprint whose module is imported after this."""
    registry.register("pydantic", ModelAdapter)
