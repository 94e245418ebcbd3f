//! Which service, and which tag of it, does a host name mean?
//!
//! Takes names and gives names: the two forms of run.app, `[TAG---]SERVICE-HASH-CODE.a.run.app` and
//! `[TAG---]SERVICE-NUMBER.REGION.run.app`, made and read. It looks nothing up. The surprising rule: the hash is made of
//! the project and the region alone, as Google's is, so that all services of a project share it.

use crate::emulator::state::PROJECT_NUMBER;

/// What stands between a tag and a service.
const TAG_END: &str = "---";
/// Letters and digits of a hash.
const HASH_LENGTH: usize = 10;
/// The regions whose codes are known.
const CODES: [(&str, &str); 20] = [
    ("asia-east1", "de"),
    ("asia-northeast1", "an"),
    ("asia-northeast2", "dt"),
    ("asia-northeast3", "du"),
    ("asia-south1", "el"),
    ("asia-southeast1", "as"),
    ("australia-southeast1", "ts"),
    ("europe-central2", "lm"),
    ("europe-north1", "lz"),
    ("europe-west1", "ew"),
    ("europe-west2", "nw"),
    ("europe-west3", "ey"),
    ("europe-west4", "ez"),
    ("europe-west6", "oa"),
    ("southamerica-east1", "rj"),
    ("us-central1", "uc"),
    ("us-east1", "ue"),
    ("us-east4", "uk"),
    ("us-west1", "uw"),
    ("us-west2", "wl"),
];

/// Where names are given: a project in a region.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Zone<'a> {
    /// The project's id.
    pub(crate) project: &'a str,
    /// The region.
    pub(crate) region: &'a str,
}

impl Zone<'_> {
    /// The name with the hash, which always fits.
    pub(crate) fn hashed(&self, service: &str, tag: Option<&str>) -> String {
        format!("{}{}", label(service, tag), self.hash_end())
    }

    /// The name with the project's number.
    pub(crate) fn numbered(&self, service: &str, tag: Option<&str>) -> String {
        format!("{}{}", label(service, tag), self.number_end())
    }

    /// The service and the tag that a host means, in either form; `None` for a name of another zone or kind.
    pub(crate) fn read(&self, host: &str) -> Option<(String, Option<String>)> {
        let host = without_port(host).to_ascii_lowercase();
        let label = host.strip_suffix(&self.hash_end()).or_else(|| host.strip_suffix(&self.number_end()))?;
        let (tag, service) = match label.split_once(TAG_END) {
            Some((tag, service)) => (Some(tag.to_owned()), service),
            None => (None, label),
        };
        (!service.is_empty() && !service.contains('.')).then(|| (service.to_owned(), tag))
    }

    fn hash_end(&self) -> String {
        let known = CODES.iter().find(|(region, _)| *region == self.region);
        format!("-{}-{}.a.run.app", self.hash(), known.map_or("zz", |(_, code)| code))
    }

    fn number_end(&self) -> String {
        format!("-{PROJECT_NUMBER}.{}.run.app", self.region)
    }

    /// FNV-1a, written in letters and digits: the same on every machine.
    fn hash(&self) -> String {
        const SIGNS: &[u8] = b"abcdefghijklmnopqrstuvwxyz234567";
        let bytes = self.project.bytes().chain([b'/']).chain(self.region.bytes());
        let mut value = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let signs = (0..HASH_LENGTH).map(|_| {
            let sign = SIGNS[(value % 32) as usize];
            value /= 32;
            char::from(sign)
        });
        signs.collect()
    }
}

/// Whether a host is of run.app at all.
pub(crate) fn is_run_app(host: &str) -> bool {
    without_port(host).to_ascii_lowercase().ends_with(".run.app")
}

fn without_port(host: &str) -> &str {
    host.split_once(':').map_or(host, |(name, _)| name)
}

fn label(service: &str, tag: Option<&str>) -> String {
    tag.map_or_else(|| service.to_owned(), |tag| format!("{tag}{TAG_END}{service}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZONE: Zone<'_> = Zone { project: "demo-project", region: "us-central1" };

    #[test]
    fn what_is_made_is_read_again() {
        for tag in [None, Some("candidate")] {
            let due = Some(("my-demo".to_owned(), tag.map(str::to_owned)));
            for host in [ZONE.hashed("my-demo", tag), ZONE.numbered("my-demo", tag)] {
                assert_eq!(ZONE.read(&host), due, "{host}");
                assert_eq!(ZONE.read(&format!("{}:8080", host.to_uppercase())), due);
                assert!(is_run_app(&host));
            }
        }
        assert_eq!(ZONE.numbered("demo", Some("t")), "t---demo-123456789012.us-central1.run.app");
    }

    #[test]
    fn other_names_are_not_ours() {
        let other = Zone { project: "other", region: "us-central1" };
        assert_eq!(ZONE.read(&other.hashed("demo", None)), None);
        for host in ["demo.example.com", "-123456789012.us-central1.run.app", "127.0.0.1:80", "run.app", ""] {
            assert_eq!(ZONE.read(host), None, "{host}");
        }
    }
}
