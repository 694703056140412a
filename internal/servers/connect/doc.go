// Package connect reaches servers: it connects over SSH, brings the agent there
// if it is not there yet, and lets it answer as an agent for as long as it is
// asked.
//
// One on which it does not run is read by plain commands; that is slower, and it
// cannot be changed.
//
// A server keeps two things of ours, both in the home of the user that the agent
// runs as, in .cache/adamant: the program under the name of its digest, and what
// the agent remembers of the files it has read. Nothing is installed, and nothing
// runs once a visit is over.
package connect
