import { answer, api, clientOf, connect, problemOf, within } from './visavis.js';
import type { RecommendResponse__Output } from './types/visavis/api/v1/RecommendResponse.js';

const { VISAVIS_ADDRESS: address = '127.0.0.1:50051', VISAVIS_CA: ca = 'ca.pem', VISAVIS_KEY: key } = process.env;
const channel = connect({ address, ca, key });
const recommendations = clientOf(api.visavis.api.v1.RecommendationService, channel);
const customer = { customer_id: 'ann' };
try {
  const { recommendation } = await answer<RecommendResponse__Output>((done) =>
    recommendations.Recommend({ customer, n: 3 }, within(2_000), done));
  for (const item of recommendation?.items ?? []) {
    console.log(item.rank, item.name, item.reasons.map((reason) => reason.text).join(', '));
  }
} catch (error) {
  const { code, message, violations } = problemOf(error);
  console.error(code, message, violations);
}
channel.close();
