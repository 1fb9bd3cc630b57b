// A conversation with Visavis, step by step. Prints what was said as JSON.
//
//     npm start -- ../conversation.json
//
// VISAVIS_ADDRESS, VISAVIS_KEY and VISAVIS_CA say where the server is, who we are, and whom to trust.

import { readFileSync } from 'node:fs';

import type { HealthClient } from './types/grpc/health/v1/Health.js';
import type { HealthCheckResponse__Output } from './types/grpc/health/v1/HealthCheckResponse.js';
import type { ServerReflectionResponse__Output } from './types/grpc/reflection/v1alpha/ServerReflectionResponse.js';
import type { BatchRecommendResponse__Output } from './types/visavis/api/v1/BatchRecommendResponse.js';
import type { CustomerRef } from './types/visavis/api/v1/CustomerRef.js';
import type { GetProfileResponse__Output } from './types/visavis/api/v1/GetProfileResponse.js';
import type { Interaction } from './types/visavis/api/v1/Interaction.js';
import type { ListSimilarItemsResponse__Output } from './types/visavis/api/v1/ListSimilarItemsResponse.js';
import type { RecommendResponse__Output } from './types/visavis/api/v1/RecommendResponse.js';
import type { RecordInteractionsResponse__Output } from './types/visavis/api/v1/RecordInteractionsResponse.js';
import type { StreamInteractionsRequest } from './types/visavis/api/v1/StreamInteractionsRequest.js';
import type { StreamInteractionsResponse__Output } from './types/visavis/api/v1/StreamInteractionsResponse.js';
import { answer, api, clientOf, connect, problemOf, readStatus, within } from './visavis.js';
import type { Problem, Server } from './visavis.js';

interface Row {
  interaction_id: string;
  customer_id: string;
  kind: string;
  item_id: string;
  occurred_at: number; // seconds since 1970
  quantity?: number;
  amount_minor_units?: number;
  currency?: string;
  order_id?: string;
  touchpoint?: string;
}

interface Script {
  record: { interactions: Row[] };
  stream: StreamInteractionsRequest[];
  recommend: { n: number; customers: CustomerRef[] };
  refused: { interactions: Row[] };
  no_key: { customer_id: string; n: number };
  wrong_key: { customer_id: string; n: number; key: string };
  deadline: { milliseconds: number; customer_id: string; customers: number; n: number };
  profile: { customer_id: string };
  similar: { item_id: string; n: number };
}

const TEN_SECONDS = 10_000;

const script: Script = JSON.parse(readFileSync(process.argv[2] ?? '../conversation.json', 'utf8'));
const server: Server = { address: env('VISAVIS_ADDRESS'), ca: env('VISAVIS_CA'), key: env('VISAVIS_KEY') };

const channel = connect(server);
const healthCheck = clientOf(api.grpc.health.v1.Health, channel);
const reflection = clientOf(api.grpc.reflection.v1alpha.ServerReflection, channel);
const interactions = clientOf(api.visavis.api.v1.InteractionService, channel);
const recommendations = clientOf(api.visavis.api.v1.RecommendationService, channel);
const customers = clientOf(api.visavis.api.v1.CustomerService, channel);

