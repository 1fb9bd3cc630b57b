-- Codes are small integers that stand for ids; they never leave the store except through views.
-- No primary keys or indexes: the single writer keeps codes and ids unique, and an index would cost 5-10x on ingest.

CREATE TABLE store_state (
    store_id VARCHAR NOT NULL,           -- made once; a copy gets its own
    lineage INTEGER NOT NULL,            -- raised when someone accepts a restore
    sequence BIGINT NOT NULL,            -- number of the last commit
    created_at TIMESTAMP NOT NULL,
    fitted_generation INTEGER NOT NULL,  -- the generation that is served; 0 means none
    muted BOOLEAN NOT NULL,              -- nothing is sent except to test addresses
    snapshot_of VARCHAR                  -- store that this file was copied from
);

CREATE TABLE currencies (currency VARCHAR NOT NULL, exponent UTINYINT NOT NULL);
INSERT INTO currencies VALUES
    ('BIF', 0), ('CLP', 0), ('DJF', 0), ('GNF', 0), ('ISK', 0), ('JPY', 0), ('KMF', 0), ('KRW', 0), ('PYG', 0),
    ('RWF', 0), ('UGX', 0), ('VND', 0), ('VUV', 0), ('XAF', 0), ('XOF', 0), ('XPF', 0),
    ('BHD', 3), ('IQD', 3), ('JOD', 3), ('KWD', 3), ('LYD', 3), ('OMR', 3), ('TND', 3);

CREATE TABLE kinds (kind_code USMALLINT NOT NULL, kind VARCHAR NOT NULL);

CREATE TABLE identities (
    identity_code INTEGER NOT NULL,
    kind VARCHAR NOT NULL,               -- 'customer' for a customer id, else the identifier's kind
    value VARCHAR NOT NULL,
    first_seen_at TIMESTAMP NOT NULL
);
-- Which customer an identity belongs to is replayed from this log: the last row of an identity wins.
CREATE TABLE identity_log (
    sequence BIGINT NOT NULL,
    logged_at TIMESTAMP NOT NULL,
    action VARCHAR NOT NULL,             -- 'attach'
    identity_code INTEGER NOT NULL,
    customer_code INTEGER NOT NULL
);
CREATE TABLE customers (
    customer_code INTEGER NOT NULL,
    customer_id VARCHAR NOT NULL,
    time_zone VARCHAR,
    attributes VARCHAR,                  -- a JSON object
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);
CREATE TABLE consents (
    sequence BIGINT NOT NULL,
    customer_code INTEGER NOT NULL,
    purpose VARCHAR NOT NULL,            -- 'personalization', 'marketing'
    channel VARCHAR,                     -- empty means every channel
    granted BOOLEAN NOT NULL,
    source VARCHAR,
    given_at TIMESTAMP NOT NULL
);

CREATE TABLE items (
    item_code INTEGER NOT NULL,
    item_id VARCHAR NOT NULL,
    name VARCHAR,
    group_id VARCHAR,
    category VARCHAR,
    brand VARCHAR,
    price_minor BIGINT,
    currency VARCHAR,
    available BOOLEAN NOT NULL,
    attributes VARCHAR,                  -- a JSON object
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);

CREATE TABLE interactions (
    sequence BIGINT NOT NULL,            -- number of the commit that recorded it
    interaction_id VARCHAR NOT NULL,
    id_hash UBIGINT NOT NULL,            -- lower half of the id's MD5, to find a resend without an index
    identity_code INTEGER NOT NULL,      -- the identity that was presented; -1 nobody
    item_code INTEGER NOT NULL,          -- -1 no item
    kind_code USMALLINT NOT NULL,
    occurred_at TIMESTAMP NOT NULL,
    quantity DOUBLE NOT NULL,
    amount_minor BIGINT,                 -- whole line, net of tax
    currency VARCHAR,
    rating DOUBLE,
    cost_minor BIGINT,
    discount_minor BIGINT,
    tax_minor BIGINT,
    order_id VARCHAR,
    touchpoint VARCHAR,
    decision_id VARCHAR,
    reverses_id VARCHAR,                 -- interaction that this one takes back
    source VARCHAR,                      -- file that it came from
    recorded_at TIMESTAMP NOT NULL
);

CREATE TABLE decisions (
    decision_id VARCHAR NOT NULL,
    decided_at TIMESTAMP NOT NULL,
    identity_code INTEGER NOT NULL,      -- -1 for a customer unknown at that time
    scorer VARCHAR NOT NULL,
    fallback_reason VARCHAR,
    generation INTEGER NOT NULL
);
CREATE TABLE decision_candidates (
    decision_id VARCHAR NOT NULL,
    rank USMALLINT NOT NULL,
    item_code INTEGER NOT NULL,
    score DOUBLE NOT NULL,
    scorer VARCHAR NOT NULL
);

CREATE TABLE generations (
    generation INTEGER NOT NULL,
    fitted_at TIMESTAMP NOT NULL,
    fitted_sequence BIGINT NOT NULL,     -- last commit that the fit has seen
    customers BIGINT NOT NULL,
    items BIGINT NOT NULL,
    interactions BIGINT NOT NULL,
    seconds DOUBLE NOT NULL,
    version VARCHAR NOT NULL
);
CREATE TABLE generation_plugins (
    generation INTEGER NOT NULL,
    kind VARCHAR NOT NULL,
    plugin VARCHAR NOT NULL,
    options VARCHAR NOT NULL,            -- a JSON object, as fitted
    error VARCHAR                        -- why it was left out
);
CREATE TABLE generation_arrays (
    generation INTEGER NOT NULL,
    kind VARCHAR NOT NULL,
    plugin VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    dtype VARCHAR NOT NULL,              -- NumPy dtype, or 'json' for a number or text
    shape VARCHAR NOT NULL,
    part INTEGER NOT NULL,
    data BLOB NOT NULL
);
CREATE TABLE similar_items (
    generation INTEGER NOT NULL,
    scorer VARCHAR NOT NULL,
    item_code INTEGER NOT NULL,
    rank USMALLINT NOT NULL,
    similar_code INTEGER NOT NULL,
    similarity DOUBLE NOT NULL
);
CREATE TABLE memberships (
    generation INTEGER NOT NULL,
    segmentation VARCHAR NOT NULL,
    customer_code INTEGER NOT NULL,
    segment VARCHAR NOT NULL
);

CREATE TABLE requests (
    request_id VARCHAR NOT NULL,
    method VARCHAR NOT NULL,
    fingerprint VARCHAR NOT NULL,        -- hash of the request, so that a reused id with other content is refused
    answer VARCHAR NOT NULL,             -- a JSON object
    answered_at TIMESTAMP NOT NULL
);
CREATE TABLE snapshots (
    taken_at TIMESTAMP NOT NULL,
    path VARCHAR NOT NULL,
    sequence BIGINT NOT NULL
);
