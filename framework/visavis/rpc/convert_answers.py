"""Protobuf <-> answers: recommendations, similar items, plugins, reports, status."""

from __future__ import annotations

import json
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration

from visavis.api.v1 import admin_service_pb2 as admin_pb
from visavis.api.v1 import interaction_service_pb2 as interaction_pb
from visavis.api.v1 import plugin_service_pb2 as plugin_pb
from visavis.api.v1 import recommendation_service_pb2 as recommendation_pb
from visavis.api.v1 import types_pb2 as pb
from visavis.model import (
    FitReport,
    ImportReport,
    PluginInfo,
    Reason,
    Recommendation,
    RecommendedItem,
    RejectedRow,
    SimilarItem,
    SimilarItems,
    Status,
)
from visavis.rpc.convert import optional_time, time_to_proto
from visavis.upkeep import Backup, Compaction, Snapshot


def recommendation_from_proto(answer: recommendation_pb.Recommendation) -> Recommendation:
    return Recommendation(
        answer.customer_id,
        answer.decision_id,
        answer.scorer,
        answer.fallback,
        answer.fallback_reason,
        answer.generation,
        tuple(
            RecommendedItem(i.item_id, i.name, i.rank, i.score, i.scorer, tuple(_reason(r) for r in i.reasons))
            for i in answer.items
        ),
    )


def _reason(reason: pb.Reason) -> Reason:
    return Reason(reason.kind, reason.text, reason.contribution, reason.item_id, reason.item_name)


def similar_to_proto(answer: SimilarItems) -> recommendation_pb.ListSimilarItemsResponse:
    message = recommendation_pb.ListSimilarItemsResponse(item_id=answer.item_id, name=answer.name, scorer=answer.scorer)
    for item in answer.items:
        message.items.add(item_id=item.item_id, name=item.name, rank=item.rank, score=item.score)
    return message


def similar_from_proto(answer: recommendation_pb.ListSimilarItemsResponse) -> SimilarItems:
    items = tuple(SimilarItem(i.item_id, i.name, i.rank, i.score) for i in answer.items)
    return SimilarItems(answer.item_id, answer.name, answer.scorer, items)


def plugin_to_proto(info: PluginInfo) -> plugin_pb.Plugin:
    return plugin_pb.Plugin(
        name=info.name,
        kind=info.kind,
        version=info.version,
        source=info.source,
        enabled=info.enabled,
        options_schema=json.dumps(info.options_schema),
        summary=info.summary,
        error=info.error,
    )


def plugin_from_proto(info: plugin_pb.Plugin) -> PluginInfo:
    schema = json.loads(info.options_schema or "{}")
    return PluginInfo(info.name, info.kind, info.version, info.source, info.enabled, schema, info.summary, info.error)


def seconds_to_proto(seconds: float) -> Duration:
    duration = Duration()
    duration.FromTimedelta(timedelta(seconds=seconds))
    return duration


def seconds_from_proto(duration: Duration) -> float:
    return duration.ToTimedelta().total_seconds()


def snapshot_to_proto(copy: Snapshot) -> admin_pb.Snapshot:
    return admin_pb.Snapshot(byte_count=copy.bytes, sequence=copy.sequence, elapsed=seconds_to_proto(copy.seconds))


def snapshot_from_proto(answer: admin_pb.Snapshot, path: str) -> Snapshot:
    return Snapshot(path, answer.byte_count, answer.sequence, seconds_from_proto(answer.elapsed))


def backup_to_proto(copy: Backup) -> admin_pb.Backup:
    return admin_pb.Backup(
        byte_count=copy.bytes, sequence=copy.sequence, row_count=copy.rows, elapsed=seconds_to_proto(copy.seconds)
    )


def backup_from_proto(answer: admin_pb.Backup, path: str) -> Backup:
    return Backup(path, answer.byte_count, answer.sequence, answer.row_count, seconds_from_proto(answer.elapsed))


def compaction_to_proto(report: Compaction) -> admin_pb.CompactionReport:
    return admin_pb.CompactionReport(
        byte_count_before=report.bytes_before,
        byte_count_after=report.bytes_after,
        row_count=report.rows,
        elapsed=seconds_to_proto(report.seconds),
        pause=seconds_to_proto(report.pause_seconds),
    )


def compaction_from_proto(report: admin_pb.CompactionReport) -> Compaction:
    return Compaction(
        report.byte_count_before,
        report.byte_count_after,
        report.row_count,
        seconds_from_proto(report.elapsed),
        seconds_from_proto(report.pause),
    )


