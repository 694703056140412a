// Package waves changes servers in place, in waves: what was done to each is
// verified before the next are touched, outcomes are kept apart, and every run is
// one record in a book that shows whether anybody tampered with it.
//
// It decides and remembers. How a server is reached is a Group's business.
package waves
