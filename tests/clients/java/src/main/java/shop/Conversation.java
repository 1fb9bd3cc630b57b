package shop;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Timestamp;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.reflection.v1alpha.ServerReflectionGrpc;
import io.grpc.reflection.v1alpha.ServerReflectionRequest;
import io.grpc.reflection.v1alpha.ServiceResponse;
import java.io.File;
import java.io.PrintStream;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.stream.StreamSupport;
import visavis.api.v1.CustomerServiceGrpc;
import visavis.api.v1.CustomerServiceOuterClass.GetProfileRequest;
import visavis.api.v1.InteractionServiceGrpc;
import visavis.api.v1.InteractionServiceOuterClass.Interaction;
import visavis.api.v1.InteractionServiceOuterClass.RecordInteractionsRequest;
import visavis.api.v1.InteractionServiceOuterClass.StreamInteractionsRequest;
import visavis.api.v1.InteractionServiceOuterClass.StreamInteractionsResponse;
import visavis.api.v1.RecommendationServiceGrpc;
import visavis.api.v1.RecommendationServiceOuterClass.BatchRecommendRequest;
import visavis.api.v1.RecommendationServiceOuterClass.ListSimilarItemsRequest;
import visavis.api.v1.RecommendationServiceOuterClass.RecommendRequest;
import visavis.api.v1.RecommendationServiceOuterClass.RecommendedItem;
import visavis.api.v1.Types.CustomerRef;
import visavis.api.v1.Types.Identifier;
import visavis.api.v1.Types.Money;
import visavis.api.v1.Types.Reason;

/** Holds a conversation with a Visavis server, and prints what was said as JSON. */
public final class Conversation {

    private static final int SECONDS = 10;

    private final String address = System.getenv("VISAVIS_ADDRESS");
    private final String key = System.getenv("VISAVIS_KEY");
    private final File ca = new File(System.getenv("VISAVIS_CA"));
    private final JsonObject script;
    private final ManagedChannel channel;

    private Conversation(JsonObject script) throws Exception {
        this.script = script;
        this.channel = Connection.open(address, key, ca);
    }

    public static void main(String[] arguments) throws Exception {
        var script = new Gson().fromJson(Files.readString(Path.of(arguments[0])), JsonObject.class);
        var talk = new Conversation(script);
        var said = new LinkedHashMap<String, Object>();
        try {
            said.put("health", talk.health());
            said.put("services", talk.services());
            said.put("record", talk.record());
            said.put("stream", talk.stream());
            said.put("recommend", talk.recommend());
            said.put("refused", talk.refused());
            said.put("no_key", talk.withKey("", script.getAsJsonObject("no_key")));
            var wrong = script.getAsJsonObject("wrong_key");
            said.put("wrong_key", talk.withKey(wrong.get("key").getAsString(), wrong));
            said.put("deadline", talk.deadline());
            said.put("retried", talk.retried());
            said.put("profile", talk.profile());
            said.put("similar", talk.similar());
        } finally {
            talk.channel.shutdownNow();
        }
        var gson = new GsonBuilder().setPrettyPrinting().serializeNulls().disableHtmlEscaping().create();
        new PrintStream(System.out, true, StandardCharsets.UTF_8).println(gson.toJson(said));
    }

    /** Asks whether the server, and one of its services, can take calls. */
    private Map<String, String> health() {
        var answers = new LinkedHashMap<String, String>();
        for (var service : List.of("", "visavis.api.v1.RecommendationService")) {
            answers.put(service, check(channel, service));
        }
        return answers;
    }

    private static String check(ManagedChannel channel, String service) {
        return HealthGrpc.newBlockingStub(channel)
                .withDeadlineAfter(SECONDS, TimeUnit.SECONDS)
                .check(HealthCheckRequest.newBuilder().setService(service).build())
                .getStatus()
                .name();
    }

    /** Asks the server which services it has; a server that listens on loopback answers. */
    private List<String> services() throws Exception {
        var call = ServerReflectionGrpc.newBlockingV2Stub(channel)
                .withDeadlineAfter(SECONDS, TimeUnit.SECONDS)
                .serverReflectionInfo();
        call.write(ServerReflectionRequest.newBuilder().setListServices("").build());
        call.halfClose();
        return call.read().getListServicesResponse().getServiceList().stream()
                .map(ServiceResponse::getName)
                .filter(name -> name.startsWith("visavis."))
                .sorted()
                .toList();
    }

    /** Records a batch, twice: their own ids guard the interactions against counting double. */
    private List<Map<String, Integer>> record() {
        var request = interactions(script.getAsJsonObject("record"));
        var answers = new ArrayList<Map<String, Integer>>();
        for (int time = 0; time < 2; time++) {
            var answer = InteractionServiceGrpc.newBlockingStub(channel)
                    .withDeadlineAfter(SECONDS, TimeUnit.SECONDS)
                    .recordInteractions(request);
            answers.add(object(
                    "recorded_count", answer.getRecordedCount(),
                    "already_known_count", answer.getAlreadyKnownCount()));
        }
        return answers;
    }

