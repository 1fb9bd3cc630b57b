"""The conversation in Python: `python conversation.py conversation.json`, with VISAVIS_ADDRESS, _KEY and _CA set.

`visavis.connect` where it has a verb; the generated stubs for the rest: health, reflection, the stream, bad calls.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import visavis
from visavis.api.v1 import interaction_service_pb2, recommendation_service_pb2
from visavis.api.v1.interaction_service_pb2_grpc import InteractionServiceStub
from visavis.api.v1.recommendation_service_pb2_grpc import RecommendationServiceStub
from visavis.client import Client
from visavis.errors import InvalidInput
from visavis.model import Identifier, Interaction, Money
from visavis.rpc.errors import code_of

SECONDS = 10.0

# Calls that are safe to repeat are repeated by gRPC itself, after 0.5, 1, 2 and 4 seconds, more or less.
SERVICE_CONFIG = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.5s",
                "maxBackoff": "5s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
            },
        }
    ]
}

Script = dict[str, Any]


class Channels:
    """The server by four roads: our client, and channels with the right key, with none, with a wrong one."""

    def __init__(self) -> None:
        self.address, self.key = os.environ["VISAVIS_ADDRESS"], os.environ["VISAVIS_KEY"]
        self.client: Client = visavis.connect(self.address, key=self.key, tls_ca=os.environ["VISAVIS_CA"])
        self.channel = self.open(self.address, self.key)

    @staticmethod
    def open(address: str, key: str) -> grpc.Channel:
        """A channel with TLS; `key` goes with every call."""
        credentials = grpc.ssl_channel_credentials(Path(os.environ["VISAVIS_CA"]).read_bytes())
        if key:
            credentials = grpc.composite_channel_credentials(credentials, grpc.access_token_call_credentials(key))
        return grpc.secure_channel(
            address,
            credentials,
            [("grpc.service_config", json.dumps(SERVICE_CONFIG)), ("grpc.keepalive_time_ms", 30_000)],
        )


def health(channels: Channels, script: Script) -> dict[str, str]:
    return {name: check(channels.channel, name) for name in ("", "visavis.api.v1.RecommendationService")}


def check(channel: grpc.Channel, service: str) -> str:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=SECONDS)
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def services(channels: Channels, script: Script) -> list[str]:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channels.channel)
    ask = reflection_pb2.ServerReflectionRequest(list_services="")
    (answer,) = stub.ServerReflectionInfo(iter([ask]), timeout=SECONDS)
    names = (service.name for service in answer.list_services_response.service)
    return sorted(name for name in names if name.startswith("visavis."))


def record(channels: Channels, script: Script) -> list[dict[str, int]]:
    rows = [interaction(row) for row in script["record"]["interactions"]]
    results = [channels.client.identify.record(rows) for _ in range(2)]
    return [{"recorded_count": one.recorded, "already_known_count": one.already_known} for one in results]


def interaction(row: Script) -> Interaction:
    amount = Money(row["amount_minor_units"], row["currency"]) if "currency" in row else None
    return Interaction(
        row["kind"],
        row["customer_id"],
        row["item_id"],
        interaction_id=row["interaction_id"],
        occurred_at=datetime.fromtimestamp(row["occurred_at"], UTC),
        quantity=row.get("quantity", 1),
        amount=amount,
        order_id=row.get("order_id", ""),
        touchpoint=row.get("touchpoint", ""),
    )


def stream(channels: Channels, script: Script) -> list[Script]:
    batches = (interaction_service_pb2.StreamInteractionsRequest(**batch) for batch in script["stream"])
    stub = InteractionServiceStub(channels.channel)
    answers = stub.StreamInteractions(batches, timeout=SECONDS)
    return [
        {
            "batch_id": one.batch_id,
            "recorded_count": one.recorded_count,
            "already_known_count": one.already_known_count,
            "error": problem(one.error) if one.HasField("error") else None,
        }
        for one in answers
    ]


def recommend(channels: Channels, script: Script) -> list[Script]:
    return [recommend_one(channels.client, one, script["recommend"]["n"]) for one in script["recommend"]["customers"]]


def recommend_one(client: Client, customer: Script, n: int) -> Script:
    answer = client.recommend(
        Identifier(**customer["identifier"]) if "identifier" in customer else customer["customer_id"], n
    )
    return {
        "customer_id": answer.customer_id,
        "decision_id": bool(answer.decision_id),
        "scorer": answer.scorer,
        "fallback": answer.fallback,
        "fallback_reason": answer.fallback_reason,
        "generation": answer.generation,
        "items": [
            {
                "item_id": item.item_id,
                "name": item.name,
                "rank": item.rank,
                "score": number(item.score),
                "scorer": item.scorer,
                "reasons": [
                    {
                        "kind": reason.kind,
                        "text": reason.text,
                        "contribution": number(reason.contribution),
                        "item_id": reason.item_id,
                        "item_name": reason.item_name,
                    }
                    for reason in item.reasons
                ],
            }
            for item in answer.items
        ],
    }


def number(value: float) -> str:
    return f"{value:.9f}"


def refused(channels: Channels, script: Script) -> Script:
    try:
        channels.client.identify.record([interaction(row) for row in script["refused"]["interactions"]])
    except InvalidInput as error:
        return {
            "code": code_of(error).name,
            "message": error.message,
            "reason": error.reason,
            "domain": "visavis",
            "violations": [[one.field, one.description] for one in error.violations],
        }
    raise SystemExit("the server took a bad request")


def no_key(channels: Channels, script: Script) -> Script:
    return keyless(channels, "", script["no_key"])


def wrong_key(channels: Channels, script: Script) -> Script:
    return keyless(channels, script["wrong_key"]["key"], script["wrong_key"])


def keyless(channels: Channels, key: str, asked: Script) -> Script:
    request = recommendation_service_pb2.RecommendRequest(customer={"customer_id": asked["customer_id"]}, n=asked["n"])
    with channels.open(channels.address, key) as channel:
        failed = failure(lambda: RecommendationServiceStub(channel).Recommend(request, timeout=SECONDS))
    return {"code": failed["code"], "reason": failed["reason"]}


def deadline(channels: Channels, script: Script) -> Script:
    asked = script["deadline"]
    request = recommendation_service_pb2.BatchRecommendRequest(
        customers=[{"customer_id": asked["customer_id"]}] * asked["customers"], n=asked["n"]
    )
    stub = RecommendationServiceStub(channels.channel)
    return {"code": failure(lambda: stub.BatchRecommend(request, timeout=asked["milliseconds"] / 1000))["code"]}


def retried(channels: Channels, script: Script) -> Script:
    with channels.open(os.environ["VISAVIS_FLAKY_ADDRESS"], channels.key) as channel:
        return {"status": check(channel, "")}


def profile(channels: Channels, script: Script) -> Script:
    known = channels.client.profile(script["profile"]["customer_id"])
    assert known.first_seen is not None
    assert known.last_seen is not None
    return {
        "customer_id": known.customer.customer_id,
        "identifiers": [[one.kind, one.value] for one in known.customer.identifiers],
        "interaction_count": known.interaction_count,
        "may_personalize": known.may_personalize,
        "may_market": known.may_market,
        "first_seen_at": int(known.first_seen.timestamp()),
        "last_seen_at": int(known.last_seen.timestamp()),
        "segments": dict(known.segments),
    }


def similar(channels: Channels, script: Script) -> Script:
    found = channels.client.similar(script["similar"]["item_id"], script["similar"]["n"])
    return {
        "item_id": found.item_id,
        "scorer": found.scorer,
        "items": [{"item_id": one.item_id, "rank": one.rank, "score": number(one.score)} for one in found.items],
    }


def failure(call: Callable[[], object]) -> Script:
    """What a failed call says: the server's own words in the trailers, else gRPC's code."""
    try:
        call()
    except grpc.RpcError as error:
        for key, value in error.trailing_metadata() or ():
            if key == "grpc-status-details-bin":
                return problem(status_pb2.Status.FromString(value))
        return {"code": error.code().name, "message": error.details(), "reason": "", "domain": "", "violations": []}
    raise SystemExit("a call succeeded that must fail")


def problem(status: status_pb2.Status) -> Script:
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
    return {
        "code": next(code.name for code in grpc.StatusCode if code.value[0] == status.code),
        "message": status.message,
        "reason": info.reason,
        "domain": info.domain,
        "violations": [[one.field, one.description] for one in bad.field_violations],
    }


STEPS = (health, services, record, stream, recommend, refused, no_key, wrong_key, deadline, retried, profile, similar)


def steps(script: Script) -> Iterator[tuple[str, object]]:
    channels = Channels()
    with channels.client, channels.channel:
        for step in STEPS:
            yield step.__name__, step(channels, script)


def main() -> None:
    script = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    json.dump(dict(steps(script)), sys.stdout, indent=2, ensure_ascii=False)


__all__ = ["SERVICE_CONFIG", "STEPS", "Channels", "failure", "main", "problem", "steps"]

if __name__ == "__main__":
    main()
