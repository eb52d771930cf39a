// What the official SDK sends:   node stripe_node_encode.js DIRECTORY <requests >answers
//
// DIRECTORY has node_modules/stripe. Each line in is a request as JSON, { method, id, params }, where
// method is one of the SDK's, such as paymentRecords.reportPayment, or absent for a bare POST; each
// line out is the form that the SDK put into the body or the query, as a JSON string. Only the SDK's
// public interface is used: its HTTP client is replaced by one that keeps what it is given.
'use strict';

const { createRequire } = require('module');
const { resolve } = require('path');
const { createInterface } = require('readline');

const Stripe = createRequire(resolve(process.argv[2], 'package.json'))('stripe');

class EmptyAnswer extends Stripe.HttpClientResponse {
  getRawResponse() {
    return {};
  }

  toJSON() {
    return Promise.resolve({});
  }
}

class Recorder extends Stripe.HttpClient {
  getClientName() {
    return 'recorder';
  }

  makeRequest(host, port, path, method, headers, body) {
    this.form = method === 'GET' ? path.split('?')[1] || '' : body;
    return Promise.resolve(new EmptyAnswer(200, {}));
  }
}

async function main() {
  const recorder = new Recorder();
  const stripe = new Stripe('sk_test_123', { httpClient: recorder, telemetry: false });
  for await (const line of createInterface({ input: process.stdin })) {
    const { method, id, params } = JSON.parse(line);
    if (method) {
      const [resource, call] = method.split('.');
      await stripe[resource][call](...(id ? [id, params] : [params]));
    } else {
      await stripe.rawRequest('POST', '/v1/anything', params);
    }
    process.stdout.write(JSON.stringify(recorder.form) + '\n');
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
