// Package reference opens what servers are measured against beside each other: the
// file of a snapshot, or an image.
package reference
