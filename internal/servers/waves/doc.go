// Package waves changes servers in place, wave by wave. A wave is verified before the
// next one begins, each server has its own outcome, and every run is one record in a
// History, in which edits and removals are noticed.
//
// It does not connect to servers: a Group does.
package waves
