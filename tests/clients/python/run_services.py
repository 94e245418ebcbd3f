"""Google's own Cloud Run client over REST, against the API at the address in the first argument.

Each story prints one line of JSON: its name and what the client saw, in the client's own types.
"""

import json
import sys

from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import run_v2
from google.iam.v1 import iam_policy_pb2, policy_pb2
from google.longrunning import operations_pb2
from google.protobuf import duration_pb2, field_mask_pb2, json_format

ADDRESS = sys.argv[1]
PARENT = "projects/demo-project/locations/us-central1"
NAME = PARENT + "/services/shop"
PATIENCE = 60

Kind = run_v2.TrafficTargetAllocationType
how = {
    "transport": "rest",
    "credentials": AnonymousCredentials(),
    "client_options": {"api_endpoint": ADDRESS},
}
services = run_v2.ServicesClient(**how)
revisions = run_v2.RevisionsClient(**how)


def template(image, **more):
    return run_v2.RevisionTemplate(containers=[run_v2.Container(image=image)], **more)


def short(name):
    return name.rsplit("/", 1)[-1]


def split(targets):
    """The traffic in words: type, revision, share, tag."""
    return [[target.type_.name.rsplit("_", 1)[-1], target.revision, target.percent, target.tag] for target in targets]


def failure(call):
    """The client's own class for what the API answers, and the message."""
    try:
        call()
    except exceptions.GoogleAPICallError as error:
        return [type(error).__name__, error.message]
    return ["nothing", ""]


def update(service, mask=None, **more):
    paths = field_mask_pb2.FieldMask(paths=mask) if mask else None
    request = run_v2.UpdateServiceRequest(service=service, update_mask=paths, **more)
    return services.update_service(request=request)


def get():
    return services.get_service(name=NAME)


def create():
    first = run_v2.Service(template=template("app:1", revision="shop-one"), labels={"team": "web"})
    operation = services.create_service(parent=PARENT, service=first, service_id="shop")
    begun = operation.metadata
    made = operation.result(timeout=PATIENCE)
    return {
        "name": made.name,
        "begun": short(begun.name),
        "reconciling": made.reconciling,
        "generations": [made.generation, made.observed_generation],
        "terminal": [made.terminal_condition.type_, made.terminal_condition.state.name],
        "conditions": sorted([condition.type_, condition.state.name] for condition in made.conditions),
        "ready": short(made.latest_ready_revision),
        "created": short(made.latest_created_revision),
        "ingress": made.ingress.name,
        "stage": int(made.launch_stage),
        "labels": dict(made.labels),
        "traffic": split(made.traffic),
        "statuses": split(made.traffic_statuses),
        "uri": [made.uri in made.urls, made.uri.startswith("http")],
        "quoted": made.etag.startswith('"') and made.etag.endswith('"'),
        "concurrency": made.template.max_instance_request_concurrency,
        "timeout": made.template.timeout.seconds,
        "port": [port.container_port for port in made.template.containers[0].ports],
        "year": made.create_time.year,
        "again": failure(lambda: services.create_service(parent=PARENT, service=first, service_id="shop")),
    }


def candidate():
    """A deployment without traffic behind a tag, as one write of everything that v2 shows."""
    service = get()
    service.template.containers[0].image = "app:2"
    service.template.revision = "shop-two"
    service.traffic = [
        run_v2.TrafficTarget(type_=Kind.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION, revision="shop-one", percent=100),
        run_v2.TrafficTarget(type_=Kind.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION, revision="shop-two", tag="candidate"),
    ]
    made = update(service).result(timeout=PATIENCE)
    tagged = [target for target in made.traffic_statuses if target.tag == "candidate"]
    return {
        "ready": short(made.latest_ready_revision),
        "statuses": split(made.traffic_statuses),
        "tag": [target.uri.startswith("http") and target.uri != made.uri for target in tagged],
    }


def shares():
    """A traffic write under a mask and the etag that was read; the template of the body is not looked at."""
    service = get()
    before = service.etag
    service.template.containers[0].image = "never:deployed"
    service.traffic[0].percent = 90
    service.traffic[1].percent = 10
    made = update(service, mask=["traffic"]).result(timeout=PATIENCE)
    return {
        "statuses": split(made.traffic_statuses),
        "image": made.template.containers[0].image,
        "moved": made.etag != before,
        "revisions": len(list(revisions.list_revisions(parent=NAME))),
    }


def stale():
    service = get()
    service.traffic[0].percent, service.traffic[1].percent = 80, 20
    update(service, mask=["traffic"]).result(timeout=PATIENCE)
    refused = failure(lambda: update(service, mask=["traffic"]))
    service.etag = ""
    unconditional = update(service, mask=["traffic"]).result(timeout=PATIENCE)
    return {"refused": refused, "unconditional": split(unconditional.traffic)}


