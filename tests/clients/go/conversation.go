// A conversation with Visavis, step by step. Prints what was said as JSON.
//
//	go run . ../conversation.json
//
// VISAVIS_ADDRESS, VISAVIS_KEY and VISAVIS_CA say where the server is, who we are, and whom to trust.
package main

//go:generate go run ./generate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"sort"
	"strings"
	"time"

	"example.com/shop/visavispb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// How long a call may take, repeats included. Give every call a deadline: without one it may wait for ever.
const tenSeconds = 10 * time.Second

// shop holds a connection, and a client of each service on it. All are safe to use from many goroutines.
type shop struct {
	connection      *grpc.ClientConn
	health          grpc_health_v1.HealthClient
	reflection      grpc_reflection_v1alpha.ServerReflectionClient
	interactions    visavispb.InteractionServiceClient
	recommendations visavispb.RecommendationServiceClient
	customers       visavispb.CustomerServiceClient
}

func open(address, key string) (*shop, error) {
	connection, err := connect(address, os.Getenv("VISAVIS_CA"), key)
	if err != nil {
		return nil, err
	}
	return &shop{
		connection:      connection,
		health:          grpc_health_v1.NewHealthClient(connection),
		reflection:      grpc_reflection_v1alpha.NewServerReflectionClient(connection),
		interactions:    visavispb.NewInteractionServiceClient(connection),
		recommendations: visavispb.NewRecommendationServiceClient(connection),
		customers:       visavispb.NewCustomerServiceClient(connection),
	}, nil
}

func (s *shop) close() { s.connection.Close() }

// Is the server ready, as a whole and for recommendations?
func (s *shop) checkHealth() (map[string]string, error) {
	said := map[string]string{}
	for _, service := range []string{"", "visavis.api.v1.RecommendationService"} {
		serving, err := s.check(service)
		if err != nil {
			return nil, err
		}
		said[service] = serving
	}
	return said, nil
}

func (s *shop) check(service string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), tenSeconds)
	defer cancel()
	answer, err := s.health.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
	return answer.GetStatus().String(), err
}

// Which services does it have? It tells by reflection when it listens on loopback.
func (s *shop) services() ([]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), tenSeconds)
	defer cancel()
	call, err := s.reflection.ServerReflectionInfo(ctx)
	if err != nil {
		return nil, err
	}
	if err := call.Send(&grpc_reflection_v1alpha.ServerReflectionRequest{
		MessageRequest: &grpc_reflection_v1alpha.ServerReflectionRequest_ListServices{},
	}); err != nil {
		return nil, err
	}
	answer, err := call.Recv()
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, service := range answer.GetListServicesResponse().GetService() {
		if strings.HasPrefix(service.GetName(), "visavis.") {
			names = append(names, service.GetName())
		}
	}
	sort.Strings(names)
	return names, call.CloseSend()
}

// Recording the same interactions again adds nothing: they are known by their ids.
func (s *shop) record(rows []row) ([]recorded, error) {
	said := []recorded{}
	for range 2 {
		answer, err := s.recordBatch(rows)
		if err != nil {
			return nil, err
		}
		said = append(said, recorded{answer.GetRecordedCount(), answer.GetAlreadyKnownCount()})
	}
	return said, nil
}

func (s *shop) recordBatch(rows []row) (*visavispb.RecordInteractionsResponse, error) {
	request := &visavispb.RecordInteractionsRequest{}
	for _, row := range rows {
		request.Interactions = append(request.Interactions, interaction(row))
	}
	ctx, cancel := context.WithTimeout(context.Background(), tenSeconds)
	defer cancel()
	return s.interactions.RecordInteractions(ctx, request)
}

func interaction(row row) *visavispb.Interaction {
	made := &visavispb.Interaction{
		InteractionId: row.InteractionID,
		Customer:      customer{CustomerID: row.CustomerID}.ref(),
		Kind:          row.Kind,
		ItemId:        row.ItemID,
		OccurredAt:    &timestamppb.Timestamp{Seconds: row.OccurredAt},
		Quantity:      row.Quantity,
		OrderId:       row.OrderID,
		Touchpoint:    row.Touchpoint,
	}
	if row.Currency != "" {
		made.Amount = &visavispb.Money{MinorUnits: row.AmountMinorUnits, Currency: row.Currency}
	}
	return made
}

