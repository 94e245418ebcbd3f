// Google's own Cloud Run client for Node over REST, against the API at the host and port in the arguments.
//
// Each story prints one line of JSON: its name and what the client saw, in the client's own types.

import { protos, RevisionsClient, ServicesClient } from "@google-cloud/run";
import { GoogleAuth, OAuth2Client } from "google-auth-library";

const [host, port] = process.argv.slice(2);
const parent = "projects/demo-project/locations/us-central1";
const name = `${parent}/services/shop`;
const { TrafficTargetAllocationType, Condition } = protos.google.cloud.run.v2;

const authClient = new OAuth2Client();
authClient.setCredentials({ access_token: "any", expiry_date: Date.now() + 3600_000 });
const auth = new GoogleAuth({ authClient });
const how = { fallback: true, protocol: "http", apiEndpoint: host, port: Number(port), auth, projectId: "demo-project" };
const services = new ServicesClient(how);
const revisions = new RevisionsClient(how);

const short = (full) => full.split("/").pop();
/** An enum's name, whichever way the client tells it. */
const named = (values, value) => (typeof value === "number" ? values[value] : value);
/** The traffic in words: type, revision, share, tag. */
const split = (targets) =>
  targets.map((target) => [
    named(TrafficTargetAllocationType, target.type).split("_").pop(),
    target.revision,
    target.percent,
    target.tag,
  ]);
const template = (image, more) => ({ containers: [{ image }], ...more });
const get = async () => (await services.getService({ name }))[0];
const finished = async ([operation]) => (await operation.promise())[0];
const update = (service, paths, more) =>
  services.updateService({ service, ...(paths ? { updateMask: { paths } } : {}), ...more });

/** The code and the message with which a call fails. */
async function failure(call) {
  try {
    await call();
  } catch (error) {
    return [error.code ?? error.name, String(error.message).replace(/^\S+ [A-Z_]+: /, "")];
  }
  return ["nothing", ""];
}

const stories = {
  async create() {
    const service = { template: template("app:1", { revision: "shop-one" }), labels: { team: "web" } };
    const made = await finished(await services.createService({ parent, serviceId: "shop", service }));
    return {
      name: short(made.name),
      generations: [String(made.generation), String(made.observedGeneration)],
      state: named(Condition.State, made.terminalCondition.state),
      ready: short(made.latestReadyRevision),
      statuses: split(made.trafficStatuses),
      uri: made.urls.includes(made.uri),
      timeout: String(made.template.timeout.seconds),
      again: await failure(() => services.createService({ parent, serviceId: "shop", service })),
    };
  },

  async candidate() {
    const service = await get();
    service.template.containers[0].image = "app:2";
    service.template.revision = "shop-two";
    service.traffic = [
      { type: "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", revision: "shop-one", percent: 100 },
      { type: "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", revision: "shop-two", tag: "candidate" },
    ];
    const made = await finished(await update(service));
    const tagged = made.trafficStatuses.filter((target) => target.tag === "candidate");
    return { statuses: split(made.trafficStatuses), uri: tagged.map((target) => target.uri.startsWith("http")) };
  },

  async shares() {
    const service = await get();
    service.template.containers[0].image = "never:deployed";
    service.traffic[0].percent = 90;
    service.traffic[1].percent = 10;
    const made = await finished(await update(service, ["traffic"]));
    return { statuses: split(made.trafficStatuses), image: made.template.containers[0].image };
  },

  async stale() {
    const service = await get();
    service.traffic[0].percent = 80;
    service.traffic[1].percent = 20;
    await finished(await update(service, ["traffic"]));
    return { refused: await failure(() => update(service, ["traffic"])) };
  },

  async dry() {
    const service = await get();
    service.labels = { team: "nobody" };
    const [operation] = await update(service, ["labels"], { validateOnly: true });
    return { done: operation.done, kept: (await get()).labels };
  },

  async unknown_revision() {
    const service = await get();
    service.traffic = [{ type: "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", revision: "shop-none", percent: 100 }];
    const error = await failure(async () => finished(await update(service, ["traffic"])));
    return { error, kept: split((await get()).trafficStatuses) };
  },

  async broken() {
    const service = await get();
    service.template.containers[0].image = "app:broken";
    service.template.revision = "shop-broken";
    service.traffic = [{ type: "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", revision: "shop-two", percent: 100 }];
    const error = await failure(async () => finished(await update(service)));
    const after = await get();
    return {
      code: error[0],
      message: error[1].split(". ")[0],
      states: [short(after.latestCreatedRevision), short(after.latestReadyRevision)],
    };
  },

  async allow_missing() {
    const fresh = { name: `${parent}/services/fresh`, template: template("app:1") };
    const made = await finished(await update(fresh, undefined, { allowMissing: true }));
    return { name: short(made.name), ready: short(made.latestReadyRevision).startsWith("fresh-00001-") };
  },

  async pages() {
    const seen = [];
    for await (const service of services.listServicesAsync({ parent, pageSize: 1 })) {
      seen.push(short(service.name));
    }
    const [, next] = await services.listServices({ parent, pageSize: 1 }, { autoPaginate: false });
    const [all] = await revisions.listRevisions({ parent: name, pageSize: 1 });
    return { services: seen, token: Boolean(next?.pageToken), revisions: all.map((found) => short(found.name)).sort() };
  },

  async revision() {
    const [one] = await revisions.getRevision({ name: `${name}/revisions/shop-one` });
    const gone = await finished(await update({ ...(await get()), template: template("app:3", { revision: "shop-three" }) }));
    const deleted = await finished(await revisions.deleteRevision({ name: `${name}/revisions/shop-broken` }));
    return {
      service: short(one.service),
      digest: one.containers[0].image.includes("@sha256:"),
      newest: short(gone.latestReadyRevision),
      deleted: short(deleted.name),
      after: (await failure(() => revisions.getRevision({ name: `${name}/revisions/shop-broken` })))[0],
    };
  },

  async access() {
    const [policy] = await services.getIamPolicy({ resource: name });
    const before = policy.bindings.length;
    policy.bindings.push({ role: "roles/run.invoker", members: ["allUsers"] });
    await services.setIamPolicy({ resource: name, policy });
    const [read] = await services.getIamPolicy({ resource: name });
    const [tested] = await services.testIamPermissions({ resource: name, permissions: ["run.services.get"] });
    return {
      before,
      set: read.bindings.map((binding) => [binding.role, binding.members]),
      stale: (await failure(() => services.setIamPolicy({ resource: name, policy })))[0],
      tested: tested.permissions,
    };
  },

  async delete() {
    const missing = await failure(() => services.getService({ name: `${parent}/services/nowhere` }));
    const gone = await finished(await services.deleteService({ name }));
    await finished(await services.deleteService({ name: `${parent}/services/fresh` }));
    return { missing, gone: short(gone.name), after: (await failure(get))[0] };
  },
};

for (const [story, run] of Object.entries(stories)) {
  let saw;
  try {
    saw = await run();
  } catch (error) {
    // The test shows which story ended in what.
    saw = { raised: `${error.name}: ${error.message}`, stack: error.stack };
  }
  console.log(JSON.stringify({ story, saw }));
}
