//! Prints what would suit a customer, and why.

use std::error::Error;
use std::{env, fs};

use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use visavis::customer_ref::Ref;
use visavis::recommendation_service_client::RecommendationServiceClient;
use visavis::{CustomerRef, RecommendRequest};

mod visavis {
    tonic::include_proto!("visavis.api.v1");
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let ca = Certificate::from_pem(fs::read(env::var("VISAVIS_CA")?)?);
    let channel = Endpoint::from_shared(format!("https://{}", env::var("VISAVIS_ADDRESS")?))?
        .tls_config(ClientTlsConfig::new().ca_certificate(ca))?
        .connect()
        .await?;
    let key: MetadataValue<Ascii> = format!("Bearer {}", env::var("VISAVIS_KEY")?).parse()?;
    let mut client = RecommendationServiceClient::with_interceptor(channel, move |mut request: Request<()>| {
        request.metadata_mut().insert("authorization", key.clone());
        Ok(request)
    });
    let customer = CustomerRef { r#ref: Some(Ref::CustomerId("ann".into())) };
    let answer = client.recommend(RecommendRequest { customer: Some(customer), n: Some(10), ..Default::default() });
    for item in answer.await?.into_inner().recommendation.unwrap_or_default().items {
        println!("{} {}", item.rank, item.name);
        item.reasons.iter().for_each(|reason| println!("    {}", reason.text));
    }
    Ok(())
}
