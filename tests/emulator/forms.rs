//! What any client of Google's APIs may do with a request, whichever call it is: system parameters, other spellings,
//! bodies that are none, and calls that are not served.

use revgate::emulator::Emulator;
use serde_json::{Value, json};

use super::support::{call, get, path, settled, two};

/// Sends a request with these header fields; gives status and text.
async fn sent(
    emulator: &Emulator,
    words: (&str, &str),
    fields: &[(&str, &str)],
    body: &str,
) -> (u16, String) {
    let (method, tail) = words;
    let url = format!("{}{tail}", emulator.api_endpoint());
    let mut request = reqwest::Client::new().request(method.parse().unwrap(), url).body(body.to_owned());
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

fn message(answer: &str) -> String {
    let answer: Value = serde_json::from_str(answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
    answer["error"]["message"].as_str().unwrap_or_else(|| panic!("no error: {answer}")).to_owned()
}

#[tokio::test]
async fn an_answer_has_the_form_that_was_asked_for() {
    let emulator = two().await;
    let numbers = "%24alt=json%3Benum-encoding%3Dint";
    let service = get(&emulator, &format!("services/demo?{numbers}")).await;
    assert_eq!((&service["ingress"], &service["launchStage"]), (&json!(1), &json!(4)));
    assert_eq!(
        (&service["traffic"][0]["type"], &service["terminalCondition"]["state"]),
        (&json!(2), &json!(4))
    );
    let revision = get(&emulator, &format!("services/demo/revisions/demo-b?{numbers}")).await;
    assert_eq!(revision["conditions"][1]["severity"], 3);
    // The second `=` of Google's client for Node is raw.
    let listed = get(&emulator, "services?$alt=json%3Benum-encoding=int&fields=services(name,ingress)").await;
    assert_eq!(listed, json!({"services": [{"name": &path("services/demo")[4..], "ingress": 1}]}));
    assert_eq!(
        get(&emulator, "services/demo?fields=traffic/percent").await["traffic"][0],
        json!({"percent": 100})
    );
    for wrong in ["services/demo?fields=name(", "services/demo?fields=name,urll", "services?fields=items"] {
        let (status, error) = call(&emulator, "GET", wrong, None).await;
        assert_eq!((status, &error["error"]["status"]), (400, &json!("INVALID_ARGUMENT")), "{wrong}");
    }
    let short = path("services/demo?fields=name&prettyPrint=false");
    let (_, text) = sent(&emulator, ("GET", &short), &[], "").await;
    assert_eq!(text, format!("{{\"name\":\"{}\"}}", &path("services/demo")[4..]));
    let error = get_error(&emulator, "services/none?fields=name").await;
    assert!(error.contains("does not exist"), "an error is whole: {error}");
}

async fn get_error(emulator: &Emulator, tail: &str) -> String {
    let (_, error) = call(emulator, "GET", tail, None).await;
    message(&error.to_string())
}

#[tokio::test]
async fn a_body_that_is_no_message_is_refused_in_googles_words() {
    let emulator = two().await;
    let patch = path("services/demo?updateMask=labels");
    let refused = async |body: &str, fields: &[(&str, &str)]| {
        let (status, answer) = sent(&emulator, ("PATCH", &patch), fields, body).await;
        assert_eq!(status, 400, "{answer}");
        message(&answer)
    };
    assert!(refused("[]", &[]).await.contains("Root element must be a message"));
    let large = format!("{{\"description\": \"{}\"}}", "a".repeat(10 << 20));
    assert_eq!(refused(&large, &[]).await, "Request payload size exceeds the limit: 10485760 bytes.");
    assert!(refused("{}", &[("content-encoding", "gzip")]).await.contains("no compressed bodies"));
    let unknown = refused("{\"lables\": {}}", &[]).await;
    assert_eq!(
        unknown,
        "Invalid JSON payload received. Unknown name \"lables\" at 'service': Cannot find field."
    );
    // Two megabytes are many for a service, and no reason to refuse it.
    let large = json!({"labels": {"team": "a"}, "description": "a".repeat(3 << 20)}).to_string();
    assert_eq!(sent(&emulator, ("PATCH", &patch), &[], &large).await.0, 200);
    settled(&emulator).await;
    // A misspelled mask would else be a write of everything.
    let (status, error) =
        call(&emulator, "PATCH", "services/demo?updatemask=labels", Some(json!({"labels": {}}))).await;
    assert_eq!(status, 400);
    assert!(error["error"]["message"].as_str().unwrap().contains("Field 'updatemask' could not be found"));
    assert_eq!(get(&emulator, "services/demo").await["labels"], json!({"team": "a"}));
}

#[tokio::test]
async fn a_post_may_stand_for_another_method() {
    let emulator = two().await;
    let (place, patch) = (path("services/demo"), path("services/demo?updateMask=launch_stage"));
    let (status, text) = sent(&emulator, ("POST", &place), &[("x-http-method-override", "GET")], "").await;
    assert!(status == 200 && text.contains("services/demo"), "{text}");
    let fields = [("x-http-method-override", "PATCH")];
    let (status, text) = sent(&emulator, ("POST", &patch), &fields, "{\"launch_stage\": \"BETA\"}").await;
    assert_eq!(status, 200, "{text}");
    settled(&emulator).await;
    assert_eq!(get(&emulator, "services/demo").await["launchStage"], "BETA", "in the spelling of the protos");
    let (status, _) = sent(&emulator, ("GET", &place), &[("x-http-method-override", "DELETE")], "").await;
    assert_eq!(status, 200, "a GET is a GET");
    assert_eq!(call(&emulator, "GET", "services/demo", None).await.0, 200);
    // A GET whose address would be too long has its query as its body.
    let kind = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
    let fields = [("x-http-method-override", "GET"), kind];
    let (status, text) = sent(&emulator, ("POST", &place), &fields, "fields=name&prettyPrint=false").await;
    assert_eq!((status, text), (200, format!("{{\"name\":\"{}\"}}", &place[4..])));
}

#[tokio::test]
async fn what_google_takes_is_taken() {
    let emulator = two().await;
    let parameters = "upload_protocol=raw&uploadProtocol=raw&trace=t&bearer_token=t&pp=1&userIp=1";
    get(&emulator, &format!("services/demo?{parameters}")).await;
    let sidecar = json!({
        "image": "s", "name": "s", "env": [{"name": "PORT", "value": "8888"}], "sandboxLauncher": true,
    });
    let body = json!({"sshEnabled": false, "template": {
        "containers": [{"image": "i", "ports": [{"containerPort": 8080}]}, sidecar],
        "annotations": {"client.knative.dev/user-image": "i"}, "client": "terraform", "clientVersion": "1",
    }});
    // The server names what its client does not.
    let (status, begun) = call(&emulator, "POST", "services", Some(body)).await;
    assert_eq!(status, 200, "{begun}");
    settled(&emulator).await;
    let all = get(&emulator, "services").await;
    let made = all["services"]
        .as_array()
        .unwrap()
        .iter()
        .find(|service| service["template"]["client"] == "terraform");
    let name = made.unwrap()["name"].as_str().unwrap().rsplit('/').next().unwrap();
    assert!(name.starts_with("service-") && name.len() == 16, "{name}");
}

#[tokio::test]
async fn a_revision_may_be_asked_for_where_nothing_changes() {
    let emulator = two().await;
    let newest = async |method: &str, tail: &str, body: &Value| {
        let (status, answer) = call(&emulator, method, &format!("services{tail}"), Some(body.clone())).await;
        assert_eq!(status, 200, "{answer}");
        settled(&emulator).await;
        let service = get(&emulator, "services/web").await;
        service["latestCreatedRevision"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
    };
    let body = json!({"template": {"containers": [{"image": "i"}], "revision": "web-a"}});
    assert_eq!(newest("POST", "?serviceId=web", &body).await, "web-a");
    assert_eq!(newest("PATCH", "/web?updateMask=template", &body).await, "web-a");
    let second = newest("PATCH", "/web?updateMask=template&forceNewRevision=true", &body).await;
    let body = json!({"labels": {"a": "b"}});
    let third = newest("PATCH", "/web?updateMask=labels&force_new_revision=true", &body).await;
    assert!(second != "web-a" && third != second && third != "web-a", "{second} {third}");
    assert_eq!(newest("PATCH", "/web?updateMask=labels&forceNewRevision=false", &body).await, third);
}

#[tokio::test]
async fn what_the_emulator_does_not_serve_is_said_at_once() {
    let emulator = two().await;
    let error = async |tail: &str| {
        let (status, answer) = sent(&emulator, ("GET", tail), &[], "").await;
        (status, message(&answer))
    };
    for tail in [
        "/apis/run.googleapis.com/v1/namespaces/demo-project/jobs/x",
        "/v2/projects/demo-project/locations/us-central1/workerPools",
        "/v2/projects/demo-project/locations/us-central1/jobs/x:getIamPolicy",
    ] {
        // 404 would be read as: there is no such job.
        assert_eq!(error(tail).await, (400, format!("The emulator does not serve GET {tail}.")));
    }
    assert_eq!(error("/v3/nothing").await.0, 404);
    let (status, listed) = sent(&emulator, ("GET", "/v1/projects"), &[], "").await;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!((status, &listed["projects"][0]["projectId"]), (200, &json!("demo-project")));
    let (status, error) = error("/v1/projects/other").await;
    assert!(status == 403 && error.contains("'projects/other' (or resource may not exist)"), "{error}");
    let may = "/v1/projects/other/locations/us-central1/services/web:testIamPermissions";
    let (status, answer) = sent(&emulator, ("POST", may), &[], "{\"permissions\": []}").await;
    let due = "Permission 'run.services.get' denied on resource 'namespaces/other/services/web' (or resource may not exist).";
    assert_eq!((status, message(&answer).as_str()), (403, due));
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let hint = answer["error"]["details"][0]["message"].as_str().unwrap();
    assert!(hint.ends_with("start: revgate emulator --project other --region us-central1"), "{hint}");
}

#[tokio::test]
async fn a_template_beyond_the_platforms_limits_is_refused_in_its_words() {
    let emulator = two().await;
    let refused = async |method: &str, tail: &str, template: Value| {
        let (status, error) = call(&emulator, method, tail, Some(json!({"template": template}))).await;
        assert_eq!((status, &error["error"]["status"]), (400, &json!("INVALID_ARGUMENT")), "{error}");
        message(&error.to_string())
    };
    let container = json!({"image": "i", "env": [{"name": "PORT", "value": "1"}]});
    let said = refused("POST", "services?serviceId=web", json!({"containers": [container]})).await;
    let due = "template.containers[0].env: The following reserved env names were provided: PORT. These values are \
               automatically set by the system.";
    assert_eq!(said, due);
    let body = json!({"containers": [{"image": "i"}], "timeout": "7200s"});
    let said = refused("PATCH", "services/demo?updateMask=template", body).await;
    assert_eq!(
        said,
        "Violation in UpdateServiceRequest.service.template.timeout: maximum allowed time is one hour."
    );
    let body =
        json!({"containers": [{"image": "i"}], "annotations": {"autoscaling.knative.dev/maxScale": "3"}});
    let said = refused("POST", "services?serviceId=web", body).await;
    let due = "Violation in CreateServiceRequest.service.template.annotations[autoscaling.knative.dev/maxScale]: system \
               annotations are not supported in Cloud Run API v2.";
    assert_eq!(said, due);
    let body = json!({"containers": [{"image": "i"}], "labels": {"cloud.googleapis.com/location": "x"}});
    let said = refused("POST", "services?serviceId=web", body).await;
    assert!(said.contains(".labels[cloud.googleapis.com/location]: system labels are not"), "{said}");
    let (_, error) = call(&emulator, "POST", "services?serviceId=web", Some(json!({}))).await;
    let due = "Violation in CreateServiceRequest.service.template: required field not present.";
    assert_eq!(error["error"]["message"], due);
    let container = json!({"image": "i", "resources": {"limits": {"cpu": "0.5"}}});
    let template = json!({"spec": {"containerConcurrency": 80, "containers": [container]}});
    let v1 = "/apis/serving.knative.dev/v1/namespaces/demo-project/services";
    let body = json!({"metadata": {"name": "web"}, "spec": {"template": template}}).to_string();
    let (status, answer) = sent(&emulator, ("POST", v1), &[], &body).await;
    assert_eq!(status, 400, "{answer}");
    let due = "spec.template.spec.containers.resources.limits.cpu: Invalid value specified for cpu. Total cpu < 1 is not \
               supported with concurrency > 1.";
    assert_eq!(message(&answer), due);
}

#[tokio::test]
async fn a_service_without_its_own_url_shows_none() {
    let emulator = two().await;
    let url = emulator.service_url().unwrap();
    let switch = async |off: bool| {
        let body = json!({"defaultUriDisabled": off});
        let (status, error) =
            call(&emulator, "PATCH", "services/demo?updateMask=defaultUriDisabled", Some(body)).await;
        assert_eq!(status, 200, "{error}");
        settled(&emulator).await;
        get(&emulator, "services/demo").await
    };
    let service = switch(true).await;
    assert_eq!((service.get("uri"), service.get("urls")), (None, None));
    let tagged = &service["trafficStatuses"][1];
    assert_eq!((&tagged["tag"], tagged.get("uri")), (&json!("candidate"), None), "nor do its tags");
    assert_eq!(reqwest::get(&url).await.unwrap().status(), 404);
    let service = switch(false).await;
    assert_eq!(service["uri"], json!(url));
    assert_eq!(reqwest::get(&url).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_log_is_forgotten_and_may_begin_anew() {
    let emulator = two().await;
    let log = "projects/demo-project/logs/deploys";
    let entries =
        json!({"logName": log, "entries": [{"textPayload": "one", "resource": {"type": "global"}}]});
    let write = async || {
        let (status, answer) =
            sent(&emulator, ("POST", "/v2/entries:write"), &[], &entries.to_string()).await;
        assert_eq!(status, 200, "{answer}");
    };
    let list = async || {
        let body =
            json!({"resourceNames": ["projects/demo-project"], "filter": format!("logName=\"{log}\"")});
        let (_, answer) = sent(&emulator, ("POST", "/v2/entries:list"), &[], &body.to_string()).await;
        serde_json::from_str::<Value>(&answer).unwrap()
    };
    write().await;
    assert_eq!(list().await["entries"][0]["resource"]["labels"]["project_id"], "demo-project");
    let delete = format!("/v2/{log}");
    assert_eq!(sent(&emulator, ("DELETE", &delete), &[], "").await.0, 200);
    assert_eq!(list().await, json!({}));
    assert_eq!(sent(&emulator, ("DELETE", &delete), &[], "").await.0, 404);
    write().await;
    assert_eq!(list().await["entries"].as_array().unwrap().len(), 1);
}
