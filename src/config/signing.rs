//! The key that signs the application's tokens: does it fit the algorithm, and what does it sign?
//!
//! Takes an algorithm and the text of a key and gives a key that has signed once; takes claims and gives a token. It
//! reads nothing. The surprising rule: no message here repeats what the library says of a key, let alone the key.

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::values::{Flaw, quoted};
use crate::trust::Secret;

/// How tokens are signed (RFC 7518, section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-256, by a secret that the server knows too.
    Hs256,
    /// RSA with SHA-256, by a private key.
    Rs256,
    /// ECDSA on P-256 with SHA-256, by a private key.
    Es256,
}

impl Algorithm {
    /// As it stands in a token's header.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }

    /// What signs calls it so.
    pub fn as_jsonwebtoken(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Hs256 => jsonwebtoken::Algorithm::HS256,
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
        }
    }
}

/// An algorithm by its name.
pub(crate) fn algorithm(text: &str) -> Result<Algorithm, Flaw> {
    let all = [Algorithm::Hs256, Algorithm::Rs256, Algorithm::Es256];
    all.into_iter().find(|algorithm| algorithm.name() == text).ok_or_else(|| {
        Flaw::new(format!("{} is not an algorithm that revgate signs with", quoted(text)))
            .help("these are: HS256, RS256, ES256")
    })
}

/// The largest key that is taken, in bytes: PEM of 16 384 bits of RSA has 13 KiB.
pub const LARGEST_SECRET: usize = 16 * 1024;

/// A key that has signed once.
#[derive(Debug, Clone)]
pub struct SigningKey {
    /// How it signs.
    pub algorithm: Algorithm,
    /// The key as it was read: a secret, or a private key in PEM.
    pub secret: Secret,
    /// `kid` in the header of each token.
    pub key_id: Option<String>,
    /// The same for the library, which wipes it.
    key: EncodingKey,
}

impl SigningKey {
    /// Reads a key and tries it.
    pub(crate) fn new(algorithm: Algorithm, secret: Secret, key_id: Option<String>) -> Result<Self, Flaw> {
        if secret.expose().len() > LARGEST_SECRET {
            return Err(Flaw::new("the key is larger than 16 KiB, which no key is"));
        }
        let key = read(algorithm, &secret)?;
        let signing = Self { algorithm, secret, key_id, key };
        match signing.sign(&Map::new()) {
            Ok(_) => Ok(signing),
            Err(_) => Err(why_not(signing.secret.expose(), algorithm)),
        }
    }

    /// True where the key is a private one in PEM.
    pub(crate) fn is_pem(&self) -> bool {
        self.algorithm != Algorithm::Hs256
    }

    /// A token with these claims.
    ///
    /// # Errors
    /// What the library says; it repeats nothing of the key.
    pub fn sign(&self, claims: &Map<String, Value>) -> Result<Secret, String> {
        let mut header = Header::new(self.algorithm.as_jsonwebtoken());
        header.kid.clone_from(&self.key_id);
        encode(&header, claims, &self.key).map(Secret::new).map_err(|error| error.to_string())
    }
}

/// What a key in PEM begins with.
const BEGIN: &str = "-----BEGIN ";
/// How PEM begins in base64.
const PEM_IN_BASE64: &str = "LS0tLS1CRUdJ";

/// The key for the library.
fn read(algorithm: Algorithm, secret: &Secret) -> Result<EncodingKey, Flaw> {
    let text = secret.expose();
    // Tools write what a key is above it.
    let pem = text.contains(BEGIN);
    match algorithm {
        Algorithm::Hs256 if pem => {
            Err(Flaw::new("this is a key in PEM, and HS256 signs with a plain secret")
                .help("say which it is: `algorithm: RS256` or `algorithm: ES256` under `token:`"))
        }
        Algorithm::Hs256 => Ok(EncodingKey::from_secret(text.as_bytes())),
        _ if !pem && text.trim_start().starts_with(PEM_IN_BASE64) => {
            Err(Flaw::new("this is a key in PEM that was put into base64 once more")
                .help("decode it: JWT_KEY=\"$(base64 -d key.b64)\""))
        }
        _ if !pem => {
            Err(Flaw::new(format!("this is no private key in PEM, which {} takes", algorithm.name()))
                .help("it begins with -----BEGIN PRIVATE KEY----- and keeps its line breaks"))
        }
        Algorithm::Rs256 => rsa(text).map_err(|()| why_not(text, algorithm)),
        Algorithm::Es256 => elliptic(text).map_err(|()| why_not(text, algorithm)),
    }
}

fn rsa(text: &str) -> Result<EncodingKey, ()> {
    EncodingKey::from_rsa_pem(text.as_bytes()).map_err(drop)
}

fn elliptic(text: &str) -> Result<EncodingKey, ()> {
    EncodingKey::from_ec_pem(text.as_bytes()).map_err(drop)
}

