package main

// script is the file that says what to talk about.
type script struct {
	Record    struct{ Interactions []row }
	Stream    []batch
	Recommend struct {
		N         int32
		Customers []customer
	}
	Refused  struct{ Interactions []row }
	NoKey    asked `json:"no_key"`
	WrongKey struct {
		asked
		Key string
	} `json:"wrong_key"`
	Deadline struct {
		asked
		Milliseconds int
		Customers    int
	}
	Profile customer
	Similar struct {
		ItemID string `json:"item_id"`
		N      int32
	}
}

type row struct {
	InteractionID    string `json:"interaction_id"`
	CustomerID       string `json:"customer_id"`
	Kind             string
	ItemID           string `json:"item_id"`
	OccurredAt       int64  `json:"occurred_at"` // seconds since 1970
	Quantity         *float64
	AmountMinorUnits int64 `json:"amount_minor_units"`
	Currency         string
	OrderID          string `json:"order_id"`
	Touchpoint       string
}

type batch struct {
	BatchID        string `json:"batch_id"`
	Strings        []string
	Kind           []uint32
	CustomerID     []uint32 `json:"customer_id"`
	ItemID         []uint32 `json:"item_id"`
	InteractionID  []uint32 `json:"interaction_id"`
	OccurredMicros []int64  `json:"occurred_micros"`
}

type customer struct {
	CustomerID string `json:"customer_id"`
	Identifier *struct{ Kind, Value string }
}

type asked struct {
	CustomerID string `json:"customer_id"`
	N          int32
}