def dry():
    service = get()
    service.labels["team"] = "nobody"
    operation = update(service, mask=["labels"], validate_only=True)
    told = operation.result(timeout=PATIENCE)
    return {"told": dict(told.labels), "kept": dict(get().labels), "etag": told.etag == get().etag}


def labels():
    service = get()
    service.labels["stage"] = "test"
    service.description = "not in the mask"
    made = update(service, mask=["labels"]).result(timeout=PATIENCE)
    return {"labels": dict(made.labels), "description": made.description, "traffic": split(made.traffic)}


def latest():
    service = get()
    service.traffic = [
        run_v2.TrafficTarget(type_=Kind.TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST, percent=100),
        run_v2.TrafficTarget(type_=Kind.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION, revision="shop-one", tag="old"),
    ]
    made = update(service, mask=["traffic"]).result(timeout=PATIENCE)
    return {"traffic": split(made.traffic), "statuses": split(made.traffic_statuses)}


def refused():
    service = get()
    service.traffic[0].percent = 99
    sums = failure(lambda: update(service, mask=["traffic"]))
    service = get()
    service.template.containers[0].image = "app:other"
    named = failure(lambda: update(service, mask=["template"]))
    missing = failure(lambda: services.get_service(name=PARENT + "/services/nowhere"))
    update_missing = failure(lambda: update(run_v2.Service(name=PARENT + "/services/nowhere", template=template("app:1"))))
    return {"sums": sums[0], "named": named, "missing": missing, "update_missing": update_missing[0]}


def unknown_revision():
    """The API takes it, and the operation fails later."""
    service = get()
    before = split(service.traffic_statuses)
    service.traffic = [
        run_v2.TrafficTarget(type_=Kind.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION, revision="shop-none", percent=100),
    ]
    operation = update(service, mask=["traffic"])
    error = failure(lambda: operation.result(timeout=PATIENCE))
    after = get()
    return {
        "error": error,
        "kept": split(after.traffic_statuses) == before,
        "terminal": [after.terminal_condition.state.name, after.terminal_condition.message == error[1]],
    }


def broken():
    """A revision that does not start."""
    service = get()
    service.template.containers[0].image = "app:broken"
    service.template.revision = "shop-broken"
    service.traffic = [run_v2.TrafficTarget(type_=Kind.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION, revision="shop-two", percent=100)]
    error = failure(lambda: update(service).result(timeout=PATIENCE))
    revision = revisions.get_revision(name=NAME + "/revisions/shop-broken")
    after = get()
    ready = [condition for condition in revision.conditions if condition.type_ == "Ready"]
    return {
        "error": error,
        "created": short(after.latest_created_revision),
        "ready": short(after.latest_ready_revision),
        "states": [after.terminal_condition.state.name, ready[0].state.name],
        "reason": ready[0].revision_reason.name,
    }


def mended():
    service = get()
    service.template.containers[0].image = "app:3"
    service.template.revision = "shop-three"
    made = update(service).result(timeout=PATIENCE)
    return {"ready": short(made.latest_ready_revision), "state": made.terminal_condition.state.name}


def allow_missing():
    fresh = run_v2.Service(name=PARENT + "/services/fresh", template=template("app:1"))
    made = update(fresh, allow_missing=True).result(timeout=PATIENCE)
    return {"name": short(made.name), "ready": short(made.latest_ready_revision).startswith("fresh-00001-")}


def pages():
    """One service and one revision on a page; the client follows the tokens."""
    found = services.list_services(request=run_v2.ListServicesRequest(parent=PARENT, page_size=1))
    by_page = [[short(service.name) for service in page.services] for page in found.pages]
    found = revisions.list_revisions(request=run_v2.ListRevisionsRequest(parent=NAME, page_size=2))
    revision_pages = [sorted(short(revision.name) for revision in page.revisions) for page in found.pages]
    flat = sorted(name for page in revision_pages for name in page)
    return {"services": by_page, "sizes": [len(page) for page in revision_pages], "revisions": flat}


def revision():
    one = revisions.get_revision(name=NAME + "/revisions/shop-one")
    states = {condition.type_: condition.state.name for condition in one.conditions}
    error = failure(lambda: revisions.delete_revision(name=NAME + "/revisions/shop-three").result(timeout=PATIENCE))
    checked = revisions.delete_revision(
        request=run_v2.DeleteRevisionRequest(name=NAME + "/revisions/shop-broken", validate_only=True)
    ).result(timeout=PATIENCE)
    gone = revisions.delete_revision(name=NAME + "/revisions/shop-broken").result(timeout=PATIENCE)
    after = failure(lambda: revisions.get_revision(name=NAME + "/revisions/shop-broken"))
    return {
        "service": short(one.service),
        "ready": states.get("Ready"),
        "generation": [one.generation, one.observed_generation],
        "digest": "@sha256:" in one.containers[0].image,
        "serving": error[0],
        "checked": short(checked.name),
        "gone": short(gone.name),
        "after": after[0],
    }


