package inventory

import (
	"strconv"
	"strings"
)

// expandRanges returns the names of a pattern with ranges: "web[01:10:2]", "db-[a:f]".
func expandRanges(pattern string, at Origin) ([]string, error) {
	if len(pattern) > maxName {
		return nil, fail(at, "", "a name of %d bytes is too long", len(pattern))
	}
	head, rest, ok := strings.Cut(pattern, "[")
	if !ok {
		return []string{pattern}, nil
	}
	inner, tail, ok := strings.Cut(rest, "]")
	if !ok || !strings.Contains(inner, ":") {
		return nil, fail(at, "a range is [1:9], [01:10:2] or [a:f]", "%.80q: no range in the brackets", pattern)
	}
	values, err := rangeValues(inner, at)
	if err != nil {
		return nil, err
	}
	tails, err := expandRanges(tail, at)
	if err != nil {
		return nil, err
	}
	// Each range is bounded, but several in one name multiply.
	if len(values)*len(tails) > maxHosts {
		return nil, exceed(at, "%.80q are more than %d hosts", pattern, maxHosts)
	}
	hosts := make([]string, 0, len(values)*len(tails))
	for _, v := range values {
		for _, t := range tails {
			hosts = append(hosts, head+v+t)
		}
	}
	return hosts, nil
}

// rangeValues returns the values of "begin:end" or "begin:end:step". Both ends are
// included, as in Ansible and unlike in Python.
func rangeValues(text string, at Origin) ([]string, error) {
	parts := strings.Split(text, ":")
	step := 1
	if len(parts) == 3 {
		n, err := strconv.Atoi(parts[2])
		if err != nil || n < 1 {
			return nil, fail(at, "write a number above 0", "[%.80s]: no step", text)
		}
		step = n
	}
	if len(parts) > 3 || parts[1] == "" {
		return nil, fail(at, "a range is [1:9], [01:10:2] or [a:f]", "[%.80s] is no range", text)
	}
	begin, end := parts[0], parts[1]
	if begin == "" {
		begin = "0"
	}
	if isLetter(begin) && isLetter(end) {
		return letters(begin[0], end[0], step, at)
	}
	return numbers(begin, end, step, at)
}

// alphabet is the order of letters in ranges.
const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

func isLetter(s string) bool { return len(s) == 1 && strings.Contains(alphabet, s) }

func letters(begin, end byte, step int, at Origin) ([]string, error) {
	from, to := strings.IndexByte(alphabet, begin), strings.IndexByte(alphabet, end)
	if from > to {
		return nil, fail(at, "swap them", "[%c:%c] ends before it begins", begin, end)
	}
	var all []string
	for i := from; i <= to; i += min(step, len(alphabet)) {
		all = append(all, alphabet[i:i+1])
	}
	return all, nil
}

func numbers(begin, end string, step int, at Origin) ([]string, error) {
	from, err1 := strconv.ParseUint(begin, 10, 31)
	to, err2 := strconv.ParseUint(end, 10, 31)
	width := 0
	if len(begin) > 1 && begin[0] == '0' {
		width = len(begin)
	}
	switch {
	case err1 != nil || err2 != nil:
		return nil, fail(at, "a range is [1:9], [01:10:2] or [a:f]", "[%.40s:%.40s] is no range", begin, end)
	case width > 0 && len(end) != width:
		return nil, fail(at, "write as many digits on both sides", "[%.40s:%.40s] has leading zeros on one side", begin, end)
	case from > to:
		return nil, fail(at, "swap them", "[%s:%s] ends before it begins", begin, end)
	case (to-from)/uint64(step) >= maxHosts:
		return nil, exceed(at, "[%s:%s] are more than %d hosts", begin, end, maxHosts)
	}
	var all []string
	for n := from; n <= to; n += uint64(step) {
		digits := strconv.FormatUint(n, 10)
		all = append(all, strings.Repeat("0", max(0, width-len(digits)))+digits)
	}
	return all, nil
}
