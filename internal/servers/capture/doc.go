// Package capture turns a server into an immutable workload: its packages become
// the lower layer of an image, configuration that differs from them the upper
// layer, its data volumes, and its services Deployments.
//
// Survey, WriteLayer, WriteData and WriteSecrets run on the server and only read.
// Build, ReadData and Manifest run where the image is made, and treat their input
// as hostile, because it comes from the server. The package does not connect the
// two sides. Everything that cannot be captured is listed, never dropped.
package capture