def operations():
    """What the client knows besides polling: waiting, listing, and forgetting."""
    service = get()
    service.labels["stage"] = "waited"
    name = update(service, mask=["labels"]).operation.name
    wait = operations_pb2.WaitOperationRequest(name=name, timeout=duration_pb2.Duration(seconds=30))
    done = services.wait_operation(wait).done
    listed = [operation.name for operation in services.list_operations(operations_pb2.ListOperationsRequest(name=PARENT)).operations]
    services.delete_operation(operations_pb2.DeleteOperationRequest(name=name))
    forgotten = failure(lambda: services.get_operation(operations_pb2.GetOperationRequest(name=name)))
    return {"done": done, "listed": name in listed, "forgotten": forgotten[0]}


def settings():
    """Every setting of a template comes back as it was sent."""
    service = get()
    template = service.template
    template.revision = "shop-four"
    template.scaling = run_v2.RevisionScaling(min_instance_count=1, max_instance_count=3)
    template.max_instance_request_concurrency = 10
    template.timeout = duration_pb2.Duration(seconds=60)
    template.session_affinity = True
    template.labels["l"] = "m"
    template.volumes = [
        run_v2.Volume(name="scratch", empty_dir=run_v2.EmptyDirVolumeSource(medium="MEMORY", size_limit="64Mi"))
    ]
    container = template.containers[0]
    secret = run_v2.SecretKeySelector(secret="key", version="latest")
    container.env = [
        run_v2.EnvVar(name="A", value="1"),
        run_v2.EnvVar(name="B", value_source=run_v2.EnvVarSource(secret_key_ref=secret)),
    ]
    container.resources.limits = {"cpu": "2", "memory": "1Gi"}
    container.resources.cpu_idle = False
    container.resources.startup_cpu_boost = True
    container.volume_mounts = [run_v2.VolumeMount(name="scratch", mount_path="/scratch")]
    # The platform says what a probe leaves out, so that one says all of it.
    container.liveness_probe = run_v2.Probe(
        http_get=run_v2.HTTPGetAction(path="/health", port=8080), period_seconds=10, timeout_seconds=2, failure_threshold=3
    )
    made = update(service, mask=["template"]).result(timeout=PATIENCE).template
    sent, came = (json_format.MessageToDict(run_v2.RevisionTemplate.pb(one)) for one in (template, made))
    return {"different": sorted(key for key in {*sent, *came} if sent.get(key) != came.get(key))}


def access():
    policy = services.get_iam_policy(iam_policy_pb2.GetIamPolicyRequest(resource=NAME))
    empty = len(policy.bindings)
    policy.bindings.append(policy_pb2.Binding(role="roles/run.invoker", members=["allUsers"]))
    request = iam_policy_pb2.SetIamPolicyRequest(resource=NAME, policy=policy)
    services.set_iam_policy(request)
    read = services.get_iam_policy(iam_policy_pb2.GetIamPolicyRequest(resource=NAME))
    conflict = failure(lambda: services.set_iam_policy(request))
    tested = services.test_iam_permissions(
        iam_policy_pb2.TestIamPermissionsRequest(resource=NAME, permissions=["run.services.get", "run.services.update"])
    )
    return {
        "empty": empty,
        "set": [[binding.role, list(binding.members)] for binding in read.bindings],
        "stale": conflict[0],
        "tested": list(tested.permissions),
    }


def delete():
    stale = failure(lambda: services.delete_service(request=run_v2.DeleteServiceRequest(name=NAME, etag='"stale"')))
    dry = services.delete_service(request=run_v2.DeleteServiceRequest(name=NAME, validate_only=True))
    still = short(get().name)
    gone = services.delete_service(name=NAME).result(timeout=PATIENCE)
    services.delete_service(name=PARENT + "/services/fresh").result(timeout=PATIENCE)
    return {
        "stale": stale[0],
        "dry": dry.done(),
        "still": still,
        "gone": short(gone.name),
        "after": failure(get)[0],
    }


STORIES = [
    create,
    candidate,
    shares,
    stale,
    dry,
    labels,
    latest,
    refused,
    unknown_revision,
    broken,
    mended,
    allow_missing,
    pages,
    revision,
    operations,
    settings,
    access,
    delete,
]
for story in STORIES:
    try:
        saw = story()
    except Exception as error:  # The test shows which story ended in what.
        saw = {"raised": f"{type(error).__name__}: {error}"}
    print(json.dumps({"story": story.__name__, "saw": saw}), flush=True)
