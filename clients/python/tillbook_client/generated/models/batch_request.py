from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.grant_item import GrantItem
    from ..models.spend_item import SpendItem


T = TypeVar("T", bound="BatchRequest")


@_attrs_define
class BatchRequest:
    """
    Attributes:
        all_or_nothing (bool): Book nothing if one item is refused.
        items (list[GrantItem | SpendItem]): What to book, each with a key of its own.
    """

    all_or_nothing: bool
    items: list[GrantItem | SpendItem]

    def to_dict(self) -> dict[str, Any]:
        from ..models.spend_item import SpendItem

        all_or_nothing = self.all_or_nothing

        items = []
        for items_item_data in self.items:
            items_item: dict[str, Any]
            if isinstance(items_item_data, SpendItem):
                items_item = items_item_data.to_dict()
            else:
                items_item = items_item_data.to_dict()

            items.append(items_item)

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "all_or_nothing": all_or_nothing,
                "items": items,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.grant_item import GrantItem
        from ..models.spend_item import SpendItem

        d = dict(src_dict)
        all_or_nothing = d.pop("all_or_nothing")

        items = []
        _items = d.pop("items")
        for items_item_data in _items:

            def _parse_items_item(data: object) -> GrantItem | SpendItem:
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    items_item_type_0 = SpendItem.from_dict(data)

                    return items_item_type_0
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                if not isinstance(data, dict):
                    raise TypeError()
                items_item_type_1 = GrantItem.from_dict(data)

                return items_item_type_1

            items_item = _parse_items_item(items_item_data)

            items.append(items_item)

        batch_request = cls(
            all_or_nothing=all_or_nothing,
            items=items,
        )

        return batch_request
