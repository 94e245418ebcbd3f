//! Requests to HTTP endpoints: do they answer as they should?
//!
//! Takes the prober and the endpoints; asks each one after the other and then at once, and gives what every answer was.
//! It follows no redirect and asks no other host than the one the sockets are opened at. The surprising rule: each request
//! has a connection of its own, since a connection that an idle server closes at the wrong moment would look like a failure
//! of the endpoint.

mod client;
mod seen;

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use self::client::Request;
pub use self::client::{Sentinel, send_sentinel};
pub use self::seen::{Answer, Answered, ApiSeen, EndpointSeen};
use super::prober::Prober;
use super::series::Series;
use crate::config::{ApiSettings, Endpoint, Escaping, Values};
use crate::trust::{Excerpt, Secret};

/// Asks each endpoint as often as is asked.
pub async fn ask_endpoints(
    prober: &Prober,
    settings: &ApiSettings,
    series: &mut Series,
    cut: &CancellationToken,
) -> ApiSeen {
    let client = match client::client(&prober.address) {
        Ok(client) => client,
        Err(error) => {
            let why = Excerpt::new(&prober.redactor.redact(&error.to_string()));
            return ApiSeen { endpoints: Vec::new(), no_client: Some(why) };
        }
    };
    let pause = Duration::from_secs(1) / settings.requests_per_second.max(1);
    let mut asker = Asker { prober, client, series, cut, pause, next: Instant::now(), user: 0 };
    let mut endpoints = Vec::new();
    for endpoint in &settings.endpoints {
        endpoints.push(asker.ask(endpoint).await);
    }
    ApiSeen { endpoints, no_client: None }
}

/// Asks, no faster than it may.
struct Asker<'a> {
    prober: &'a Prober,
    client: reqwest::Client,
    series: &'a mut Series,
    cut: &'a CancellationToken,
    /// From one request to the next.
    pause: Duration,
    /// When the next request may be sent.
    next: Instant,
    /// Index of the next user.
    user: usize,
}

impl Asker<'_> {
    async fn ask(&mut self, endpoint: &Endpoint) -> EndpointSeen {
        let mut answers = Vec::new();
        for _ in 0..endpoint.times {
            if !self.may_go_on(1).await {
                break;
            }
            let request = self.request(endpoint, u32::try_from(answers.len()).unwrap_or(0), false);
            answers.push(self.answer(&request).await);
        }
        if endpoint.at_once > 0 && self.may_go_on(endpoint.at_once).await {
            let first = endpoint.times;
            let requests: Vec<Request> =
                (0..endpoint.at_once).map(|index| self.request(endpoint, first + index, true)).collect();
            answers.extend(join_all(requests.iter().map(|request| self.answer(request))).await);
        }
        let name = format!("{} {}", endpoint.method, endpoint.path.source());
        EndpointSeen {
            name: Excerpt::new(&self.prober.redactor.redact(&name)),
            is_swallowed: endpoint.is_swallowed(),
            statuses: endpoint.statuses.iter().map(ToString::to_string).collect(),
            within: u64::try_from(endpoint.within.as_millis()).unwrap_or(u64::MAX),
            times: endpoint.times,
            at_once: endpoint.at_once,
            answers,
        }
    }

    /// Waits until so many more requests may be sent; false when the run is over.
    async fn may_go_on(&mut self, requests: u32) -> bool {
        let waited = self.cut.run_until_cancelled(sleep_until(self.next)).await;
        self.next = self.next.max(Instant::now()) + self.pause * requests;
        waited.is_some() && !self.cut.is_cancelled()
    }

    async fn answer(&self, request: &Request) -> Answer {
        let asked = request.send(self.prober, &self.client);
        let began = self.prober.now();
        match self.cut.run_until_cancelled(asked).await {
            Some(answer) => answer,
            None => Answer {
                number: request.number,
                at_once: request.at_once,
                began,
                took: self.prober.now().saturating_sub(began),
                expired: None,
                result: Answered::Cut,
            },
        }
    }

    fn request(&mut self, endpoint: &Endpoint, number: u32, at_once: bool) -> Request {
        let users = self.prober.users.len().max(1);
        let spec = self.series.socket(Some(self.user % users));
        self.user += 1;
        let user = self.prober.user_name(spec.user);
        let values = Values { user, nonce: &spec.nonce, round: number + 1 };
        let purse = self.prober.purse.as_ref().filter(|_| endpoint.token);
        // It was minted for every user before the first socket.
        let token = purse.and_then(|purse| purse.token(user).ok());
        let expires = purse.zip(token.as_ref()).and_then(|(purse, token)| purse.expiry(token));
        let mut headers: Vec<(String, Secret)> =
            endpoint.headers.iter().map(|header| (header.name.clone(), header.value.clone())).collect();
        headers.extend(token.map(|token| bearer("Authorization", &token)));
        headers.extend(self.prober.id_token.as_ref().map(|token| bearer(client::ID_TOKEN, token)));
        let has = |name: &str| headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        let body = endpoint.body.as_ref().map(|(template, is_json)| {
            let escaping = if *is_json { Escaping::Json } else { Escaping::None };
            template.fill(values, escaping)
        });
        let is_json = endpoint.body.as_ref().is_some_and(|(_, is_json)| *is_json);
        if is_json && !has("content-type") {
            headers.push(("Content-Type".to_owned(), Secret::new("application/json")));
        }
        Request {
            number: spec.number,
            method: endpoint.method.clone(),
            path: endpoint.path.fill(values, Escaping::Url),
            nonce: spec.nonce,
            headers,
            expires,
            body,
            statuses: endpoint.statuses.clone(),
            conditions: endpoint.conditions.clone(),
            within: endpoint.within,
            at_once,
        }
    }
}

fn bearer(name: &str, token: &Secret) -> (String, Secret) {
    (name.to_owned(), Secret::new(format!("Bearer {}", token.expose())))
}
