"""CustomerService."""

from __future__ import annotations

from typing import Any

from visavis.api.v1 import customer_service_pb2 as pb
from visavis.api.v1.customer_service_pb2_grpc import CustomerServiceServicer
from visavis.rpc.convert import consent_from_proto, customer_from_proto, invalid, profile_to_proto, ref_from_proto
from visavis.rpc.servicers.context import Shared


class CustomerServicer(CustomerServiceServicer):
    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._engine = shared.engine
        self._work = shared.work

    async def UpsertCustomers(  # noqa: N802
        self, request: pb.UpsertCustomersRequest, context: Any
    ) -> pb.UpsertCustomersResponse:
        future = await self._shared.submit(
            request,
            len(request.customers),
            lambda: self._engine.identify.upsert_customers_soon(
                [customer_from_proto(customer, f"customers[{row}]") for row, customer in enumerate(request.customers)],
                update_mask=tuple(request.update_mask.paths),
                request_id=request.request_id,
            ),
        )
        result = await future
        return pb.UpsertCustomersResponse(created_count=result.created, updated_count=result.updated)

    async def GetProfile(self, request: pb.GetProfileRequest, context: Any) -> pb.GetProfileResponse:  # noqa: N802
        customer = ref_from_proto(request.customer, "customer")
        return profile_to_proto(await self._work.call(self._engine.differentiate.profile, customer))

    async def SetConsent(self, request: pb.SetConsentRequest, context: Any) -> pb.SetConsentResponse:  # noqa: N802
        if not request.HasField("consent"):
            raise invalid("consent", "is missing; set purpose and granted")
        customer, consent = ref_from_proto(request.customer, "customer"), consent_from_proto(request.consent, "consent")
        future = await self._shared.submit(
            request, 1, lambda: self._engine.identify.set_consent_soon(customer, consent, request_id=request.request_id)
        )
        await future
        return pb.SetConsentResponse()


__all__ = ["CustomerServicer"]
