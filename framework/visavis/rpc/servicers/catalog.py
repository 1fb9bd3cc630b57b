"""CatalogService."""

from __future__ import annotations

from typing import Any

from visavis.api.v1 import catalog_service_pb2 as pb
from visavis.api.v1.catalog_service_pb2_grpc import CatalogServiceServicer
from visavis.rpc.convert import item_from_proto, item_to_proto
from visavis.rpc.servicers.context import Shared


class CatalogServicer(CatalogServiceServicer):
    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._room = shared.engine.identify
        self._work = shared.work

    async def UpsertItems(self, request: pb.UpsertItemsRequest, context: Any) -> pb.UpsertItemsResponse:  # noqa: N802
        future = await self._shared.submit(
            request,
            len(request.items),
            lambda: self._room.upsert_items_soon(
                [item_from_proto(item, f"items[{row}]") for row, item in enumerate(request.items)],
                update_mask=tuple(request.update_mask.paths),
                request_id=request.request_id,
            ),
        )
        result = await future
        return pb.UpsertItemsResponse(created_count=result.created, updated_count=result.updated)

    async def GetItem(self, request: pb.GetItemRequest, context: Any) -> pb.GetItemResponse:  # noqa: N802
        item = await self._work.call(self._room.get_item, request.item_id)
        return pb.GetItemResponse(item=item_to_proto(item, "item"))

    async def ListItems(self, request: pb.ListItemsRequest, context: Any) -> pb.ListItemsResponse:  # noqa: N802
        def read() -> pb.ListItemsResponse:
            page = self._room.list_items(page_size=request.page_size, page_token=request.page_token)
            items = [item_to_proto(item, "items") for item in page.items]
            return pb.ListItemsResponse(items=items, next_page_token=page.next_page_token)

        return await self._work.call(read)


__all__ = ["CatalogServicer"]
