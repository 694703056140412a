// Package reference opens references that servers are compared with in addition to
// each other: the file of a snapshot, or an image.
package reference