// ref names a customer by id, or by what a touchpoint knows of the customer.
func (c customer) ref() *visavispb.CustomerRef {
	if c.Identifier != nil {
		identifier := &visavispb.Identifier{Kind: c.Identifier.Kind, Value: c.Identifier.Value}
		return &visavispb.CustomerRef{Ref: &visavispb.CustomerRef_Identifier{Identifier: identifier}}
	}
	return &visavispb.CustomerRef{Ref: &visavispb.CustomerRef_CustomerId{CustomerId: c.CustomerID}}
}

// Many interactions go as columns. Each batch gets its own acknowledgement; a bad one does not end the stream.
func (s *shop) stream(batches []batch) ([]acknowledgement, error) {
	ctx, cancel := context.WithTimeout(context.Background(), tenSeconds)
	defer cancel()
	call, err := s.interactions.StreamInteractions(ctx)
	if err != nil {
		return nil, err
	}
	said := []acknowledgement{}
	for _, batch := range batches {
		// An error of Send says only that the stream has ended; Recv says why.
		if err := call.Send(&visavispb.StreamInteractionsRequest{
			BatchId:        batch.BatchID,
			Strings:        batch.Strings,
			Kind:           batch.Kind,
			CustomerId:     batch.CustomerID,
			ItemId:         batch.ItemID,
			InteractionId:  batch.InteractionID,
			OccurredMicros: batch.OccurredMicros,
		}); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		answer, err := call.Recv()
		if err != nil {
			return nil, err
		}
		one := acknowledgement{
			BatchID:  answer.GetBatchId(),
			recorded: recorded{answer.GetRecordedCount(), answer.GetAlreadyKnownCount()},
		}
		if answer.GetError() != nil {
			bad := problemOf(status.FromProto(answer.GetError()))
			one.Error = &bad
		}
		said = append(said, one)
	}
	return said, call.CloseSend()
}

// What would suit these customers, and why?
func (s *shop) recommend(customers []customer, n int32) ([]recommendation, error) {
	said := []recommendation{}
	for _, customer := range customers {
		ctx, cancel := context.WithTimeout(context.Background(), tenSeconds)
		answer, err := s.recommendations.Recommend(ctx, &visavispb.RecommendRequest{
			Customer: customer.ref(),
			N:        proto.Int32(n),
		})
		cancel()
		if err != nil {
			return nil, err
		}
		got := answer.GetRecommendation()
		one := recommendation{
			CustomerID:     got.GetCustomerId(),
			DecisionID:     got.GetDecisionId() != "", // give it back with the interactions that it leads to
			Scorer:         got.GetScorer(),
			Fallback:       got.GetFallback(),
			FallbackReason: got.GetFallbackReason(),
			Generation:     got.GetGeneration(),
			Items:          []item{},
		}
		for _, place := range got.GetItems() {
			one.Items = append(one.Items, item{
				ItemID:  place.GetItemId(),
				Name:    place.GetName(),
				Rank:    place.GetRank(),
				Score:   fmt.Sprintf("%.9f", place.GetScore()),
				Scorer:  place.GetScorer(),
				Reasons: reasons(place),
			})
		}
		said = append(said, one)
	}
	return said, nil
}

func reasons(place *visavispb.RecommendedItem) []reason {
	said := []reason{}
	for _, why := range place.GetReasons() {
		said = append(said, reason{
			Kind:         why.GetKind(),
			Text:         why.GetText(),
			Contribution: fmt.Sprintf("%.9f", why.GetContribution()),
			ItemID:       why.GetItemId(),
			ItemName:     why.GetItemName(),
		})
	}
	return said
}

// A bad request is refused whole, and the error names each field that is to blame.
func (s *shop) refused(rows []row) (problem, error) {
	_, err := s.recordBatch(rows)
	return mustFail(err)
}

// Without a key, or with a wrong one, no call is answered.
func keyless(key string, asked asked) (refusal, error) {
	stranger, err := open(os.Getenv("VISAVIS_ADDRESS"), key)
	if err != nil {
		return refusal{}, err
	}
	defer stranger.close()
	ctx, cancel := context.WithTimeout(context.Background(), tenSeconds)
	defer cancel()
	_, err = stranger.recommendations.Recommend(ctx, &visavispb.RecommendRequest{
		Customer: customer{CustomerID: asked.CustomerID}.ref(),
		N:        proto.Int32(asked.N),
	})
	found, err := mustFail(err)
	return refusal{found.Code, found.Reason}, err
}

