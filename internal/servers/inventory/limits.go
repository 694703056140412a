package inventory

// The bounds of an Inventory. It may come from another person, and a few bytes, such as
// a range or a YAML alias, can stand for very much.
const (
	maxFile     = 8 << 20   // bytes of one file
	maxBytes    = 256 << 20 // of all files
	maxFiles    = 100_000   // of one Inventory
	maxHosts    = 100_000   // of one Inventory, and of one range
	maxNamed    = 1_000_000 // how often files name hosts, with ranges expanded
	maxGroups   = 10_000
	maxEdges    = 100_000 // of groups in groups
	maxName     = 512     // bytes of a host's or group's name
	maxNodes    = 2_000_000
	maxDepth    = 32 // of nested groups in YAML, of directories and of includes
	maxJumps    = 16
	maxPatterns = 64 << 10 // bytes
)