    private static RecordInteractionsRequest interactions(JsonObject said) {
        var request = RecordInteractionsRequest.newBuilder();
        for (var row : said.getAsJsonArray("interactions")) {
            request.addInteractions(interaction(row.getAsJsonObject()));
        }
        return request.build();
    }

    private static Interaction interaction(JsonObject row) {
        var one = Interaction.newBuilder()
                .setKind(row.get("kind").getAsString())
                .setCustomer(CustomerRef.newBuilder()
                        .setCustomerId(row.get("customer_id").getAsString()))
                .setItemId(row.get("item_id").getAsString())
                .setInteractionId(row.get("interaction_id").getAsString())
                .setOccurredAt(Timestamp.newBuilder()
                        .setSeconds(row.get("occurred_at").getAsLong()));
        if (row.has("quantity")) {
            one.setQuantity(row.get("quantity").getAsDouble());
        }
        if (row.has("currency")) {
            one.setAmount(Money.newBuilder()
                    .setMinorUnits(row.get("amount_minor_units").getAsLong())
                    .setCurrency(row.get("currency").getAsString()));
        }
        if (row.has("order_id")) {
            one.setOrderId(row.get("order_id").getAsString());
        }
        if (row.has("touchpoint")) {
            one.setTouchpoint(row.get("touchpoint").getAsString());
        }
        return one.build();
    }

    /** Streams batches as columns. Each is acknowledged on its own; a bad one does not end the stream. */
    private List<Map<String, Object>> stream() throws Exception {
        var call = InteractionServiceGrpc.newBlockingV2Stub(channel)
                .withDeadlineAfter(SECONDS, TimeUnit.SECONDS)
                .streamInteractions();
        var answers = new ArrayList<Map<String, Object>>();
        for (var batch : script.getAsJsonArray("stream")) {
            call.write(columns(batch.getAsJsonObject()));
            // Waiting for each answer is the simplest; several batches may also be under way at once.
            StreamInteractionsResponse answer = call.read();
            answers.add(object(
                    "batch_id", answer.getBatchId(),
                    "recorded_count", answer.getRecordedCount(),
                    "already_known_count", answer.getAlreadyKnownCount(),
                    "error", answer.hasError() ? Failure.of(answer.getError()) : null));
        }
        call.halfClose();
        return answers;
    }

    private static StreamInteractionsRequest columns(JsonObject batch) {
        return StreamInteractionsRequest.newBuilder()
                .setBatchId(batch.get("batch_id").getAsString())
                .addAllStrings(column(batch, "strings", JsonElement::getAsString))
                .addAllKind(column(batch, "kind", JsonElement::getAsInt))
                .addAllCustomerId(column(batch, "customer_id", JsonElement::getAsInt))
                .addAllItemId(column(batch, "item_id", JsonElement::getAsInt))
                .addAllInteractionId(column(batch, "interaction_id", JsonElement::getAsInt))
                .addAllOccurredMicros(column(batch, "occurred_micros", JsonElement::getAsLong))
                .build();
    }

    private static <T> List<T> column(JsonObject batch, String name, Function<JsonElement, T> read) {
        return StreamSupport.stream(batch.getAsJsonArray(name).spliterator(), false).map(read).toList();
    }

    /** Asks for recommendations with their reasons; a customer may be named by an identifier, too. */
    private List<Map<String, Object>> recommend() {
        var said = script.getAsJsonObject("recommend");
        var answers = new ArrayList<Map<String, Object>>();
        for (var customer : said.getAsJsonArray("customers")) {
            var request = RecommendRequest.newBuilder()
                    .setCustomer(reference(customer.getAsJsonObject()))
                    .setN(said.get("n").getAsInt())
                    .build();
            var answer = RecommendationServiceGrpc.newBlockingStub(channel)
                    .withDeadlineAfter(SECONDS, TimeUnit.SECONDS)
                    .recommend(request)
                    .getRecommendation();
            answers.add(object(
                    "customer_id", answer.getCustomerId(),
                    "decision_id", !answer.getDecisionId().isEmpty(),
                    "scorer", answer.getScorer(),
                    "fallback", answer.getFallback(),
                    "fallback_reason", answer.getFallbackReason(),
                    "generation", answer.getGeneration(),
                    "items", answer.getItemsList().stream().map(Conversation::item).toList()));
        }
        return answers;
    }

    private static CustomerRef reference(JsonObject customer) {
        if (!customer.has("identifier")) {
            return CustomerRef.newBuilder().setCustomerId(customer.get("customer_id").getAsString()).build();
        }
        var identifier = customer.getAsJsonObject("identifier");
        return CustomerRef.newBuilder()
                .setIdentifier(Identifier.newBuilder()
                        .setKind(identifier.get("kind").getAsString())
                        .setValue(identifier.get("value").getAsString()))
                .build();
    }

