package shop;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import io.grpc.Status;
import io.grpc.protobuf.StatusProto;
import java.util.List;

/** What a failed call says: gRPC's code, one clear line, the reason for programs, and the fields to blame. */
record Failure(String code, String message, String reason, String domain, List<List<String>> violations) {

    /** From the exception of a failed call. */
    static Failure of(Throwable thrown) throws InvalidProtocolBufferException {
        return of(StatusProto.fromThrowable(thrown));
    }

    /** From a status, as it also stands in the acknowledgements of a stream. */
    static Failure of(com.google.rpc.Status status) throws InvalidProtocolBufferException {
        var info = ErrorInfo.getDefaultInstance();
        var bad = BadRequest.getDefaultInstance();
        for (Any detail : status.getDetailsList()) {
            if (detail.is(ErrorInfo.class)) {
                info = detail.unpack(ErrorInfo.class);
            } else if (detail.is(BadRequest.class)) {
                bad = detail.unpack(BadRequest.class);
            }
        }
        return new Failure(
                Status.fromCodeValue(status.getCode()).getCode().name(),
                status.getMessage(),
                info.getReason(),
                info.getDomain(),
                bad.getFieldViolationsList().stream()
                        .map(violation -> List.of(violation.getField(), violation.getDescription()))
                        .toList());
    }
}
