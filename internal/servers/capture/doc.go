// Package capture turns a server into an immutable workload: its packages as the
// lower layer of an image, the configuration that differs as the upper one, its
// data as volumes, its services as Deployments.
//
// Survey, WriteLayer, WriteData and WriteSecrets run on the server and only read.
// Build, ReadData and Manifest run where the image is made; what they are given
// comes from the server and is hostile. How the two are connected is not decided
// here. What cannot be captured is listed, never dropped.
package capture
