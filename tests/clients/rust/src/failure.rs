//! What a failed call says: gRPC's code, one clear line, the reason for programs, and the fields to blame.

use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// From the status of a failed call.
pub fn of_call(status: &Status) -> Value {
    describe(status.code(), status.message(), &status.get_error_details())
}

/// From a status in a message, as the acknowledgements of a stream hold it; it has the same details.
pub fn of_message(status: &tonic_types::Status) -> Value {
    let code = Code::from(status.code);
    let details = prost::Message::encode_to_vec(status).into();
    of_call(&Status::with_details(code, &status.message, details))
}

fn describe(code: Code, message: &str, details: &ErrorDetails) -> Value {
    let info = details.error_info();
    let violations: Vec<_> = details
        .bad_request()
        .into_iter()
        .flat_map(|bad| &bad.field_violations)
        .map(|one| json!([one.field, one.description]))
        .collect();
    json!({
        "code": name(code),
        "message": message,
        "reason": info.map_or("", |info| &info.reason),
        "domain": info.map_or("", |info| &info.domain),
        "violations": violations,
    })
}

/// The code's name as the protocol spells it: `InvalidArgument` is `INVALID_ARGUMENT`.
pub fn name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}
