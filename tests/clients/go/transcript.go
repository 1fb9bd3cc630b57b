package main

// transcript is what is printed: the steps, in their order.
type transcript struct {
	Health    map[string]string `json:"health"`
	Services  []string          `json:"services"`
	Record    []recorded        `json:"record"`
	Stream    []acknowledgement `json:"stream"`
	Recommend []recommendation  `json:"recommend"`
	Refused   problem           `json:"refused"`
	NoKey     refusal           `json:"no_key"`
	WrongKey  refusal           `json:"wrong_key"`
	Deadline  map[string]string `json:"deadline"`
	Retried   map[string]string `json:"retried"`
	Profile   profile           `json:"profile"`
	Similar   neighbours        `json:"similar"`
}

type recorded struct {
	RecordedCount     int32 `json:"recorded_count"`
	AlreadyKnownCount int32 `json:"already_known_count"`
}

type acknowledgement struct {
	BatchID string `json:"batch_id"`
	recorded
	Error *problem `json:"error"`
}

type recommendation struct {
	CustomerID     string `json:"customer_id"`
	DecisionID     bool   `json:"decision_id"`
	Scorer         string `json:"scorer"`
	Fallback       bool   `json:"fallback"`
	FallbackReason string `json:"fallback_reason"`
	Generation     int64  `json:"generation"`
	Items          []item `json:"items"`
}

type item struct {
	ItemID  string   `json:"item_id"`
	Name    string   `json:"name"`
	Rank    int32    `json:"rank"`
	Score   string   `json:"score"`
	Scorer  string   `json:"scorer"`
	Reasons []reason `json:"reasons"`
}

type reason struct {
	Kind         string `json:"kind"`
	Text         string `json:"text"`
	Contribution string `json:"contribution"`
	ItemID       string `json:"item_id"`
	ItemName     string `json:"item_name"`
}

type refusal struct {
	Code   string `json:"code"`
	Reason string `json:"reason"`
}

type profile struct {
	CustomerID       string            `json:"customer_id"`
	Identifiers      [][2]string       `json:"identifiers"`
	InteractionCount int64             `json:"interaction_count"`
	MayPersonalize   bool              `json:"may_personalize"`
	MayMarket        bool              `json:"may_market"`
	FirstSeenAt      int64             `json:"first_seen_at"`
	LastSeenAt       int64             `json:"last_seen_at"`
	Segments         map[string]string `json:"segments"`
}

type neighbours struct {
	ItemID string      `json:"item_id"`
	Scorer string      `json:"scorer"`
	Items  []neighbour `json:"items"`
}

type neighbour struct {
	ItemID string `json:"item_id"`
	Rank   int32  `json:"rank"`
	Score  string `json:"score"`
}
