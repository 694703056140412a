package overlay

// Chunk is how much of a file Equal compares at once, in bytes.
const Chunk = chunk
