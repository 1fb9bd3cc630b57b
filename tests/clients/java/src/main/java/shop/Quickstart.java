package shop;

import static java.lang.System.getenv;

import io.grpc.StatusRuntimeException;
import java.io.File;
import java.util.concurrent.TimeUnit;
import visavis.api.v1.RecommendationServiceGrpc;
import visavis.api.v1.RecommendationServiceOuterClass.RecommendRequest;
import visavis.api.v1.Types.CustomerRef;

/** Prints what would suit a customer, and why. */
public final class Quickstart {
    public static void main(String[] arguments) throws Exception {
        var channel = Connection.open(getenv("VISAVIS_ADDRESS"), getenv("VISAVIS_KEY"), new File(getenv("VISAVIS_CA")));
        var request = RecommendRequest.newBuilder()
                .setCustomer(CustomerRef.newBuilder().setCustomerId("ann"))
                .setN(10)
                .build();
        try {
            var answer = RecommendationServiceGrpc.newBlockingStub(channel)
                    .withDeadlineAfter(10, TimeUnit.SECONDS)
                    .recommend(request);
            for (var item : answer.getRecommendation().getItemsList()) {
                System.out.println(item.getRank() + " " + item.getName());
                item.getReasonsList().forEach(reason -> System.out.println("    " + reason.getText()));
            }
        } catch (StatusRuntimeException failed) {
            System.err.println(Failure.of(failed));
        } finally {
            channel.shutdownNow();
        }
    }
}
