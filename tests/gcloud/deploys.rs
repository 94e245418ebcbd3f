//! `gcloud run deploy`, in the forms in which pipelines type it.

use super::support::{Story, status_of, tag_url, traffic};

#[tokio::test]
async fn a_candidate_waits_behind_its_tag_and_is_promoted() {
    let Some(story) = Story::begin().await else { return };
    let said = story.good("run deploy web --image gcr.io/p/app:1 --allow-unauthenticated").await;
    assert!(said.contains("has been deployed and is serving 100 percent of traffic"), "{said}");
    let service = story.json("run services describe web").await;
    let (first, url) =
        (&service["status"]["latestReadyRevisionName"], service["status"]["url"].as_str().unwrap());
    let first = first.as_str().unwrap().to_owned();
    assert!(first.starts_with("web-00001-"), "{first}");
    assert!(said.contains(url), "{said}");
    assert_eq!(traffic(&service), [format!("LATEST={first} 100 -")]);
    assert_eq!(status_of(url).await, 200);

    let said = story.good("run deploy web --image gcr.io/p/app:2 --no-traffic --tag candidate").await;
    assert!(said.contains("is serving 0 percent of traffic"), "{said}");
    let service = story.json("run services describe web").await;
    let second = service["status"]["latestReadyRevisionName"].as_str().unwrap();
    assert!(second.starts_with("web-00002-"), "gcloud names it by the generation: {second}");
    assert_eq!(traffic(&service), [format!("{first} 100 -"), format!("{second} 0 candidate")]);
    let tag = tag_url(&service, "candidate");
    assert!(said.contains(&format!("can be reached directly at {tag}")), "{said}");
    assert_eq!(status_of(&tag).await, 200);
    let revision = story.json(&format!("run revisions describe {second}")).await;
    let says = revision["metadata"]["annotations"]["emulator.revgate/runs"].as_str().unwrap();
    assert!(says.contains("the place of gcr.io/p/app:2") && says.contains("sample backend"), "{says}");

    story.good("run services update-traffic web --to-tags candidate=10").await;
    let service = story.json("run services describe web").await;
    let split = [format!("{first} 90 -"), format!("{second} 10 -"), format!("{second} 0 candidate")];
    assert_eq!(traffic(&service), split);
    story.good("run services update-traffic web --to-latest").await;
    let service = story.json("run services describe web").await;
    assert_eq!(traffic(&service), [format!("LATEST={second} 100 -"), format!("{second} 0 candidate")]);
}

#[tokio::test]
async fn a_revision_that_does_not_start_fails_the_deployment_and_the_old_one_serves() {
    let Some(story) = Story::begin().await else { return };
    story.good("run deploy web --image app:1 --allow-unauthenticated").await;
    let mut faults = story.emulator.faults();
    faults.fail_revision = Some("The user-provided container failed to start.".to_owned());
    story.emulator.set_faults(faults);
    let said = story.bad("run deploy web --image app:2 --revision-suffix broken").await;
    let message = "Revision 'web-broken' is not ready and cannot serve traffic. The user-provided container failed to start.";
    assert!(said.contains("ERROR: (gcloud.run.deploy) ") && said.contains(message), "{said}");
    let service = story.json("run services describe web").await;
    let status = &service["status"];
    assert_eq!(status["latestCreatedRevisionName"], "web-broken");
    let ready = status["latestReadyRevisionName"].as_str().unwrap();
    assert!(ready.starts_with("web-00001-"), "{ready}");
    assert_eq!(traffic(&service), [format!("LATEST={ready} 100 -")]);
    let condition = |kind: &str| {
        let all = status["conditions"].as_array().unwrap();
        let found = all.iter().find(|condition| condition["type"] == kind).unwrap();
        (
            found["status"].as_str().unwrap().to_owned(),
            found["reason"].as_str().unwrap_or_default().to_owned(),
        )
    };
    assert_eq!(condition("Ready"), ("False".into(), "HealthCheckContainerError".into()));
    assert_eq!(condition("ConfigurationsReady").0, "False");
    assert_eq!(condition("RoutesReady").0, "True");
    assert_eq!(status_of(status["url"].as_str().unwrap()).await, 200);

    story.emulator.set_faults(revgate::emulator::Faults::default());
    story.good("run deploy web --image app:3").await;
    let service = story.json("run services describe web").await;
    assert_eq!(service["status"]["conditions"][0]["status"], "True");
}

#[tokio::test]
async fn a_command_that_does_not_listen_fails_the_deployment_in_cloud_runs_words() {
    let Some(story) = Story::with(|options| options.allow_commands = true).await else { return };
    let said = story.bad("run deploy web --image exec:false --revision-suffix dead").await;
    let message = "Revision 'web-dead' is not ready and cannot serve traffic. The user-provided container failed to \
                   start and listen on the port defined provided by the PORT=8080 environment variable";
    assert!(said.contains(message), "{said}");
    let revision = story.json("run revisions describe web-dead").await;
    assert_eq!(revision["status"]["conditions"][0]["reason"], "HealthCheckContainerError");
    assert_eq!(revision["metadata"]["annotations"].get("emulator.revgate/runs"), None, "its image does run");
}