    private static Map<String, Object> item(RecommendedItem item) {
        return object(
                "item_id", item.getItemId(),
                "name", item.getName(),
                "rank", item.getRank(),
                "score", number(item.getScore()),
                "scorer", item.getScorer(),
                "reasons", item.getReasonsList().stream().map(Conversation::reason).toList());
    }

    private static Map<String, Object> reason(Reason reason) {
        return object(
                "kind", reason.getKind(),
                "text", reason.getText(),
                "contribution", number(reason.getContribution()),
                "item_id", reason.getItemId(),
                "item_name", reason.getItemName());
    }

    /** Sends a bad request; the answer names every field to blame. */
    private Failure refused() throws InvalidProtocolBufferException {
        var request = interactions(script.getAsJsonObject("refused"));
        return failure(() -> InteractionServiceGrpc.newBlockingStub(channel)
                .withDeadlineAfter(SECONDS, TimeUnit.SECONDS)
                .recordInteractions(request));
    }

    /** Asks with another key, or with none. */
    private Map<String, String> withKey(String other, JsonObject said) throws Exception {
        var request = RecommendRequest.newBuilder()
                .setCustomer(reference(said))
                .setN(said.get("n").getAsInt())
                .build();
        var stranger = Connection.open(address, other, ca);
        try {
            var failed = failure(() -> RecommendationServiceGrpc.newBlockingStub(stranger)
                    .withDeadlineAfter(SECONDS, TimeUnit.SECONDS)
                    .recommend(request));
            return object("code", failed.code(), "reason", failed.reason());
        } finally {
            stranger.shutdownNow();
        }
    }

    /** Gives a call less time than it needs. */
    private Map<String, String> deadline() throws InvalidProtocolBufferException {
        var said = script.getAsJsonObject("deadline");
        var request = BatchRecommendRequest.newBuilder()
                .addAllCustomers(Collections.nCopies(said.get("customers").getAsInt(), reference(said)))
                .setN(said.get("n").getAsInt())
                .build();
        var failed = failure(() -> RecommendationServiceGrpc.newBlockingStub(channel)
                .withDeadlineAfter(said.get("milliseconds").getAsLong(), TimeUnit.MILLISECONDS)
                .batchRecommend(request));
        return object("code", failed.code());
    }

    /** Calls through a network that drops the first connections; the retries of the channel get through. */
    private Map<String, String> retried() throws Exception {
        var flaky = Connection.open(System.getenv("VISAVIS_FLAKY_ADDRESS"), key, ca);
        try {
            return object("status", check(flaky, ""));
        } finally {
            flaky.shutdownNow();
        }
    }

    /** Asks what is known of a customer. */
    private Map<String, Object> profile() {
        var answer = CustomerServiceGrpc.newBlockingStub(channel)
                .withDeadlineAfter(SECONDS, TimeUnit.SECONDS)
                .getProfile(GetProfileRequest.newBuilder()
                        .setCustomer(reference(script.getAsJsonObject("profile")))
                        .build());
        return object(
                "customer_id", answer.getCustomer().getCustomerId(),
                "identifiers", answer.getCustomer().getIdentifiersList().stream()
                        .map(one -> List.of(one.getKind(), one.getValue()))
                        .toList(),
                "interaction_count", answer.getInteractionCount(),
                "may_personalize", answer.getMayPersonalize(),
                "may_market", answer.getMayMarket(),
                "first_seen_at", answer.getFirstSeenAt().getSeconds(),
                "last_seen_at", answer.getLastSeenAt().getSeconds(),
                "segments", answer.getSegmentsMap());
    }

    /** Asks for the neighbours of an item. */
    private Map<String, Object> similar() {
        var said = script.getAsJsonObject("similar");
        var answer = RecommendationServiceGrpc.newBlockingStub(channel)
                .withDeadlineAfter(SECONDS, TimeUnit.SECONDS)
                .listSimilarItems(ListSimilarItemsRequest.newBuilder()
                        .setItemId(said.get("item_id").getAsString())
                        .setN(said.get("n").getAsInt())
                        .build());
        return object(
                "item_id", answer.getItemId(),
                "scorer", answer.getScorer(),
                "items", answer.getItemsList().stream()
                        .map(one -> object(
                                "item_id", one.getItemId(), "rank", one.getRank(), "score", number(one.getScore())))
                        .toList());
    }

    private static Failure failure(Runnable call) throws InvalidProtocolBufferException {
        try {
            call.run();
        } catch (StatusRuntimeException failed) {
            return Failure.of(failed);
        }
        throw new IllegalStateException("a call succeeded that must fail");
    }

    /** Nine decimals, exactly rounded, as other languages print them. */
    private static String number(double value) {
        return new BigDecimal(value).setScale(9, RoundingMode.HALF_EVEN).toPlainString();
    }

    /** A JSON object of names and values in turn. */
    @SuppressWarnings("unchecked")
    private static <V> Map<String, V> object(Object... pairs) {
        var object = new LinkedHashMap<String, V>();
        for (int at = 0; at < pairs.length; at += 2) {
            object.put((String) pairs[at], (V) pairs[at + 1]);
        }
        return object;
    }
}
