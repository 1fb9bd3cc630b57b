"""PluginService."""

from __future__ import annotations

from typing import Any

from visavis.api.v1 import plugin_service_pb2 as pb
from visavis.api.v1.plugin_service_pb2_grpc import PluginServiceServicer
from visavis.rpc.convert_answers import plugin_to_proto
from visavis.rpc.servicers.context import Shared, page_of


class PluginServicer(PluginServiceServicer):
    def __init__(self, shared: Shared) -> None:
        self._room = shared.engine.admin
        self._work = shared.work

    async def ListPlugins(self, request: pb.ListPluginsRequest, context: Any) -> pb.ListPluginsResponse:  # noqa: N802
        page = page_of(await self._work.call(self._room.plugins), request.page_size, request.page_token)
        plugins = [plugin_to_proto(info) for info in page.items]
        return pb.ListPluginsResponse(plugins=plugins, next_page_token=page.next_page_token)


__all__ = ["PluginServicer"]
