// Package servers compares, changes, captures and replaces servers that are
// reached over SSH. It is the only package of its group that commands, reports
// and pages import; it declares aliases of the inner packages' types for them.
//
// It prints nothing and parses no flags. Long operations report their progress to
// callbacks.
package servers
