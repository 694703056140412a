// Package change carries out one change on the server that it runs on, so that
// it can be taken back: what it may touch is saved first, what it did is found by
// comparing, and unless somebody who still reaches the server confirms it in time
// it reverts itself (a dead-man switch).
//
// Each change has a directory below Dir with all that is known of it. The process
// that carries it out belongs to no connection: a change goes on when the one
// that began it is lost. Who asks for changes, and on which servers, is not
// decided here.
package change