function env(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; README.md says what it holds`);
  return value;
}

// Is the server ready, as a whole and for recommendations?
async function health() {
  const service = 'visavis.api.v1.RecommendationService';
  return { '': await check(healthCheck, ''), [service]: await check(healthCheck, service) };
}

async function check(client: HealthClient, service: string) {
  return (await answer<HealthCheckResponse__Output>((done) => client.Check({ service }, within(TEN_SECONDS), done))).status;
}

// Which services does it have? It tells by reflection when it listens on loopback.
async function services() {
  const call = reflection.ServerReflectionInfo(within(TEN_SECONDS));
  call.write({ list_services: '' });
  call.end();
  const names: string[] = [];
  for await (const response of call as AsyncIterable<ServerReflectionResponse__Output>) {
    names.push(...(response.list_services_response?.service.map((one) => one.name) ?? []));
  }
  return names.filter((name) => name.startsWith('visavis.')).sort();
}

// Recording the same interactions again adds nothing: they are known by their ids.
async function record() {
  return [await recordBatch(script.record.interactions), await recordBatch(script.record.interactions)];
}

async function recordBatch(rows: Row[]) {
  const request = { interactions: rows.map(toInteraction) };
  const result = await answer<RecordInteractionsResponse__Output>((done) =>
    interactions.RecordInteractions(request, within(TEN_SECONDS), done));
  return { recorded_count: result.recorded_count, already_known_count: result.already_known_count };
}

function toInteraction(row: Row): Interaction {
  return {
    interaction_id: row.interaction_id,
    customer: { customer_id: row.customer_id },
    kind: row.kind,
    item_id: row.item_id,
    occurred_at: { seconds: row.occurred_at },
    quantity: row.quantity,
    amount: row.currency ? { minor_units: row.amount_minor_units, currency: row.currency } : null,
    order_id: row.order_id,
    touchpoint: row.touchpoint,
  };
}

// Many interactions go as columns. Each batch gets its own acknowledgement; a bad one does not end the stream.
async function stream() {
  const call = interactions.StreamInteractions(within(TEN_SECONDS));
  const acknowledgements = (call as AsyncIterable<StreamInteractionsResponse__Output>)[Symbol.asyncIterator]();
  const said = [];
  for (const batch of script.stream) {
    call.write(batch);
    const { done, value } = await acknowledgements.next();
    if (done) throw new Error('the server ended the stream');
    said.push({
      batch_id: value.batch_id,
      recorded_count: value.recorded_count,
      already_known_count: value.already_known_count,
      error: value.error ? readStatus(value.error) : null,
    });
  }
  call.end();
  return said;
}

// What would suit these customers, and why?
function recommend() {
  return Promise.all(script.recommend.customers.map((customer) => recommendOne(customer, script.recommend.n)));
}

async function recommendOne(customer: CustomerRef, n: number) {
  const { recommendation } = await answer<RecommendResponse__Output>((done) =>
    recommendations.Recommend({ customer, n }, within(TEN_SECONDS), done));
  if (!recommendation) throw new Error('an answer without a recommendation');
  return {
    customer_id: recommendation.customer_id,
    decision_id: recommendation.decision_id !== '', // give it back with the interactions that it leads to
    scorer: recommendation.scorer,
    fallback: recommendation.fallback,
    fallback_reason: recommendation.fallback_reason,
    generation: recommendation.generation,
    items: recommendation.items.map((item) => ({
      item_id: item.item_id,
      name: item.name,
      rank: item.rank,
      score: item.score.toFixed(9),
      scorer: item.scorer,
      reasons: item.reasons.map((reason) => ({
        kind: reason.kind,
        text: reason.text,
        contribution: reason.contribution.toFixed(9),
        item_id: reason.item_id,
        item_name: reason.item_name,
      })),
    })),
  };
}

// A bad request is refused whole, and the error names each field that is to blame.
function refused() {
  return failure(recordBatch(script.refused.interactions));
}

// Without a key, or with a wrong one, no call is answered.
function noKey() {
  return keyless('', script.no_key);
}

function wrongKey() {
  return keyless(script.wrong_key.key, script.wrong_key);
}

async function keyless(key: string, { customer_id, n }: { customer_id: string; n: number }) {
  const stranger = connect({ ...server, key });
  const client = clientOf(api.visavis.api.v1.RecommendationService, stranger);
  const { code, reason } = await failure(answer((done) =>
    client.Recommend({ customer: { customer_id }, n }, within(TEN_SECONDS), done)));
  stranger.close();
  return { code, reason };
}

// A thousand customers in a millisecond: too much to ask.
async function deadline() {
  const { milliseconds, customer_id, n, customers: count } = script.deadline;
  const request = { customers: Array.from({ length: count }, () => ({ customer_id })), n };
  const { code } = await failure(answer<BatchRecommendResponse__Output>((done) =>
    recommendations.BatchRecommend(request, within(milliseconds), done)));
  return { code };
}

// The first two connections to this address are reset; the retries of the service config get through.
async function retried() {
  const flaky = connect({ ...server, address: env('VISAVIS_FLAKY_ADDRESS') });
  const status = await check(clientOf(api.grpc.health.v1.Health, flaky), '');
  flaky.close();
  return { status };
}

// What is known of a customer?
async function profile() {
  const known = await answer<GetProfileResponse__Output>((done) =>
    customers.GetProfile({ customer: script.profile }, within(TEN_SECONDS), done));
  return {
    customer_id: known.customer?.customer_id,
    identifiers: known.customer?.identifiers.map(({ kind, value }) => [kind, value]),
    interaction_count: known.interaction_count,
    may_personalize: known.may_personalize,
    may_market: known.may_market,
    first_seen_at: known.first_seen_at?.seconds,
    last_seen_at: known.last_seen_at?.seconds,
    segments: known.segments,
  };
}

// What is like this item?
async function similar() {
  const found = await answer<ListSimilarItemsResponse__Output>((done) =>
    recommendations.ListSimilarItems(script.similar, within(TEN_SECONDS), done));
  return {
    item_id: found.item_id,
    scorer: found.scorer,
    items: found.items.map(({ item_id, rank, score }) => ({ item_id, rank, score: score.toFixed(9) })),
  };
}

/** The problem of a call that must fail. */
async function failure(call: Promise<unknown>): Promise<Problem> {
  try {
    await call;
  } catch (error) {
    return problemOf(error);
  }
  throw new Error('a call succeeded that must fail');
}

const transcript = {
  health: await health(),
  services: await services(),
  record: await record(),
  stream: await stream(),
  recommend: await recommend(),
  refused: await refused(),
  no_key: await noKey(),
  wrong_key: await wrongKey(),
  deadline: await deadline(),
  retried: await retried(),
  profile: await profile(),
  similar: await similar(),
};
channel.close();
console.log(JSON.stringify(transcript, null, 2));
