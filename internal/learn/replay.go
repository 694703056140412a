package learn

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/adamant-sh/adamant/internal/text"
)

// Limits of a file to replay. A larger file is an error: part of it would be less
// load than was meant.
const (
	maxRecording = 64 << 20 // bytes
	maxRecorded  = 100_000  // requests
)

// A recording is the requests of a HAR file or an access log.
type recording struct {
	file     string
	requests []recordedRequest
	units    string // "entries" or "lines"
	total    int    // units in the file
	unusable int    // units without a request that can be sent
	first    string // the first of them, and why
}

// A recordedRequest is one request of a recording. An access log has neither
// headers nor a body, and mostly no host.
type recordedRequest struct {
	method string
	uri    string // path and query
	host   string // with its port, if the recording has it; empty if unknown
	port   string // of the URL; empty if unknown
	header http.Header
	body   []byte
}

func (r recordedRequest) String() string { return r.method + " " + r.uri }

// isCompared reports whether the answer must be the same in every run. The answer
// to a request that is not idempotent (RFC 9110, section 9.2.2) depends on what was
// sent before.
func (r recordedRequest) isCompared() bool {
	return slices.Contains([]string{"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"}, r.method)
}

// notes returns a note if some of the file is not sent.
func (r *recording) notes() []string {
	if r.unusable == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s: %d of %d %s have no request that can be sent; the first is %s", r.file, r.unusable, r.total, r.units, r.first)}
}

func (r *recording) skip(place int, why string) {
	if r.unusable++; r.unusable == 1 {
		r.first = fmt.Sprintf("number %d: %s", place, why)
	}
}

// readRecording reads a HAR file or an access log.
func readRecording(file string) (*recording, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxRecording+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return parseRecording(file, data)
}

