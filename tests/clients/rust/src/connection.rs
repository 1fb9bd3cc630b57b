//! How to reach a Visavis server: TLS, a key with every call, deadlines, retries.

use std::error::Error;
use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Response, Status, TimeoutExpired};

/// How long a call may take. The server is told, and gives up in time.
const DEADLINE: Duration = Duration::from_secs(10);

/// The pauses between attempts.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// A channel that sends the key with every call.
pub type Connection = InterceptedService<Channel, Key>;

#[derive(Clone)]
pub struct Key(Option<MetadataValue<Ascii>>);

impl Interceptor for Key {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(key) = &self.0 {
            request.metadata_mut().insert("authorization", key.clone());
        }
        Ok(request)
    }
}

/// A connection to `host:port`, made at the first call. An empty key sends none.
pub fn open(address: &str, key: &str, ca: &[u8]) -> Result<Connection, Box<dyn Error>> {
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca));
    let channel = Endpoint::from_shared(format!("https://{address}"))?
        .tls_config(tls)?
        .connect_timeout(Duration::from_secs(5))
        .http2_keep_alive_interval(Duration::from_secs(30))
        .connect_lazy();
    let key = match key {
        "" => None,
        key => Some(format!("Bearer {key}").parse()?),
    };
    Ok(InterceptedService::new(channel, Key(key)))
}

/// A request with the usual deadline.
pub fn timed<T>(message: T) -> Request<T> {
    within(DEADLINE, message)
}

/// A request with a deadline.
pub fn within<T>(deadline: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}

/// Makes a call again, after a growing pause, as long as it fails without effect. tonic itself repeats nothing.
///
/// That is safe where a repeat changes nothing twice: reading, and writing what carries an id (`interaction_id`,
/// `request_id`).
pub async fn retrying<T>(mut call: impl AsyncFnMut() -> Result<Response<T>, Status>) -> Result<T, Status> {
    for pause in PAUSES {
        match call().await {
            Err(status) if matches!(status.code(), Code::Unavailable | Code::ResourceExhausted) => {
                eprintln!("{}; trying again in {pause:?}", status.message());
                tokio::time::sleep(pause).await;
            }
            done => return done.map(Response::into_inner).map_err(late),
        }
    }
    call().await.map(Response::into_inner).map_err(late)
}

/// A deadline that passed on this side is CANCELLED in tonic's words; this gives it the name all others give it.
pub fn late(status: Status) -> Status {
    let passed = status.source().and_then(Error::source).is_some_and(|source| source.is::<TimeoutExpired>());
    if passed { Status::deadline_exceeded("the deadline passed") } else { status }
}
