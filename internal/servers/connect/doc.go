// Package connect reaches servers over SSH. It copies the agent to a server where it
// is missing, and runs it for as long as the session lasts.
//
// A server on which no agent can run is read by plain commands. That is slower, and
// such a server cannot be changed.
//
// Two things stay on a server, both in .cache/adamant in the home of the user that
// the agent runs as: the program under the name of its digest, and the agent's
// cache of the files that it has read. Nothing is installed, and nothing runs once
// the session is over.
package connect
