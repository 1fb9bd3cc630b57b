// What every client needs: the API with its types, a connection that retries, errors as values.

import { readFileSync } from 'node:fs';

import grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

import type { ProtoGrpcType } from './types/client.js';
import type { Status__Output } from './types/google/rpc/Status.js';

// The same options and folders as in the script `types` of package.json, which makes the types. Times and counts stay
// far below 2 ** 53, so that numbers do for 64-bit integers here.
export const api = grpc.loadPackageDefinition(
  loadSync('client.proto', {
    keepCase: true, longs: Number, enums: String, defaults: true, oneofs: true,
    includeDirs: [
      '.', '../../../protos', 'node_modules/grpc-health-check/proto', 'node_modules/@grpc/reflection/build/proto',
    ],
  }),
) as unknown as ProtoGrpcType;

// Calls that meet no server, or one that has too much to do, are repeated after about 0.5, 1, 2 and 4 seconds. Every
// call of Visavis may be: reads change nothing, and writes are known again by their ids. So give interactions an
// `interaction_id`, and other writes a `request_id`.
const SERVICE_CONFIG = {
  methodConfig: [{
    name: [{}],
    retryPolicy: {
      maxAttempts: 5, initialBackoff: '0.5s', maxBackoff: '5s', backoffMultiplier: 2,
      retryableStatusCodes: ['UNAVAILABLE', 'RESOURCE_EXHAUSTED'],
    },
  }],
};

export interface Server {
  address: string; // host:port
  ca: string; // PEM file of the authorities to trust
  key?: string; // id.secret
}

/** A connection to the server; it is made with the first call. One is enough for all clients. */
export function connect({ address, ca, key }: Server): grpc.Channel {
  let credentials = grpc.credentials.createSsl(readFileSync(ca));
  if (key) {
    const withKey = grpc.credentials.createFromMetadataGenerator((_, done) => {
      const metadata = new grpc.Metadata();
      metadata.set('authorization', `Bearer ${key}`);
      done(null, metadata);
    });
    credentials = grpc.credentials.combineChannelCredentials(credentials, withKey);
  }
  return new grpc.Channel(address, credentials, {
    'grpc.service_config': JSON.stringify(SERVICE_CONFIG),
    'grpc.keepalive_time_ms': 30_000,
  });
}

/** A client of one service on a connection. */
export function clientOf<Client extends grpc.Client>(
  Service: new (address: string, credentials: grpc.ChannelCredentials, options: grpc.ClientOptions) => Client,
  channel: grpc.Channel,
): Client {
  // The channel has its own credentials; those given here are not used.
  return new Service(channel.getTarget(), grpc.credentials.createInsecure(), { channelOverride: channel });
}

/** The answer of a call with one answer: `await answer<Response>((done) => client.call(request, within(5000), done))`. */
export function answer<Response>(call: (done: grpc.requestCallback<Response>) => unknown): Promise<Response> {
  return new Promise((resolve, reject) => {
    call((error, value) => (error ? reject(error) : resolve(value as Response)));
  });
}

/** Options of a call that may take so long, repeats included. Give every call a deadline: without one it may wait for ever. */
export function within(milliseconds: number): grpc.CallOptions {
  return { deadline: Date.now() + milliseconds };
}

/** Why a call failed. */
export interface Problem {
  code: string; // of gRPC, e.g. INVALID_ARGUMENT
  message: string; // one line for a person
  reason: string; // for programs: a value of visavis.api.v1.ErrorReason
  domain: string; // `visavis`; empty for an error that gRPC made by itself
  violations: [field: string, description: string][]; // the fields of the request that are to blame
}

/** The problem behind a rejected call. Errors that are not of gRPC are thrown again. */
export function problemOf(error: unknown): Problem {
  if (!(error instanceof Error && 'code' in error && 'metadata' in error)) throw error;
  const { code, details, metadata } = error as grpc.ServiceError;
  const [status] = metadata.get('grpc-status-details-bin');
  if (status instanceof Buffer) return readStatus(api.google.rpc.Status.deserialize(status));
  return { code: grpc.status[code] ?? String(code), message: details, reason: '', domain: '', violations: [] };
}

/** A status with its details; acknowledgements of a stream hold one, too. */
export function readStatus(status: Status__Output): Problem {
  const problem: Problem = {
    code: grpc.status[status.code] ?? String(status.code), message: status.message, reason: '', domain: '', violations: [],
  };
  for (const { type_url, value } of status.details) {
    if (type_url.endsWith('/google.rpc.ErrorInfo')) {
      const info = api.google.rpc.ErrorInfo.deserialize(value);
      problem.reason = info.reason;
      problem.domain = info.domain;
    } else if (type_url.endsWith('/google.rpc.BadRequest')) {
      const bad = api.google.rpc.BadRequest.deserialize(value);
      problem.violations = bad.field_violations.map(({ field, description }) => [field, description]);
    }
  }
  return problem;
}