/// Why a PEM text is no key of the algorithm.
fn why_not(text: &str, algorithm: Algorithm) -> Flaw {
    let pem = text.find(BEGIN).map_or(text, |at| &text[at..]);
    let first = Zeroizing::new(pem.lines().next().unwrap_or_default().to_owned());
    let (is_rsa, is_elliptic) = (rsa(text).is_ok(), elliptic(text).is_ok());
    if first.contains("\\n") {
        return Flaw::new("the line breaks of the key are written as \\n: in PEM they are real ones")
            .help("keep the file as it was made; in a shell: JWT_KEY=\"$(cat key.pem)\"");
    }
    if first.contains("PUBLIC KEY") || first.contains("CERTIFICATE") {
        return Flaw::new("this is a public key or a certificate: only the private key signs")
            .help("the server verifies with the public half; give revgate the private one");
    }
    if first.contains("ENCRYPTED") || text.contains("Proc-Type: 4,ENCRYPTED") {
        return Flaw::new("the key is encrypted with a password")
            .help("decrypt it into the secret store: openssl pkey -in key.pem");
    }
    if !pem.contains("-----END ") {
        return Flaw::new("the key was cut: there is no line -----END PRIVATE KEY-----")
            .help("see whether it is whole: openssl pkey -in key.pem -noout -text");
    }
    if is_rsa && algorithm == Algorithm::Es256 {
        return Flaw::new("this is an RSA key, and ES256 signs with one on the curve P-256")
            .help("say `algorithm: RS256` under `token:`");
    }
    if is_elliptic && algorithm == Algorithm::Rs256 {
        return Flaw::new("this is a key on an elliptic curve, and RS256 signs with an RSA key")
            .help("say `algorithm: ES256` under `token:`");
    }
    if first.contains("EC PRIVATE KEY") || first.contains("EC PARAMETERS") || first.contains("OPENSSH") {
        return Flaw::new("the key is in a form that is not read: PKCS#8 is")
            .help("turn it: openssl pkcs8 -topk8 -nocrypt -in key.pem");
    }
    unfit(algorithm)
}

fn unfit(algorithm: Algorithm) -> Flaw {
    let due = match algorithm {
        Algorithm::Hs256 => "a secret",
        Algorithm::Rs256 => "an RSA key of 2048 bits or more",
        Algorithm::Es256 => "a key on the curve P-256",
    };
    let name = algorithm.name();
    Flaw::new(format!("this is no private key that {name} can sign with: {due} is due, whole and undamaged"))
        .help("see what it is: openssl pkey -in key.pem -noout -text")
}

/// `kid`: any text without control characters.
pub(crate) fn key_id(text: &str) -> Result<String, Flaw> {
    super::values::text(text)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use jsonwebtoken::decode_header;

    use super::*;

    fn elliptic_key() -> String {
        rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem()
    }

    fn refused(algorithm: Algorithm, text: &str) -> String {
        SigningKey::new(algorithm, Secret::new(text), None).unwrap_err().message
    }

    #[test]
    fn a_key_signs_by_its_algorithm_and_names_itself() {
        let key =
            SigningKey::new(Algorithm::Es256, Secret::new(elliptic_key()), Some("k1".to_owned())).unwrap();
        let header = decode_header(key.sign(&Map::new()).unwrap().expose()).unwrap();
        assert_eq!((header.alg, header.kid.as_deref()), (jsonwebtoken::Algorithm::ES256, Some("k1")));
    }

    #[test]
    fn no_key_is_larger_than_sixteen_kibibytes() {
        let of = |bytes: usize| Secret::new("k".repeat(bytes));
        assert!(SigningKey::new(Algorithm::Hs256, of(LARGEST_SECRET), None).is_ok());
        let refused = SigningKey::new(Algorithm::Hs256, of(LARGEST_SECRET + 1), None).unwrap_err();
        assert_eq!(refused.message, "the key is larger than 16 KiB, which no key is");
    }

    #[test]
    fn a_key_of_another_kind_is_named_and_never_shown() {
        let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap().serialize_pem();
        for (algorithm, text, words) in [
            (Algorithm::Hs256, elliptic_key(), "HS256 signs with a plain secret"),
            (Algorithm::Rs256, elliptic_key(), "RS256 signs with an RSA key"),
            (Algorithm::Es256, "s3cret-that-is-no-pem".to_owned(), "no private key in PEM"),
            (Algorithm::Es256, STANDARD.encode(elliptic_key()), "put into base64 once more"),
            (Algorithm::Es256, other, "a key on the curve P-256 is due"),
            (
                Algorithm::Rs256,
                "-----BEGIN PRIVATE KEY-----\nczNjcmV0\n-----END PRIVATE KEY-----\n".to_owned(),
                "2048",
            ),
            (Algorithm::Rs256, "-----BEGIN PRIVATE KEY-----".to_owned(), "was cut"),
            (Algorithm::Es256, elliptic_key().replace("-----END", "-----"), "was cut"),
            (Algorithm::Es256, elliptic_key().replace('\n', "\\n"), "real ones"),
            (Algorithm::Hs256, format!("subject=x\n{}", elliptic_key()), "HS256 signs with a plain secret"),
            (
                Algorithm::Rs256,
                "-----BEGIN PUBLIC KEY-----\nczNjcmV0\n-----END PUBLIC KEY-----".to_owned(),
                "public",
            ),
            (
                Algorithm::Es256,
                "-----BEGIN EC PRIVATE KEY-----\nczNjcmV0\n-----END EC PRIVATE KEY-----".to_owned(),
                "PKCS#8",
            ),
            (
                Algorithm::Es256,
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nczNj\n-----END ENCRYPTED PRIVATE KEY-----".to_owned(),
                "password",
            ),
        ] {
            let message = refused(algorithm, &text);
            assert!(message.contains(words), "{message} of {words}");
            assert!(!message.contains("czNj") && !message.contains("s3cret"), "{message}");
        }
    }
}
