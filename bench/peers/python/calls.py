"""The official SDK, doing what bench/calls.lua and bench/flight.lua do.

    python calls.py URL JSON_FILE CA_FILE WARM_UP COUNT IN_FLIGHT

Prints what calls.lua prints. One at a time it blocks, with requests, which the SDK takes by default;
more than one go by asyncio and aiohttp.
"""

import asyncio
import json
import resource
import ssl
import sys
import time
import uuid

import stripe

URL, PAYLOAD_FILE, CA_FILE = sys.argv[1:4]
WARM_UP, COUNT, IN_FLIGHT = map(int, sys.argv[4:7])

with open(PAYLOAD_FILE, encoding="utf-8") as file:
    PAYLOAD = json.load(file)


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class Meter:
    """Counts calls that have ended, and prints what those after the warm-up have cost."""

    def __init__(self):
        self.ended = 0

    def count(self, record):
        assert record.amount_requested.value == 1000
        self.ended += 1
        if self.ended == WARM_UP:
            self.peak, self.cpu, self.time = peak(), time.process_time(), time.monotonic()

    def print(self):
        cost = (time.process_time() - self.cpu) * 1e6 / COUNT
        rate = COUNT / (time.monotonic() - self.time)
        print(f"{cost:.2f} {self.peak} {peak()} {rate:.0f}")


def client(http_client):
    return stripe.StripeClient(
        "sk_test_123", base_addresses={"api": URL}, http_client=http_client, max_network_retries=0
    )


def options():
    return {"idempotency_key": str(uuid.uuid4())}


def report_one_by_one(meter):
    records = client(stripe.RequestsClient()).v1.payment_records
    for _ in range(WARM_UP + COUNT):
        meter.count(records.report_payment(PAYLOAD, options()))


async def report_in_flight(meter):
    import aiohttp

    connector = aiohttp.TCPConnector(
        ssl=ssl.create_default_context(cafile=CA_FILE), limit=IN_FLIGHT
    )
    http_client = stripe.AIOHTTPClient(connector=connector)
    records = client(http_client).v1.payment_records
    left = iter(range(WARM_UP + COUNT))

    async def report_on():
        for _ in left:
            meter.count(await records.report_payment_async(PAYLOAD, options()))

    await asyncio.gather(*(report_on() for _ in range(IN_FLIGHT)))
    await http_client.close_async()


stripe.ca_bundle_path = CA_FILE
stripe.enable_telemetry = False
METER = Meter()
if IN_FLIGHT == 1:
    report_one_by_one(METER)
else:
    asyncio.run(report_in_flight(METER))
METER.print()
