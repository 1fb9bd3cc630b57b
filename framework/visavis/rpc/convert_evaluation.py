"""An evaluation as a message and back."""

from __future__ import annotations

from visavis.api.v1 import evaluation_service_pb2 as pb
from visavis.evaluation import Compared, Evaluation, Judged, Measure
from visavis.rpc.convert import optional_time, time_to_proto
from visavis.rpc.convert_answers import seconds_from_proto, seconds_to_proto


def evaluation_to_proto(report: Evaluation) -> pb.EvaluationReport:
    return pb.EvaluationReport(
        begin_at=None if report.begin is None else time_to_proto(report.begin, "begin_at"),
        end_at=None if report.end is None else time_to_proto(report.end, "end_at"),
        item_count=report.items,
        interaction_count=report.known_interactions,
        truth_count=report.truths,
        seed=report.seed,
        judged=[_judged_to_proto(one) for one in report.judged],
        comparisons=[_compared_to_proto(one) for one in report.compared],
        failed=report.failed,
        elapsed=seconds_to_proto(report.seconds),
    )


def evaluation_from_proto(report: pb.EvaluationReport) -> Evaluation:
    return Evaluation(
        optional_time(report, "begin_at"),
        optional_time(report, "end_at"),
        report.item_count,
        report.interaction_count,
        report.truth_count,
        report.seed,
        tuple(_judged_from_proto(one) for one in report.judged),
        tuple(_compared_from_proto(one) for one in report.comparisons),
        dict(report.failed),
        seconds_from_proto(report.elapsed),
    )


def _judged_to_proto(one: Judged) -> pb.JudgedScorer:
    return pb.JudgedScorer(
        scorer=one.scorer,
        baseline=one.baseline,
        task=one.task,
        customer_count=one.customers,
        measures=[
            pb.EvaluationMeasure(name=taken.name, places=taken.places, value=taken.value, error=taken.error)
            for taken in one.measures
        ],
        fit_elapsed=seconds_to_proto(one.seconds),
    )


def _judged_from_proto(one: pb.JudgedScorer) -> Judged:
    return Judged(
        one.scorer,
        one.baseline,
        one.task,
        one.customer_count,
        tuple(
            Measure(taken.name, taken.places, taken.value, taken.error if taken.HasField("error") else None)
            for taken in one.measures
        ),
        seconds_from_proto(one.fit_elapsed),
    )


def _compared_to_proto(one: Compared) -> pb.ScorerComparison:
    return pb.ScorerComparison(
        task=one.task,
        scorer=one.scorer,
        against=one.against,
        measure=one.measure,
        places=one.places,
        difference=one.difference,
        low=one.low,
        high=one.high,
        verdict=one.verdict,
    )


def _compared_from_proto(one: pb.ScorerComparison) -> Compared:
    return Compared(
        one.task, one.scorer, one.against, one.measure, one.places, one.difference, one.low, one.high, one.verdict
    )


__all__ = ["evaluation_from_proto", "evaluation_to_proto"]
