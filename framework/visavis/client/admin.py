"""The room `admin`, over gRPC."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from visavis.api.v1 import admin_service_pb2 as admin_pb
from visavis.api.v1 import plugin_service_pb2 as plugin_pb
from visavis.api.v1.admin_service_pb2_grpc import AdminServiceStub
from visavis.api.v1.plugin_service_pb2_grpc import PluginServiceStub
from visavis.client.requests import last, stubs
from visavis.model import (
    FitReport,
    PluginInfo,
    Progress,
    Status,
)
from visavis.rpc import convert_answers
from visavis.rpc.caller import Caller
from visavis.rpc.files import receive_file
from visavis.upkeep import Backup, Compaction, Snapshot


class Admin:
    """The room `admin`, over gRPC."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._stub, self._plugins = stubs(caller, AdminServiceStub, PluginServiceStub)

    def fit(self, *, progress: Callable[[Progress], None] | None = None) -> FitReport:
        """Build a new generation. If this client goes away, the work goes on."""
        answers = self._caller.stream(self._stub.Fit, admin_pb.FitRequest())
        return convert_answers.fit_report_from_proto(last(answers, progress).report)

    def snapshot(self, path: str | Path, *, progress: Callable[[Progress], None] | None = None) -> Snapshot:
        """Copy the store, consistently, to a new file of this machine, which only its owner may read."""
        answers = self._caller.stream(self._stub.CreateSnapshot, admin_pb.CreateSnapshotRequest())
        return convert_answers.snapshot_from_proto(receive_file(answers, Path(path), "snapshot", progress), str(path))

    def backup(self, path: str | Path, *, progress: Callable[[Progress], None] | None = None) -> Backup:
        """Copy the whole store, as of one commit, to a new file of this machine, which only its owner may read."""
        answers = self._caller.stream(self._stub.CreateBackup, admin_pb.CreateBackupRequest())
        return convert_answers.backup_from_proto(receive_file(answers, Path(path), "backup", progress), str(path))

    def compact(self, *, progress: Callable[[Progress], None] | None = None) -> Compaction:
        """Write the store's file anew, on the server. If this client goes away, the work goes on."""
        answers = self._caller.stream(self._stub.CompactStore, admin_pb.CompactStoreRequest())
        return convert_answers.compaction_from_proto(last(answers, progress).report)

    def status(self) -> Status:
        """The state of the store and of its server."""
        answer = self._caller.call(self._stub.GetStatus, admin_pb.GetStatusRequest(), again=True)
        return convert_answers.status_from_proto(answer)

    def plugins(self) -> tuple[PluginInfo, ...]:
        """All plugins, healthy, broken and disabled."""
        pages = self._caller.pages(self._plugins.ListPlugins, plugin_pb.ListPluginsRequest)
        return tuple(convert_answers.plugin_from_proto(one) for page in pages for one in page.plugins)


__all__ = ["Admin"]
