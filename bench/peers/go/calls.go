// The official SDK, doing what bench/calls.lua and bench/flight.lua do.
//
//	calls URL JSON_FILE CA_FILE WARM_UP COUNT IN_FLIGHT
//
// Prints what calls.lua prints. The transport is Go's own, but for the certificates and for as many
// idle connections as there are calls in flight: by default Go keeps two.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/stripe/stripe-go/v86"
)

type mark struct {
	usage syscall.Rusage
	time  time.Time
}

func now() (m mark) {
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &m.usage))
	m.time = time.Now()
	return m
}

func (m mark) microseconds() float64 {
	return float64(m.usage.Utime.Nano()+m.usage.Stime.Nano()) / 1e3
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func read(path string) []byte {
	content, err := os.ReadFile(path)
	check(err)
	return content
}

func number(text string) int64 {
	value, err := strconv.ParseInt(text, 10, 64)
	check(err)
	return value
}

// The SDK's parameters have the API's names in JSON, but for those of an address.
func newPayload(path string) (payload stripe.PaymentRecordReportPaymentParams) {
	text := bytes.ReplaceAll(read(path), []byte(`"postal_code"`), []byte(`"PostalCode"`))
	check(json.Unmarshal(text, &payload))
	return payload
}

func newClient(url, caFile string, inFlight int64) *stripe.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(read(caFile))
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = int(inFlight), int(inFlight)
	return stripe.NewClient("sk_test_123", stripe.WithBackends(stripe.NewBackendsWithConfig(&stripe.BackendConfig{
		URL:               stripe.String(url),
		HTTPClient:        &http.Client{Transport: transport, Timeout: 80 * time.Second},
		MaxNetworkRetries: stripe.Int64(0),
		EnableTelemetry:   stripe.Bool(false),
	})))
}

func key() *string {
	random := make([]byte, 16)
	_, err := rand.Read(random)
	check(err)
	return stripe.String(fmt.Sprintf("%x", random))
}

func report(client *stripe.Client, payload stripe.PaymentRecordReportPaymentParams) {
	payload.IdempotencyKey = key()
	record, err := client.V1PaymentRecords.ReportPayment(context.Background(), &payload)
	check(err)
	if record.AmountRequested.Value != 1000 {
		log.Fatal("not the record")
	}
}

func main() {
	arguments := os.Args[1:]
	warmUp, count, inFlight := number(arguments[3]), number(arguments[4]), number(arguments[5])
	payload := newPayload(arguments[1])
	client := newClient(arguments[0], arguments[2], inFlight)

	var begun, ended atomic.Int64
	var start mark
	var all sync.WaitGroup
	for range inFlight {
		all.Add(1)
		go func() {
			defer all.Done()
			for begun.Add(1) <= warmUp+count {
				report(client, payload)
				if ended.Add(1) == warmUp {
					start = now()
				}
			}
		}()
	}
	all.Wait()
	end := now()
	fmt.Printf("%.2f %d %d %.0f\n", (end.microseconds()-start.microseconds())/float64(count),
		start.usage.Maxrss, end.usage.Maxrss, float64(count)/end.time.Sub(start.time).Seconds())
}
