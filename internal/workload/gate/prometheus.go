package gate

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

// queryTimeout bounds one query of a Prometheus.
const queryTimeout = 30 * time.Second

// query evaluates PromQL at this moment. All samples must be other than 0, as a
// comparison with the modifier bool returns. Without a sample, with NaN, or if the
// server does not answer, nothing is decided.
func query(ctx context.Context, server, expr string) result {
	undecided := func(format string, args ...any) result {
		return result{undecided: fmt.Sprintf("query %s: ", expr) + fmt.Sprintf(format, args...)}
	}
	client, err := api.NewClient(api.Config{Address: server, RoundTripper: bounded{}})
	if err != nil {
		return undecided("%v", err)
	}
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	got, _, _, err := promv1.NewAPI(client).Query(ctx, expr, time.Now(), promv1.WithTimeout(queryTimeout), promv1.WithLimit(maxSamples))
	if err != nil {
		return undecided("%v", err)
	}
	var samples model.Vector
	switch v := got.(type) {
	case *model.Scalar:
		samples = model.Vector{{Value: v.Value}}
	case model.Vector:
		samples = v
	case nil:
		return undecided("the answer has no result")
	default:
		return undecided("the result is a %s, want a scalar or an instant vector", got.Type())
	}
	if len(samples) == 0 {
		return undecided("no result; a comparison needs the modifier bool (X < bool Y)")
	}
	for _, s := range samples {
		switch {
		case math.IsNaN(float64(s.Value)):
			return undecided("%s is not a number", s.Metric)
		case s.Value == 0:
			return result{failed: fmt.Sprintf("query %s: %s is 0", expr, s.Metric)}
		}
	}
	return result{}
}

const (
	// maxSamples is the number of samples that the server is asked for.
	maxSamples = 1000
	// maxAnswer is the size limit of the answer, in bytes.
	maxAnswer = 4 << 20
)

// bounded requests without connections that are kept, and fails to read more than
// maxAnswer of an answer.
type bounded struct{}

// RoundTrip implements http.RoundTripper.
func (bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	t := http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}
	resp, err := t.RoundTrip(r)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer)
	}
	return resp, err
}