// parseRecording parses a HAR file (version 1.2, JSON), or an access log in the
// common or combined format of Apache and nginx, also with the virtual host in
// front.
func parseRecording(file string, data []byte) (*recording, error) {
	if len(data) > maxRecording {
		return nil, fmt.Errorf("%s is larger than %s: replay a part of it", file, text.Bytes(maxRecording))
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	r := &recording{file: file}
	var err error
	if start := bytes.TrimSpace(data); len(start) > 0 && start[0] == '{' {
		err = r.parseHAR(data)
	} else {
		err = r.parseLog(data)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", file, err)
	case len(r.requests) == 0 && r.unusable > 0:
		return nil, fmt.Errorf("%s: no request in it, neither as a HAR file nor as an access log in the common or combined format; entry %s", file, r.first)
	case len(r.requests) == 0:
		return nil, fmt.Errorf("%s: no request in it", file)
	}
	return r, nil
}

func (r *recording) add(q recordedRequest) error {
	if len(r.requests) == maxRecorded {
		return fmt.Errorf("more than %d requests: replay a part of it", maxRecorded)
	}
	r.requests = append(r.requests, q)
	return nil
}

// harEntry is the part of an entry of HAR 1.2 that is replayed.
type harEntry struct {
	Request struct {
		Method  string `json:"method"`
		URL     string `json:"url"`
		Headers []struct {
			Name  string `json:"name"`
			Value string `json:"value"`
		} `json:"headers"`
		PostData *struct {
			MimeType string `json:"mimeType"`
			Text     string `json:"text"`
			Encoding string `json:"encoding"` // base64, which some recorders write
			Params   []struct {
				Name     string `json:"name"`
				Value    string `json:"value"`
				FileName string `json:"fileName"`
			} `json:"params"`
		} `json:"postData"`
	} `json:"request"`
}

func (r *recording) parseHAR(data []byte) error {
	var har struct {
		Log *struct {
			Entries []json.RawMessage `json:"entries"`
		} `json:"log"`
	}
	if err := json.Unmarshal(data, &har); err != nil {
		return fmt.Errorf("read it as a HAR file: %w", err)
	}
	if har.Log == nil {
		return errors.New("JSON, but not a HAR file: it has no log")
	}
	r.units, r.total = "entries", len(har.Log.Entries)
	for i, raw := range har.Log.Entries {
		var e harEntry
		err := json.Unmarshal(raw, &e)
		var q recordedRequest
		if err == nil {
			q, err = e.recorded()
		}
		if err != nil {
			r.skip(i+1, err.Error())
			continue
		}
		if err := r.add(q); err != nil {
			return err
		}
	}
	return nil
}

// recorded returns the request of an entry, or why it cannot be sent.
func (e harEntry) recorded() (recordedRequest, error) {
	u, err := url.Parse(e.Request.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return recordedRequest{}, fmt.Errorf("%s is no URL of HTTP", text.Excerpt(e.Request.URL, 80))
	}
	q := recordedRequest{
		method: strings.ToUpper(e.Request.Method), uri: u.RequestURI(), host: u.Host,
		port: portOf(e.Request.URL), header: http.Header{},
	}
	if err := q.check(); err != nil {
		return q, err
	}
	for _, h := range e.Request.Headers {
		if !isReplayed(h.Name) || !token.MatchString(h.Name) || !fieldValue.MatchString(h.Value) {
			continue
		}
		q.header.Add(h.Name, h.Value)
	}
	post := e.Request.PostData
	if post == nil {
		return q, nil
	}
	if q.header.Get("Content-Type") == "" && fieldValue.MatchString(post.MimeType) {
		q.header.Set("Content-Type", post.MimeType)
	}
	switch {
	case post.Encoding == "base64":
		if q.body, err = base64.StdEncoding.DecodeString(post.Text); err != nil {
			return q, errors.New("its body is not base64")
		}
	case post.Text == "" && len(post.Params) > 0:
		if strings.HasPrefix(post.MimeType, "multipart/") {
			return q, errors.New("the recording does not have the text of its multipart body")
		}
		form := url.Values{}
		for _, p := range post.Params {
			form.Add(p.Name, p.Value)
		}
		q.body = []byte(form.Encode())
	default:
		q.body = []byte(post.Text)
	}
	return q, nil
}

// The forms of a method or a header's name, and of its value (RFC 9110, section 5).
// HTTP/2's pseudo-headers begin with a colon, which no name does.
var (
	token      = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
	fieldValue = regexp.MustCompile(`^[^\x00-\x08\x0a-\x1f\x7f]*$`)
)

// notReplayed are the headers that belong to one connection or are set by the
// client.
var notReplayed = []string{
	"connection", "keep-alive", "proxy-connection", "proxy-authorization", "te", "trailer", "transfer-encoding",
	"upgrade", "content-length", "host", "expect",
}

func isReplayed(header string) bool { return !slices.Contains(notReplayed, strings.ToLower(header)) }

// check returns why a request cannot be sent, or nil.
func (r recordedRequest) check() error {
	switch {
	case !token.MatchString(r.method) || len(r.method) > 32:
		return fmt.Errorf("%q is no method", text.Excerpt(r.method, 40))
	case r.method == http.MethodConnect:
		return errors.New("CONNECT asks for a tunnel")
	}
	if u, err := url.ParseRequestURI(r.uri); err != nil || u.Scheme == "" && !strings.HasPrefix(r.uri, "/") {
		return fmt.Errorf("%q is no path", text.Excerpt(r.uri, 80))
	}
	return nil
}

// logLine is a line of an access log in the common format, to which the combined
// one appends the referrer and the agent: host, identity, user, time, request,
// status and size. A virtual host may precede it.
var logLine = regexp.MustCompile(`^(?:([A-Za-z0-9._-]+:[0-9]{1,5}) )?[^ "[]+ [^"[]+ \[[^]"]+\] "((?:[^"\\]|\\.)*)" [0-9]{3} (?:[0-9]+|-)(?: |$)`)

func (r *recording) parseLog(data []byte) error {
	r.units = "lines"
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, len(data)+1) // data is bounded
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		r.total++
		q, err := parseLogLine(line)
		if err != nil {
			r.skip(n, err.Error())
			continue
		}
		if err := r.add(q); err != nil {
			return err
		}
	}
	return lines.Err()
}

