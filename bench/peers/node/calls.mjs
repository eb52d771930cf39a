// The official SDK, doing what bench/calls.lua and bench/flight.lua do.
//
//   node calls.mjs URL JSON_FILE CA_FILE WARM_UP COUNT IN_FLIGHT
//
// Prints what calls.lua prints. STRIPE_NODE is the directory that it is installed in. The agent is
// the SDK's own but for the certificates.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const Stripe = createRequire(join(process.env.STRIPE_NODE, 'package.json'))('stripe');

const [url, payloadFile, caFile, ...numbers] = process.argv.slice(2);
const [warmUp, count, inFlight] = numbers.map(Number);
const { hostname, port, protocol } = new URL(url);
const payload = JSON.parse(readFileSync(payloadFile, 'utf8'));
const agent =
  protocol === 'https:'
    ? new https.Agent({ keepAlive: true, ca: readFileSync(caFile) })
    : new http.Agent({ keepAlive: true });

const stripe = new Stripe('sk_test_123', {
  host: hostname,
  port,
  protocol: protocol.slice(0, -1),
  httpAgent: agent,
  maxNetworkRetries: 0,
  telemetry: false,
});

const peak = () => process.resourceUsage().maxRSS;
let begun = 0;
let ended = 0;
let mark;

function setMark() {
  mark = { peak: peak(), cpu: process.cpuUsage(), time: process.hrtime.bigint() };
}

function print() {
  const { user, system } = process.cpuUsage(mark.cpu);
  const seconds = Number(process.hrtime.bigint() - mark.time) / 1e9;
  console.log(((user + system) / count).toFixed(2), mark.peak, peak(), (count / seconds).toFixed(0));
}

async function reportOn() {
  while (begun < warmUp + count) {
    begun += 1;
    const record = await stripe.paymentRecords.reportPayment(payload, { idempotencyKey: randomUUID() });
    if (record.amount_requested.value !== 1000) throw new Error('not the record');
    ended += 1;
    if (ended === warmUp) setMark();
  }
}

await Promise.all(Array.from({ length: inFlight }, reportOn));
print();
agent.destroy();