#[tokio::test]
async fn a_revisions_name_belongs_to_one_configuration() {
    let Some(story) = Story::begin().await else { return };
    let blue = "run deploy web --image app:1 --revision-suffix blue";
    story.good(blue).await;
    let said = story.bad("run deploy web --image app:2 --revision-suffix blue").await;
    assert!(
        said.contains("Revision named 'web-blue' with different configuration already exists."),
        "{said}"
    );
    // The very same again is no new revision, and no error.
    story.good(blue).await;
    let revisions = story.json("run revisions list --service web").await;
    assert_eq!(revisions.as_array().unwrap().len(), 1);
    // Without a name the server chooses one, for a nonce makes each deployment another configuration.
    story.good("run deploy web --image app:1").await;
    let service = story.json("run services describe web").await;
    let newest = service["status"]["latestReadyRevisionName"].as_str().unwrap();
    assert!(newest.starts_with("web-0000") && newest != "web-blue", "{newest}");
    let said = story.bad("run deploy fresh --image app:1 --no-traffic").await;
    assert!(said.contains("not supported when creating a new service"), "{said}");
}

#[tokio::test]
async fn settings_of_a_deployment_are_read_back_and_async_does_not_wait() {
    let Some(story) = Story::begin().await else { return };
    let line = "run deploy web --image app:1 --port 9000 --concurrency 7 --timeout 60 --cpu 2 --memory 1Gi \
                --min-instances 1 --max-instances 3 --set-env-vars A=1,B=two --set-secrets C=key:latest \
                --labels team=a --session-affinity --no-cpu-throttling --execution-environment gen2 \
                --service-account sa@demo-project.iam.gserviceaccount.com --ingress internal --description words";
    story.good(line).await;
    let service = story.json("run services describe web").await;
    let template = &service["spec"]["template"];
    let container = &template["spec"]["containers"][0];
    assert_eq!(container["ports"][0]["containerPort"], 9000);
    assert_eq!(container["startupProbe"]["tcpSocket"]["port"], 9000);
    assert_eq!(
        (&template["spec"]["containerConcurrency"], &template["spec"]["timeoutSeconds"]),
        (&7.into(), &60.into())
    );
    assert_eq!(template["metadata"]["annotations"]["autoscaling.knative.dev/maxScale"], "3");
    assert_eq!(service["metadata"]["annotations"]["run.googleapis.com/ingress"], "internal");
    // The other API says the same of it.
    let url = "/v2/projects/demo-project/locations/us-central1/services/web";
    let v2: serde_json::Value =
        reqwest::get(format!("{}{url}", story.emulator.api_endpoint())).await.unwrap().json().await.unwrap();
    let template = &v2["template"];
    assert_eq!(
        (&template["maxInstanceRequestConcurrency"], &template["timeout"]),
        (&7.into(), &"60s".into())
    );
    assert_eq!(template["scaling"], serde_json::json!({"minInstanceCount": 1, "maxInstanceCount": 3}));
    assert_eq!(
        (&template["sessionAffinity"], &template["executionEnvironment"]),
        (&true.into(), &"EXECUTION_ENVIRONMENT_GEN2".into())
    );
    let container = &template["containers"][0];
    assert_eq!(container["resources"]["cpuIdle"], false);
    assert_eq!(
        container["env"][2]["valueSource"]["secretKeyRef"],
        serde_json::json!({"secret": "key", "version": "latest"})
    );
    assert_eq!(
        (&v2["ingress"], &v2["description"]),
        (&"INGRESS_TRAFFIC_INTERNAL_ONLY".into(), &"words".into())
    );
    assert_eq!(v2["labels"]["team"], "a");

    let line =
        "run deploy web --image app:1 --port 9000 --startup-probe httpGet.path=/health,periodSeconds=1";
    story.good(line).await;
    let shown = story.good("run services describe web").await;
    assert!(
        shown.contains("HTTP every 1s") && !shown.contains("None"),
        "what is not said has a default: {shown}"
    );

    story.good("run deploy web --image app:2 --async").await;
    story.emulator.settled().await;
    assert_eq!(story.json("run revisions list --service web").await.as_array().unwrap().len(), 3);
    let said = story.bad("run deploy web --image app:2 --set-env-vars K_SERVICE=x").await;
    assert!(
        said.contains("spec.template.spec.containers[0].env: The following reserved env names"),
        "{said}"
    );
    let said = story.bad("run deploy web --image app:2 --cpu 0.5 --concurrency 7").await;
    assert!(said.contains("Total cpu < 1 is not supported with concurrency > 1."), "{said}");
}