func parseLogLine(line string) (recordedRequest, error) {
	m := logLine.FindStringSubmatch(line)
	if m == nil {
		return recordedRequest{}, fmt.Errorf("%q is not in the common or combined format", text.Excerpt(line, 80))
	}
	words := strings.Split(unescapeLog(m[2]), " ")
	if len(words) == 3 && !strings.HasPrefix(words[2], "HTTP/") || len(words) < 2 || len(words) > 3 {
		return recordedRequest{}, fmt.Errorf("%q is no request", text.Excerpt(m[2], 80))
	}
	q := recordedRequest{method: words[0], uri: words[1], host: m[1]}
	if err := q.check(); err != nil {
		return q, err
	}
	// A proxy's client sends the whole URL.
	if u, err := url.Parse(q.uri); err == nil && u.Host != "" && u.Scheme != "" {
		q.uri, q.host = u.RequestURI(), u.Host
	}
	if _, port, err := net.SplitHostPort(q.host); err == nil {
		q.port = port
	}
	return q, nil
}

var logEscape = regexp.MustCompile(`\\(x[0-9A-Fa-f]{2}|.)`)

// unescapeLog undoes the escapes of Apache and nginx: \" \\ and \xHH.
func unescapeLog(s string) string {
	return logEscape.ReplaceAllStringFunc(s, func(e string) string {
		if len(e) == 4 {
			b, _ := strconv.ParseUint(e[2:], 16, 8)
			return string([]byte{byte(b)})
		}
		return e[1:]
	})
}

// replay sends the requests of a recording in their order. base is the URL of the
// port to use unless that of a request is in bases.
func (r *recording) replay(ctx context.Context, c *http.Client, label string, bases []string) Outcome {
	out := Outcome{Load: label, requests: r.requests, answers: make([]int, len(r.requests))}
	if len(bases) == 0 {
		out.Result = "no declared port answers HTTP"
		return out
	}
	counts := map[int]int{}
	var last error
	for i, q := range r.requests {
		if ctx.Err() != nil {
			break
		}
		code, err := q.send(ctx, c, bases)
		if err != nil {
			last = err
		}
		out.answers[i] = code / 100
		counts[code/100]++
	}
	var parts []string
	for class := 1; class <= 9; class++ {
		if counts[class] > 0 {
			parts = append(parts, fmt.Sprintf("%d× %dxx", counts[class], class))
		}
	}
	if counts[0] > 0 {
		parts = append(parts, fmt.Sprintf("%d× no answer", counts[0]))
	}
	out.Result, out.OK = strings.Join(parts, ", "), counts[0] < len(r.requests)
	if !out.OK && last != nil {
		out.Result = reason(last)
	}
	return out
}

// send sends one request and returns the status of the answer, 0 if there is none.
func (r recordedRequest) send(ctx context.Context, c *http.Client, bases []string) (int, error) {
	base := bases[0]
	if i := slices.IndexFunc(bases, func(b string) bool { return r.port != "" && portOf(b) == r.port }); i >= 0 {
		base = bases[i]
	}
	to, err := url.Parse(base)
	if err != nil {
		return 0, err
	}
	u, err := url.ParseRequestURI(r.uri)
	if err != nil {
		return 0, err
	}
	host := r.host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	// The client connects to the pod whatever the name is; it is used for TLS.
	u.Scheme, u.Host = to.Scheme, net.JoinHostPort(cmp.Or(strings.Trim(host, "[]"), to.Hostname()), portOf(base))
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), bytes.NewReader(r.body))
	if err != nil {
		return 0, err
	}
	req.Host = r.host
	if r.header != nil {
		req.Header = r.header.Clone()
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if _, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<20)); err != nil {
		return 0, err
	}
	return resp.StatusCode, nil
}
