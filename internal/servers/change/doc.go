// Package change carries out one change on the machine that it runs on, so that it
// can be taken back. Files that it may touch are saved first, its effects are found
// by comparing the machine before and after, and it reverts itself unless a caller
// who still reaches the machine confirms it in time (a dead-man switch).
//
// Each change has a directory below Dir with its job, its state and the saved files.
// It runs in a process of its own, which continues if the connection that started
// it is lost. The package does not decide which servers are changed, see waves.
package change
