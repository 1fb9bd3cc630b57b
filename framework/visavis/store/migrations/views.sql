-- What an analyst reads: readable ids, decimal money. Times are UTC.

CREATE VIEW identity_map AS
SELECT i.identity_code, i.kind, i.value, l.customer_code, c.customer_id
FROM identities i
JOIN (SELECT identity_code, arg_max(customer_code, sequence) AS customer_code FROM identity_log GROUP BY identity_code) l
    USING (identity_code)
JOIN customers c USING (customer_code);

CREATE VIEW interaction_log AS
SELECT n.interaction_id, n.occurred_at, k.kind, m.customer_id, t.item_id, t.name AS item_name, n.quantity,
    n.amount_minor / power(10, coalesce(u.exponent, 2)) AS amount, n.currency, n.rating,
    n.order_id, n.touchpoint, n.decision_id, n.reverses_id, n.source, n.recorded_at
FROM interactions n
JOIN kinds k USING (kind_code)
LEFT JOIN identity_map m USING (identity_code)
LEFT JOIN items t USING (item_code)
LEFT JOIN currencies u ON u.currency = n.currency;

CREATE VIEW consent_state AS
SELECT c.customer_id, s.purpose, s.channel, arg_max(s.granted, s.sequence) AS granted,
    arg_max(s.given_at, s.sequence) AS given_at, arg_max(s.source, s.sequence) AS source
FROM consents s JOIN customers c USING (customer_code)
GROUP BY ALL;

CREATE VIEW rfm AS
SELECT customer_id, currency,
    max(occurred_at) FILTER (kind = 'purchase') AS last_purchase_at,
    count(DISTINCT CASE WHEN kind = 'purchase' THEN coalesce(order_id, strftime(occurred_at, '%Y-%m-%d')) END) AS frequency,
    sum(CASE kind WHEN 'purchase' THEN amount WHEN 'return' THEN -amount ELSE 0 END) AS monetary
FROM interaction_log
WHERE customer_id IS NOT NULL AND kind IN ('purchase', 'return')
GROUP BY ALL;

CREATE VIEW segments AS
SELECT m.segmentation, m.segment, c.customer_id
FROM memberships m JOIN customers c USING (customer_code)
WHERE m.generation = (SELECT fitted_generation FROM store_state);

CREATE VIEW customer_profiles AS
SELECT c.customer_id, c.time_zone, c.attributes, c.created_at,
    coalesce(a.interactions, 0) AS interactions, a.first_seen_at, a.last_seen_at,
    coalesce((SELECT bool_and(granted) FROM consent_state s
              WHERE s.customer_id = c.customer_id AND s.purpose = 'personalization'), true) AS may_personalize
FROM customers c
LEFT JOIN (SELECT m.customer_code, count(*) AS interactions, min(n.occurred_at) AS first_seen_at,
               max(n.occurred_at) AS last_seen_at
           FROM interactions n JOIN identity_map m USING (identity_code) GROUP BY ALL) a USING (customer_code);

CREATE VIEW item_neighbours AS
SELECT s.scorer, t.item_id, t.name, s.rank, o.item_id AS similar_id, o.name AS similar_name, s.similarity
FROM similar_items s
JOIN items t USING (item_code)
JOIN items o ON o.item_code = s.similar_code
WHERE s.generation = (SELECT fitted_generation FROM store_state);

CREATE VIEW decision_log AS
SELECT d.decision_id, d.decided_at, m.customer_id, d.scorer, d.fallback_reason, d.generation,
    c.rank, t.item_id, t.name AS item_name, c.score, c.scorer AS item_scorer
FROM decisions d
LEFT JOIN decision_candidates c USING (decision_id)
LEFT JOIN items t USING (item_code)
LEFT JOIN identity_map m USING (identity_code);
