//! Holds a conversation with a Visavis server, and prints what was said as JSON.

mod connection;
mod failure;

/// The API, as `build.rs` generated it.
mod visavis {
    tonic::include_proto!("visavis.api.v1");
}

use std::env;
use std::error::Error;
use std::fs;
use std::time::Duration;

use prost_types::Timestamp;
use serde_json::{Value, json};
use tonic::{Response, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1alpha::ServerReflectionRequest;
use tonic_reflection::pb::v1alpha::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1alpha::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1alpha::server_reflection_response::MessageResponse;

use connection::{Connection, late, open, retrying, timed, within};
use visavis::customer_ref::Ref;
use visavis::customer_service_client::CustomerServiceClient;
use visavis::interaction_service_client::InteractionServiceClient;
use visavis::recommendation_service_client::RecommendationServiceClient;
use visavis::{
    BatchRecommendRequest, CustomerRef, GetProfileRequest, Identifier, Interaction, ListSimilarItemsRequest, Money,
    RecommendRequest, RecommendedItem, RecordInteractionsRequest, StreamInteractionsRequest,
};

type Said = Result<Value, Box<dyn Error>>;

struct Talk {
    connection: Connection,
    address: String,
    key: String,
    ca: Vec<u8>,
    script: Value,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("say where conversation.json lies")?;
    let script = serde_json::from_str(&fs::read_to_string(path)?)?;
    let (address, key) = (env::var("VISAVIS_ADDRESS")?, env::var("VISAVIS_KEY")?);
    let ca = fs::read(env::var("VISAVIS_CA")?)?;
    let connection = open(&address, &key, &ca)?;
    let talk = Talk { connection, address, key, ca, script };
    let said = json!({
        "health": talk.health().await?,
        "services": talk.services().await?,
        "record": talk.record().await?,
        "stream": talk.stream().await?,
        "recommend": talk.recommend().await?,
        "refused": talk.refused().await?,
        "no_key": talk.with_key("", &talk.script["no_key"]).await?,
        "wrong_key": talk.with_key(text(&talk.script["wrong_key"], "key"), &talk.script["wrong_key"]).await?,
        "deadline": talk.deadline().await?,
        "retried": talk.retried().await?,
        "profile": talk.profile().await?,
        "similar": talk.similar().await?,
    });
    println!("{said:#}");
    Ok(())
}

impl Talk {
    /// Asks whether the server, and one of its services, can take calls.
    async fn health(&self) -> Said {
        let mut answers = json!({});
        for service in ["", "visavis.api.v1.RecommendationService"] {
            answers[service] = check(&self.connection, service).await?;
        }
        Ok(answers)
    }

    /// Asks the server which services it has; a server that listens on loopback answers.
    async fn services(&self) -> Said {
        let ask = ServerReflectionRequest {
            message_request: Some(MessageRequest::ListServices(String::new())),
            ..Default::default()
        };
        let mut client = ServerReflectionClient::new(self.connection.clone());
        let mut answers = client.server_reflection_info(timed(tokio_stream::once(ask))).await?.into_inner();
        let answer = answers.message().await?.and_then(|answer| answer.message_response);
        let Some(MessageResponse::ListServicesResponse(list)) = answer else {
            return Err("the server did not list its services".into());
        };
        let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
        names.retain(|name| name.starts_with("visavis."));
        names.sort();
        Ok(json!(names))
    }

    /// Records a batch, twice: their own ids guard the interactions against counting double.
    async fn record(&self) -> Said {
        let request = interactions(&self.script["record"]);
        let client = InteractionServiceClient::new(self.connection.clone());
        let mut answers = Vec::new();
        for _ in 0..2 {
            let answer = retrying(async || client.clone().record_interactions(timed(request.clone())).await).await?;
            answers.push(json!({
                "recorded_count": answer.recorded_count,
                "already_known_count": answer.already_known_count,
            }));
        }
        Ok(json!(answers))
    }

    /// Streams batches as columns. Each is acknowledged on its own; a bad one does not end the stream.
    async fn stream(&self) -> Said {
        let batches: Vec<_> = rows(&self.script["stream"]).map(columns).collect();
        let mut client = InteractionServiceClient::new(self.connection.clone());
        // The call itself waits for the first acknowledgement; so the first batch must be at hand, not made after it.
        let mut acknowledgements = client.stream_interactions(timed(tokio_stream::iter(batches))).await?.into_inner();
        let mut answers = Vec::new();
        while let Some(answer) = acknowledgements.message().await? {
            answers.push(json!({
                "batch_id": answer.batch_id,
                "recorded_count": answer.recorded_count,
                "already_known_count": answer.already_known_count,
                "error": answer.error.as_ref().map(failure::of_message),
            }));
        }
        Ok(json!(answers))
    }

    /// Asks for recommendations with their reasons; a customer may be named by an identifier, too.
    async fn recommend(&self) -> Said {
        let said = &self.script["recommend"];
        let client = RecommendationServiceClient::new(self.connection.clone());
        let mut answers = Vec::new();
        for customer in rows(&said["customers"]) {
            let request =
                RecommendRequest { customer: Some(reference(customer)), n: Some(n(said)), ..Default::default() };
            let answer = retrying(async || client.clone().recommend(timed(request.clone())).await).await?;
            let list = answer.recommendation.ok_or("an answer without a list")?;
            answers.push(json!({
                "customer_id": list.customer_id,
                "decision_id": !list.decision_id.is_empty(),
                "scorer": list.scorer,
                "fallback": list.fallback,
                "fallback_reason": list.fallback_reason,
                "generation": list.generation,
                "items": list.items.iter().map(item).collect::<Vec<_>>(),
            }));
        }
        Ok(json!(answers))
    }

    /// Sends a bad request; the answer names every field to blame.
    async fn refused(&self) -> Said {
        let request = interactions(&self.script["refused"]);
        let mut client = InteractionServiceClient::new(self.connection.clone());
        let status = refusal(client.record_interactions(timed(request)).await)?;
        Ok(failure::of_call(&status))
    }

    /// Asks with another key, or with none.
    async fn with_key(&self, key: &str, said: &Value) -> Said {
        let request = RecommendRequest { customer: Some(reference(said)), n: Some(n(said)), ..Default::default() };
        let mut client = RecommendationServiceClient::new(open(&self.address, key, &self.ca)?);
        let failed = failure::of_call(&refusal(client.recommend(timed(request)).await)?);
        Ok(json!({"code": failed["code"], "reason": failed["reason"]}))
    }

    /// Gives a call less time than it needs.
    async fn deadline(&self) -> Said {
        let said = &self.script["deadline"];
        let request = BatchRecommendRequest {
            customers: vec![reference(said); number(said, "customers") as usize],
            n: Some(n(said)),
            ..Default::default()
        };
        let deadline = Duration::from_millis(number(said, "milliseconds") as u64);
        let mut client = RecommendationServiceClient::new(self.connection.clone());
        let status = refusal(client.batch_recommend(within(deadline, request)).await)?;
        Ok(json!({"code": failure::name(late(status).code())}))
    }

    /// Calls through a network that drops the first connections; repeating gets through.
    async fn retried(&self) -> Said {
        let flaky = open(&env::var("VISAVIS_FLAKY_ADDRESS")?, &self.key, &self.ca)?;
        Ok(json!({"status": check(&flaky, "").await?}))
    }

    /// Asks what is known of a customer.
    async fn profile(&self) -> Said {
        let request = GetProfileRequest { customer: Some(reference(&self.script["profile"])) };
        let client = CustomerServiceClient::new(self.connection.clone());
        let answer = retrying(async || client.clone().get_profile(timed(request.clone())).await).await?;
        let customer = answer.customer.unwrap_or_default();
        let identifiers: Vec<_> = customer.identifiers.iter().map(|one| json!([one.kind, one.value])).collect();
        Ok(json!({
            "customer_id": customer.customer_id,
            "identifiers": identifiers,
            "interaction_count": answer.interaction_count,
            "may_personalize": answer.may_personalize,
            "may_market": answer.may_market,
            "first_seen_at": answer.first_seen_at.map(|at| at.seconds),
            "last_seen_at": answer.last_seen_at.map(|at| at.seconds),
            "segments": answer.segments,
        }))
    }

    /// Asks for the neighbours of an item.
    async fn similar(&self) -> Said {
        let said = &self.script["similar"];
        let request =
            ListSimilarItemsRequest { item_id: text(said, "item_id").into(), n: Some(n(said)), ..Default::default() };
        let client = RecommendationServiceClient::new(self.connection.clone());
        let answer = retrying(async || client.clone().list_similar_items(timed(request.clone())).await).await?;
        let items: Vec<_> = answer
            .items
            .iter()
            .map(|one| json!({"item_id": one.item_id, "rank": one.rank, "score": decimals(one.score)}))
            .collect();
        Ok(json!({"item_id": answer.item_id, "scorer": answer.scorer, "items": items}))
    }
}

async fn check(connection: &Connection, service: &str) -> Said {
    let client = HealthClient::new(connection.clone());
    let request = HealthCheckRequest { service: service.into() };
    let answer = retrying(async || client.clone().check(timed(request.clone())).await).await?;
    Ok(json!(answer.status().as_str_name()))
}

fn interactions(said: &Value) -> RecordInteractionsRequest {
    RecordInteractionsRequest {
        interactions: rows(&said["interactions"]).map(interaction).collect(),
        ..Default::default()
    }
}

fn interaction(row: &Value) -> Interaction {
    Interaction {
        kind: text(row, "kind").into(),
        customer: Some(reference(row)),
        item_id: text(row, "item_id").into(),
        interaction_id: text(row, "interaction_id").into(),
        occurred_at: Some(Timestamp { seconds: number(row, "occurred_at"), nanos: 0 }),
        quantity: row["quantity"].as_f64(),
        amount: row["currency"]
            .as_str()
            .map(|currency| Money { minor_units: number(row, "amount_minor_units"), currency: currency.into() }),
        order_id: text(row, "order_id").into(),
        touchpoint: text(row, "touchpoint").into(),
        ..Default::default()
    }
}

fn columns(batch: &Value) -> StreamInteractionsRequest {
    let positions = |name: &str| rows(&batch[name]).filter_map(Value::as_u64).map(|at| at as u32).collect();
    StreamInteractionsRequest {
        batch_id: text(batch, "batch_id").into(),
        strings: rows(&batch["strings"]).filter_map(Value::as_str).map(String::from).collect(),
        kind: positions("kind"),
        customer_id: positions("customer_id"),
        item_id: positions("item_id"),
        interaction_id: positions("interaction_id"),
        occurred_micros: rows(&batch["occurred_micros"]).filter_map(Value::as_i64).collect(),
        ..Default::default()
    }
}

fn reference(said: &Value) -> CustomerRef {
    let customer = match said.get("identifier") {
        Some(one) => Ref::Identifier(Identifier { kind: text(one, "kind").into(), value: text(one, "value").into() }),
        None => Ref::CustomerId(text(said, "customer_id").into()),
    };
    CustomerRef { r#ref: Some(customer) }
}

fn item(item: &RecommendedItem) -> Value {
    let reasons: Vec<_> = item
        .reasons
        .iter()
        .map(|reason| {
            json!({
                "kind": reason.kind,
                "text": reason.text,
                "contribution": decimals(reason.contribution),
                "item_id": reason.item_id,
                "item_name": reason.item_name,
            })
        })
        .collect();
    json!({
        "item_id": item.item_id,
        "name": item.name,
        "rank": item.rank,
        "score": decimals(item.score),
        "scorer": item.scorer,
        "reasons": reasons,
    })
}

/// The status of a call that must fail.
fn refusal<T>(answer: Result<Response<T>, Status>) -> Result<Status, Box<dyn Error>> {
    answer.err().ok_or_else(|| "a call succeeded that must fail".into())
}

fn decimals(value: f64) -> String {
    format!("{value:.9}")
}

// What the script says, by name; a text that is not there is empty.

fn rows(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn number(value: &Value, name: &str) -> i64 {
    value[name].as_i64().unwrap_or_default()
}

fn n(value: &Value) -> i32 {
    number(value, "n") as i32
}
