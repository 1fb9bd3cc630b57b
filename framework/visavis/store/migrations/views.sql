-- What an analyst reads: readable ids, decimal money. Times are UTC.

CREATE VIEW identity_map AS
SELECT i.identity_code, i.kind, i.value, l.customer_code, c.customer_id
FROM identities i
JOIN (SELECT identity_code, arg_max(customer_code, sequence) AS customer_code FROM identity_log GROUP BY identity_code) l
    USING (identity_code)
JOIN customers c USING (customer_code);

CREATE VIEW interaction_log AS
SELECT n.interaction_id, n.occurred_at, k.kind, m.customer_id, t.item_id, t.name AS item_name, n.quantity,
    n.amount_minor * CASE coalesce(u.exponent, 2) WHEN 0 THEN 1.000 WHEN 3 THEN 0.001 ELSE 0.010 END AS amount,
    n.currency, n.rating, n.order_id, n.touchpoint, n.decision_id, n.reverses_id, n.source, n.recorded_at
FROM interactions n
JOIN kinds k USING (kind_code)
LEFT JOIN identity_map m USING (identity_code)
LEFT JOIN items t USING (item_code)
LEFT JOIN currencies u ON u.currency = n.currency;

-- The words that hold. Of two on one purpose and channel the later given, of one moment the objection; a grant of one
-- channel ends with an objection to all that is not older. Channel NULL: every channel that has no word of its own.
CREATE VIEW consent_state AS
WITH held AS (
    SELECT customer_code, purpose, channel, granted, given_at, source FROM consents
    QUALIFY row_number() OVER (
        PARTITION BY customer_code, purpose, channel ORDER BY given_at DESC, granted, sequence DESC, rowid DESC) = 1
)
SELECT c.customer_id, w.purpose, w.channel, w.granted, w.given_at, w.source
FROM held w
JOIN customers c USING (customer_code)
LEFT JOIN held g ON g.customer_code = w.customer_code AND g.purpose = w.purpose AND g.channel IS NULL
    AND NOT g.granted AND g.given_at >= w.given_at
WHERE w.channel IS NULL OR NOT w.granted OR g.customer_code IS NULL;

-- As segmenters see it, but money in each currency: `monetary` is bought less returned, `frequency` and
-- `last_purchase_at` are of all purchases of the customer that did not come back, orders and else days counted once.
-- A return that names its purchase takes quantity off that one, whatever its own amount; what is left of it, and one
-- that names none, takes its own amount off. (Segmenters also lay the latter on a purchase of the same item.)
CREATE VIEW rfm AS
WITH trade AS (
    SELECT n.interaction_id, n.reverses_id, m.customer_code, n.item_code, k.kind = 'purchase' AS is_bought,
        n.occurred_at, n.order_id, n.quantity, n.amount_minor, n.currency
    FROM interactions n JOIN kinds k USING (kind_code) JOIN identity_map m USING (identity_code)
    WHERE k.kind IN ('purchase', 'return')
), named AS (
    SELECT r.interaction_id AS return_id, p.interaction_id AS purchase_id, p.quantity AS bought,
        sum(r.quantity) OVER (PARTITION BY p.interaction_id) AS brought
    FROM trade r JOIN trade p ON p.interaction_id = r.reverses_id AND p.customer_code = r.customer_code
        AND p.item_code = r.item_code
    WHERE NOT r.is_bought AND p.is_bought AND p.item_code >= 0
), taken AS (
    SELECT purchase_id AS interaction_id, least(any_value(brought) / any_value(bought), 1) AS share
    FROM named GROUP BY purchase_id
    UNION ALL
    SELECT return_id, least(bought / brought, 1) FROM named
), rest AS (
    SELECT t.*, round(t.quantity * (1 - coalesce(x.share, 0)), 9) / t.quantity AS part
    FROM trade t LEFT JOIN taken x USING (interaction_id)
), bought AS (
    SELECT customer_code, max(occurred_at) AS last_purchase_at,
        count(DISTINCT (order_id, CASE WHEN order_id IS NULL THEN occurred_at::DATE END)) AS frequency
    FROM rest WHERE is_bought AND part > 0 GROUP BY customer_code
), money AS (
    SELECT customer_code, currency,
        round(sum(CASE WHEN is_bought THEN part ELSE -part END * amount_minor))::BIGINT AS minor
    FROM rest WHERE amount_minor IS NOT NULL AND (is_bought OR part > 0) GROUP BY ALL
)
SELECT c.customer_id, y.currency, b.last_purchase_at, b.frequency,
    coalesce(y.minor, 0) * CASE coalesce(u.exponent, 2) WHEN 0 THEN 1.000 WHEN 3 THEN 0.001 ELSE 0.010 END AS monetary
FROM bought b
JOIN customers c USING (customer_code)
LEFT JOIN money y USING (customer_code)
LEFT JOIN currencies u ON u.currency = y.currency;

-- Without those who objected to personalization, also since the fit.
CREATE VIEW segments AS
SELECT m.segmentation, m.segment, c.customer_id
FROM memberships m JOIN customers c USING (customer_code)
WHERE m.generation = (SELECT fitted_generation FROM store_state)
    AND c.customer_id NOT IN (
        SELECT customer_id FROM consent_state WHERE purpose = 'personalization' AND channel IS NULL AND NOT granted);

CREATE VIEW customer_profiles AS
SELECT c.customer_id, c.time_zone, c.attributes, c.created_at,
    coalesce(a.interactions, 0) AS interactions, a.first_seen_at, a.last_seen_at,
    coalesce((SELECT bool_and(granted) FROM consent_state s
              WHERE s.customer_id = c.customer_id AND s.purpose = 'personalization' AND s.channel IS NULL), true) AS may_personalize
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
