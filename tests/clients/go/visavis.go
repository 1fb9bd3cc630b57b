package main

import (
	"context"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

// Calls that meet no server, or one that has too much to do, are repeated after about 0.5, 1, 2 and 4 seconds. Every
// call of Visavis may be: reads change nothing, and writes are known again by their ids. So give interactions an
// InteractionId, and other writes a RequestId.
const serviceConfig = `{
  "methodConfig": [{
    "name": [{}],
    "retryPolicy": {
      "maxAttempts": 5,
      "initialBackoff": "0.5s",
      "maxBackoff": "5s",
      "backoffMultiplier": 2,
      "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]
    }
  }]
}`

// connect returns a connection to the server at address (host:port), which is made with the first call. ca is a PEM
// file of the authorities to trust; key is `id.secret` and goes with every call, empty for none.
func connect(address, ca, key string) (*grpc.ClientConn, error) {
	transport, err := credentials.NewClientTLSFromFile(ca, "")
	if err != nil {
		return nil, err
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 20 * time.Second}),
	}
	if key != "" {
		options = append(options, grpc.WithPerRPCCredentials(bearer(key)))
	}
	return grpc.NewClient(address, options...)
}

// bearer is a key in its role of credentials of a call.
type bearer string

func (key bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(key)}, nil
}

// RequireTransportSecurity keeps the key from travelling in the clear.
func (bearer) RequireTransportSecurity() bool { return true }

// problem is why a call failed, as the transcript tells it.
type problem struct {
	Code       string      `json:"code"`       // of gRPC, e.g. INVALID_ARGUMENT
	Message    string      `json:"message"`    // one line for a person
	Reason     string      `json:"reason"`     // for programs: a value of visavis.api.v1.ErrorReason
	Domain     string      `json:"domain"`     // `visavis`; empty for an error that gRPC made by itself
	Violations [][2]string `json:"violations"` // the fields of the request that are to blame, and what is wrong
}

// problemOf reads a status with its details: status.FromError gives that of a failed call, status.FromProto that of an
// acknowledgement in a stream.
func problemOf(failed *status.Status) problem {
	found := problem{Code: code.Code(failed.Code()).String(), Message: failed.Message(), Violations: [][2]string{}}
	for _, detail := range failed.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			found.Reason, found.Domain = detail.GetReason(), detail.GetDomain()
		case *errdetails.BadRequest:
			for _, one := range detail.GetFieldViolations() {
				found.Violations = append(found.Violations, [2]string{one.GetField(), one.GetDescription()})
			}
		}
	}
	return found
}
