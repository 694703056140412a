package reach

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
)

// A firewall is the rules of netfilter: the tables of nftables, and those of the older
// iptables, which a kernel keeps apart.
type firewall struct {
	// Tables are the tables of nftables by family and name, as nft(8) prints them
	// without counters. They are nil if nft is not installed.
	Tables map[string]string `json:"tables"`
	// Xtables are the tables that iptables-nft manages, by the same keys, in the format
	// of iptables-save(8). nft cannot read back all rules of these.
	Xtables map[string]string `json:"xtables,omitempty"`
	// Legacy is the output of iptables-legacy-save and ip6tables-legacy-save without
	// counters, by "iptables" and "ip6tables". One that could not be read is missing.
	Legacy map[string]string `json:"legacy,omitempty"`
}

func readFirewall(ctx context.Context) (firewall, error) {
	f := firewall{Xtables: map[string]string{}, Legacy: map[string]string{}}
	var errs []error
	var err error
	if has("nft") {
		f.Tables, err = readTables(ctx)
		errs = append(errs, err)
	}
	for family, program := range xtablesPrograms {
		for _, table := range xtablesNames {
			key := family + " " + table
			if _, exists := f.Tables[key]; (exists || f.Tables == nil) && has(program+"-nft-save") {
				text, err := output(ctx, program+"-nft-save", "-t", table)
				if err == nil {
					f.Xtables[key] = withoutCounters(text)
				}
			}
		}
		text, err := readLegacy(ctx, program)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		f.Legacy[program] = text
	}
	return f, errors.Join(errs...)
}

// xtablesPrograms are the programs of iptables by the family that nftables has for
// their tables.
var xtablesPrograms = map[string]string{"ip": "iptables", "ip6": "ip6tables"}

// xtablesNames are the tables of iptables.
var xtablesNames = []string{"filter", "nat", "mangle", "raw", "security"}

func readTables(ctx context.Context) (map[string]string, error) {
	list, err := output(ctx, "nft", "list", "tables")
	if err != nil {
		return nil, err
	}
	tables := map[string]string{}
	for line := range strings.Lines(list) {
		field := strings.Fields(line)
		if len(field) != 3 || field[0] != "table" {
			continue
		}
		text, err := output(ctx, "nft", "-s", "list", "table", field[1], field[2])
		if err != nil {
			return nil, err
		}
		tables[field[1]+" "+field[2]] = text
	}
	return tables, nil
}

// readLegacy returns the tables of the older iptables. The program is not run if the
// kernel has none, because it would load the kernel's modules.
func readLegacy(ctx context.Context, program string) (string, error) {
	names, err := os.ReadFile("/proc/net/" + strings.TrimSuffix(program, "tables") + "_tables_names")
	if err != nil || len(strings.TrimSpace(string(names))) == 0 {
		return "", nil
	}
	save := legacyProgram(program, "save")
	if save == "" {
		return "", fmt.Errorf("the kernel has tables of %s, and %s-legacy-save is not installed", program, program)
	}
	text, err := output(ctx, save)
	return withoutCounters(text), err
}

// legacyProgram returns the program for the older tables. Distributions that know only
// these have no suffix.
func legacyProgram(program, verb string) string {
	for _, name := range []string{program + "-legacy-" + verb, program + "-" + verb} {
		if has(name) {
			return name
		}
	}
	return ""
}

var counters = regexp.MustCompile(`(?m) \[\d+:\d+\]$|^\[\d+:\d+\] `)

// withoutCounters drops the comments and counters of iptables-save, which change by
// themselves.
func withoutCounters(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			b.WriteString(counters.ReplaceAllString(line, ""))
		}
	}
	return b.String()
}

