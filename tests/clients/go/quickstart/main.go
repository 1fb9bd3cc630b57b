// Quickstart prints what would suit a customer, and why.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"example.com/shop/visavispb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
)

func main() {
	tls, err := credentials.NewClientTLSFromFile(os.Getenv("VISAVIS_CA"), "")
	if err != nil {
		log.Fatal(err)
	}
	connection, err := grpc.NewClient(os.Getenv("VISAVIS_ADDRESS"), grpc.WithTransportCredentials(tls))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+os.Getenv("VISAVIS_KEY"))
	answer, err := visavispb.NewRecommendationServiceClient(connection).Recommend(ctx, &visavispb.RecommendRequest{
		Customer: &visavispb.CustomerRef{Ref: &visavispb.CustomerRef_CustomerId{CustomerId: "ann"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, item := range answer.GetRecommendation().GetItems() {
		fmt.Println(item.GetRank(), item.GetName())
		for _, reason := range item.GetReasons() {
			fmt.Println("   ", reason.GetText())
		}
	}
}
