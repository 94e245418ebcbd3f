//! The volumes of a template.

use serde_json::{Map, Value, json};

use super::annotations::Form;

const DATABASES: &str = "run.googleapis.com/cloudsql-instances";
const BUCKETS: &str = "gcsfuse.run.googleapis.com";
/// Where an empty directory is; nothing is said where it is empty.
const MEDIUM: Form = Form::Enum(&[("Memory", "MEMORY", 1), ("Disk", "DISK", 2)]);

/// Writes the volumes of v2 as v1 has them: most in the specification, databases in an annotation.
pub(super) fn from_v2(
    volumes: &[Value],
    spec: &mut Map<String, Value>,
    annotations: &mut Map<String, Value>,
) {
    let mut kept = Vec::new();
    for volume in volumes {
        let mut volume = volume.as_object().cloned().unwrap_or_default();
        if let Some(database) = volume.get("cloudSqlInstance") {
            let instances = database.get("instances").and_then(Value::as_array).cloned().unwrap_or_default();
            let instances: Vec<&str> = instances.iter().filter_map(Value::as_str).collect();
            annotations.insert(DATABASES.to_owned(), json!(instances.join(",")));
            continue;
        }
        if let Some(Value::Object(mut secret)) = volume.shift_remove("secret") {
            rename(&mut secret, "secret", "secretName");
            rename_items(&mut secret, "version", "key");
            volume.insert("secret".to_owned(), Value::Object(secret));
        }
        rewrite_medium(&mut volume, |medium| MEDIUM.to_annotation(medium).map(Value::from));
        if let Some(bucket) = volume.shift_remove("gcs") {
            let mut driver =
                json!({"driver": BUCKETS, "volumeAttributes": {"bucketName": bucket.get("bucket")}});
            if let Some(read_only) = bucket.get("readOnly") {
                driver["readOnly"] = read_only.clone();
            }
            volume.insert("csi".to_owned(), driver);
        }
        kept.push(Value::Object(volume));
    }
    if !kept.is_empty() {
        spec.insert("volumes".to_owned(), Value::Array(kept));
    }
}

/// The volumes as v2 has them; `None` without any.
pub(super) fn to_v2(volumes: Option<Value>, annotations: &Map<String, Value>) -> Option<Value> {
    let volumes = volumes.and_then(|volumes| volumes.as_array().cloned()).unwrap_or_default();
    let mut all: Vec<Value> = volumes
        .into_iter()
        .map(|volume| {
            let mut volume = volume.as_object().cloned().unwrap_or_default();
            if let Some(Value::Object(mut secret)) = volume.shift_remove("secret") {
                rename(&mut secret, "secretName", "secret");
                rename_items(&mut secret, "key", "version");
                volume.insert("secret".to_owned(), Value::Object(secret));
            }
            rewrite_medium(&mut volume, |medium| MEDIUM.to_member(medium.as_str().unwrap_or_default()));
            if volume.get("csi").is_some_and(|driver| driver["driver"] == BUCKETS)
                && let Some(driver) = volume.shift_remove("csi")
            {
                let mut bucket = json!({"bucket": driver.pointer("/volumeAttributes/bucketName")});
                if let Some(read_only) = driver.get("readOnly") {
                    bucket["readOnly"] = read_only.clone();
                }
                volume.insert("gcs".to_owned(), bucket);
            }
            Value::Object(volume)
        })
        .collect();
    if let Some(instances) = annotations.get(DATABASES).and_then(Value::as_str) {
        let instances: Vec<&str> = instances.split(',').collect();
        all.push(json!({"name": "sql", "cloudSqlInstance": {"instances": instances}}));
    }
    (!all.is_empty()).then_some(Value::Array(all))
}

fn rewrite_medium(volume: &mut Map<String, Value>, to: impl FnOnce(&Value) -> Option<Value>) {
    let Some(place) = volume.get_mut("emptyDir").and_then(Value::as_object_mut) else { return };
    if let Some(medium) = place.shift_remove("medium").as_ref().and_then(to) {
        place.insert("medium".to_owned(), medium);
    }
}

fn rename(fields: &mut Map<String, Value>, from: &str, to: &str) {
    if let Some(value) = fields.shift_remove(from) {
        fields.insert(to.to_owned(), value);
    }
}

fn rename_items(secret: &mut Map<String, Value>, from: &str, to: &str) {
    let items = secret.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten();
    for item in items.filter_map(Value::as_object_mut) {
        rename(item, from, to);
    }
}
