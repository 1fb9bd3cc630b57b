package shop;

import com.google.gson.Gson;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.TlsChannelCredentials;
import io.grpc.stub.MetadataUtils;
import java.io.File;
import java.io.IOException;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** How to reach a Visavis server: TLS, a key with every call, retries, keepalive. */
final class Connection {

    /**
     * Calls that failed without effect are repeated by gRPC itself, with growing pauses. That is safe where a repeat
     * changes nothing twice: reading, and writing what carries an id (interaction_id, request_id). Each pause is
     * drawn at random around its back-off; many short ones span the seconds that the channel takes to connect anew.
     */
    private static final String SERVICE_CONFIG = """
            {"methodConfig": [{
                "name": [{}],
                "retryPolicy": {
                    "maxAttempts": 10,
                    "initialBackoff": "0.5s",
                    "maxBackoff": "2s",
                    "backoffMultiplier": 1.5,
                    "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]
                }
            }]}
            """;

    private static final Metadata.Key<String> AUTHORIZATION =
            Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

    private Connection() {}

    /** A channel to {@code host:port}; it connects at the first call. An empty key sends none. */
    static ManagedChannel open(String address, String key, File ca) throws IOException {
        var credentials = TlsChannelCredentials.newBuilder().trustManager(ca).build();
        var builder = Grpc.newChannelBuilder(address, credentials)
                .defaultServiceConfig(new Gson().<Map<String, ?>>fromJson(SERVICE_CONFIG, Map.class))
                .maxRetryAttempts(10) // without it, five are the most, whatever the configuration says
                .keepAliveTime(30, TimeUnit.SECONDS);
        if (!key.isEmpty()) {
            var headers = new Metadata();
            headers.put(AUTHORIZATION, "Bearer " + key);
            builder.intercept(MetadataUtils.newAttachHeadersInterceptor(headers));
        }
        return builder.build();
    }
}