// restore makes the rules those that were recorded.
func (f firewall) restore(ctx context.Context) error {
	now, err := readFirewall(ctx)
	errs := []error{err}
	if f.Tables != nil && now.Tables != nil {
		errs = append(errs, f.restoreTables(ctx, now))
	} else {
		for key, text := range f.Xtables {
			if text != now.Xtables[key] {
				errs = append(errs, restoreXtable(ctx, key, text))
			}
		}
	}
	for _, program := range xtablesPrograms {
		before, had := f.Legacy[program]
		if present, has := now.Legacy[program]; !had || !has || before == present {
			continue
		}
		_, err := runProgram(ctx, legacyScript(f.Legacy[program], now.Legacy[program]), legacyProgram(program, "restore"))
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// unreadable matches rules that nft prints, but cannot read.
var unreadable = regexp.MustCompile(`\bxt (match|target)\b|# xt_`)

// restoreTables removes additional tables and replaces those that differ, each in one
// transaction, so that there is no moment without rules.
func (f firewall) restoreTables(ctx context.Context, now firewall) error {
	var errs []error
	script := func(text string) {
		_, err := runProgram(ctx, text, "nft", "-f", "-")
		errs = append(errs, err)
	}
	for _, key := range slices.Sorted(maps.Keys(now.Tables)) {
		if _, isOld := f.Tables[key]; !isOld {
			script("delete table " + key + "\n")
		}
	}
	for _, key := range slices.Sorted(maps.Keys(f.Tables)) {
		text := f.Tables[key]
		switch {
		case text == now.Tables[key]:
		case unreadable.MatchString(text) && f.Xtables[key] != "":
			errs = append(errs, restoreXtable(ctx, key, f.Xtables[key]))
		default:
			script("add table " + key + "\ndelete table " + key + "\n" + text)
		}
	}
	return errors.Join(errs...)
}

// restoreXtable replaces one table of iptables-nft.
func restoreXtable(ctx context.Context, key, text string) error {
	family, _, _ := strings.Cut(key, " ")
	_, err := runProgram(ctx, text, xtablesPrograms[family]+"-nft-restore")
	return err
}

// legacyScript returns the input of iptables-restore that makes the present tables the
// recorded ones. A table that was not in use gets no rules and its default policies.
func legacyScript(before, now string) string {
	had := map[string]bool{}
	for line := range strings.Lines(before) {
		if name, ok := strings.CutPrefix(line, "*"); ok {
			had[strings.TrimSpace(name)] = true
		}
	}
	var b strings.Builder
	b.WriteString(before)
	isNew := false
	for line := range strings.Lines(now) {
		switch {
		case line[0] == '*':
			isNew = !had[strings.TrimSpace(line[1:])]
			if isNew {
				b.WriteString(line)
			}
		case !isNew:
		case line[0] == ':':
			if chain, policy, _ := strings.Cut(strings.TrimSpace(line[1:]), " "); policy != "-" {
				b.WriteString(":" + chain + " ACCEPT\n")
			}
		case strings.HasPrefix(line, "COMMIT"):
			b.WriteString(line)
		}
	}
	return b.String()
}

// difference returns the tables that differ.
func (f firewall) difference(now firewall) (left []string) {
	differ := func(kind string, before, now map[string]string) {
		for _, key := range keys(before, now) {
			if before[key] != now[key] {
				left = append(left, kind+" "+key)
			}
		}
	}
	if f.Tables != nil && now.Tables != nil {
		differ("nftables table", f.Tables, now.Tables)
	} else {
		differ("iptables table", f.Xtables, now.Xtables)
	}
	for _, program := range []string{"iptables", "ip6tables"} {
		_, had := f.Legacy[program]
		if _, has := now.Legacy[program]; had && has && rulesOnly(f.Legacy[program]) != rulesOnly(now.Legacy[program]) {
			left = append(left, "rules of "+program)
		}
	}
	return left
}

// rulesOnly drops the tables of the older iptables that have no effect: once a table
// was used, the kernel keeps it.
func rulesOnly(text string) string {
	var b, table strings.Builder
	used := false
	for line := range strings.Lines(text) {
		if line[0] == '*' {
			table.Reset()
			used = false
		}
		table.WriteString(line)
		switch {
		case line[0] == ':':
			used = used || !strings.HasSuffix(strings.TrimSpace(line), " ACCEPT")
		case line[0] == '-':
			used = true
		case strings.HasPrefix(line, "COMMIT") && used:
			b.WriteString(table.String())
		}
	}
	return b.String()
}

// keys returns the keys of both maps in order.
func keys[V any](a, b map[string]V) []string {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]V{}
	}
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}
