//! What does Secret Manager keep under a name?
//!
//! Takes the name of a secret's version and gives its payload as a text. It lists and writes nothing. The surprising rule:
//! the payload is taken as it is, with a line break at its end if it has one, since a service that mounts the same secret
//! signs with that too.
//!
//! Source: `google.cloud.secretmanager.v1.SecretManagerService.AccessSecretVersion`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use super::client::{Client, READ};
use super::error::{About, ApiError};
use super::http::Call;
use crate::config::ServiceName;
use crate::trust::Secret;

/// Google's own endpoint for secrets.
const GOOGLE: &str = "https://secretmanager.googleapis.com";
/// What reading a secret takes.
pub(super) const PERMISSION: &str = "secretmanager.versions.access";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Version {
    payload: Payload,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Payload {
    data: String,
    /// A number as text, as JSON of this API has 64 bits.
    data_crc32c: String,
}

impl Client {
    /// The payload of `projects/P/secrets/S/versions/V`. Takes `secretmanager.versions.access`.
    ///
    /// # Errors
    /// We may not read it, there is none, the API cannot be asked, or what came is damaged or no text.
    pub async fn access_secret(&self, name: &str) -> Result<Secret, ApiError> {
        let parts: Vec<&str> = name.split('/').collect();
        let part = |index: usize| parts.get(index).map_or_else(String::new, |part| (*part).to_owned());
        let service = ServiceName { project: part(1), region: String::new(), service: part(3) };
        let about = About { service, what: "read the secret", permission: PERMISSION };
        let endpoint = self.is_google().then(|| Url::parse(GOOGLE).ok()).flatten();
        let mut url = endpoint.unwrap_or_else(|| self.endpoint().clone());
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("v1").extend(&parts);
        }
        let path = format!("{}:access", url.path());
        url.set_path(&path);
        let call = Call { about: about.clone(), method: Method::GET, url, body: None };
        let Version { payload } = self.repeat(call, READ).await?;
        let damaged = |what: &str| self.unexpected(about.clone(), what);
        let data = Zeroizing::new(payload.data);
        let bytes = STANDARD.decode(data.as_bytes()).map_err(|_| damaged("a payload that is no base64"))?;
        let bytes = Zeroizing::new(bytes);
        if !payload.data_crc32c.is_empty() && payload.data_crc32c != crc32c(&bytes).to_string() {
            return Err(damaged("a payload with another checksum than its own"));
        }
        std::str::from_utf8(&bytes).map(Secret::new).map_err(|_| damaged("a payload that is no UTF-8 text"))
    }
}

/// CRC-32C (RFC 3720, appendix B.4).
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        // RFC 3720, appendix B.4, and the usual check value.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }
}
