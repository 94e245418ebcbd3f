"""Google's own Cloud Logging client over REST, against the API at the address in the first argument.

The second argument is the name of a revision that has written entries. Each story prints one line of JSON: its name
and what the client saw, in the client's own types.
"""

import datetime
import json
import sys

import google.cloud.logging
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud.logging_v2.resource import Resource

ADDRESS, REVISION = sys.argv[1:]
RUN = 'resource.type="cloud_run_revision" AND resource.labels.service_name="demo"'

client = google.cloud.logging.Client(
    project="demo-project",
    credentials=AnonymousCredentials(),
    client_options={"api_endpoint": ADDRESS},
    _use_grpc=False,
)
PLACE = Resource(
    type="cloud_run_revision",
    labels={
        "project_id": "demo-project",
        "location": "us-central1",
        "service_name": "demo",
        "configuration_name": "demo",
        "revision_name": REVISION,
    },
)


def found(words, **more):
    """The entries of a filter, but for the one in which the client says of itself what it is."""
    entries = client.list_entries(filter_=f"{RUN} AND {words}", **more)
    diagnostic = "logging.googleapis.com/diagnostic"
    return [entry for entry in entries if not (isinstance(entry.payload, dict) and diagnostic in entry.payload)]


def write():
    """One entry of each kind, and a batch."""
    log = client.logger("rehearsal", resource=PLACE)
    log.log_text("one", severity="INFO")
    log.log_struct({"message": "two", "count": 2}, severity="ERROR", labels={"stage": "test"})
    batch = log.batch()
    for number in range(5):
        batch.log_text(f"batch {number}", severity="NOTICE", resource=PLACE)
    batch.commit()
    entries = found('logName="projects/demo-project/logs/rehearsal"')
    return {
        "kinds": [type(entry).__name__ for entry in entries],
        "severities": [entry.severity for entry in entries],
        "texts": [entry.payload["message"] if isinstance(entry.payload, dict) else entry.payload for entry in entries],
        "labels": [entry.labels for entry in entries if entry.labels],
        "ids": len({entry.insert_id for entry in entries}),
        "resource": sorted({entry.resource.labels["revision_name"] for entry in entries}),
    }


def severity():
    return {"errors": [entry.payload["message"] for entry in found('severity>=ERROR AND logName:"rehearsal"')]}


def text():
    return {
        "part": [entry.payload for entry in found('textPayload:"batch 3"')],
        "exact": [entry.payload for entry in found('textPayload="one"')],
        "not": [entry.payload for entry in found('logName:"rehearsal" AND severity=NOTICE AND NOT textPayload:"3"')],
        "or": [entry.payload for entry in found('(textPayload="one" OR textPayload="batch 0")')],
        "list": [entry.payload for entry in found('logName:"rehearsal" AND textPayload=("one" OR "batch 4")')],
        "anywhere": [entry.payload for entry in found('"BATCH 2"')],
        "hyphen": [entry.payload for entry in found('log_id("rehearsal") -severity=NOTICE -severity=ERROR')],
        "field": [entry.payload["count"] for entry in found("jsonPayload.count=2")],
    }


def order():
    newest = found('logName:"rehearsal" AND severity=NOTICE', order_by=google.cloud.logging.DESCENDING)
    return {"newest": [entry.payload for entry in newest]}


def pages():
    """The client follows the tokens: two entries a page, and no more than it wants in all."""
    words = 'logName:"rehearsal"'
    every = found(words, page_size=2)
    some = list(client.list_entries(filter_=f"{RUN} AND {words}", page_size=2, max_results=3))
    return {"every": len(every), "unique": len({entry.insert_id for entry in every}), "some": len(some)}


def times():
    now = datetime.datetime.now(datetime.timezone.utc)
    before, after = (now - datetime.timedelta(hours=1)).isoformat(), (now + datetime.timedelta(hours=1)).isoformat()
    one = found('textPayload="one"')[0]
    return {
        "since": len(found(f'logName:"rehearsal" AND timestamp>="{before}"')),
        "later": len(found(f'logName:"rehearsal" AND timestamp>="{after}"')),
        "zone": one.timestamp.utcoffset().total_seconds(),
        "received": one.received_timestamp is not None,
    }


def requests():
    """What the front end has written about the requests that the test has made."""
    entries = [entry for entry in found(f'resource.labels.revision_name="{REVISION}"') if entry.http_request]
    return {
        "logs": sorted({entry.log_name for entry in entries}),
        "statuses": sorted({entry.http_request["status"] for entry in entries}),
        "filtered": len(found("httpRequest.status=200")) == len(entries),
    }


def wrong():
    try:
        found("severity >")
    except exceptions.GoogleAPICallError as error:
        return {"error": type(error).__name__}
    return {"error": "nothing"}


def none():
    return {"entries": found('textPayload="nobody wrote this"')}


for story in [write, severity, text, order, pages, times, requests, wrong, none]:
    try:
        saw = story()
    except Exception as error:  # The test shows which story ended in what.
        saw = {"raised": f"{type(error).__name__}: {error}"}
    print(json.dumps({"story": story.__name__, "saw": saw}), flush=True)
