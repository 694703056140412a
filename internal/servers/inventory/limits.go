package inventory

// Inventories may come from elsewhere: what a few bytes can ask for is bounded.
const (
	maxFile     = 8 << 20   // bytes of one file
	maxBytes    = 256 << 20 // of all files
	maxFiles    = 100_000   // that are read for one Inventory
	maxHosts    = 100_000   // in one Inventory, and out of one range
	maxNamed    = 1_000_000 // times that files name hosts, ranges written out
	maxGroups   = 10_000
	maxEdges    = 100_000 // of groups in groups
	maxName     = 512     // bytes of a host's or group's name
	maxNodes    = 2_000_000
	maxDepth    = 32 // of groups written inside each other, of directories and of includes
	maxJumps    = 16
	maxPatterns = 64 << 10 // bytes
)
