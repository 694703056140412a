// Package servers compares, changes, captures and replaces servers that are
// reached over SSH. It is the only package of its group that commands, reports
// and pages import: what they need of the inner packages has a name here.
//
// It prints nothing and knows no flags. Long work reports its progress to
// functions of the caller.
package servers