// A thousand customers in a millisecond: too much to ask.
func (s *shop) deadline(asked asked, count, milliseconds int) (map[string]string, error) {
	request := &visavispb.BatchRecommendRequest{N: proto.Int32(asked.N)}
	for range count {
		request.Customers = append(request.Customers, customer{CustomerID: asked.CustomerID}.ref())
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(milliseconds)*time.Millisecond)
	defer cancel()
	_, err := s.recommendations.BatchRecommend(ctx, request)
	found, err := mustFail(err)
	return map[string]string{"code": found.Code}, err
}

// The first two connections to this address are reset; the retries of the service config get through.
func retried(key string) (map[string]string, error) {
	flaky, err := open(os.Getenv("VISAVIS_FLAKY_ADDRESS"), key)
	if err != nil {
		return nil, err
	}
	defer flaky.close()
	serving, err := flaky.check("")
	return map[string]string{"status": serving}, err
}

// What is known of a customer?
func (s *shop) profile(who customer) (profile, error) {
	ctx, cancel := context.WithTimeout(context.Background(), tenSeconds)
	defer cancel()
	known, err := s.customers.GetProfile(ctx, &visavispb.GetProfileRequest{Customer: who.ref()})
	said := profile{
		CustomerID:       known.GetCustomer().GetCustomerId(),
		Identifiers:      [][2]string{},
		InteractionCount: known.GetInteractionCount(),
		MayPersonalize:   known.GetMayPersonalize(),
		MayMarket:        known.GetMayMarket(),
		FirstSeenAt:      known.GetFirstSeenAt().GetSeconds(),
		LastSeenAt:       known.GetLastSeenAt().GetSeconds(),
		Segments:         known.GetSegments(),
	}
	for _, one := range known.GetCustomer().GetIdentifiers() {
		said.Identifiers = append(said.Identifiers, [2]string{one.GetKind(), one.GetValue()})
	}
	return said, err
}

// What is like this item?
func (s *shop) similar(itemID string, n int32) (neighbours, error) {
	ctx, cancel := context.WithTimeout(context.Background(), tenSeconds)
	defer cancel()
	found, err := s.recommendations.ListSimilarItems(ctx, &visavispb.ListSimilarItemsRequest{
		ItemId: itemID,
		N:      proto.Int32(n),
	})
	said := neighbours{ItemID: found.GetItemId(), Scorer: found.GetScorer(), Items: []neighbour{}}
	for _, one := range found.GetItems() {
		said.Items = append(said.Items, neighbour{one.GetItemId(), one.GetRank(), fmt.Sprintf("%.9f", one.GetScore())})
	}
	return said, err
}

// mustFail turns the error of a call into its problem, and a success into an error.
func mustFail(err error) (problem, error) {
	if err == nil {
		return problem{}, errors.New("a call succeeded that must fail")
	}
	failed, ok := status.FromError(err)
	if !ok {
		return problem{}, err
	}
	return problemOf(failed), nil
}

// must ends the program at the first step that fails: there is nobody to go on with.
func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 || os.Getenv("VISAVIS_ADDRESS") == "" {
		log.Fatal("usage: go run . ../conversation.json, with VISAVIS_ADDRESS, VISAVIS_KEY and VISAVIS_CA set")
	}
	var script script
	if err := json.Unmarshal(must(os.ReadFile(os.Args[1])), &script); err != nil {
		log.Fatal(err)
	}
	key := os.Getenv("VISAVIS_KEY")
	shop := must(open(os.Getenv("VISAVIS_ADDRESS"), key))
	defer shop.close()

	// Go evaluates the steps from top to bottom.
	said := transcript{
		Health:    must(shop.checkHealth()),
		Services:  must(shop.services()),
		Record:    must(shop.record(script.Record.Interactions)),
		Stream:    must(shop.stream(script.Stream)),
		Recommend: must(shop.recommend(script.Recommend.Customers, script.Recommend.N)),
		Refused:   must(shop.refused(script.Refused.Interactions)),
		NoKey:     must(keyless("", script.NoKey)),
		WrongKey:  must(keyless(script.WrongKey.Key, script.WrongKey.asked)),
		Deadline:  must(shop.deadline(script.Deadline.asked, script.Deadline.Customers, script.Deadline.Milliseconds)),
		Retried:   must(retried(key)),
		Profile:   must(shop.profile(script.Profile)),
		Similar:   must(shop.similar(script.Similar.ItemID, script.Similar.N)),
	}
	printer := json.NewEncoder(os.Stdout)
	printer.SetIndent("", "  ")
	if err := printer.Encode(said); err != nil {
		log.Fatal(err)
	}
}