def fit_report_to_proto(report: FitReport) -> admin_pb.FitReport:
    return admin_pb.FitReport(
        generation=report.generation,
        scorers=report.scorers,
        segmenters=report.segmenters,
        failed=report.failed,
        customer_count=report.customers,
        item_count=report.items,
        interaction_count=report.interactions,
        elapsed=seconds_to_proto(report.seconds),
    )


def fit_report_from_proto(report: admin_pb.FitReport) -> FitReport:
    return FitReport(
        report.generation,
        tuple(report.scorers),
        tuple(report.segmenters),
        dict(report.failed),
        report.customer_count,
        report.item_count,
        report.interaction_count,
        seconds_from_proto(report.elapsed),
    )


def import_report_to_proto(report: ImportReport) -> interaction_pb.ImportReport:
    return interaction_pb.ImportReport(
        source=report.source,
        row_count=report.rows,
        interaction_count=report.interactions,
        return_count=report.returns,
        without_customer_count=report.without_customer,
        already_known_count=report.already_known,
        rejected_count=report.rejected,
        rejected_by_reason=report.rejected_by_reason,
        returns_linked_count=report.returns_linked,
        new_customer_count=report.new_customers,
        new_item_count=report.new_items,
        columns=report.columns,
        guessed=report.guessed,
        notes=report.notes,
        rejects_path=report.rejects_path,
        samples=[
            interaction_pb.RejectedRow(row=s.row, reason=s.reason, field=s.field, value=s.value) for s in report.samples
        ],
        elapsed=seconds_to_proto(report.seconds),
    )


def import_report_from_proto(report: interaction_pb.ImportReport) -> ImportReport:
    return ImportReport(
        source=report.source,
        rows=report.row_count,
        interactions=report.interaction_count,
        returns=report.return_count,
        without_customer=report.without_customer_count,
        already_known=report.already_known_count,
        rejected=report.rejected_count,
        rejected_by_reason=dict(report.rejected_by_reason),
        returns_linked=report.returns_linked_count,
        new_customers=report.new_customer_count,
        new_items=report.new_item_count,
        columns=dict(report.columns),
        guessed=tuple(report.guessed),
        notes=tuple(report.notes),
        rejects_path=report.rejects_path,
        samples=tuple(RejectedRow(s.row, s.reason, s.field, s.value) for s in report.samples),
        seconds=seconds_from_proto(report.elapsed),
    )


def status_to_proto(status: Status) -> admin_pb.GetStatusResponse:
    return admin_pb.GetStatusResponse(
        version=status.version,
        store_id=status.store_id,
        path=status.path,
        schema_version=status.schema_version,
        sequence=status.sequence,
        generation=status.generation,
        fitted_at=None if status.fitted_at is None else time_to_proto(status.fitted_at, "fitted_at"),
        customer_count=status.customers,
        item_count=status.items,
        interaction_count=status.interactions,
        unfitted_interaction_count=status.unfitted_interactions,
        wal_byte_count=status.wal_bytes,
        file_byte_count=status.file_bytes,
        muted=status.muted,
        warnings=status.warnings,
        refreshed_sequence=status.refreshed_sequence,
    )


def status_from_proto(status: admin_pb.GetStatusResponse) -> Status:
    return Status(
        version=status.version,
        store_id=status.store_id,
        path=status.path,
        schema_version=status.schema_version,
        sequence=status.sequence,
        generation=status.generation,
        fitted_at=optional_time(status, "fitted_at"),
        customers=status.customer_count,
        items=status.item_count,
        interactions=status.interaction_count,
        unfitted_interactions=status.unfitted_interaction_count,
        wal_bytes=status.wal_byte_count,
        file_bytes=status.file_byte_count,
        muted=status.muted,
        warnings=tuple(status.warnings),
        refreshed_sequence=status.refreshed_sequence,
    )


__all__ = [
    "backup_from_proto",
    "backup_to_proto",
    "compaction_from_proto",
    "compaction_to_proto",
    "fit_report_from_proto",
    "fit_report_to_proto",
    "import_report_from_proto",
    "import_report_to_proto",
    "plugin_from_proto",
    "plugin_to_proto",
    "recommendation_from_proto",
    "seconds_from_proto",
    "seconds_to_proto",
    "similar_from_proto",
    "similar_to_proto",
    "snapshot_from_proto",
    "snapshot_to_proto",
    "status_from_proto",
    "status_to_proto",
]
